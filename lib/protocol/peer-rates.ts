/**
 * What one peer may send a second: messages and bytes by the options of the route, control frames always. All is judged when
 * it is read, so that time in which nothing was read is granted: what came meanwhile comes at once, however slowly it was sent.
 */
import { TokenBucket } from './token-bucket.ts'

export interface RateLimit {
  readonly messagesPerSecond: number
  /** Of the network, framing included. */
  readonly bytesPerSecond: number
  /** How many seconds' worth may come at once. */
  readonly burst: number
}

/** Control frames are answered and cost no application anything, so that nobody would notice a flood of them. */
const CONTROL_FRAMES_PER_SECOND = 100

export class PeerRates {
  readonly #messages: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  readonly #controlFrames = new TokenBucket(CONTROL_FRAMES_PER_SECOND, CONTROL_FRAMES_PER_SECOND)
  #stoppedAt = 0

  /** Without a limit messages and bytes may come at any rate. */
  constructor (limit: RateLimit | undefined) {
    if (limit === undefined) return
    const { messagesPerSecond, bytesPerSecond, burst } = limit
    this.#messages = new TokenBucket(messagesPerSecond, messagesPerSecond * burst)
    this.#bytes = new TokenBucket(bytesPerSecond, bytesPerSecond * burst)
  }

  /** Whether messages and bytes are counted at all. */
  get limited (): boolean { return this.#messages !== undefined }

  /** Whether so many bytes may come now. */
  takeBytes (count: number, nowMs: number): boolean {
    return this.#bytes === undefined || this.#bytes.take(count, nowMs)
  }

  takeMessage (nowMs: number): boolean {
    return this.#messages === undefined || this.#messages.take(1, nowMs)
  }

  takeControlFrame (nowMs: number): boolean {
    return this.#controlFrames.take(1, nowMs)
  }

  /** Nothing is read from now on. */
  stop (): void {
    this.#stoppedAt = performance.now()
  }

  /** It is read again. */
  resume (): void {
    const stoppedMs = performance.now() - this.#stoppedAt
    this.#messages?.grant(stoppedMs)
    this.#bytes?.grant(stoppedMs)
    this.#controlFrames.grant(stoppedMs)
  }
}
