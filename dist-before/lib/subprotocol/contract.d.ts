/**
 * The contract of a connection: which codec its messages use, and the schema of each direction.
 *
 * Published as `fastify-duplex/contract`, so that a browser can share what the server declares: nothing
 * here imports a `node:` module, Fastify or anything that does, and no type needs Node's. The codecs, the
 * schema compiler and the sockets are elsewhere; this file knows only the description of them.
 */
/**
 * How messages of an own format become frames. Both functions are synchronous. What `decode` throws
 * makes the message invalid (close 1007); what `encode` throws leaves `send`.
 */
export interface Codec {
    /** For error messages and documents. */
    readonly name: string;
    /** The kind of frame that the peer may send; the other kind is refused with 1003. */
    readonly wire: 'text' | 'binary' | 'both';
    /** A string becomes a text message, bytes a binary one. The bytes must not be changed afterwards. */
    encode(message: any): string | Uint8Array;
    /** `data` is a string for a text message and bytes for a binary one: on Node a `Buffer`, and the codec's to keep. */
    decode(data: string | Uint8Array): unknown;
}
/** JSON in text messages. A direction without schema is `unknown`, here and as a message, and is not validated. */
export interface JsonContract<Receive = unknown, Send = unknown, Binary extends boolean = boolean> {
    readonly codec: 'json';
    /** The schema of what the server receives; absent where none was given. */
    readonly receive: Receive;
    /** The schema of what the server sends; absent where none was given. */
    readonly send: Send;
    /** Whether binary messages pass beside the JSON, as they are; absent means no. */
    readonly binary: Binary;
}
/** Text messages, as strings. */
export interface TextContract {
    readonly codec: 'text';
}
/** Binary messages, as bytes. */
export interface BytesContract {
    readonly codec: 'bytes';
}
/** Every message as it is, for a protocol with a parser of its own. */
export interface RawContract {
    readonly codec: 'raw';
}
/** Messages of an own codec, validated after decoding where there is a schema. */
export interface CustomContract<OwnCodec extends Codec = Codec, Receive = unknown, Send = unknown> {
    readonly codec: OwnCodec;
    /** The schema of what the server receives; absent where none was given. */
    readonly receive: Receive;
    /** The schema of what the server sends; absent where none was given. */
    readonly send: Send;
}
/** What `json`, `text`, `bytes`, `raw` and `custom` return: a frozen object without behaviour. */
export type Contract = JsonContract | TextContract | BytesContract | RawContract | CustomContract;
/** Contracts by the name of their subprotocol. */
export interface Contracts {
    readonly [subprotocol: string]: Contract;
}
/** The contract of a connection without subprotocol has a key of its own. */
export interface NoEmptyName {
    readonly ''?: 'the contract of a connection without subprotocol is `messages`';
}
/** The request schemas of a route; the keys are Fastify's and those of @fastify/swagger. */
export interface RouteSchema {
    readonly params?: unknown;
    readonly querystring?: unknown;
    readonly headers?: unknown;
    readonly response?: unknown;
    readonly hide?: boolean;
    readonly tags?: readonly string[];
    readonly summary?: string;
    readonly description?: string;
    readonly operationId?: string;
}
declare const kRoute: unique symbol;
/**
 * A route that server, tests and client share: the options for `app.get(route.url, route, handler)`, and
 * the types of both sides. Of `subprotocols` and `messages`, `never` means that the route has none.
 */
export interface WebSocketRoute<Url extends string = string, Schema = unknown, Subprotocols = unknown, Messages = unknown> {
    readonly url: Url;
    readonly websocket: true;
    readonly schema: Schema;
    readonly subprotocols: Subprotocols;
    readonly messages: Messages;
    /** Which definition this is; survives a spread, so that the registered path can be found. */
    readonly [kRoute]: object;
}
/**
 * A contract of JSON messages. `receive` and `send` are seen from the server and are whatever schema the
 * application's validator compiler takes. With `binary: true` text is JSON and validated, and binary
 * messages pass as they are.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, for a key that it does not know or a schema that is none.
 */
export declare function json<const Receive = unknown, const Send = unknown, const Binary extends boolean = false>(definition?: {
    readonly receive?: Receive;
    readonly send?: Send;
    readonly binary?: Binary;
}): JsonContract<Receive, Send, NoInfer<Binary>>;
/** A contract of text messages that are strings. */
export declare function text(...none: []): TextContract;
/** A contract of binary messages: received as bytes (on Node a `Buffer`), sent as any view of bytes. */
export declare function bytes(...none: []): BytesContract;
/** A contract that leaves messages alone, text and binary, as on a route without contract. */
export declare function raw(...none: []): RawContract;
/**
 * A contract of messages in an own format. Without a schema the types are those of the codec's functions.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, for a key that it does not know, or a codec or schema that is none.
 */
export declare function custom<const OwnCodec extends Codec, const Receive = unknown, const Send = unknown>(definition: {
    readonly codec: OwnCodec;
    readonly receive?: Receive;
    readonly send?: Send;
}): CustomContract<OwnCodec, Receive, Send>;
/**
 * Describes a route once, for the server, its tests and its clients. The object goes to
 * `app.get(route.url, route, handler)`, alone or spread into further options, and may be registered
 * under a prefix.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, for a key that it does not know or a contract that is none.
 */
export declare function defineWebSocketRoute<const Url extends string, const Schema extends RouteSchema = {}, const Subprotocols extends Contracts = never, const Messages extends Contract = never>(definition: {
    readonly url: Url;
    readonly schema?: Schema;
    readonly subprotocols?: Subprotocols & NoEmptyName;
    readonly messages?: Messages;
}): WebSocketRoute<Url, Schema, Subprotocols, Messages>;
/** The identity that `defineWebSocketRoute` gave to these route options; undefined if they are not of its making. */
export declare function routeIdentity(options: object): object | undefined;
/** Whether this is a contract: known codec, known keys, schemas that can be schemas. */
export declare function isContract(value: unknown): value is Contract;
/**
 * Checks what a route has as `messages` and `subprotocols`; `route` names it in the error.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, that says which contract it is and what is wrong with it.
 */
export declare function validateContracts(route: string, messages: unknown, subprotocols: unknown): void;
export {};
