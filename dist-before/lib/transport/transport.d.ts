/**
 * Drives a Connection over a Duplex: one read is one turn and one write; what is sent outside a read leaves in
 * one write at the next tick. It does what the connection wants (output, reading, more, shutdown), and nothing else.
 *
 * One write is under way at a time: while the peer is slow, what is sent meanwhile gathers in the output, where
 * it costs its bytes, instead of one request each in the stream's queue.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { type Connection } from '../protocol/connection.ts';
export interface TransportOptions {
    /** From the end of Open to the destruction of the socket, whatever the peer does. */
    readonly closeTimeoutMs: number;
}
export declare class Transport {
    #private;
    readonly connection: Connection;
    /** Called with the error of the stream, at most once, before the connection is told that it is closed. */
    onError: (error: Error) => void;
    /** Called, while `wantsDrain` is set, after a batch has left. */
    onDrain: () => void;
    wantsDrain: boolean;
    constructor(duplex: Duplex, connection: Connection, options: TransportOptions);
    /** Octets that wait for the peer, framing included. */
    get unsentBytes(): number;
    /** Octets of application data among them. */
    get unsentPayloadBytes(): number;
    /** A number that changes when the peer takes something of what waits for it, and not when more is sent. */
    get progress(): number;
    /** Whether what the peer sends is being read. */
    get reading(): boolean;
    /** Begins to read; `head` is what had arrived behind the opening handshake. */
    start(head: Buffer): void;
    /** Drops everything at once; the peer sees a lost connection. */
    terminate(): void;
}
