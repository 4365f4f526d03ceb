/**
 * The clock of all connections of a server: one timer for each period, however many connections there are, and none
 * while there are none. Time is counted in ticks, so a process that stood still for a minute has not aged its peers by one.
 */
export interface Ticking {
    tick(): void;
}
export declare class Ticker {
    #private;
    /** Ticks until `delete`. */
    add(periodMs: number, member: Ticking): void;
    delete(periodMs: number, member: Ticking): void;
}
