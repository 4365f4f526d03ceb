/**
 * The hooks of a connection's life, `app.addWebSocketHook`: inherited by the scopes below, as Fastify's own.
 */
import type { FastifyInstance } from 'fastify';
import type { WebSocketHooks } from '../../types/fastify.ts';
/** What runs for one route. */
export interface RouteHooks {
    readonly onOpen: ReadonlyArray<WebSocketHooks['onOpen']>;
    readonly onClose: ReadonlyArray<WebSocketHooks['onClose']>;
}
declare const kHooks: unique symbol;
type Scope = FastifyInstance & {
    [kHooks]?: {
        onOpen: Array<WebSocketHooks['onOpen']>;
        onClose: Array<WebSocketHooks['onClose']>;
    };
};
/** Throws FST_WS_ERR_INVALID_OPTION for a name that is no hook, or what is no function. */
export declare function addWebSocketHook(this: FastifyInstance, name: keyof WebSocketHooks, hook: (...args: any[]) => unknown): FastifyInstance;
/** An `onRegister` hook: a scope has what the one above had when it was made. */
export declare function inheritHooks(scope: Scope): void;
/** The hooks of a scope, when it is loaded. */
export declare function hooksOf(scope: FastifyInstance): RouteHooks;
export {};
