/**
 * One message to many sockets: encoded once for each codec, and before the first of them gets it.
 */
import { FST_WS_ERR_INVALID_OPTION } from '../errors.ts'
import type { SharedMessage } from '../protocol/shared-message.ts'
import { Prepared } from '../subprotocol/prepared.ts'
import type { Subprotocol } from '../subprotocol/subprotocol.ts'
import { broadcastTo, openSubprotocolOf, WebSocket, type SlowPolicy } from './websocket.ts'

/** The options of `app.websockets.broadcast`. */
export interface BroadcastOptions {
  /**
   * What becomes of a socket whose peer does not keep up, so that more than `highWaterMarkBytes` wait for it: `'send'`
   * it all the same, up to `maxUnsentBytes`; `'skip'` it this time; `'close'` it with 1013. Default: 'send'.
   */
  slow?: SlowPolicy
}

/** What became of a broadcast. */
export interface BroadcastResult {
  /** Sockets on which the message was sent. */
  readonly sent: number
  /** All others: those that are not open, too slow, or in the middle of a message that is sent in fragments. */
  readonly skipped: number
}

const POLICIES: readonly SlowPolicy[] = ['send', 'skip', 'close']

type AnySocket = WebSocket<string, unknown, never>

/** Sends to all of them. Throws, and has sent nothing, FST_WS_ERR_INVALID_OPTION or what `send` of an open one would throw. */
export function broadcast (sockets: Iterable<AnySocket>, message: unknown, options?: BroadcastOptions): BroadcastResult {
  const slow = slowPolicyOf(options)
  if (typeof Object(sockets)[Symbol.iterator] !== 'function') throw notSockets()
  const encoder = new Encoder(message instanceof Prepared ? message : new Prepared(message))
  // A list of our own: whoever is closed by this may leave the set that was given.
  const open: AnySocket[] = []
  let count = 0
  for (const socket of sockets) {
    if (!(socket instanceof WebSocket)) throw notSockets()
    count++
    if (encoder.encode(socket) !== undefined) open.push(socket)
  }

  let sent = 0
  for (const socket of open) {
    const encoded = encoder.encode(socket)
    if (encoded !== undefined && broadcastTo(socket, encoded, message, slow)) sent++
  }
  return { sent, skipped: count - sent }
}

/** Gives a message as each socket sends it. */
class Encoder {
  readonly #message: Prepared<unknown>
  // Of the socket before: mostly the next one speaks the same.
  #subprotocol: Subprotocol | undefined
  #encoded: SharedMessage | undefined

  constructor (message: Prepared<unknown>) {
    this.#message = message
  }

  /** Undefined if the socket is not open. Throws what its contract does not take. */
  encode (socket: AnySocket): SharedMessage | undefined {
    const subprotocol = openSubprotocolOf(socket)
    if (subprotocol === undefined) return undefined
    if (subprotocol !== this.#subprotocol) {
      this.#encoded = this.#message.encodedFor(subprotocol)
      this.#subprotocol = subprotocol
    }
    return this.#encoded
  }
}

function notSockets (): Error {
  return new FST_WS_ERR_INVALID_OPTION('sockets', 'an iterable of WebSockets of this package')
}

function slowPolicyOf (options: BroadcastOptions = {}): SlowPolicy {
  if (typeof options !== 'object' || options === null) throw new FST_WS_ERR_INVALID_OPTION('options', 'an object')
  const unknown = Object.keys(options).find((name) => name !== 'slow')
  if (unknown !== undefined) throw new FST_WS_ERR_INVALID_OPTION(unknown, "left out; the only option is 'slow'")
  const { slow = 'send' } = options
  if (!POLICIES.includes(slow)) throw new FST_WS_ERR_INVALID_OPTION('slow', "'send', 'skip' or 'close'")
  return slow
}
