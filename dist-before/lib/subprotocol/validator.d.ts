/** Seen from the server, as in AsyncAPI 3. */
export type Direction = 'receive' | 'send';
/** Fastify's `validatorCompiler`; message schemas are compiled as a `body`, the part that no compiler coerces on its own. */
export type SchemaCompiler = (route: {
    schema: any;
    method: string;
    url: string;
    httpPart: 'body';
}) => CompiledSchema;
/** What a compiler returns: true, false with `errors` on the function, `{ error }`, `{ value }`, or nothing for valid. */
export interface CompiledSchema {
    (message: any, context?: any): unknown;
    errors?: unknown;
}
/** Fastify's `schemaErrorFormatter`, with the part named `message`. Its `message` becomes the text of our error, and it the `cause`. */
export type SchemaErrorFormatter = (errors: any[], part: 'message') => Error;
export interface ValidatorOptions {
    readonly method: string;
    readonly url: string;
    readonly direction: Direction;
    /** How errors call the place: "route /chat, subprotocol 'chat.v2'". */
    readonly what: string;
    readonly schemaErrorFormatter?: SchemaErrorFormatter | undefined;
}
/** Thrown by `Validator.validate` for a message that does not fit: no Error, since every caller turns it into one of its own. */
export declare class ValidationFault {
    /** At most `MAX_TEXT_BYTES`; names fields and rules, no values. */
    readonly text: string;
    /** Bounded copies of what the compiler reported. */
    readonly errors: any[];
    /** What the application's `schemaErrorFormatter` made of it. */
    readonly cause: Error | undefined;
    constructor(text: string, errors: any[], cause?: Error);
}
/** With the words that the error table puts before it, a text stays below 1 KiB. */
export declare const MAX_TEXT_BYTES = 900;
/** The text, cut at a whole character so that it takes at most `MAX_TEXT_BYTES` in UTF-8. */
export declare function shorten(text: string): string;
/** Compiles one schema. A bad one, and a compiler that works asynchronously, throw here and so stop the start. */
export declare function compileValidator(compiler: SchemaCompiler, schema: unknown, options: ValidatorOptions): Validator;
/** One compiled schema. */
export declare class Validator {
    #private;
    constructor(compiled: CompiledSchema, names: ReadonlySet<string>, options: ValidatorOptions);
    /**
     * Returns the message to deliver: the same one, perhaps with defaults filled in, or the one that the
     * compiler made of it. Throws a `ValidationFault` if it does not fit; whatever else it throws is a fault
     * of the application's validator. A valid message costs no allocation of ours.
     */
    validate(message: unknown): unknown;
}
/** An object literal or parsed JSON: what may be copied key by key. */
export declare function isPlainObject(value: unknown): value is Record<string, unknown>;
/** Whether it can be awaited, whoever made it. */
export declare function isThenable(value: unknown): value is PromiseLike<unknown>;
/** Nobody will wait for this promise; its rejection must not end the process. */
export declare function ignoreRejection(promise: PromiseLike<unknown>): void;
