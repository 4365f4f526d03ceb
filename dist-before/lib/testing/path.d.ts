export type ParamValue = string | number | boolean;
export type Params = Readonly<Record<string, ParamValue | undefined>>;
export type Query = Readonly<Record<string, ParamValue | readonly ParamValue[] | undefined>>;
/**
 * Puts parameters into a registered path: `/files/:dir/*` becomes `/files/a%20b/c/d`. Values are percent-encoded, those of
 * a wildcard but for their slashes. An optional parameter at the end, and a wildcard, may be missing.
 *
 * Throws FST_WS_ERR_INVALID_OPTION for a parameter that is missing, and for one that the path does not have.
 */
export declare function fillParams(pattern: string, params: Params): string;
/** Puts the query behind a path, which may have one already; an array repeats its name. */
export declare function withQuery(path: string, query: Query): string;
