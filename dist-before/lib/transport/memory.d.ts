/**
 * A network connection in memory: two joined ends, each with what node:http's server and client need of a
 * net.Socket. It behaves as TCP does where that can be seen: octets arrive on a later turn and in pieces, a slow
 * reader holds up the writer, an end is an end of file, and a lost connection is ECONNRESET.
 *
 * It runs on the real timers. Nothing here knows what is spoken on it.
 */
import { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
type WriteCallback = (error?: Error | null) => void;
/** Joins two ends: what is written to one is read from the other. */
export declare function memoryPair(): [MemoryDuplex, MemoryDuplex];
/**
 * One end of a connection in memory. What is written is copied before its callback, which comes when the other end has
 * taken it. `destroy` without an end, or with octets that nobody has read, destroys the other end with ECONNRESET.
 */
export declare class MemoryDuplex extends Duplex {
    #private;
    /** The other end. */
    readonly peer: MemoryDuplex;
    /**
     * What the side that accepted a connection on this end leaves for whoever holds the other, which finds it
     * as `peer.agreement`: on one process they can share what no wire carries. Unknown here.
     */
    agreement: unknown;
    remoteAddress: string;
    encrypted: boolean;
    alpnProtocol: string | false;
    server: unknown;
    bytesRead: number;
    bytesWritten: number;
    setTimeout(): this;
    setNoDelay(): this;
    setKeepAlive(): this;
    ref(): this;
    unref(): this;
    /** Ends, and destroys as soon as everything has left. */
    destroySoon(): void;
    _read(): void;
    _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void;
    /** Chunks that were written together arrive together. */
    _writev(writes: ReadonlyArray<{
        chunk: Buffer;
    }>, callback: WriteCallback): void;
    _final(callback: WriteCallback): void;
    _destroy(error: Error | null, callback: WriteCallback): void;
}
export {};
