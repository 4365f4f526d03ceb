/**
 * Wire bytes for tests, made and read from the figure of RFC 6455 §5.2, with nothing of `lib`: so that a
 * mistake made there is not made here too. What is made may be wrong on purpose.
 */
import { Buffer } from 'node:buffer'
import { constants, deflateRawSync, type ZlibOptions } from 'node:zlib'

export type LengthForm = 'short' | '16' | '64'

export interface FrameOptions {
  readonly opcode: number
  /** True unless told. */
  readonly fin?: boolean
  /** The three RSV bits as one number: 4 is RSV1, 2 is RSV2, 1 is RSV3. */
  readonly rsv?: number
  /** Whether the MASK bit is set, and a key and a masked payload follow. */
  readonly masked?: boolean
  readonly key?: readonly number[]
  readonly payload?: string | Uint8Array
  /** How the length is written; the shortest unless told. */
  readonly lengthForm?: LengthForm
  /** What the header announces, if it is not what follows. */
  readonly length?: number | bigint
}

export interface WireFrame {
  readonly opcode: number
  readonly fin: boolean
  readonly rsv: number
  readonly masked: boolean
  readonly lengthForm: LengthForm
  /** The four octets of the masking-key in hex; '' if there is none. */
  readonly key: string
  /** Unmasked. */
  readonly payload: Buffer
}

/** The key of the examples in §5.7. */
const KEY: readonly number[] = [0x37, 0xfa, 0x21, 0x3d]

function octets (payload: string | Uint8Array): Buffer {
  return typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload)
}

/** XOR with the key, octet by octet. */
export function masked (payload: Uint8Array, key: readonly number[]): Buffer {
  return Buffer.from(payload.map((octet, i) => octet ^ key[i % 4]!))
}

/** One frame, header and payload. */
export function frame (options: FrameOptions): Buffer {
  const payload = octets(options.payload ?? '')
  const length = BigInt(options.length ?? payload.length)
  const form = options.lengthForm ?? (length < 126n ? 'short' : length < 65536n ? '16' : '64')
  const field = form === 'short' ? Number(length) : form === '16' ? 126 : 127
  const header = [
    (options.fin === false ? 0 : 0x80) | ((options.rsv ?? 0) << 4) | options.opcode,
    (options.masked === true ? 0x80 : 0) | field
  ]
  const extended = form === 'short' ? 0 : form === '16' ? 2 : 8
  for (let i = extended - 1; i >= 0; i--) header.push(Number((length >> BigInt(8 * i)) & 0xffn))
  if (options.masked !== true) return Buffer.concat([Buffer.from(header), payload])
  const key = options.key ?? KEY
  return Buffer.concat([Buffer.from(header), Buffer.from(key), masked(payload, key)])
}

/** The payload of a Close frame; nothing is checked. */
export function closePayload (code?: number, reason: string | Uint8Array = ''): Buffer {
  if (code === undefined) return Buffer.alloc(0)
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), octets(reason)])
}

/** The frames that the peer of an endpoint of this role sends: masked to a server, unmasked to a client. */
export function framesTo (role: 'server' | 'client') {
  const make = (options: FrameOptions): Buffer => frame({ masked: role === 'server', ...options })
  return {
    frame: make,
    text: (payload: string | Uint8Array, fin = true) => make({ opcode: 1, payload, fin }),
    binary: (payload: string | Uint8Array, fin = true) => make({ opcode: 2, payload, fin }),
    continuation: (payload: string | Uint8Array, fin = true) => make({ opcode: 0, payload, fin }),
    close: (code?: number, reason?: string | Uint8Array) => make({ opcode: 8, payload: closePayload(code, reason) }),
    ping: (payload: string | Uint8Array = '') => make({ opcode: 9, payload }),
    pong: (payload: string | Uint8Array = '') => make({ opcode: 10, payload })
  }
}

/** Reads whole frames. Throws if the last one is cut off. */
export function readFrames (bytes: Uint8Array): WireFrame[] {
  const frames: WireFrame[] = []
  let at = 0
  const next = (count: number): Buffer => {
    if (at + count > bytes.length) throw new Error(`frame ${frames.length} is cut off`)
    at += count
    return Buffer.from(bytes.subarray(at - count, at))
  }
  while (at < bytes.length) {
    const [first, second] = next(2) as unknown as [number, number]
    const field = second & 0x7f
    const lengthForm = field === 126 ? '16' : field === 127 ? '64' : 'short'
    const length = lengthForm === 'short' ? field : Number(BigInt(`0x${next(lengthForm === '16' ? 2 : 8).toString('hex')}`))
    const key = second >= 0x80 ? [...next(4)] : undefined
    const payload = next(length)
    frames.push({
      opcode: first & 0x0f,
      fin: first >= 0x80,
      rsv: (first >> 4) & 7,
      masked: key !== undefined,
      lengthForm,
      key: key === undefined ? '' : Buffer.from(key).toString('hex'),
      payload: key === undefined ? payload : masked(payload, key)
    })
  }
  return frames
}

const NAMES: Readonly<Record<number, string>> = { 0: 'continuation', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' }

/** A frame as one readable line: `text "hi"`, `text… "h"` without FIN, `close 1000 "bye"`. */
export function describe (frame: WireFrame): string {
  const name = `${NAMES[frame.opcode] ?? `opcode ${frame.opcode}`}${frame.fin ? '' : '…'}`
  if (frame.opcode !== 8) return `${name} ${JSON.stringify(frame.payload.toString())}`
  if (frame.payload.length < 2) return name
  return `${name} ${frame.payload.readUInt16BE(0)} ${JSON.stringify(frame.payload.toString('utf8', 2))}`
}

/** Pseudo-random octets, which nothing compresses. */
export function noise (length: number, seed = 1): Buffer {
  let state = seed
  return Buffer.from(Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  }))
}

/** Pseudo-random words of a small vocabulary: ASCII that is compressed to a third. */
export function words (length: number, seed = 1): Buffer {
  const vocabulary = Array.from({ length: 200 }, (_, i) => `${noise(1 + i % 3, i + 1).toString('hex')} `)
  let text = ''
  for (const octet of noise(length, seed)) {
    if (text.length >= length) break
    text += vocabulary[octet % vocabulary.length]
  }
  return Buffer.from(text.slice(0, length))
}

/** A message in its compressed form (RFC 7692 §7.2.1), without anything before it to refer to. */
export function compressed (payload: string | Uint8Array, options: ZlibOptions = {}): Buffer {
  return deflateRawSync(payload, { ...options, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
}
