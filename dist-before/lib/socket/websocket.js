/**
 * The WebSocket that applications see: an EventEmitter with the interface of the WHATWG standard beside it, for the
 * server and the client role alike. Sending is here; what arrives is the business of the Receiver.
 */
import { Buffer } from 'node:buffer';
import { FST_WS_ERR_CLOSE_CODE, FST_WS_ERR_CLOSE_REASON, FST_WS_ERR_CONTROL_PAYLOAD, FST_WS_ERR_LIMIT } from '../errors.js';
import { isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from '../protocol/close-payload.js';
import { CloseCode, MAX_CONTROL_PAYLOAD, Opcode } from '../protocol/constants.js';
import { State } from '../protocol/connection.js';
import { encodeRaw } from '../subprotocol/codec.js';
import { Prepared } from '../subprotocol/prepared.js';
import { messageSent } from './channels.js';
import { EventTargetEmitter } from './event-target.js';
import { messageStream } from './stream.js';
import { MessageIterator, nextMessage } from './takers.js';
import { EXPIRED, timeOf } from './watch.js';
const READY_STATE = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };
/**
 * One WebSocket connection.
 *
 * `Receive` and `Send` are the messages of its contract, `Protocol` the subprotocol that was agreed ('' if none);
 * `AnyReceive` is the union of what all contracts of the route receive, for listeners added before `protocol` is looked at;
 * `Heard` is what `message` listeners get, a Buffer on raw routes, where iteration gives a string for text.
 */
export class WebSocket extends EventTargetEmitter {
    static CONNECTING = READY_STATE.CONNECTING;
    static OPEN = READY_STATE.OPEN;
    static CLOSING = READY_STATE.CLOSING;
    static CLOSED = READY_STATE.CLOSED;
    #connection;
    #transport;
    #subprotocol;
    #receiver;
    #watch;
    #limits;
    #extensions;
    #url;
    #data;
    #drained;
    /** Made by `openWebSocket` alone. @internal */
    constructor(parts) {
        // A promise that a listener returns is looked after: its rejection comes to the method below.
        super({ captureRejections: true });
        this.#connection = parts.connection;
        this.#transport = parts.transport;
        this.#subprotocol = parts.subprotocol;
        this.#limits = parts.limits;
        this.#extensions = parts.extensions;
        this.#url = parts.url;
        this.#receiver = parts.receiver;
        this.#watch = parts.watch;
        parts.receiver.emitter = this;
        parts.transport.onDrain = () => this.#onWritten();
    }
    get CONNECTING() { return READY_STATE.CONNECTING; }
    get OPEN() { return READY_STATE.OPEN; }
    get CLOSING() { return READY_STATE.CLOSING; }
    get CLOSED() { return READY_STATE.CLOSED; }
    /** `OPEN`, `CLOSING` as soon as either side has begun to close, `CLOSED` when the network connection has ended. */
    get readyState() {
        const { state } = this.#connection;
        return state === State.Open ? READY_STATE.OPEN : state === State.Closed ? READY_STATE.CLOSED : READY_STATE.CLOSING;
    }
    /** The agreed subprotocol, '' if there is none. */
    get protocol() { return this.#subprotocol.name; }
    /** The agreed extensions as in `Sec-WebSocket-Extensions`, '' if there are none. */
    get extensions() { return this.#extensions; }
    get url() { return this.#url; }
    /** Bytes of messages that wait to be handed to the operating system, framing not included; what is sent after the close counts for ever. */
    get bufferedAmount() { return this.#transport.unsentPayloadBytes + this.#connection.droppedBytes; }
    /** Whether a `send` has returned false and `drain` has not come since. */
    get writableNeedDrain() { return this.#transport.wantsDrain; }
    /** What binary messages of a raw route come as; 'fragments' is an array of one Buffer. */
    get binaryType() { return this.#receiver.binaryType; }
    set binaryType(type) {
        if (type !== 'nodebuffer' && type !== 'arraybuffer' && type !== 'fragments')
            throw new TypeError("binaryType is 'nodebuffer', 'arraybuffer' or 'fragments'");
        this.#receiver.binaryType = type;
    }
    /** Milliseconds from the last heartbeat's ping to its pong; NaN before the first. */
    get latencyMs() { return this.#watch.latencyMs; }
    /** A place for what belongs to the connection; made when first touched. */
    get data() { return (this.#data ??= {}); }
    /** Resolves when the connection has closed; never rejects. */
    get closed() { return this.#receiver.closed; }
    /** Aborts when the connection is not open any more, with FST_WS_ERR_CLOSED as its reason. */
    get signal() { return this.#receiver.signal; }
    // Sending
    /**
     * Sends a message, or one made by `prepare`. False above `highWaterMarkBytes` of unsent bytes: `drain` says when to go
     * on. Bytes are sent from where they lie: do not change them before the callback.
     *
     * After the close it returns false, the callback gets FST_WS_ERR_CLOSED, and nothing throws. Above `maxUnsentBytes` of
     * what was waiting before, the connection is terminated. Throws FST_WS_ERR_DATA_TYPE for what cannot be sent, and
     * FST_WS_ERR_INVALID_SEND with `validateSend`.
     */
    send(message, options, callback) {
        if (typeof options === 'function')
            return this.#send(message, undefined, options);
        return this.#send(message, options, callback);
    }
    /** Sends text or binary past codec and schema. */
    sendRaw(data) {
        if (this.#connection.state === State.Open && !this.#mayBuffer())
            return false;
        return this.#sendData(data, undefined) ? this.#belowMark() : false;
    }
    #send(message, options, given) {
        const callback = typeof given === 'function' ? this.#guarded(given) : undefined;
        if (this.#connection.state !== State.Open)
            return this.#sendAfterClose(message, options, callback);
        // Encoding calls into the application, which may have closed meanwhile.
        if (!this.#mayBuffer() || !this.#dispatch(message, options)) {
            if (callback !== undefined)
                process.nextTick(callback, this.#receiver.closedError());
            return false;
        }
        if (messageSent.hasSubscribers)
            messageSent.publish({ socket: this, message });
        if (callback !== undefined)
            this.#connection.addCallback(callback);
        return this.#belowMark();
    }
    /** Whether it went out; false if the connection is not open. */
    #dispatch(message, options) {
        if (message instanceof Prepared)
            return this.#connection.sendShared(message.encodedFor(this.#subprotocol), options?.compress);
        if (this.#subprotocol.raw)
            return this.#sendData(message, options);
        return this.#sendEncoded(this.#subprotocol.encode(message), options?.compress);
    }
    /** What a callback throws is the application's fault, and nobody else's. */
    #guarded(callback) {
        return (error) => {
            try {
                callback(error);
            }
            catch (thrown) {
                this.#receiver.onListenerRejection(thrown, undefined);
            }
        };
    }
    #sendEncoded(encoded, compress) {
        return typeof encoded === 'string'
            ? this.#connection.sendText(encoded, true, compress)
            : this.#connection.sendBytes(encoded, Opcode.Binary, true, compress);
    }
    #sendData(data, options) {
        const encoded = encodeRaw(data);
        const fin = options?.fin ?? true;
        const binary = options?.binary ?? typeof encoded !== 'string';
        if (typeof encoded === 'string' && !binary)
            return this.#connection.sendText(encoded, fin, options?.compress);
        return this.#connection.sendBytes(asOctets(encoded), binary ? Opcode.Binary : Opcode.Text, fin, options?.compress);
    }
    #sendAfterClose(message, options, callback) {
        try {
            // Counted in bufferedAmount, and dropped.
            this.#dispatch(message, options);
        }
        catch {
            // Nothing throws after the close.
        }
        if (callback !== undefined)
            process.nextTick(callback, this.#receiver.closedError());
        return false;
    }
    /** Judged by what waited before this message, so that one of any size can go to an idle peer. */
    #mayBuffer() {
        const { maxUnsentBytes } = this.#limits;
        if (this.#transport.unsentBytes <= maxUnsentBytes)
            return true;
        this.#transport.terminate();
        this.#receiver.fault('limit', Object.assign(new FST_WS_ERR_LIMIT(`More than ${maxUnsentBytes} bytes wait for a peer that does not read them`), { closeCode: CloseCode.AbnormalClosure }));
        return false;
    }
    #belowMark() {
        if (this.#transport.unsentBytes <= this.#limits.highWaterMarkBytes)
            return true;
        this.#transport.wantsDrain = true;
        return false;
    }
    #onWritten() {
        if (this.#transport.unsentBytes > this.#limits.highWaterMarkBytes)
            return;
        this.#transport.wantsDrain = false;
        this.#settleDrained();
        this.#receiver.onDrain();
    }
    #settleDrained() {
        const drained = this.#drained;
        this.#drained = undefined;
        if (drained !== undefined)
            for (const settle of drained)
                settle();
    }
    /** Resolves when `send` may go on: at once unless `writableNeedDrain`. Rejects with FST_WS_ERR_CLOSED when the connection is not open. */
    drained() {
        return new Promise((resolve, reject) => {
            const settle = () => {
                if (this.#connection.state === State.Open)
                    resolve();
                else
                    reject(this.#receiver.closedError());
            };
            if (this.#connection.state !== State.Open || !this.writableNeedDrain)
                return settle();
            this.#drained ??= [];
            this.#drained.push(settle);
            this.#receiver.onClosingOnce = () => this.#settleDrained();
        });
    }
    // Closing
    /**
     * Starts the closing handshake; does nothing if it is under way. Throws FST_WS_ERR_CLOSE_CODE (a TypeError) for a code that
     * an endpoint may not send, and FST_WS_ERR_CLOSE_REASON (a RangeError) for a reason above 123 bytes.
     */
    close(code = CloseCode.NormalClosure, reason = '') {
        this.#connection.close(code, this.#checkedReason(code, reason));
    }
    #checkedReason(code, reason) {
        if (!isSendableCloseCode(code, this.#connection.role))
            throw new FST_WS_ERR_CLOSE_CODE(code);
        const text = String(reason);
        if (Buffer.byteLength(text) > MAX_CLOSE_REASON_BYTES)
            throw new FST_WS_ERR_CLOSE_REASON();
        return text;
    }
    /**
     * Closes at this time, within a second: a Date, or milliseconds since 1970. A later call takes its place, null cancels.
     * Throws as `close`, and a RangeError for what is no time.
     */
    closeAt(when, code = EXPIRED.code, reason = EXPIRED.reason) {
        const at = when === null ? undefined : timeOf(when);
        if (at === undefined && when !== null)
            throw new RangeError('closeAt takes a Date, a number of milliseconds since 1970, or null');
        this.#watch.closeAt(at, code, this.#checkedReason(code, reason));
    }
    /** Drops the connection at once, without a Close: both sides see 1006. */
    terminate() {
        this.#transport.terminate();
    }
    /** Closes with 1000 and waits for the end. */
    async [Symbol.asyncDispose]() {
        this.close();
        await this.closed;
    }
    // Control frames
    /** Sends a ping with 125 bytes at most, else FST_WS_ERR_CONTROL_PAYLOAD is thrown; after the close it does nothing. */
    ping(data = '') {
        if (this.#connection.state === State.Open && this.#mayBuffer())
            this.#connection.ping(controlPayload(data));
    }
    /** Sends a pong that nobody asked for (RFC 6455 §5.5.3). Pings are answered without it. */
    pong(data = '') {
        if (this.#connection.state === State.Open && this.#mayBuffer())
            this.#connection.pong(controlPayload(data));
    }
    // Receiving
    /** Resolves with the next message. Rejects with FST_WS_ERR_CLOSED once the connection is not open and nothing waits. */
    next(options = {}) {
        return nextMessage(this.#receiver, options.signal);
    }
    /** Iterates until the connection has closed and all that had arrived is taken. `break` closes nothing. */
    [Symbol.asyncIterator]() {
        return new MessageIterator(this.#receiver);
    }
    /** The connection as a Duplex: of messages on typed routes, of bytes on raw ones. */
    stream() {
        return messageStream(this.#receiver, this, !this.#subprotocol.raw);
    }
    /** Whether `pause` holds back messages. */
    get isPaused() { return this.#receiver.isPaused; }
    /** Stops delivering at once, and reading: no Close or pong is seen until `resume`. */
    pause() {
        this.#receiver.pause();
    }
    resume() {
        this.#receiver.resume();
    }
    on(event, listener) {
        if (event !== 'message')
            return super.on(event, listener);
        this.#receiver.assertFreeForListeners();
        super.on(event, listener);
        this.#receiver.listenerAdded();
        return this;
    }
    once(event, listener) {
        return super.once(event, listener);
    }
    addListener(event, listener) {
        return this.on(event, listener);
    }
    prependListener(event, listener) {
        if (event !== 'message')
            return super.prependListener(event, listener);
        this.#receiver.assertFreeForListeners();
        super.prependListener(event, listener);
        this.#receiver.listenerAdded();
        return this;
    }
    get textIsOctets() { return this.#subprotocol.raw; }
    get closedCleanly() { return this.#connection.wasClean; }
    /** Where the emitter brings the rejections of listeners' promises. @internal */
    [Symbol.for('nodejs.rejection')](error, event, ...args) {
        this.#receiver.onListenerRejection(error, event === 'message' ? args[0] : undefined);
    }
}
function asOctets(data) {
    return typeof data === 'string' ? Buffer.from(data) : data;
}
function controlPayload(data) {
    const payload = asOctets(encodeRaw(data));
    if (payload.length > MAX_CONTROL_PAYLOAD)
        throw new FST_WS_ERR_CONTROL_PAYLOAD();
    return payload;
}
