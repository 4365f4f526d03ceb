/**
 * The bytes that one connection has to send, gathered until the transport takes them: small ones side by side
 * in a region, large ones by reference.
 *
 * All connections share one region, so that an idle one owns none (0.8 KB, not 17). It is used again from its
 * start when no range of it waits any more. A connection whose transport is blocked writes to a region of its
 * own: what waits long must not keep the shared one.
 */
import { Buffer } from 'node:buffer';
/** The largest range that a region is asked for; what is larger goes by reference. */
export declare const MAX_RANGE_BYTES: number;
/** Memory from which ranges are taken in order, and which is whole again when the last of them is released. */
declare class Region {
    readonly buffer: Buffer;
    position: number;
    ranges: number;
    constructor(size: number);
    release(): void;
}
/** Called when what was sent is written, or lost: then with an error. */
export type WriteCallback = (error?: Error) => void;
/** What the transport takes: chunks to write in order, and what to give back once they are written. */
export declare class OutputBatch {
    readonly chunks: Buffer[];
    readonly regions: Region[];
    byteLength: number;
    /** Application data in it, without the framing. */
    payloadBytes: number;
    /** Called when the batch is written, or lost. */
    callbacks: WriteCallback[] | undefined;
    /** To be called once, when nothing reads the chunks any more. */
    release(): void;
}
export declare class OutputBuffer {
    #private;
    /** Set by the transport while a write is under way: what is added then may have to wait. */
    blocked: boolean;
    /** Octets of all batches so far. */
    totalBytes: number;
    get byteLength(): number;
    get payloadBytes(): number;
    /** Where the range lies that `reserve` returned an offset into. */
    get buffer(): Buffer;
    /** Makes room for `size` octets (`MAX_RANGE_BYTES` at most) and returns the offset in `buffer` at which to write; `commit` follows. */
    reserve(size: number): number;
    /** Adds the first `size` octets of what was reserved, of which `payloadBytes` are application data. */
    commit(size: number, payloadBytes: number): void;
    /** Adds these octets by reference: they must not change until the batch is released. */
    append(chunk: Buffer, payloadBytes: number): void;
    /** Calls back when all that was added so far is written, or lost. */
    addCallback(callback: WriteCallback): void;
    /** Hands over what was gathered; undefined if there is nothing. */
    take(): OutputBatch | undefined;
}
export {};
