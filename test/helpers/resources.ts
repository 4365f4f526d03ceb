/**
 * What a process holds: to count it before, and to see that it is the same again afterwards.
 */
import { createHook } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import type { Test } from 'tap'

const DESCRIPTORS = '/proc/self/fd'
/** Longer than anything takes to be given back. */
const PATIENCE_MS = 5_000
/** Moments in which nothing has changed. */
const SETTLED_AFTER = 10
/** Come and go by themselves. */
const FLEETING = new Set(['Immediate', 'TickObject', 'PROMISE', 'RANDOMBYTESREQUEST', 'FSREQCALLBACK'])
/** Kept by Node for the next connection, or gone when the garbage is collected. */
const POOLED = new Set(['HTTPINCOMINGMESSAGE', 'HTTPCLIENTREQUEST', 'HTTPSERVERREQUEST', 'ZLIB', 'SHUTDOWNWRAP', 'WRITEWRAP', 'TCPCONNECTWRAP', 'FILEHANDLE', 'STREAM_END_OF_STREAM', 'AbortSignal'])

/** By kind, how many there are: descriptors, asynchronous resources, listeners. */
export type Count = Readonly<Record<string, number>>

/** Counts from when it is made: async_hooks know of unreferenced timers too, of which Node's own list knows nothing. */
export class Resources {
  readonly #live = new Map<number, string>()
  readonly #emitters: Readonly<Record<string, EventEmitter>>

  /** Also counts the listeners of these. */
  constructor (t: Test, emitters: Readonly<Record<string, EventEmitter>> = {}) {
    this.#emitters = { process, ...emitters }
    const hook = createHook({
      init: (id, type, _trigger, resource) => { if (!FLEETING.has(type) && !POOLED.has(type) && !isDateOfHttp(resource)) this.#live.set(id, type) },
      destroy: (id) => { this.#live.delete(id) }
    }).enable()
    t.teardown(() => hook.disable())
  }

  count (): Count {
    const counts: Record<string, number> = {}
    const add = (what: string, count = 1): void => { counts[what] = (counts[what] ?? 0) + count }
    // Where there is no /proc nothing tells.
    if (existsSync(DESCRIPTORS)) add('descriptors', readdirSync(DESCRIPTORS).length)
    for (const type of process.getActiveResourcesInfo()) {
      if (!FLEETING.has(type)) add(`active ${type}`)
    }
    for (const type of this.#live.values()) add(`live ${type}`)
    for (const [name, emitter] of Object.entries(this.#emitters)) {
      for (const event of emitter.eventNames()) add(`listeners of ${name} for ${String(event)}`, emitter.listenerCount(event))
    }
    return counts
  }

  /** The count when it changes no more: to be taken when all has run once, which makes what is made once. */
  async settled (): Promise<Count> {
    let count = this.count()
    for (let same = 0; same < SETTLED_AFTER; same++) {
      await aMoment()
      const next = this.count()
      if (!isSame(next, count)) same = 0
      count = next
    }
    return count
  }

  /** Asserts that all is given back, as soon as it is. */
  async assertAre (t: Test, before: Count, what: string): Promise<void> {
    const start = performance.now()
    while (Object.keys(this.#since(before)).length > 0 && performance.now() - start < PATIENCE_MS) {
      await aMoment()
    }
    t.strictSame(this.#since(before), {}, `${what}: nothing is left behind`)
  }

  /** What there is more than before. Less is no fault: what others held then, for example the runner, may be gone. */
  #since (before: Count): Count {
    const more: Record<string, number> = {}
    for (const [name, count] of Object.entries(this.count())) {
      const added = count - (before[name] ?? 0)
      if (added > 0) more[name] = added
    }
    return more
  }
}

/** The timer of it is over too. */
function aMoment (): Promise<void> {
  return new Promise((resolve) => { setTimeout(() => setImmediate(resolve), 2) })
}

/** The timer by which node:http makes a new Date field each second. */
function isDateOfHttp (resource: object): boolean {
  return (resource as { _onTimeout?: { name?: string } })._onTimeout?.name === 'resetCache'
}

function isSame (one: Count, other: Count): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].every((name) => one[name] === other[name])
}
