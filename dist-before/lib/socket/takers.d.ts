/**
 * Two ways of taking messages one at a time: `next()` and `for await`. Both wait, both keep the order, and what
 * they do not take stays in the queue.
 */
import { type Receiver } from './receiver.ts';
/** Resolves with the next message; rejects with FST_WS_ERR_CLOSED once the connection is not open, FST_WS_ERR_TAKEN, or the signal's reason. */
export declare function nextMessage(receiver: Receiver, signal: AbortSignal | undefined): Promise<unknown>;
/**
 * Iterates over the messages until the connection has closed and all that had arrived is taken. It never throws for
 * what the peer did. Leaving it closes nothing: what comes later waits for the next taker.
 */
export declare class MessageIterator<Message> implements AsyncIterableIterator<Message> {
    #private;
    constructor(receiver: Receiver);
    next(): Promise<IteratorResult<Message, undefined>>;
    return(): Promise<IteratorResult<Message, undefined>>;
    [Symbol.asyncIterator](): this;
}
