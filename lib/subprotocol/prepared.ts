/**
 * A message for many connections: encoded and validated once, not once for each of them.
 *
 * It knows subprotocols and no connection. The frame and its compressed forms are shared as well: by the
 * `SharedMessage` that stands for the message in the encoding of one codec.
 */
import { Buffer } from 'node:buffer'
import { FST_WS_ERR_DATA_TYPE } from '../errors.ts'
import { Opcode } from '../protocol/constants.ts'
import { SharedMessage } from '../protocol/shared-message.ts'
import type { Subprotocol } from './subprotocol.ts'

/** What `prepare` returns, to be given to `send` of any socket whose contract takes the message. */
export class Prepared<T> {
  /** Read when it is first sent with a codec, once for each codec: do not change it any more. */
  readonly message: T
  // By what encodes, weakly: a constant of a module outlives the servers that sent it.
  readonly #encoded = new WeakMap<object, SharedMessage>()

  constructor (message: T) {
    this.message = message
  }

  /** The encoded message, the same object for every subprotocol that encodes alike. Throws as `subprotocol.encode`. */
  encodedFor (subprotocol: Subprotocol): SharedMessage {
    const key = subprotocol.encodingKey
    let shared = this.#encoded.get(key)
    if (shared === undefined) {
      const encoded = subprotocol.encode(this.message)
      // Copied: the sender's memory may change between the first connection and the last.
      shared = new SharedMessage(typeof encoded === 'string' ? Opcode.Text : Opcode.Binary, Buffer.from(encoded))
      this.#encoded.set(key, shared)
    }
    return shared
  }

  /** It is no text: a socket of another library would send '[object Object]'. Throws FST_WS_ERR_DATA_TYPE. */
  [Symbol.toPrimitive] (_hint: string): never {
    throw new FST_WS_ERR_DATA_TYPE('a prepared message can only be given to send of a socket of fastify-duplex')
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
