/**
 * What is counted of each route: `app.websockets.stats()`.
 */
import type { RouteStats } from '../../types/fastify.ts';
import type { Connection } from '../protocol/connection.ts';
import type { AnySocket } from '../../types/sockets.ts';
/** The counters of one route: of what is over here, of what is open at the connection itself. */
export declare class Counters {
    opened: number;
    readonly refused: Record<string, number>;
    readonly closed: Record<string, number>;
    invalidMessages: number;
    messagesReceived: number;
    messagesSent: number;
    bytesReceived: number;
    bytesSent: number;
    /** `undefined` if the client has left. */
    onRefused(statusCode: number | undefined): void;
    onClosed(connection: Connection): void;
    /** With what is open now. */
    with(open: Iterable<readonly [AnySocket, Connection]>): RouteStats;
}
