/**
 * A message for many connections: encoded and validated once, not once for each of them.
 *
 * It knows subprotocols and no connection. What else can be shared (the frame, later its compressed forms)
 * is kept on the payload by the floors above, which know how to make it.
 */
import { Buffer } from 'node:buffer'
import type { Subprotocol } from './subprotocol.ts'

/** A message in the encoding of one codec. Nobody may write into its bytes: connections send them by reference. */
export class Payload {
  readonly data: Buffer
  readonly isText: boolean
  /** The uncompressed wire frame of a server, which masks nothing (RFC 6455 §5.1); made and kept by the socket. */
  frame: Buffer | undefined
  // Compressed forms, one for each window size and without context takeover, will stand here (RFC 7692 §7.2.1).

  constructor (encoded: string | Uint8Array) {
    this.isText = typeof encoded === 'string'
    // Copied: the sender's memory may change between the first connection and the last.
    this.data = Buffer.from(encoded)
    this.frame = undefined
  }
}

/** What `prepare` returns, to be given to `send` of any socket whose contract takes the message. */
export class Prepared<T> {
  /** Read when it is first sent with a codec, once for each codec: do not change it any more. */
  readonly message: T
  // By what encodes, weakly: a constant of a module outlives the servers that sent it.
  readonly #payloads = new WeakMap<object, Payload>()

  constructor (message: T) {
    this.message = message
  }

  /** The encoded message, the same object for every subprotocol that encodes alike. Throws as `subprotocol.encode`. */
  payloadFor (subprotocol: Subprotocol): Payload {
    const key = subprotocol.encodingKey
    let payload = this.#payloads.get(key)
    if (payload === undefined) {
      payload = new Payload(subprotocol.encode(this.message))
      this.#payloads.set(key, payload)
    }
    return payload
  }
}

/**
 * Prepares a message for fan-out: sent to many sockets, it is encoded at its first `send`, once for each
 * codec, and validated once where `validateSend` is set. Do not change the message afterwards.
 */
export function prepare<const T> (message: T): Prepared<Writable<T>> {
  return new Prepared(message) as unknown as Prepared<Writable<T>>
}

/** What a literal is inferred as, with arrays and objects writable again: `const T` alone gives `readonly` arrays, which no schema's type takes. */
type Writable<T> =
  T extends string | number | bigint | boolean | symbol | null | undefined | ArrayBufferView | ArrayBuffer | Date | ((...args: never[]) => unknown)
    ? T
    : { -readonly [Key in keyof T]: Writable<T[Key]> }
