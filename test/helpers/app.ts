/**
 * An application for tests: on a free port of loopback, its log in an array, closed when the test ends.
 */
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import duplex from '../../index.ts'
import type { DuplexOptions } from '../../types/options.ts'

export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [key: string]: any
}

export const LEVEL = { debug: 20, info: 30, warn: 40, error: 50 } as const

/** Longer than any line takes. */
const PATIENCE_MS = 15_000

/** The log of an application, to look at and to wait for. */
export class Log {
  readonly lines: LogLine[] = []
  #waiting: Array<() => void> = []

  write (text: string): void {
    this.lines.push(JSON.parse(text))
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  with (msg: string | RegExp): LogLine[] {
    return this.lines.filter((line) => typeof msg === 'string' ? line.msg === msg : msg.test(line.msg))
  }

  /** The nth line with this message, as soon as it is there. */
  async line (msg: string | RegExp, nth = 1): Promise<LogLine> {
    const start = performance.now()
    for (;;) {
      const line = this.with(msg)[nth - 1]
      if (line !== undefined) return line
      if (performance.now() - start > PATIENCE_MS) throw new Error(`no line ${nth} with ${msg}, but ${JSON.stringify(this.lines)}`)
      await this.#next()
    }
  }

  /** The next line, or the end of patience. */
  async #next (): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      timer = setTimeout(resolve, PATIENCE_MS)
    })
    clearTimeout(timer)
  }

  atLevel (level: number): LogLine[] {
    return this.lines.filter((line) => line.level >= level)
  }
}

export interface Bare {
  readonly app: FastifyInstance
  readonly log: Log
}

/** Without the plugin. */
export function bareApp (t: Test, options: FastifyServerOptions & { https?: any } = {}): Bare {
  const log = new Log()
  const app = Fastify({ logger: { level: 'debug', stream: log }, ...options } as FastifyServerOptions) as unknown as FastifyInstance
  t.teardown(() => app.close())
  return { app, log }
}

export interface Running extends Bare {
  readonly port: number
  /** `ws://127.0.0.1:port`. */
  readonly url: string
}

/** Listens; what `define` adds comes after the plugin. */
export async function startApp (
  t: Test,
  define: (app: FastifyInstance) => unknown,
  options: DuplexOptions = {},
  serverOptions: FastifyServerOptions & { https?: any } = {}
): Promise<Running> {
  const bare = bareApp(t, serverOptions)
  await bare.app.register(duplex, options)
  await define(bare.app)
  return { ...bare, ...await listen(bare.app) }
}

export async function listen (app: FastifyInstance): Promise<{ port: number, url: string }> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return { port, url: `ws://127.0.0.1:${port}` }
}

/** A promise and what settles it. */
export function deferred<T = void> (): { promise: Promise<T>, resolve: (value: T) => void, reject: (error: unknown) => void } {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((_resolve, _reject) => {
    resolve = _resolve
    reject = _reject
  })
  return { promise, resolve, reject }
}

/** What the function throws; undefined if it does not. */
export function thrown (run: () => unknown): any {
  try {
    run()
  } catch (error) {
    return error
  }
}
