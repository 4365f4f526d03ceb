/**
 * What a tracer can listen to, by `node:diagnostics_channel`. Nothing is made for a channel that nobody has subscribed to.
 */
import { channel } from 'node:diagnostics_channel';
/** `{ socket, request }`: the handler is about to run. */
export const opened = channel('fastify.websocket.open');
/** `{ socket, code, reason, wasClean }`. */
export const closed = channel('fastify.websocket.close');
/** `{ socket, data, isBinary }`: a message as it came, before it is decoded. */
export const messageReceived = channel('fastify.websocket.message.received');
/** `{ socket, message }`: what was given to `send`. */
export const messageSent = channel('fastify.websocket.message.sent');
/** `{ socket, kind, error }`: any fault, as `errorHandler` gets it. */
export const failed = channel('fastify.websocket.error');
/** `{ request, limit }`: a handshake that a limit on connections has refused. */
export const limited = channel('fastify.websocket.limit');
