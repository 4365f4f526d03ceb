var _a;
import { FST_WS_ERR_CLOSED, FST_WS_ERR_LIMIT, FST_WS_ERR_PROTOCOL, FST_WS_ERR_SOCKET, FST_WS_ERR_TAKEN } from '../errors.js';
import { CloseCode } from '../protocol/constants.js';
import { State } from '../protocol/connection.js';
import { ProtocolError } from '../protocol/errors.js';
import { InvalidMessage } from '../subprotocol/subprotocol.js';
import { messageReceived } from './channels.js';
import { MessageQueue } from './message-queue.js';
/** What a taker gets when no message will come any more. */
export const END = Symbol('end of messages');
export class Receiver {
    /** The socket, set by it; what happens is emitted there. */
    emitter;
    binaryType = 'nodebuffer';
    /** Hears of pongs; set by whoever wires the connection. */
    watch;
    #connection;
    #subprotocol;
    #limits;
    #faults;
    #taker;
    #waiters = [];
    #handingOut = false;
    /** Messages were taken by `next`, which holds no place between its calls. */
    #takenByNext = false;
    #queue;
    /** Paused by the application. */
    #paused = false;
    /** The handler has settled: a queue that nobody takes from by now may be thrown away. */
    #handlerSettled = false;
    #discarded = false;
    #closed;
    #resolveClosed;
    #abort;
    /** Called when the connection ceases to be open, and never again. */
    onClosingOnce;
    constructor(connection, subprotocol, limits, faults) {
        this.#connection = connection;
        this.#subprotocol = subprotocol;
        this.#limits = limits;
        this.#faults = faults;
    }
    get isPaused() { return this.#paused; }
    get closed() {
        return (this.#closed ??= this.#connection.state === State.Closed
            ? Promise.resolve(this.#closeInfo())
            : new Promise((resolve) => { this.#resolveClosed = resolve; }));
    }
    get signal() {
        if (this.#abort === undefined) {
            this.#abort = new AbortController();
            if (this.#connection.state !== State.Open)
                this.#abort.abort(this.closedError());
        }
        return this.#abort.signal;
    }
    closedError() {
        const { closeCode, sentCloseCode, closeReason } = this.#connection;
        // Our own code is all that is known until the peer has answered, or has not.
        const code = closeCode === CloseCode.AbnormalClosure && this.#connection.state !== State.Closed ? sentCloseCode : closeCode;
        return Object.assign(new FST_WS_ERR_CLOSED(code), { closeCode: code, reason: closeReason });
    }
    /** To be called before the first byte is read. */
    opened() {
        if (this.#connection.state === State.Open)
            this.#emit('open');
    }
    handlerSettled() {
        this.#handlerSettled = true;
        // What the handler took is taken; from now on only calls that wait, or come, say that somebody goes on taking.
        this.#takenByNext = this.#waiters.length > 0;
        this.#discardIfAbandoned();
    }
    pause() {
        if (this.#connection.state !== State.Open)
            return;
        this.#paused = true;
        this.#connection.pause();
    }
    resume() {
        if (!this.#paused)
            return;
        this.#paused = false;
        if (!this.#isFull())
            this.#connection.resume();
        this.#handOutLater();
    }
    // Takers
    /** Throws if messages go elsewhere; to be called before a `message` listener is added. */
    assertFreeForListeners() {
        if (this.#taker !== undefined)
            throw new FST_WS_ERR_TAKEN(this.#taker);
    }
    /** A `message` listener was added: what waits is for it, on the next tick. */
    listenerAdded() {
        this.#handOutLater();
    }
    acquire(taker) {
        if (this.#taker !== undefined && this.#taker !== taker)
            throw new FST_WS_ERR_TAKEN(this.#taker);
        if (taker !== 'next()' && this.#taker === taker)
            throw new FST_WS_ERR_TAKEN(taker);
        if (this.emitter.listenerCount('message') > 0)
            throw new FST_WS_ERR_TAKEN('message listeners');
        this.#taker = taker;
    }
    release() {
        this.#taker = undefined;
        this.#handOutLater();
        this.#discardIfAbandoned();
    }
    /** A call of `next` is settled; the last of them gives the place free. */
    releaseNext() {
        this.#takenByNext = true;
        if (this.#waiters.length === 0)
            this.release();
    }
    /** The next message for the taker, now or when it comes: `settle` gets it, or END. */
    take(waiter) {
        this.#waiters.push(waiter);
        _a.#handOut(this);
    }
    /** Whether the waiter was still waiting. */
    forget(waiter) {
        const index = this.#waiters.indexOf(waiter);
        if (index !== -1)
            this.#waiters.splice(index, 1);
        return index !== -1;
    }
    // What the connection tells
    onMessage(data, isBinary) {
        if (messageReceived.hasSubscribers)
            messageReceived.publish({ socket: this.emitter, data, isBinary });
        if (this.#queue === undefined || this.#queue.length === 0) {
            if (this.#waiters.length > 0)
                return this.#deliverToWaiter(data, isBinary);
            if (this.emitter.listenerCount('message') > 0)
                return this.#deliver(data, isBinary);
        }
        (this.#queue ??= new MessageQueue()).push(data, isBinary);
        if (this.#isFull())
            this.#onFull();
    }
    onPing(payload) { this.#emit('ping', payload); }
    onPong(payload) {
        this.watch?.ponged(payload);
        this.#emit('pong', payload);
    }
    onDrain() { this.#emit('drain'); }
    onClosing() {
        // What had arrived is still to be had, whoever had paused.
        this.#paused = false;
        this.watch?.stop();
        this.#abort?.abort(this.closedError());
        this.onClosingOnce?.();
        this.onClosingOnce = undefined;
        this.#handOutOrEnd();
    }
    onError(error) {
        const kind = error.closeCode === CloseCode.MessageTooBig || error.closeCode === CloseCode.PolicyViolation ? 'limit' : 'protocol';
        const Coded = kind === 'limit' ? FST_WS_ERR_LIMIT : FST_WS_ERR_PROTOCOL;
        this.fault(kind, Object.assign(new Coded(error.message), { closeCode: error.closeCode, cause: error.cause }));
    }
    onSocketError(error) {
        if (this.#connection.state === State.Closed)
            return;
        this.#connection.abort();
        this.fault('socket', Object.assign(new FST_WS_ERR_SOCKET(error.message), { cause: error }));
    }
    onClose(code, reason) {
        this.#handOutOrEnd();
        this.#resolveClosed?.(this.#closeInfo());
        // Before the event: whoever hears it finds the connection gone from `app.websockets`.
        this.#faults.onClosed();
        this.#emit('close', code, Buffer.from(reason));
    }
    /** A promise that a listener returned was rejected. */
    onListenerRejection(error, message) {
        this.#faults.onFault('listener', error, message);
    }
    /** Reports a fault of the connection; `error` is emitted for those who listen, and for nobody else. */
    fault(kind, error) {
        if (this.emitter.listenerCount('error') > 0)
            this.#emit('error', error);
        this.#faults.onFault(kind, error, undefined);
    }
    #closeInfo() {
        const { closeCode, closeReason, wasClean } = this.#connection;
        return { code: closeCode, reason: closeReason, wasClean };
    }
    /** Calls listeners: what they throw is theirs, and goes to the fault sink. */
    #emit(event, ...args) {
        try {
            this.emitter.emit(event, ...args);
        }
        catch (error) {
            this.#faults.onFault('listener', error, undefined);
        }
    }
    #deliver(data, isBinary) {
        const message = this.#decode(data, isBinary);
        if (message === END)
            return;
        try {
            this.emitter.emit('message', isBinary ? this.#asBinaryType(message) : message, isBinary);
        }
        catch (error) {
            this.#faults.onFault('listener', error, message);
        }
    }
    /** An invalid message is none: the waiter goes on waiting. */
    #deliverToWaiter(data, isBinary) {
        const message = this.#decode(data, isBinary);
        if (message === END)
            return;
        const waiter = this.#waiters.shift();
        try {
            if (!this.#subprotocol.raw || waiter.asOctets === true)
                waiter.settle(message);
            else
                waiter.settle(isBinary ? this.#asBinaryType(message) : message.toString());
        }
        catch (error) {
            // A stream calls its listeners at once.
            this.#faults.onFault('listener', error, message);
        }
    }
    /** The message, or END if it is not valid: then it goes to the fault sink in its place. */
    #decode(data, isBinary) {
        try {
            return this.#subprotocol.decode(data, isBinary);
        }
        catch (error) {
            if (error instanceof InvalidMessage)
                this.#faults.onInvalidMessage(error);
            else
                this.#faults.onFault('handler', error, undefined);
            return END;
        }
    }
    #asBinaryType(message) {
        if (this.binaryType === 'nodebuffer' || !this.#subprotocol.raw)
            return message;
        const data = message;
        return this.binaryType === 'fragments' ? [data] : data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    }
    /** Those who wait hear of the end: at once, unless something is still there for them. */
    #handOutOrEnd() {
        if (this.#queue === undefined || this.#queue.length === 0)
            this.#endWaiters();
        else
            this.#handOutLater();
    }
    #handOutLater() {
        if (this.#queue !== undefined && this.#queue.length > 0)
            process.nextTick(_a.#handOut, this);
    }
    /** What waits goes to those who wait, or to the listeners, as long as there are any. */
    static #handOut(receiver) {
        // Called from within, by what a message has caused: the loop that is running goes on with it.
        if (receiver.#handingOut)
            return;
        receiver.#handingOut = true;
        const waiters = receiver.#waiters;
        while (receiver.#hasMessage()) {
            const toWaiter = waiters.length > 0;
            if (!toWaiter && (receiver.#taker !== undefined || receiver.emitter.listenerCount('message') === 0))
                break;
            const { data, isBinary } = receiver.#queue;
            receiver.#queue.shift();
            if (toWaiter)
                receiver.#deliverToWaiter(data, isBinary);
            else
                receiver.#deliver(data, isBinary);
        }
        receiver.#handingOut = false;
        receiver.#resumeIfRoom();
        receiver.#endWaiters();
    }
    #endWaiters() {
        if (this.#connection.state === State.Open || this.#handingOut)
            return;
        for (const waiter of this.#waiters.splice(0)) {
            if (this.#isOver(waiter))
                waiter.settle(END);
            else
                this.#waiters.push(waiter);
        }
    }
    #hasMessage() {
        return this.#queue !== undefined && this.#queue.length > 0 && !this.#paused;
    }
    #isFull() {
        return this.#queue !== undefined && this.#queue.bytes >= this.#limits.queueBytes;
    }
    #onFull() {
        if (this.#limits.whenFull === 'fail') {
            this.#connection.fail(new ProtocolError(CloseCode.PolicyViolation, 'too many messages that nobody takes'));
        }
        else {
            this.#connection.pause();
            this.#discardIfAbandoned();
        }
    }
    #resumeIfRoom() {
        // Half empty: not a pause and a resume for each message.
        if (this.#queue !== undefined && !this.#paused && !this.#connection.reading && this.#queue.bytes <= this.#limits.queueBytes / 2)
            this.#connection.resume();
    }
    /** A route that only sends lives on, although its peer fills a queue that nobody will ever take from. */
    #discardIfAbandoned() {
        if (!this.#handlerSettled || !this.#isFull() || this.#taker !== undefined || this.#takenByNext || this.emitter.listenerCount('message') > 0)
            return;
        const count = this.#queue.length;
        this.#queue.clear();
        this.#resumeIfRoom();
        if (this.#discarded)
            return;
        this.#discarded = true;
        this.#faults.onMessagesDiscarded(count);
    }
    #isOver(waiter) {
        const { state } = this.#connection;
        return state === State.Closed || (waiter.endsWhenClosing && state !== State.Open);
    }
}
_a = Receiver;
