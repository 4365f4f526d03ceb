/**
 * What time does to a connection: the heartbeat finds peers that are gone, a message that was begun must be finished,
 * and a session ends when it is due. All on one shared tick, which is a second at most.
 */
import { Buffer } from 'node:buffer'
import { CloseCode } from '../protocol/constants.ts'
import { State, type Connection } from '../protocol/connection.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { Transport } from '../transport/transport.ts'
import type { Ticker, Ticking } from './ticker.ts'

export interface Heartbeat {
  /** After so long without an octet from the peer it gets a ping. */
  readonly intervalMs: number
  /** After so long without an octet behind the ping it is taken for dead. */
  readonly timeoutMs: number
}

export interface WatchLimits {
  readonly heartbeat: Heartbeat | false
  /** From the first octet of a message to its last; 0 for no limit. */
  readonly messageTimeoutMs: number
}

export interface WatchSink {
  /** The peer was taken for dead, and the connection is terminated. */
  onDead (): void
}

interface Deadline {
  readonly at: number
  readonly code: number
  readonly reason: string
}

const LONGEST_PERIOD_MS = 1_000
/** What is asked for in milliseconds is kept to a quarter of it. */
const PERIODS = 4

export class Watch implements Ticking {
  /** Milliseconds from the last heartbeat's ping to its pong; undefined before. */
  latencyMs: number | undefined

  readonly #transport: Transport
  readonly #limits: WatchLimits
  readonly #ticker: Ticker
  readonly #sink: WatchSink

  /** Whether we read at the last tick. */
  #wasReading = false
  #bytesSeen = 0
  /** Whether octets waited for the peer at the last tick, and how far its taking them had got. */
  #wasBlocked = false
  #progress = 0
  /** Since the peer was heard last, or pinged, while we read. */
  #silentMs = 0
  /** Since the application, or a full queue, has stopped reading. */
  #pausedMs = 0
  #messagesSeen = 0
  /** The ticks that have found the same message unfinished: at the first it may just have begun. */
  #unfinishedTicks = 0
  /** Whether the peer has got a ping for its silence. */
  #pinged = false
  /** The last ping that was not answered yet. */
  #ping: Buffer | undefined
  #pingedAt = 0
  #pings = 0
  #deadline: Deadline | undefined
  #endOfLife: number | undefined

  constructor (transport: Transport, limits: WatchLimits, ticker: Ticker, sink: WatchSink) {
    this.#transport = transport
    this.#limits = limits
    this.#ticker = ticker
    this.#sink = sink
  }

  get #connection (): Connection { return this.#transport.connection }
  get #periodMs (): number { return periodFor(this.#limits) }

  /** Begins to tick, if there is something to watch. */
  start (): void {
    if (this.#connection.state !== State.Open) return
    const { heartbeat, messageTimeoutMs } = this.#limits
    if (heartbeat !== false || messageTimeoutMs > 0 || this.#endOfLife !== undefined || this.#deadline !== undefined) this.#ticker.add(this.#periodMs, this)
  }

  stop (): void {
    this.#ticker.delete(this.#periodMs, this)
  }

  /** Closes at this time (milliseconds since 1970), within a tick; `undefined` cancels. */
  closeAt (at: number | undefined, code: number, reason: string): void {
    this.#deadline = at === undefined ? undefined : { at, code, reason }
    this.start()
  }

  /** No deadline reaches further. */
  endAt (at: number): void {
    this.#endOfLife = at
  }

  /** A pong came. */
  ponged (payload: Buffer): void {
    if (this.#ping === undefined || !this.#ping.equals(payload)) return
    this.#ping = undefined
    this.latencyMs = performance.now() - this.#pingedAt
  }

  tick (): void {
    const connection = this.#connection
    if (connection.state !== State.Open) return this.stop()
    this.#checkDeadlines()
    const { reading } = this.#transport
    // What came during a pause may not be read yet at the first tick after it.
    const counts = reading && this.#wasReading
    this.#wasReading = reading
    if (counts) this.#checkMessage()
    this.#checkLife(reading, counts)
  }

  #checkDeadlines (): void {
    const now = Date.now()
    if (this.#endOfLife !== undefined && now >= this.#endOfLife) this.#connection.close(EXPIRED.code, EXPIRED.reason)
    else if (this.#deadline !== undefined && now >= this.#deadline.at) this.#connection.close(this.#deadline.code, this.#deadline.reason)
  }

  #checkMessage (): void {
    const { unfinished, messagesReceived } = this.#connection
    if (messagesReceived !== this.#messagesSeen) this.#unfinishedTicks = 0
    this.#unfinishedTicks = unfinished ? this.#unfinishedTicks + 1 : 0
    this.#messagesSeen = messagesReceived
    const { messageTimeoutMs } = this.#limits
    if (messageTimeoutMs > 0 && (this.#unfinishedTicks - 1) * this.#periodMs >= messageTimeoutMs) {
      this.#connection.fail(new ProtocolError(CloseCode.PolicyViolation, `a message was not finished within ${messageTimeoutMs} ms`))
    }
  }

  #checkLife (reading: boolean, counts: boolean): void {
    const { heartbeat } = this.#limits
    const connection = this.#connection
    if (heartbeat === false || connection.state !== State.Open) return
    const takes = this.#takesWhatWaits()
    if (connection.bytesReceived !== this.#bytesSeen) {
      this.#bytesSeen = connection.bytesReceived
      this.#silentMs = this.#pausedMs = 0
      this.#pinged = false
    } else if (!reading) {
      this.#pingWhilePaused(heartbeat)
    } else if (counts) {
      this.#countSilence(heartbeat, takes)
    }
  }

  /**
   * Whether the peer has taken something since the last tick of what waited then: there was no room for it, in the kernel
   * neither. What finds room at once is no sign of life.
   */
  #takesWhatWaits (): boolean {
    const { progress } = this.#transport
    const takes = this.#wasBlocked && progress !== this.#progress
    this.#progress = progress
    this.#wasBlocked = this.#connection.output.blocked
    return takes
  }

  /** What is not read cannot be missed, but a write tells whether the peer has left. */
  #pingWhilePaused ({ intervalMs }: Heartbeat): void {
    this.#pausedMs += this.#periodMs
    if (this.#pausedMs < intervalMs || this.#connection.unsentBytes > 0) return
    this.#pausedMs = 0
    this.#connection.ping(NOTHING)
  }

  #countSilence ({ intervalMs, timeoutMs }: Heartbeat, takes: boolean): void {
    this.#silentMs += this.#periodMs
    if (!this.#pinged) {
      if (this.#silentMs >= intervalMs) this.#sendPing()
    } else if (takes) {
      // Our ping may wait behind other octets, here or in the kernel.
      this.#silentMs = 0
    } else if (this.#silentMs >= timeoutMs) {
      this.#transport.terminate()
      this.#sink.onDead()
    }
  }

  #sendPing (): void {
    const ping = this.#ping = Buffer.from(String(++this.#pings))
    this.#silentMs = 0
    this.#pinged = true
    this.#pingedAt = performance.now()
    this.#connection.ping(ping)
    this.#connection.addCallback(() => {
      // It has left only now.
      if (this.#ping === ping) this.#silentMs = 0
    })
  }
}

const NOTHING = Buffer.alloc(0)

/** A Date, or milliseconds since 1970, as the latter; undefined for what is no time. */
export function timeOf (when: unknown): number | undefined {
  const at = when instanceof Date ? when.getTime() : when
  return typeof at === 'number' && !Number.isNaN(at) ? at : undefined
}

/** What ends a session by default. */
export const EXPIRED = { code: 3000, reason: 'expired' } as const

function periodFor ({ heartbeat, messageTimeoutMs }: WatchLimits): number {
  const life = heartbeat === false ? Infinity : Math.min(heartbeat.intervalMs, heartbeat.timeoutMs)
  const shortest = messageTimeoutMs > 0 ? Math.min(life, messageTimeoutMs) : life
  return Math.max(1, Math.min(LONGEST_PERIOD_MS, Math.floor(shortest / PERIODS)))
}
