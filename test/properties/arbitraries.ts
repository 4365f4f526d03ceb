/**
 * Messages, frames and cuts for properties.
 */
import { Buffer } from 'node:buffer'
import fc, { type Arbitrary } from 'fast-check'
import { Opcode } from '../../lib/protocol/constants.ts'

export interface Message {
  readonly opcode: number
  readonly bytes: Buffer
}

/** Whole code points, of one to four octets. */
export const text: Arbitrary<Buffer> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀', '\u0000', '\ud7ff', '\ue000', '\ufffd', '\u{10ffff}'), maxLength: 40 })
).map((characters) => Buffer.from(characters))

export const octets: Arbitrary<Buffer> = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

/** Sizes beside which something changes: the form of the length, words in `mask`, views instead of copies. */
const large: Arbitrary<Buffer> = fc.constantFrom(125, 126, 127, 128, 16383, 16384, 65535, 65536, 70000).map((length) => Buffer.alloc(length, 'abcdefg'))

export const message: Arbitrary<Message> = fc.oneof(
  { weight: 6, arbitrary: text.map((bytes) => ({ opcode: Opcode.Text, bytes })) },
  { weight: 6, arbitrary: octets.map((bytes) => ({ opcode: Opcode.Binary, bytes })) },
  { weight: 1, arbitrary: fc.record({ opcode: fc.constantFrom(Opcode.Text, Opcode.Binary), bytes: large }) }
)

export const controlPayload: Arbitrary<Buffer> = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 124, maxLength: 125 }) }
).map((bytes) => Buffer.from(bytes))

/** How a stream of any length is cut: after every octet, or at places that are given as parts of its length. */
export type Cuts = 'everywhere' | readonly number[]

export const cuts: Arbitrary<Cuts> = fc.oneof(
  { weight: 1, arbitrary: fc.constant('everywhere' as const) },
  { weight: 6, arbitrary: fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 24 }) }
)

/** The places in a stream of this length; octet by octet where that is not too much. */
export function positions (cuts: Cuts, length: number): number[] {
  if (cuts === 'everywhere') return Array.from({ length: Math.max(0, Math.min(length, 2000) - 1) }, (_, i) => i + 1)
  return [...new Set(cuts.map((part) => Math.floor(part * length)).filter((position) => position > 0))].sort((a, b) => a - b)
}
