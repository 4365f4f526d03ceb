/**
 * A limit on a rate: so much may come at once, and so much more with every second. It is told the time, and may be told
 * of something larger than what is left: that goes, and what follows waits until the debt is paid.
 */
export class TokenBucket {
    #perMs;
    #capacity;
    #tokens;
    #filledAt = 0;
    constructor(perSecond, capacity) {
        this.#perMs = perSecond / 1000;
        this.#capacity = capacity;
        this.#tokens = capacity;
    }
    /** Whether something is left; if so, takes `amount`. */
    take(amount, nowMs) {
        this.#tokens = Math.min(this.#capacity, this.#tokens + (nowMs - this.#filledAt) * this.#perMs);
        this.#filledAt = nowMs;
        if (this.#tokens <= 0)
            return false;
        this.#tokens -= amount;
        return true;
    }
}
