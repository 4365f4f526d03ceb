/**
 * The bytes that one connection has to send, gathered until the transport takes them: small ones side by side
 * in a region, large ones by reference.
 *
 * All connections share one region, so that an idle one owns none (0.8 KB, not 17). It is used again from its
 * start when no range of it waits any more. A connection whose transport is blocked writes to a region of its
 * own: what waits long must not keep the shared one.
 */
import { Buffer } from 'node:buffer';
const SHARED_BYTES = 64 * 1024;
const FIRST_OWN_BYTES = 1024;
/** The largest range that a region is asked for; what is larger goes by reference. */
export const MAX_RANGE_BYTES = 16 * 1024;
/** Memory from which ranges are taken in order, and which is whole again when the last of them is released. */
class Region {
    buffer;
    position = 0;
    ranges = 0;
    constructor(size) {
        this.buffer = Buffer.allocUnsafeSlow(size);
    }
    release() {
        if (--this.ranges === 0)
            this.position = 0;
    }
}
let shared = new Region(SHARED_BYTES);
/** What the transport takes: chunks to write in order, and what to give back once they are written. */
export class OutputBatch {
    chunks = [];
    regions = [];
    byteLength = 0;
    /** Application data in it, without the framing. */
    payloadBytes = 0;
    /** Called when the batch is written, or lost. */
    callbacks;
    /** To be called once, when nothing reads the chunks any more. */
    release() {
        for (const region of this.regions)
            region.release();
        this.regions.length = 0;
        this.chunks.length = 0;
        this.byteLength = 0;
        this.payloadBytes = 0;
    }
}
export class OutputBuffer {
    /** Set by the transport while a write is under way: what is added then may have to wait. */
    blocked = false;
    /** Octets of all batches so far. */
    totalBytes = 0;
    /** Made with the first octet and gone when taken: an idle connection has none. */
    #batch;
    /** The range being written, `region.buffer[start, end)`; not yet among the chunks. */
    #region;
    #start = 0;
    #end = 0;
    #own;
    get byteLength() { return this.#batch === undefined ? 0 : this.#batch.byteLength; }
    get payloadBytes() { return this.#batch === undefined ? 0 : this.#batch.payloadBytes; }
    /** Where the range lies that `reserve` returned an offset into. */
    get buffer() { return this.#region.buffer; }
    /** Makes room for `size` octets (`MAX_RANGE_BYTES` at most) and returns the offset in `buffer` at which to write; `commit` follows. */
    reserve(size) {
        const region = this.#regionFor(size);
        if (region !== this.#region || region.position !== this.#end) {
            this.#closeRange();
            this.#region = region;
            this.#start = this.#end = region.position;
            region.ranges++;
        }
        return this.#end;
    }
    /** Adds the first `size` octets of what was reserved, of which `payloadBytes` are application data. */
    commit(size, payloadBytes) {
        this.#end += size;
        this.#region.position = this.#end;
        this.#count(size, payloadBytes);
    }
    /** Adds these octets by reference: they must not change until the batch is released. */
    append(chunk, payloadBytes) {
        this.#closeRange();
        this.#count(chunk.length, payloadBytes).chunks.push(chunk);
    }
    /** Calls back when all that was added so far is written, or lost. */
    addCallback(callback) {
        const batch = (this.#batch ??= new OutputBatch());
        (batch.callbacks ??= []).push(callback);
    }
    /** Hands over what was gathered; undefined if there is nothing. */
    take() {
        this.#closeRange();
        const batch = this.#batch;
        this.#batch = undefined;
        this.#own = undefined;
        return batch;
    }
    #count(size, payloadBytes) {
        const batch = (this.#batch ??= new OutputBatch());
        batch.byteLength += size;
        batch.payloadBytes += payloadBytes;
        this.totalBytes += size;
        return batch;
    }
    #closeRange() {
        const region = this.#region;
        if (region === undefined)
            return;
        this.#region = undefined;
        const batch = this.#batch;
        batch.chunks.push(region.buffer.subarray(this.#start, this.#end));
        batch.regions.push(region);
    }
    #regionFor(size) {
        if (this.blocked) {
            const own = this.#own;
            if (own !== undefined && own.position + size <= own.buffer.length)
                return own;
            return (this.#own = new Region(Math.max(size, own === undefined ? FIRST_OWN_BYTES : Math.min(2 * own.buffer.length, SHARED_BYTES))));
        }
        if (shared.position + size > SHARED_BYTES)
            shared = new Region(SHARED_BYTES);
        return shared;
    }
}
