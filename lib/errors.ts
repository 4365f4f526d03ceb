/**
 * Every error of the plugin, in one table: code, message, HTTP status and base class.
 *
 * Registration errors say which option or route is wrong and what is allowed. Errors about a peer name
 * the rule that was broken and never quote what the peer sent. The core in `lib/protocol` has its own.
 */
import { createError } from '@fastify/error'

/** A wrong option at `register` or on a route: its name, and what is allowed. */
export const FST_WS_ERR_INVALID_OPTION = createError('FST_WS_ERR_INVALID_OPTION', "fastify-duplex: the option '%s' must be %s", 500, TypeError)
/** An option of another library: its name, and ours. */
export const FST_WS_ERR_FOREIGN_OPTION = createError('FST_WS_ERR_FOREIGN_OPTION', "fastify-duplex has no option '%s': %s", 500, TypeError)
/** What another library does and this one leaves to the application: its name, and what to do instead. */
export const FST_WS_ERR_UNSUPPORTED = createError('FST_WS_ERR_UNSUPPORTED', 'fastify-duplex has no %s: %s', 500)
/** A route that cannot be a WebSocket route: which one, and why. */
export const FST_WS_ERR_INVALID_ROUTE = createError('FST_WS_ERR_INVALID_ROUTE', "The WebSocket route '%s' cannot be registered: %s", 500, TypeError)
/** A contract that is not one: where it stands, and why. */
export const FST_WS_ERR_INVALID_CONTRACT = createError('FST_WS_ERR_INVALID_CONTRACT', 'The contract of %s is not valid: %s', 500, TypeError)
/** A message schema that does not compile; `cause` holds the compiler's error. Stops the start. */
export const FST_WS_ERR_INVALID_SCHEMA = createError('FST_WS_ERR_INVALID_SCHEMA', 'The %s schema of %s does not compile: %s', 500)
/** A schema compiler whose result is a promise. Messages are validated synchronously, in order. */
export const FST_WS_ERR_ASYNC_VALIDATOR = createError('FST_WS_ERR_ASYNC_VALIDATOR', 'The validator of %s returned a promise: message schemas must validate synchronously', 500)

/** An opening handshake that breaks RFC 6455 §4.2; the status code is set for each case. */
export const FST_WS_ERR_HANDSHAKE = createError('FST_WS_ERR_HANDSHAKE', 'WebSocket handshake refused: %s', 400)
/** The Origin of the page is not allowed by the option `origin`. */
export const FST_WS_ERR_ORIGIN = createError('FST_WS_ERR_ORIGIN', 'WebSocket handshake refused: this origin is not allowed', 403)
/** The Host is none of the option `allowedHosts`. */
export const FST_WS_ERR_HOST = createError('FST_WS_ERR_HOST', 'WebSocket handshake refused: this host is not served', 403)
/** `maxConnections` or `maxConnectionsPerAddress` is reached; the answer has Retry-After. */
export const FST_WS_ERR_CONNECTIONS = createError('FST_WS_ERR_CONNECTIONS', 'WebSocket handshake refused: too many connections', 503)
/** No subprotocol in common, or none offered where one is needed. */
export const FST_WS_ERR_SUBPROTOCOL = createError('FST_WS_ERR_SUBPROTOCOL', 'WebSocket handshake refused: %s', 400)
/** A plain GET on a route that speaks WebSocket only (RFC 9110 §15.5.22). */
export const FST_WS_ERR_UPGRADE_REQUIRED = createError('FST_WS_ERR_UPGRADE_REQUIRED', 'This route speaks WebSocket only: send an upgrade request', 426)
/** Hooks and handshake took longer than `handshakeTimeoutMs`. */
export const FST_WS_ERR_HANDSHAKE_TIMEOUT = createError('FST_WS_ERR_HANDSHAKE_TIMEOUT', 'The WebSocket handshake took longer than %s ms', 503)

/** A received message that its contract does not allow; carries `closeCode`, `validation` and `validationContext`. */
export const FST_WS_ERR_INVALID_MESSAGE = createError('FST_WS_ERR_INVALID_MESSAGE', 'Invalid message: %s', 400)
/** An outgoing message that does not fit the `send` schema, with `validateSend`; carries `validation`. */
export const FST_WS_ERR_INVALID_SEND = createError('FST_WS_ERR_INVALID_SEND', 'The message does not fit the send schema: %s', 500, TypeError)
/** The peer broke a rule of the protocol; carries `closeCode`. */
export const FST_WS_ERR_PROTOCOL = createError('FST_WS_ERR_PROTOCOL', '%s', 400)
/** A limit was passed; carries `closeCode`. */
export const FST_WS_ERR_LIMIT = createError('FST_WS_ERR_LIMIT', '%s', 400)
/** The network connection failed; `cause` holds the socket's error. */
export const FST_WS_ERR_SOCKET = createError('FST_WS_ERR_SOCKET', 'The network connection was lost: %s', 500)

/** The connection is closing or closed; carries `closeCode` and `reason`. */
export const FST_WS_ERR_CLOSED = createError('FST_WS_ERR_CLOSED', 'The WebSocket is closed (%s)', 500)
/** A client that is used before it is open. */
export const FST_WS_ERR_CONNECTING = createError('FST_WS_ERR_CONNECTING', "The WebSocket is not open yet: wait for its event 'open'", 500)
/** Messages are already being taken in another way: one taker at a time. */
export const FST_WS_ERR_TAKEN = createError('FST_WS_ERR_TAKEN', 'Messages are already taken by %s; one taker at a time (message listeners, iteration, next or stream)', 500)
/** Something that cannot be sent: neither string, Buffer, ArrayBuffer nor view. */
export const FST_WS_ERR_DATA_TYPE = createError('FST_WS_ERR_DATA_TYPE', '%s', 500, TypeError)
/** A code that an endpoint may not send (RFC 6455 §7.4). */
export const FST_WS_ERR_CLOSE_CODE = createError('FST_WS_ERR_CLOSE_CODE', '%s is not a close code that an endpoint may send: use 1000 to 1003, 1007 to 1014 (but 1010 only as a client) or 3000 to 4999', 500, TypeError)
/** A close reason that does not fit its frame. */
export const FST_WS_ERR_CLOSE_REASON = createError('FST_WS_ERR_CLOSE_REASON', 'A close reason holds at most 123 bytes of UTF-8', 500, RangeError)
/** The payload of a ping or pong that does not fit its frame (RFC 6455 §5.5). */
export const FST_WS_ERR_CONTROL_PAYLOAD = createError('FST_WS_ERR_CONTROL_PAYLOAD', 'A ping or pong carries at most 125 bytes', 500, RangeError)

/** `injectWebSocket`: the server refused the handshake; carries `statusCode` and `response`. */
export const FST_WS_ERR_INJECT_REFUSED = createError('FST_WS_ERR_INJECT_REFUSED', 'The server refused the WebSocket handshake with %s', 500)
/** `injectWebSocket`: nothing came in time. */
export const FST_WS_ERR_INJECT_TIMEOUT = createError('FST_WS_ERR_INJECT_TIMEOUT', '%s', 500)
/** `injectWebSocket`: the route object is not registered, or more than once. */
export const FST_WS_ERR_INJECT_ROUTE = createError('FST_WS_ERR_INJECT_ROUTE', '%s', 500, TypeError)
