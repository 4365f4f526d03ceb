/**
 * The jobs of zlib in the thread pool, few at a time in the whole process: more of them fragment memory, fill the pool
 * that files and DNS use too, and finish no sooner.
 */
let running = 0;
let first;
let last;
let isStarting = false;
/** Runs the job as soon as there is room; jobs start in the order in which they came. */
export function runZlibJob(job) {
    const waiting = { job, next: undefined };
    if (last === undefined)
        first = waiting;
    else
        last.next = waiting;
    last = waiting;
    startJobs();
}
function startJobs() {
    // Jobs that finish at once would call each other, ever deeper.
    if (isStarting)
        return;
    isStarting = true;
    try {
        while (first !== undefined && running < first.job.maxConcurrentJobs) {
            const { job } = first;
            first = first.next;
            if (first === undefined)
                last = undefined;
            if (!job.isWanted())
                continue;
            running++;
            job.start(finished);
        }
    }
    finally {
        isStarting = false;
    }
}
function finished() {
    running--;
    startJobs();
}
