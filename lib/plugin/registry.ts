/**
 * The connections of one server, in every scope: `app.websockets`, and what is counted.
 */
import type { OpenSockets, RouteStats } from '../../types/fastify.ts'
import type { AnySocket } from '../../types/sockets.ts'
import type { Connection } from '../protocol/connection.ts'
import { CloseCode } from '../protocol/constants.ts'
import { broadcast, type BroadcastOptions, type BroadcastResult } from '../socket/broadcast.ts'
import { Ticker } from '../socket/ticker.ts'
import { Transport } from '../transport/transport.ts'
import type { Shutdown } from './options.ts'
import { Places } from './places.ts'
import { Counters } from './stats.ts'

/** What is asked of a socket that is listed. */
export interface Listed {
  readonly connection: Connection
  readonly counters: Counters
  /** Resolves when the connection has closed. */
  readonly closed: Promise<unknown>
}

/** Between two groups of Closes that are spread over a window. */
const SPREAD_STEP_MS = 20

export class Registry implements OpenSockets {
  /** The clock of its connections. */
  readonly ticker = new Ticker()
  readonly places = new Places()
  readonly #sockets = new Map<AnySocket, Listed>()
  readonly #counters = new Map<string, Counters>()
  #closing: Shutdown | undefined

  get size (): number { return this.#sockets.size }

  [Symbol.iterator] (): IterableIterator<AnySocket> {
    return this.#sockets.keys()
  }

  broadcast (sockets: Iterable<AnySocket>, message: unknown, options?: BroadcastOptions): BroadcastResult {
    return Transport.writeTogether(() => broadcast(sockets, message, options))
  }

  async closeAll (code: number = CloseCode.GoingAway, reason: string = ''): Promise<void> {
    await this.#close([...this.#sockets], { code, reason, windowMs: 0 })
  }

  stats (): Record<string, RouteStats> {
    // One walk over the sockets, however many routes there are.
    const open = new Map([...this.#counters.values()].map((counters) => [counters, [] as Array<readonly [AnySocket, Connection]>]))
    for (const [socket, { connection, counters }] of this.#sockets) open.get(counters)!.push([socket, connection])
    return Object.fromEntries([...this.#counters].map(([url, counters]) => [url, counters.with(open.get(counters)!)]))
  }

  /** The counters of a route, which may be registered more than once, with constraints. */
  countersOf (url: string): Counters {
    let counters = this.#counters.get(url)
    if (counters === undefined) this.#counters.set(url, counters = new Counters())
    return counters
  }

  /** Closes all, and whoever opens from now on; each has its close timeout. For the end of the server. */
  async drain (shutdown: Shutdown): Promise<void> {
    this.#closing = shutdown
    await this.#close([...this.#sockets], shutdown)
  }

  add (socket: AnySocket, listed: Listed): void {
    this.#sockets.set(socket, listed)
    const closing = this.#closing
    // On the next tick: the handler still starts on an open socket.
    if (closing !== undefined) process.nextTick(() => socket.close(closing.code, closing.reason))
  }

  delete (socket: AnySocket): void {
    this.#sockets.delete(socket)
  }

  async #close (sockets: ReadonlyArray<readonly [AnySocket, Listed]>, { code, reason, windowMs }: Shutdown): Promise<void> {
    const started = Date.now()
    let next = 0
    while (next < sockets.length) {
      const share = windowMs === 0 ? 1 : (Date.now() - started + SPREAD_STEP_MS) / windowMs
      for (const due = Math.min(sockets.length, Math.ceil(share * sockets.length)); next < due; next++) sockets[next]![0].close(code, reason)
      if (next < sockets.length) await new Promise((resolve) => { setTimeout(resolve, SPREAD_STEP_MS) })
    }
    await Promise.all(sockets.map(([, { closed }]) => closed))
  }
}
