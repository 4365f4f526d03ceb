/**
 * A limit on a rate: so much may come at once, and so much more with every second. It is told the time, and may be told
 * of something larger than what is left: that goes, and what follows waits until the debt is paid.
 */
export class TokenBucket {
  readonly #perMs: number
  readonly #capacity: number
  #tokens: number
  #filledAt = 0

  constructor (perSecond: number, capacity: number) {
    this.#perMs = perSecond / 1000
    this.#capacity = capacity
    this.#tokens = capacity
  }

  /** Whether something is left; if so, takes `amount`. */
  take (amount: number, nowMs: number): boolean {
    // What was granted stands above the capacity until it is taken.
    if (this.#tokens < this.#capacity) this.#tokens = Math.min(this.#capacity, this.#tokens + (nowMs - this.#filledAt) * this.#perMs)
    this.#filledAt = nowMs
    if (this.#tokens <= 0) return false
    this.#tokens -= amount
    return true
  }

  /** Gives what comes with so much time, beyond the capacity too: for a time in which nothing could be taken, though it may have come. */
  grant (ms: number): void {
    this.#tokens += ms * this.#perMs
    this.#filledAt += ms
  }
}
