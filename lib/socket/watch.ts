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

interface Deadline {
  readonly at: number
  readonly code: number
  readonly reason: string
}

const LONGEST_PERIOD_MS = 1_000
/** What is asked for in milliseconds is kept to a quarter of it. */
const PERIODS = 4

export class Watch implements Ticking {
  /** Milliseconds from the last heartbeat's ping to its pong; NaN before. */
  latencyMs = NaN

  readonly #connection: Connection
  readonly #transport: Transport
  readonly #limits: WatchLimits
  readonly #ticker: Ticker
  readonly #periodMs: number
  readonly #onDead: () => void

  #bytesSeen = 0
  #bytesWritten = 0
  /** Since the peer was heard last, or pinged, while we read. */
  #silentMs = 0
  /** Since the application, or a full queue, has stopped reading. */
  #pausedMs = 0
  #messagesSeen = 0
  #unfinishedMs = 0
  /** The heartbeat's ping that was not answered yet. */
  #ping: Buffer | undefined
  #pingedAt = 0
  #pings = 0
  #deadline: Deadline | undefined
  #endOfLife = Infinity

  /** `onDead` is called when the peer is taken for dead, and terminates. */
  constructor (connection: Connection, transport: Transport, limits: WatchLimits, ticker: Ticker, onDead: () => void) {
    this.#connection = connection
    this.#transport = transport
    this.#limits = limits
    this.#ticker = ticker
    this.#periodMs = periodFor(limits)
    this.#onDead = onDead
  }

  start (): void {
    const { heartbeat, messageTimeoutMs } = this.#limits
    if (heartbeat !== false || messageTimeoutMs > 0 || this.#endOfLife !== Infinity || this.#deadline !== undefined) this.#ticker.add(this.#periodMs, this)
  }

  stop (): void {
    this.#ticker.delete(this.#periodMs, this)
    this.#transport.onStall(0, this.#onDead)
  }

  /** Closes at this time (milliseconds since 1970), within a tick; `undefined` cancels. */
  closeAt (at: number | undefined, code: number, reason: string): void {
    this.#deadline = at === undefined ? undefined : { at, code, reason }
    if (this.#connection.state === State.Open) this.start()
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
    if (connection.reading) this.#checkMessage()
    this.#checkLife()
  }

  #checkDeadlines (): void {
    const now = Date.now()
    if (now >= this.#endOfLife) this.#connection.close(EXPIRED.code, EXPIRED.reason)
    else if (this.#deadline !== undefined && now >= this.#deadline.at) this.#connection.close(this.#deadline.code, this.#deadline.reason)
  }

  #checkMessage (): void {
    const { unfinished, messagesReceived } = this.#connection
    if (!unfinished || messagesReceived !== this.#messagesSeen) this.#unfinishedMs = 0
    else this.#unfinishedMs += this.#periodMs
    this.#messagesSeen = messagesReceived
    const { messageTimeoutMs } = this.#limits
    if (messageTimeoutMs > 0 && this.#unfinishedMs >= messageTimeoutMs) {
      this.#connection.fail(new ProtocolError(CloseCode.PolicyViolation, `a message was not finished within ${messageTimeoutMs} ms`))
    }
  }

  #checkLife (): void {
    const { heartbeat } = this.#limits
    const connection = this.#connection
    if (heartbeat === false || connection.state !== State.Open) return
    if (connection.bytesReceived !== this.#bytesSeen) {
      this.#bytesSeen = connection.bytesReceived
      this.#silentMs = this.#pausedMs = 0
      this.#ping = undefined
      this.#transport.onStall(0, this.#onDead)
    } else if (!connection.reading) {
      this.#pingWhilePaused(heartbeat)
    } else {
      this.#countSilence(heartbeat)
    }
  }

  /** What is not read cannot be missed, but a write tells whether the peer has left. */
  #pingWhilePaused ({ intervalMs }: Heartbeat): void {
    this.#pausedMs += this.#periodMs
    if (this.#pausedMs < intervalMs || this.#transport.unsentBytes > 0) return
    this.#pausedMs = 0
    this.#connection.ping(NOTHING)
  }

  #countSilence ({ intervalMs, timeoutMs }: Heartbeat): void {
    this.#silentMs += this.#periodMs
    if (this.#ping === undefined) {
      if (this.#silentMs < intervalMs) return
      this.#silentMs = 0
      this.#ping = Buffer.from(String(++this.#pings))
      this.#pingedAt = performance.now()
      this.#connection.ping(this.#ping)
      return
    }
    if (this.#takesWhatWaits(timeoutMs)) this.#silentMs = 0
    if (this.#silentMs >= timeoutMs) this.#onDead()
  }

  /** While our ping waits behind other octets, a peer that takes them is alive. */
  #takesWhatWaits (timeoutMs: number): boolean {
    const transport = this.#transport
    if (transport.unsentBytes === 0) return false
    const written = this.#connection.output.totalBytes - transport.unsentBytes
    const moved = written !== this.#bytesWritten
    this.#bytesWritten = written
    return transport.onStall(timeoutMs, this.#onDead) || moved
  }
}

const NOTHING = Buffer.alloc(0)

/** What ends a session by default. */
export const EXPIRED = { code: 3000, reason: 'expired' } as const

function periodFor ({ heartbeat, messageTimeoutMs }: WatchLimits): number {
  const times = heartbeat === false ? [] : [heartbeat.intervalMs, heartbeat.timeoutMs]
  if (messageTimeoutMs > 0) times.push(messageTimeoutMs)
  return Math.max(1, Math.min(LONGEST_PERIOD_MS, Math.floor(Math.min(...times) / PERIODS)))
}
