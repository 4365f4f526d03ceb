/**
 * The jobs of zlib in the thread pool, few at a time in the whole process: more of them fragment memory, fill the pool
 * that files and DNS use too, and finish no sooner.
 */

export interface ZlibJob {
  /** Starts only while fewer than these run. */
  readonly maxConcurrentJobs: number
  /** Asked when its turn comes: a job that nobody waits for any more is dropped. */
  isWanted (): boolean
  /** Does the work, and calls `finished` once, whatever came of it; at once if there is nothing to wait for. */
  start (finished: () => void): void
}

interface Waiting {
  readonly job: ZlibJob
  next: Waiting | undefined
}

let running = 0
let first: Waiting | undefined
let last: Waiting | undefined
let isStarting = false

/** Runs the job as soon as there is room; jobs start in the order in which they came. */
export function runZlibJob (job: ZlibJob): void {
  const waiting: Waiting = { job, next: undefined }
  if (last === undefined) first = waiting
  else last.next = waiting
  last = waiting
  startJobs()
}

function startJobs (): void {
  // Jobs that finish at once would call each other, ever deeper.
  if (isStarting) return
  isStarting = true
  try {
    while (first !== undefined && running < first.job.maxConcurrentJobs) {
      const { job } = first
      first = first.next
      if (first === undefined) last = undefined
      if (!job.isWanted()) continue
      running++
      job.start(finished)
    }
  } finally {
    isStarting = false
  }
}

function finished (): void {
  running--
  startJobs()
}
