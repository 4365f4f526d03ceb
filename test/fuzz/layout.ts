/**
 * Where the frames of a stream lie, by the figure of RFC 6455 §5.2 alone: nothing is judged.
 */
import { Buffer } from 'node:buffer'

export interface Frame {
  readonly opcode: number
  readonly fin: boolean
  readonly rsv1: boolean
  readonly masked: boolean
  /** 7, 16 or 64 bits. */
  readonly lengthBits: number
  /** As far as it is there; undefined where octets of it are missing. */
  readonly length: bigint | undefined
  /** Whether all octets of the header are there. */
  readonly hasHeader: boolean
  /** Unmasked, as far as it is there. */
  readonly payload: Buffer
  /** Whether all of it is there. */
  readonly isWhole: boolean
}

export function layOut (bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  let at = 0
  while (at < bytes.length) {
    const first = bytes[at]!
    const second = at + 1 < bytes.length ? bytes[at + 1]! : 0
    const field = second & 0x7f
    const lengthBits = field === 127 ? 64 : field === 126 ? 16 : 7
    const masked = second >= 0x80
    const lengthAt = at + 2
    const keyAt = lengthAt + (lengthBits === 64 ? 8 : lengthBits === 16 ? 2 : 0)
    const start = keyAt + (masked ? 4 : 0)
    const length = keyAt > bytes.length ? undefined : lengthBits === 64 ? bytes.readBigUInt64BE(lengthAt) : lengthBits === 16 ? BigInt(bytes.readUInt16BE(lengthAt)) : BigInt(field)
    const hasHeader = at + 2 <= bytes.length && start <= bytes.length
    const end = hasHeader && length! <= BigInt(bytes.length - start) ? start + Number(length) : bytes.length
    const payload = hasHeader ? Buffer.from(bytes.subarray(start, end)) : Buffer.alloc(0)
    if (masked) for (let i = 0; i < payload.length; i++) payload[i]! ^= bytes[keyAt + (i & 3)]!
    frames.push({ opcode: first & 0x0f, fin: first >= 0x80, rsv1: (first & 0x40) !== 0, masked, lengthBits, length, hasHeader, payload, isWhole: hasHeader && BigInt(payload.length) === length })
    at = hasHeader ? Math.max(end, at + 2) : bytes.length
  }
  return frames
}
