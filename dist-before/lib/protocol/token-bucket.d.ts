/**
 * A limit on a rate: so much may come at once, and so much more with every second. It is told the time, and may be told
 * of something larger than what is left: that goes, and what follows waits until the debt is paid.
 */
export declare class TokenBucket {
    #private;
    constructor(perSecond: number, capacity: number);
    /** Whether something is left; if so, takes `amount`. */
    take(amount: number, nowMs: number): boolean;
}
