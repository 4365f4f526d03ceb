/**
 * A WebSocket route, ready to take connections: its options, its handler, and its contracts by subprotocol.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { OpenLimits } from '../socket/open.ts';
import type { Contract, Contracts } from '../subprotocol/contract.ts';
import { Subprotocol, type SubprotocolOptions } from '../subprotocol/subprotocol.ts';
import { type ResolvedOptions } from './options.ts';
import type { RouteHooks } from './hooks.ts';
import type { Registry } from './registry.ts';
import type { Counters } from './stats.ts';
export type SocketHandler = (this: FastifyInstance, socket: any, request: FastifyRequest) => unknown;
export interface EndpointParts {
    readonly url: string;
    readonly options: ResolvedOptions;
    readonly messages: Contract | undefined;
    readonly subprotocols: Contracts | undefined;
    /** One handler, or a map from subprotocol to handlers. */
    readonly handler: SocketHandler | Readonly<Record<string, SocketHandler>>;
    readonly logsRequests: (request: FastifyRequest) => boolean;
    /** Where its connections are listed. */
    readonly registry: Registry;
}
export declare class Endpoint {
    #private;
    readonly url: string;
    readonly options: ResolvedOptions;
    readonly handler: SocketHandler;
    readonly limits: OpenLimits;
    /** Whether the lines at open and close are wanted of this request. */
    readonly logsRequests: (request: FastifyRequest) => boolean;
    readonly registry: Registry;
    readonly counters: Counters;
    /** Known when the server starts. */
    hooks: RouteHooks;
    /** Throws FST_WS_ERR_INVALID_ROUTE if handlers and contracts do not fit each other. */
    constructor(parts: EndpointParts);
    /** Whether it has no contracts: nothing is parsed. */
    get raw(): boolean;
    /** Compiles the schemas. Throws FST_WS_ERR_INVALID_SCHEMA, which names route and subprotocol. */
    compile(options: Omit<SubprotocolOptions, 'method' | 'url' | 'validateSend' | 'schemaErrorFormatter'>): void;
    /** What the connection speaks, by what the client offers. Throws FST_WS_ERR_SUBPROTOCOL, whose message lists what is there. */
    select(offered: readonly string[], request: FastifyRequest): Subprotocol;
}
