import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { InjectedSocket, InjectOptions } from '../../types/inject.ts';
import type { WebSocket } from '../socket/websocket.ts';
import { type Params } from './path.ts';
/** What is used of a Fastify instance. */
export interface InjectApp {
    ready(): PromiseLike<unknown>;
    readonly server: EventEmitter;
}
/** Where to connect: a path as it is requested, or the path of a route as it is registered, for `params` to fill. */
export type InjectTarget = {
    readonly path: string;
} | {
    readonly pattern: string;
};
/** For both kinds of target; `params` is for patterns. */
export interface AnyInjectOptions extends InjectOptions {
    params?: Params;
}
/** The client; by path its messages have no type. */
export type InjectedClient = InjectedSocket<WebSocket<string, any, any>>;
/** A refusal, as `app.inject` shows a response. */
export interface InjectResponse {
    readonly statusCode: number;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
    /** Parses the body. */
    json(): any;
}
/**
 * Connects a client.
 *
 * Rejects with FST_WS_ERR_INJECT_REFUSED (`statusCode`, `response`), FST_WS_ERR_INJECT_TIMEOUT, the signal's reason,
 * FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_SOCKET when the server drops the connection, and FST_WS_ERR_PROTOCOL when its
 * handshake breaks a rule. The connection is gone then.
 */
export declare function injectWebSocket(app: InjectApp, target: InjectTarget, options?: AnyInjectOptions): Promise<InjectedClient>;
