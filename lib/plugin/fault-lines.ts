/**
 * What is logged of the faults of one connection, beside the lines at its opening and its close: one line a second, and one of level
 * error, since the peer decides how many faults there are.
 */
import type { FastifyBaseLogger } from 'fastify'

export type Level = 'debug' | 'info' | 'warn' | 'error'

const LINE_MS = 1_000

export class FaultLines {
  /** Lines that were left out. */
  suppressed = 0
  readonly #log: FastifyBaseLogger
  #lastLineAt = -LINE_MS
  #lastErrorAt = -LINE_MS

  constructor (log: FastifyBaseLogger) {
    this.#log = log
  }

  line (level: Level, fields: object, text: string): void {
    const time = performance.now()
    // An error of the application is not lost because of what its peer has done just before.
    if (time - (level === 'error' ? this.#lastErrorAt : this.#lastLineAt) < LINE_MS) {
      this.suppressed++
      return
    }
    this.#lastLineAt = time
    if (level === 'error') this.#lastErrorAt = time
    this.#log[level](fields, text)
  }
}
