/**
 * The jobs of zlib in the thread pool, few at a time in the whole process: more of them fragment memory, fill the pool
 * that files and DNS use too, and finish no sooner.
 */
export interface ZlibJob {
    /** Starts only while fewer than these run. */
    readonly maxConcurrentJobs: number;
    /** Asked when its turn comes: a job that nobody waits for any more is dropped. */
    isWanted(): boolean;
    /** Does the work, and calls `finished` once, whatever came of it; at once if there is nothing to wait for. */
    start(finished: () => void): void;
}
/** Runs the job as soon as there is room; jobs start in the order in which they came. */
export declare function runZlibJob(job: ZlibJob): void;
