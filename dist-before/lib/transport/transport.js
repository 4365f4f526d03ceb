var _a;
/**
 * Drives a Connection over a Duplex: one read is one turn and one write; what is sent outside a read leaves in
 * one write at the next tick. It does what the connection wants (output, reading, more, shutdown), and nothing else.
 *
 * One write is under way at a time: while the peer is slow, what is sent meanwhile gathers in the output, where
 * it costs its bytes, instead of one request each in the stream's queue.
 */
import { Buffer } from 'node:buffer';
import { FST_WS_ERR_CLOSED } from '../errors.js';
import { State } from '../protocol/connection.js';
import { CloseCode } from '../protocol/constants.js';
import { setImmediate } from './real-timers.js';
import { writeProgress, writesAtOnce } from './tcp.js';
const NOTHING = Buffer.alloc(0);
export class Transport {
    connection;
    /** Called with the error of the stream, at most once, before the connection is told that it is closed. */
    onError = noop;
    /** Called, while `wantsDrain` is set, after a batch has left. */
    onDrain = noop;
    wantsDrain = false;
    #duplex;
    #closeTimeoutMs;
    /** Whether a write that the kernel took leaves nothing behind in the stream. */
    #writesAtOnce;
    #started = false;
    #inTurn = false;
    #turnScheduled = false;
    #continueScheduled = false;
    #drainScheduled = false;
    #reading = true;
    #ended = false;
    #closeTimer;
    /** The batch that is being written. */
    #inFlight;
    #onWritten;
    constructor(duplex, connection, options) {
        this.connection = connection;
        this.#duplex = duplex;
        this.#closeTimeoutMs = options.closeTimeoutMs;
        this.#writesAtOnce = writesAtOnce(duplex);
        connection.onWake = () => this.#wake();
        duplex.on('error', (error) => this.onError(error));
        duplex.on('close', () => this.#closed());
    }
    /** Octets that wait for the peer, framing included. */
    get unsentBytes() {
        const { output, pendingBytes } = this.connection;
        return output.byteLength + pendingBytes + (this.#inFlight === undefined ? 0 : this.#inFlight.byteLength);
    }
    /** Octets of application data among them. */
    get unsentPayloadBytes() {
        const { output, pendingBytes } = this.connection;
        return output.payloadBytes + pendingBytes + (this.#inFlight === undefined ? 0 : this.#inFlight.payloadBytes);
    }
    /** A number that changes when the peer takes something of what waits for it, and not when more is sent. */
    get progress() {
        const { output } = this.connection;
        return output.totalBytes - output.byteLength - (this.#inFlight === undefined ? 0 : writeProgress(this.#duplex) ?? this.#inFlight.byteLength);
    }
    /** Whether what the peer sends is being read. */
    get reading() {
        return this.#started && this.connection.reading;
    }
    /** Begins to read; `head` is what had arrived behind the opening handshake. */
    start(head) {
        const duplex = this.#duplex;
        this.#started = true;
        duplex.on('data', (chunk) => this.#receive(chunk));
        duplex.on('end', () => this.#receiveEof());
        if (duplex.destroyed)
            return this.#closed();
        if (head.length > 0)
            this.#receive(head);
        // A stream that was paused before it had a data listener stays so.
        if (this.#reading)
            duplex.resume();
    }
    /** Drops everything at once; the peer sees a lost connection. */
    terminate() {
        this.connection.abort();
        this.#duplex.destroy();
    }
    #receive(chunk) {
        this.#inTurn = true;
        this.connection.receive(chunk);
        this.#inTurn = false;
        this.#endTurn();
    }
    static #continue(transport) {
        transport.#continueScheduled = false;
        transport.#inTurn = true;
        transport.connection.continue();
        transport.#inTurn = false;
        transport.#endTurn();
    }
    #receiveEof() {
        this.#inTurn = true;
        this.connection.receiveEof();
        this.#inTurn = false;
        this.#endTurn();
    }
    #wake() {
        if (this.#inTurn || this.#turnScheduled)
            return;
        this.#turnScheduled = true;
        process.nextTick(_a.#endScheduledTurn, this);
    }
    static #endScheduledTurn(transport) {
        transport.#turnScheduled = false;
        transport.#endTurn();
    }
    /** Does what the connection wants, after all that one turn brought. */
    #endTurn() {
        const { connection } = this;
        if (connection.output.byteLength > 0 && this.#inFlight === undefined)
            this.#write();
        const reading = connection.reading && !connection.more;
        if (reading !== this.#reading) {
            this.#reading = reading;
            if (reading)
                this.#duplex.resume();
            else
                this.#duplex.pause();
        }
        if (connection.more && !this.#continueScheduled) {
            this.#continueScheduled = true;
            setImmediate(_a.#continue, this);
        }
        if (connection.state !== State.Open)
            this.#shutdown();
    }
    #shutdown() {
        const duplex = this.#duplex;
        if (duplex.destroyed)
            return;
        // §7.1.1: the closing handshake may take its time, but not for ever.
        this.#closeTimer ??= setTimeout(destroy, this.#closeTimeoutMs, duplex);
        const { shutdown, output } = this.connection;
        if (shutdown === 'destroy') {
            duplex.destroy();
        }
        else if (shutdown === 'end' && !this.#ended && output.byteLength === 0) {
            this.#ended = true;
            duplex.end();
        }
    }
    #write() {
        const duplex = this.#duplex;
        const { output } = this.connection;
        const batch = output.take();
        if (duplex.destroyed || this.#ended) {
            this.connection.droppedBytes += batch.payloadBytes;
            return settle(batch, lost());
        }
        this.#inFlight = batch;
        output.blocked = true;
        const { chunks } = batch;
        if (this.#writesAtOnce) {
            writeAll(duplex, chunks);
            if (duplex.writableLength === 0 && duplex.errored === null)
                return this.#written();
            // The kernel did not take it all. An empty write calls back when everything before it has left.
            duplex.write(NOTHING, this.#writtenCallback());
        }
        else {
            writeAll(duplex, chunks, this.#writtenCallback());
        }
    }
    #writtenCallback() {
        return (this.#onWritten ??= (error) => {
            if (this.#inFlight === undefined)
                return;
            this.#written(error ?? undefined);
            // What gathered meanwhile goes out now.
            if (!this.#inTurn)
                this.#endTurn();
        });
    }
    #written(error) {
        const batch = this.#inFlight;
        this.#inFlight = undefined;
        this.connection.output.blocked = false;
        settle(batch, error);
        if (error !== undefined)
            return;
        this.connection.outputDrained();
        // A peer that reads as fast as we write would have `drain` and `send` call each other for ever within one tick
        // (a timer of 5 ms then came 1 s late): the event loop gets its turn in between.
        if (this.wantsDrain && !this.#drainScheduled) {
            this.#drainScheduled = true;
            setImmediate(_a.#drain, this);
        }
    }
    static #drain(transport) {
        transport.#drainScheduled = false;
        if (transport.wantsDrain)
            transport.onDrain();
    }
    #closed() {
        clearTimeout(this.#closeTimer);
        this.connection.transportClosed();
        // What was not written never will be, and stays counted.
        this.connection.droppedBytes += this.unsentPayloadBytes;
        if (this.#inFlight !== undefined)
            this.#written(lost());
        const rest = this.connection.output.take();
        if (rest !== undefined)
            settle(rest, lost());
    }
}
_a = Transport;
function destroy(duplex) { duplex.destroy(); }
function noop() { }
function writeAll(duplex, chunks, callback) {
    if (chunks.length === 1) {
        duplex.write(chunks[0], callback);
        return;
    }
    duplex.cork();
    for (let i = 0; i < chunks.length - 1; i++)
        duplex.write(chunks[i]);
    duplex.write(chunks.at(-1), callback);
    duplex.uncork();
}
/** What callbacks of messages get that were never sent. */
function lost() {
    return Object.assign(new FST_WS_ERR_CLOSED(CloseCode.AbnormalClosure), { closeCode: CloseCode.AbnormalClosure, reason: '' });
}
/** Gives back what a batch holds, and calls back on the next tick: never within `send`. */
function settle(batch, error) {
    const { callbacks } = batch;
    batch.release();
    if (callbacks === undefined)
        return;
    for (const callback of callbacks)
        process.nextTick(callback, error);
}
