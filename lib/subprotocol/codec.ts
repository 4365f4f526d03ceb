/**
 * The codecs that a contract can name, for Node: JSON, text and bytes (a browser has its own).
 *
 * All are synchronous. They know no schema, and they throw what they like when they cannot decode: nothing
 * of that leaves `lib/subprotocol`, for V8 quotes the payload in the message of its SyntaxError.
 */
import { types } from 'node:util'
import secureJson from 'secure-json-parse'
import { FST_WS_ERR_DATA_TYPE } from '../errors.ts'
import type { Codec, Contract } from './contract.ts'

// E1: a message with `__proto__` or `constructor.prototype` is refused whole, as by Fastify for a body.
const SECURE = { protoAction: 'error', constructorAction: 'error' } as const

function parseJson (data: string | Uint8Array): unknown {
  return secureJson.parse(data as string, null, SECURE)
}

function stringifyJson (message: unknown): string {
  // The type of JSON.stringify hides that undefined, functions and symbols (and a toJSON that returns one) give undefined.
  let text: string | undefined
  try {
    text = JSON.stringify(message)
  } catch (error) {
    // Of a circular object, or a BigInt. What a toJSON throws is the application's own; a TypeError of it stands in `cause`.
    if (!(error instanceof TypeError)) throw error
    throw Object.assign(new FST_WS_ERR_DATA_TYPE(`JSON has no form for this message: ${error.message}`), { cause: error })
  }
  if (text === undefined) throw new FST_WS_ERR_DATA_TYPE(`JSON has no form for a message of type ${typeof message}`)
  return text
}

/** Whether it is bytes: a view or an ArrayBuffer, of any realm. */
export function isBytes (data: unknown): data is ArrayBufferView | ArrayBuffer | SharedArrayBuffer {
  return ArrayBuffer.isView(data) || types.isAnyArrayBuffer(data)
}

/** The same memory as a Uint8Array: no octet more than the view shows, and no copy. */
function asBytes (data: ArrayBufferView | ArrayBuffer | SharedArrayBuffer): Uint8Array {
  if (types.isUint8Array(data)) return data
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}

export const jsonCodec: Codec = {
  name: 'json',
  wire: 'text',
  encode: stringifyJson,
  decode: parseJson
}

/** `json({ binary: true })`: text is JSON, and binary is bytes as they are, both ways. */
export const jsonOrBytesCodec: Codec = {
  name: 'json',
  wire: 'both',
  encode: (message: unknown) => isBytes(message) ? asBytes(message) : stringifyJson(message),
  decode: (data) => typeof data === 'string' ? parseJson(data) : data
}

export const textCodec: Codec = {
  name: 'text',
  wire: 'text',
  encode (message: unknown) {
    if (typeof message !== 'string') throw new FST_WS_ERR_DATA_TYPE(`text() sends strings, not a message of type ${typeof message}`)
    return message
  },
  decode: (data) => data
}

export const bytesCodec: Codec = {
  name: 'bytes',
  wire: 'binary',
  encode (message: unknown) {
    if (!isBytes(message)) throw new FST_WS_ERR_DATA_TYPE(`bytes() sends Buffers, ArrayBuffers and views, not a message of type ${typeof message}`)
    return asBytes(message)
  },
  decode: (data) => data
}

/** The codec of a contract; undefined for a raw one. Contracts of the same kind share one, so that a `Prepared` is encoded once for all. */
export function resolveCodec (contract: Contract): Codec | undefined {
  switch (contract.codec) {
    case 'raw': return undefined
    case 'json': return contract.binary === true ? jsonOrBytesCodec : jsonCodec
    case 'text': return textCodec
    case 'bytes': return bytesCodec
    default: return contract.codec
  }
}

/** What a connection without a codec can send: strings and bytes pass through, a number goes as its decimal text (as in `ws`). */
export function encodeRaw (message: unknown): string | Uint8Array {
  if (typeof message === 'string') return message
  // What most are, asked for in the way that costs nothing: the tests below, which know other realms too, take 25 ns.
  if (ArrayBuffer.isView(message) && message instanceof Uint8Array) return message
  if (isBytes(message)) return asBytes(message)
  if (typeof message === 'number') return String(message)
  throw new FST_WS_ERR_DATA_TYPE(`a raw route sends strings, Buffers, ArrayBuffers and views, not a message of type ${typeof message}`)
}
