/**
 * What time does to a connection: the heartbeat finds peers that are gone, a message that was begun must be finished,
 * and a session ends when it is due. All on one shared tick, which is a second at most.
 */
import { Buffer } from 'node:buffer';
import { type Connection } from '../protocol/connection.ts';
import type { Transport } from '../transport/transport.ts';
import type { Ticker, Ticking } from './ticker.ts';
export interface Heartbeat {
    /** After so long without an octet from the peer it gets a ping. */
    readonly intervalMs: number;
    /** After so long without an octet behind the ping it is taken for dead. */
    readonly timeoutMs: number;
}
export interface WatchLimits {
    readonly heartbeat: Heartbeat | false;
    /** From the first octet of a message to its last; 0 for no limit. */
    readonly messageTimeoutMs: number;
}
export declare class Watch implements Ticking {
    #private;
    /** Milliseconds from the last heartbeat's ping to its pong; NaN before. */
    latencyMs: number;
    /** `onDead` is called when the peer is taken for dead, and terminates. */
    constructor(connection: Connection, transport: Transport, limits: WatchLimits, ticker: Ticker, onDead: () => void);
    /** Begins to tick, if there is something to watch. */
    start(): void;
    stop(): void;
    /** Closes at this time (milliseconds since 1970), within a tick; `undefined` cancels. */
    closeAt(at: number | undefined, code: number, reason: string): void;
    /** No deadline reaches further. */
    endAt(at: number): void;
    /** A pong came. */
    ponged(payload: Buffer): void;
    tick(): void;
}
/** A Date, or milliseconds since 1970, as the latter; undefined for what is no time. */
export declare function timeOf(when: unknown): number | undefined;
/** What ends a session by default. */
export declare const EXPIRED: {
    readonly code: 3000;
    readonly reason: 'expired';
};
