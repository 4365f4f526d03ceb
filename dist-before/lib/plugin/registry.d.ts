/**
 * The connections of one server, in every scope: `app.websockets`, the limits on their number, and what is counted.
 */
import type { OpenSockets, RouteStats } from '../../types/fastify.ts';
import type { AnySocket } from '../../types/sockets.ts';
import type { Connection } from '../protocol/connection.ts';
import { Ticker } from '../socket/ticker.ts';
import type { ResolvedOptions, Shutdown } from './options.ts';
import { Counters } from './stats.ts';
/** A limit that keeps a connection out, named as its option. */
export type ConnectionLimit = 'maxConnections' | 'maxConnectionsPerAddress';
export declare class Registry implements OpenSockets {
    #private;
    /** The clock of its connections. */
    readonly ticker: Ticker;
    get size(): number;
    [Symbol.iterator](): IterableIterator<AnySocket>;
    closeAll(code?: number, reason?: string): Promise<void>;
    stats(): Record<string, RouteStats>;
    /** The counters of a route, which may be registered more than once, with constraints. */
    countersOf(url: string): Counters;
    /** Takes a place for a handshake and the connection that it may become: what gives it back, once, or the limit that is reached. */
    admit({ maxConnections, maxConnectionsPerAddress }: ResolvedOptions, address: string): (() => void) | ConnectionLimit;
    /** Closes all, and whoever opens from now on; each has its close timeout. For the end of the server. */
    drain(shutdown: Shutdown): Promise<void>;
    add(socket: AnySocket, connection: Connection, counters: Counters): void;
    delete(socket: AnySocket): void;
}
