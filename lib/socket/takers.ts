/**
 * Two ways of taking messages one at a time: `next()` and `for await`. Both wait, both keep the order, and what
 * they do not take stays in the queue.
 */
import { END, type Receiver, type Waiter } from './receiver.ts'

/** Resolves with the next message; rejects with FST_WS_ERR_CLOSED once the connection is not open, FST_WS_ERR_TAKEN, or the signal's reason. */
export function nextMessage (receiver: Receiver, signal: AbortSignal | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    receiver.acquire('next()')
    const waiter: Waiter = {
      endsWhenClosing: true,
      settle (message: unknown): void {
        signal?.removeEventListener('abort', onAbort)
        receiver.releaseNext()
        if (message === END) reject(receiver.closedError())
        else resolve(message)
      }
    }
    const onAbort = (): void => {
      receiver.forget(waiter)
      receiver.releaseNext()
      reject(signal!.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    receiver.take(waiter)
  })
}

/**
 * Iterates over the messages until the connection has closed and all that had arrived is taken. It never throws for
 * what the peer did. Leaving it closes nothing: what comes later waits for the next taker.
 */
export class MessageIterator<Message> implements AsyncIterableIterator<Message> {
  readonly #receiver: Receiver
  #done = false
  /** Calls of `next` that wait. */
  readonly #pending: Waiter[] = []

  constructor (receiver: Receiver) {
    receiver.acquire('an iteration')
    this.#receiver = receiver
  }

  next (): Promise<IteratorResult<Message, undefined>> {
    if (this.#done) return Promise.resolve({ done: true, value: undefined })
    const message = this.#receiver.takeNow()
    if (message !== END) return Promise.resolve({ done: false, value: message as Message })
    return this.#wait()
  }

  #wait (): Promise<IteratorResult<Message, undefined>> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        endsWhenClosing: false,
        settle: (message: unknown): void => {
          this.#pending.shift()
          if (message === END) this.#finish()
          resolve(message === END ? { done: true, value: undefined } : { done: false, value: message as Message })
        }
      }
      this.#pending.push(waiter)
      this.#receiver.take(waiter)
    })
  }

  return (): Promise<IteratorResult<Message, undefined>> {
    for (const waiter of [...this.#pending]) {
      this.#receiver.forget(waiter)
      waiter.settle(END)
    }
    this.#finish()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator] (): this {
    return this
  }

  #finish (): void {
    if (this.#done) return
    this.#done = true
    this.#receiver.release()
  }
}
