/**
 * Two ways of taking messages one at a time: `next()` and `for await`. Both wait, both keep the order, and what
 * they do not take stays in the queue.
 */
import { END } from './receiver.js';
/** Resolves with the next message; rejects with FST_WS_ERR_CLOSED once the connection is not open, FST_WS_ERR_TAKEN, or the signal's reason. */
export function nextMessage(receiver, signal) {
    return new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        receiver.acquire('next()');
        const waiter = {
            endsWhenClosing: true,
            settle(message) {
                signal?.removeEventListener('abort', onAbort);
                receiver.releaseNext();
                if (message === END)
                    reject(receiver.closedError());
                else
                    resolve(message);
            }
        };
        const onAbort = () => {
            receiver.forget(waiter);
            receiver.releaseNext();
            reject(signal.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        receiver.take(waiter);
    });
}
/**
 * Iterates over the messages until the connection has closed and all that had arrived is taken. It never throws for
 * what the peer did. Leaving it closes nothing: what comes later waits for the next taker.
 */
export class MessageIterator {
    #receiver;
    #done = false;
    /** Calls of `next` that wait. */
    #pending = [];
    constructor(receiver) {
        receiver.acquire('an iteration');
        this.#receiver = receiver;
    }
    next() {
        if (this.#done)
            return Promise.resolve({ done: true, value: undefined });
        return new Promise((resolve) => {
            const waiter = {
                endsWhenClosing: false,
                settle: (message) => {
                    this.#pending.shift();
                    if (message === END)
                        this.#finish();
                    resolve(message === END ? { done: true, value: undefined } : { done: false, value: message });
                }
            };
            this.#pending.push(waiter);
            this.#receiver.take(waiter);
        });
    }
    return() {
        for (const waiter of [...this.#pending]) {
            this.#receiver.forget(waiter);
            waiter.settle(END);
        }
        this.#finish();
        return Promise.resolve({ done: true, value: undefined });
    }
    [Symbol.asyncIterator]() {
        return this;
    }
    #finish() {
        if (this.#done)
            return;
        this.#done = true;
        this.#receiver.release();
    }
}
