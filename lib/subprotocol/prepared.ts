// SKELETON: the class follows.
export interface Prepared<T> { readonly message: T }
