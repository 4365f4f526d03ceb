import type { FastifyInstance, RouteOptions } from 'fastify';
import { type Contract, type Contracts } from '../subprotocol/contract.ts';
import type { SchemaCompiler } from '../subprotocol/validator.ts';
import { type EndpointSlot } from './accept.ts';
import { Endpoint, type SocketHandler } from './endpoint.ts';
import { resolveRouteOptions, type ResolvedOptions } from './options.ts';
import type { Registry } from './registry.ts';
/** Route options as they reach `onRoute`, ours among them. */
export interface WebSocketRouteOptions {
    websocket?: boolean;
    wsHandler?: SocketHandler | Record<string, SocketHandler>;
    messages?: Contract;
    subprotocols?: Contracts;
    websocketOptions?: Parameters<typeof resolveRouteOptions>[2];
    selectSubprotocol?: ResolvedOptions['selectSubprotocol'];
}
/** A route that may be one of ours, as `onRoute` found it. */
export interface FoundRoute {
    /** The route's own scope. */
    readonly scope: FastifyInstance;
    readonly route: RouteOptions & WebSocketRouteOptions;
    /** What stood in `handler`. */
    readonly handler: unknown;
    readonly slot: EndpointSlot;
}
/**
 * Looks at a route when it is declared; undefined if nothing in it is ours. A route may be declared before the plugin
 * has run, on the tick that registers it: so its handler is replaced by one that asks, at each request, whether the
 * route was adopted meanwhile. If it never is, everything is as it was.
 */
export declare function findRoute(scope: FastifyInstance, route: RouteOptions & WebSocketRouteOptions): FoundRoute | undefined;
/**
 * Makes a found route ours, with the options of its scope: a GET whose handler accepts upgrades. Returns its endpoint;
 * undefined for the HEAD route that Fastify adds to each GET, which answers as the plain GET does.
 *
 * Throws FST_WS_ERR_INVALID_ROUTE, FST_WS_ERR_INVALID_CONTRACT and what the options throw.
 */
export declare function adoptRoute({ scope, route, handler, slot }: FoundRoute, options: ResolvedOptions, registry: Registry): Endpoint | undefined;
/**
 * The compiler of a route's message schemas: the one given for messages, the route's own, that of its scope, or Ajv.
 * The scope's is looked for before Fastify makes its default, which coerces and removes (see `messageAjv`).
 */
export declare function schemaCompilerOf(instance: FastifyInstance, route: RouteOptions, endpoint: Endpoint): (scopeCompiler: SchemaCompiler | undefined) => SchemaCompiler;
