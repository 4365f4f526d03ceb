var _a;
/**
 * A network connection in memory: two joined ends, each with what node:http's server and client need of a
 * net.Socket. It behaves as TCP does where that can be seen: octets arrive on a later turn and in pieces, a slow
 * reader holds up the writer, an end is an end of file, and a lost connection is ECONNRESET.
 *
 * It runs on the real timers. Nothing here knows what is spoken on it.
 */
import { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
import { setImmediate } from './real-timers.js';
/** As much as libuv reads from a socket at once. */
const PIECE_BYTES = 65_536;
const NOTHING = Buffer.alloc(0);
/** Joins two ends: what is written to one is read from the other. */
export function memoryPair() {
    const end = new MemoryDuplex();
    return [end, end.peer];
}
/**
 * One end of a connection in memory. What is written is copied before its callback, which comes when the other end has
 * taken it. `destroy` without an end, or with octets that nobody has read, destroys the other end with ECONNRESET.
 */
export class MemoryDuplex extends Duplex {
    /** The other end. */
    peer;
    /**
     * What the side that accepted a connection on this end leaves for whoever holds the other, which finds it
     * as `peer.agreement`: on one process they can share what no wire carries. Unknown here.
     */
    agreement;
    // What net.Socket and TLSSocket have, and servers read.
    remoteAddress = '127.0.0.1';
    encrypted = false;
    alpnProtocol = false;
    server = null;
    bytesRead = 0;
    bytesWritten = 0;
    /** The stream has room for more; at the start even if nobody reads yet, as a kernel has. */
    #wanted = true;
    /** What is left of the write under way; it is the writer's memory until the callback. */
    #rest = NOTHING;
    #callback;
    #scheduled = false;
    /** Nothing comes any more: the other end has ended. */
    #eof = false;
    /** Made by `memoryPair`. @internal */
    constructor(peer) {
        super({ highWaterMark: PIECE_BYTES });
        this.peer = peer ?? new _a(this);
    }
    setTimeout() { return this; }
    setNoDelay() { return this; }
    setKeepAlive() { return this; }
    ref() { return this; }
    unref() { return this; }
    /** Ends, and destroys as soon as everything has left. */
    destroySoon() {
        if (this.writable)
            this.end();
        if (this.writableFinished)
            this.destroy();
        else
            this.once('finish', this.destroy);
    }
    _read() {
        this.#wanted = true;
        this.peer.#deliverLater();
    }
    _write(chunk, _encoding, callback) {
        if (this.peer.destroyed) {
            setImmediate(callback, networkError('write', 'EPIPE'));
            return;
        }
        this.#rest = chunk;
        this.#callback = callback;
        this.#deliverLater();
    }
    /** Chunks that were written together arrive together. */
    _writev(writes, callback) {
        this._write(Buffer.concat(writes.map((write) => write.chunk)), 'buffer', callback);
    }
    _final(callback) {
        setImmediate(_a.#endPeer, this, callback);
    }
    _destroy(error, callback) {
        // What is on its way still arrives; then the loss is noticed.
        setImmediate(_a.#losePeer, this.peer, Buffer.from(this.#rest.subarray(0, PIECE_BYTES)));
        this.#settle(error ?? networkError('write', 'ECANCELED'));
        callback(error);
    }
    #deliverLater() {
        if (this.#scheduled || this.#callback === undefined)
            return;
        this.#scheduled = true;
        setImmediate(_a.#deliver, this);
    }
    static #deliver(from) {
        from.#scheduled = false;
        const to = from.peer;
        if (!to.#wanted || to.destroyed || from.#callback === undefined)
            return;
        if (from.#rest.length > 0)
            from.#deliverPiece();
        // Taken is what leaves the reader wanting more.
        if (!to.#wanted)
            return;
        if (from.#rest.length === 0)
            from.#settle();
        else
            from.#deliverLater();
    }
    #deliverPiece() {
        const piece = Buffer.from(this.#rest.subarray(0, PIECE_BYTES));
        this.#rest = this.#rest.subarray(piece.length);
        this.bytesWritten += piece.length;
        this.peer.#take(piece);
    }
    #take(piece) {
        this.bytesRead += piece.length;
        // Before the push, which may already ask for more.
        this.#wanted = false;
        if (this.push(piece))
            this.#wanted = true;
    }
    #settle(error) {
        const callback = this.#callback;
        this.#callback = undefined;
        this.#rest = NOTHING;
        callback?.(error);
    }
    static #endPeer(from, callback) {
        from.peer.#eof = true;
        if (!from.peer.destroyed)
            from.peer.push(null);
        callback();
    }
    static #losePeer(end, lastPiece) {
        if (end.destroyed)
            return;
        if (lastPiece.length > 0 && end.#wanted)
            end.#take(lastPiece);
        // As with TCP, whoever has read to the end learns of the loss when it writes.
        if (end.#eof && end.#callback === undefined)
            return;
        end.destroy(networkError('read', 'ECONNRESET'));
    }
}
_a = MemoryDuplex;
/** As libuv reports it. */
function networkError(syscall, code) {
    return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}
