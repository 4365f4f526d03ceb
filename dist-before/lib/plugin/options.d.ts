import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { DeflateOptions, DuplexOptions, RouteWebSocketOptions } from '../../types/options.ts';
import type { RateLimit } from '../protocol/connection.ts';
import type { Heartbeat } from '../socket/watch.ts';
/** The options of a route, complete. */
export interface ResolvedOptions {
    readonly maxMessageBytes: number;
    readonly maxUnsentBytes: number;
    readonly highWaterMarkBytes: number;
    readonly origin: NonNullable<DuplexOptions['origin']>;
    readonly handshakeTimeoutMs: number;
    readonly closeTimeoutMs: number;
    readonly messageTimeoutMs: number;
    readonly heartbeat: Heartbeat | false;
    readonly rateLimit: RateLimit | undefined;
    readonly maxLifetimeMs: number | undefined;
    readonly expiresAt: RouteWebSocketOptions<any>['expiresAt'];
    readonly allowedHosts: readonly string[] | undefined;
    readonly maxConnections: number;
    readonly maxConnectionsPerAddress: number;
    readonly shutdown: Shutdown;
    /** Undefined if it is switched off. */
    readonly deflate: Readonly<Required<DeflateOptions>> | undefined;
    readonly validateSend: boolean;
    readonly ajv: DuplexOptions['ajv'];
    readonly schemaErrorFormatter: DuplexOptions['schemaErrorFormatter'];
    readonly validatorCompiler: DuplexOptions['validatorCompiler'];
    readonly onInvalidMessage: RouteWebSocketOptions<any>['onInvalidMessage'];
    readonly errorHandler: RouteWebSocketOptions<any>['errorHandler'];
    readonly selectSubprotocol: RouteWebSocketOptions<any>['selectSubprotocol'];
}
/** What peers are told when the server closes. */
export interface Shutdown {
    readonly code: number;
    readonly reason: string;
    readonly windowMs: number;
}
/** Resolves what was given at `register`, above what an outer scope has given. Throws FST_WS_ERR_INVALID_OPTION or FST_WS_ERR_FOREIGN_OPTION. */
export declare function resolvePluginOptions(instance: FastifyInstance, outer: ResolvedOptions | undefined, given: DuplexOptions): ResolvedOptions;
/** Resolves a route's `websocketOptions` above those of its scope. */
export declare function resolveRouteOptions(instance: FastifyInstance, scope: ResolvedOptions, given: RouteWebSocketOptions<any> | undefined): ResolvedOptions;
/** The result of an option that must be synchronous; undefined for a promise, which decides nothing. */
export declare function synchronous<T>(name: string, result: T, log: FastifyBaseLogger): T | undefined;
