/**
 * Every error of the plugin, in one table: code, message, HTTP status and base class.
 *
 * Registration errors say which option or route is wrong and what is allowed. Errors about a peer name
 * the rule that was broken and never quote what the peer sent. The core in `lib/protocol` has its own.
 */
import createError from '@fastify/error';
/** A wrong option at `register` or on a route: its name, and what is allowed. */
export declare const FST_WS_ERR_INVALID_OPTION: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INVALID_OPTION";
    statusCode: 500;
}, [any?, any?, any?]>;
/** An option of another library: its name, and ours. */
export declare const FST_WS_ERR_FOREIGN_OPTION: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_FOREIGN_OPTION";
    statusCode: 500;
}, [any?, any?, any?]>;
/** A route that cannot be a WebSocket route: which one, and why. */
export declare const FST_WS_ERR_INVALID_ROUTE: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INVALID_ROUTE";
    statusCode: 500;
}, [any?, any?, any?]>;
/** A contract that is not one: where it stands, and why. */
export declare const FST_WS_ERR_INVALID_CONTRACT: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INVALID_CONTRACT";
    statusCode: 500;
}, [any?, any?, any?]>;
/** A message schema that does not compile; `cause` holds the compiler's error. Stops the start. */
export declare const FST_WS_ERR_INVALID_SCHEMA: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INVALID_SCHEMA";
    statusCode: 500;
}, [any?, any?, any?]>;
/** A schema compiler whose result is a promise. Messages are validated synchronously, in order. */
export declare const FST_WS_ERR_ASYNC_VALIDATOR: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_ASYNC_VALIDATOR";
    statusCode: 500;
}, [any?, any?, any?]>;
/** An opening handshake that breaks RFC 6455 §4.2; the status code is set for each case. */
export declare const FST_WS_ERR_HANDSHAKE: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_HANDSHAKE";
    statusCode: 400;
}, [any?, any?, any?]>;
/** The Origin of the page is not allowed by the option `origin`. */
export declare const FST_WS_ERR_ORIGIN: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_ORIGIN";
    statusCode: 403;
}, [any?, any?, any?]>;
/** The Host is none of the option `allowedHosts`. */
export declare const FST_WS_ERR_HOST: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_HOST";
    statusCode: 403;
}, [any?, any?, any?]>;
/** `maxConnections` or `maxConnectionsPerAddress` is reached; the answer has Retry-After. */
export declare const FST_WS_ERR_CONNECTIONS: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_CONNECTIONS";
    statusCode: 503;
}, [any?, any?, any?]>;
/** No subprotocol in common, or none offered where one is needed. */
export declare const FST_WS_ERR_SUBPROTOCOL: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_SUBPROTOCOL";
    statusCode: 400;
}, [any?, any?, any?]>;
/** A plain GET on a route that speaks WebSocket only (RFC 9110 §15.5.22). */
export declare const FST_WS_ERR_UPGRADE_REQUIRED: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_UPGRADE_REQUIRED";
    statusCode: 426;
}, [any?, any?, any?]>;
/** Hooks and handshake took longer than `handshakeTimeoutMs`. */
export declare const FST_WS_ERR_HANDSHAKE_TIMEOUT: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_HANDSHAKE_TIMEOUT";
    statusCode: 503;
}, [any?, any?, any?]>;
/** A received message that its contract does not allow; carries `closeCode`, `validation` and `validationContext`. */
export declare const FST_WS_ERR_INVALID_MESSAGE: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INVALID_MESSAGE";
    statusCode: 400;
}, [any?, any?, any?]>;
/** An outgoing message that does not fit the `send` schema, with `validateSend`; carries `validation`. */
export declare const FST_WS_ERR_INVALID_SEND: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INVALID_SEND";
    statusCode: 500;
}, [any?, any?, any?]>;
/** The peer broke a rule of the protocol; carries `closeCode`. */
export declare const FST_WS_ERR_PROTOCOL: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_PROTOCOL";
    statusCode: 400;
}, [any?, any?, any?]>;
/** A limit was passed; carries `closeCode`. */
export declare const FST_WS_ERR_LIMIT: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_LIMIT";
    statusCode: 400;
}, [any?, any?, any?]>;
/** The network connection failed; `cause` holds the socket's error. */
export declare const FST_WS_ERR_SOCKET: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_SOCKET";
    statusCode: 500;
}, [any?, any?, any?]>;
/** The connection is closing or closed; carries `closeCode` and `reason`. */
export declare const FST_WS_ERR_CLOSED: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_CLOSED";
    statusCode: 500;
}, [any?, any?, any?]>;
/** Messages are already being taken in another way: one taker at a time. */
export declare const FST_WS_ERR_TAKEN: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_TAKEN";
    statusCode: 500;
}, [any?, any?, any?]>;
/** Something that cannot be sent: neither string, Buffer, ArrayBuffer nor view. */
export declare const FST_WS_ERR_DATA_TYPE: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_DATA_TYPE";
    statusCode: 500;
}, [any?, any?, any?]>;
/** A code that an endpoint may not send (RFC 6455 §7.4). */
export declare const FST_WS_ERR_CLOSE_CODE: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_CLOSE_CODE";
    statusCode: 500;
}, [any?, any?, any?]>;
/** A close reason that does not fit its frame. */
export declare const FST_WS_ERR_CLOSE_REASON: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_CLOSE_REASON";
    statusCode: 500;
}, [any?, any?, any?]>;
/** The payload of a ping or pong that does not fit its frame (RFC 6455 §5.5). */
export declare const FST_WS_ERR_CONTROL_PAYLOAD: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_CONTROL_PAYLOAD";
    statusCode: 500;
}, [any?, any?, any?]>;
/** `injectWebSocket`: the server refused the handshake; carries `statusCode` and `response`. */
export declare const FST_WS_ERR_INJECT_REFUSED: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INJECT_REFUSED";
    statusCode: 500;
}, [any?, any?, any?]>;
/** `injectWebSocket`: nothing came in time. */
export declare const FST_WS_ERR_INJECT_TIMEOUT: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INJECT_TIMEOUT";
    statusCode: 500;
}, [any?, any?, any?]>;
/** `injectWebSocket`: the route object is not registered, or more than once. */
export declare const FST_WS_ERR_INJECT_ROUTE: createError.FastifyErrorConstructor<{
    code: "FST_WS_ERR_INJECT_ROUTE";
    statusCode: 500;
}, [any?, any?, any?]>;
