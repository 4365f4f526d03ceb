/**
 * Compressed messages to be mutated, in chains: with context takeover each refers to those before. Most are made by zlib; some
 * by hand, which refer back as far as the window reaches, as zlib does not.
 */
import { Buffer } from 'node:buffer'
import { constants, deflateRawSync } from 'node:zlib'
import { Opcode, type Role } from '../../lib/protocol/constants.ts'
import type { DeflateSettings } from '../../lib/protocol/deflate.ts'
import { DISTANCE_BASE, DISTANCE_BITS, LENGTH_BASE, LENGTH_BITS } from './inflate.ts'
import { Random } from './random.ts'
import type { CompressedMessage } from './streams.ts'

const CHAINS = 16
const CHAIN_LENGTH = 10
const WINDOW_BITS = [8, 9, 12, 15, 15]
const STRATEGIES = [constants.Z_DEFAULT_STRATEGY, constants.Z_DEFAULT_STRATEGY, constants.Z_HUFFMAN_ONLY, constants.Z_RLE, constants.Z_FIXED]
const TAIL_BYTES = 4
/** Of messages, at which something changes. */
const LIMITS = [1000, 65536, 100_000]

/** What the peer of an endpoint sends, by what was agreed on. */
export interface Agreement {
  readonly windowBits: number
  readonly takeover: boolean
}

/** For the endpoint of this role. In the other direction it is the other way round. */
export function deflateSettings ({ windowBits, takeover }: Agreement, role: Role): DeflateSettings {
  const otherBits = windowBits === 15 ? 9 : 15
  return {
    serverNoContextTakeover: takeover === (role === 'server'),
    clientNoContextTakeover: takeover === (role === 'client'),
    serverMaxWindowBits: role === 'client' ? windowBits : otherBits,
    clientMaxWindowBits: role === 'server' ? windowBits : otherBits,
    thresholdBytes: 0,
    level: 1,
    memLevel: 8,
    maxConcurrentJobs: 4
  }
}

export interface Chain extends Agreement {
  readonly messages: readonly CompressedMessage[]
}

const chains = new Map<Role, readonly Chain[]>()

/** Chains of all agreements; made once. */
export function chainsFor (role: Role): readonly Chain[] {
  const made = chains.get(role) ?? makeChains(role)
  chains.set(role, made)
  return made
}

function makeChains (role: Role): readonly Chain[] {
  const random = new Random(role === 'server' ? 7692 : 7693)
  return WINDOW_BITS.flatMap((windowBits) => [true, false].flatMap((takeover) => Array.from({ length: CHAINS }, () => {
    let context: Buffer = Buffer.alloc(0)
    const messages = Array.from({ length: CHAIN_LENGTH }, (): CompressedMessage => {
      const { text, isText } = content(random)
      const byHand = random.once(4) ? refer(random, windowBits, context) : undefined
      if (byHand !== undefined) {
        if (takeover) context = Buffer.concat([context, byHand.text]).subarray(-(2 ** windowBits))
        return { opcode: Opcode.Binary, ...byHand }
      }
      const payload = compress(random, text, windowBits, context)
      if (takeover) context = Buffer.concat([context, text]).subarray(-(2 ** windowBits))
      return { opcode: isText ? Opcode.Text : Opcode.Binary, payload, text }
    })
    return { windowBits, takeover, messages }
  })))
}

function content (random: Random): { text: Buffer, isText: boolean } {
  const size = random.once(12) ? random.between(60_000, 140_000) : random.once(8) ? random.of(LIMITS) + random.below(3) - 1 : random.once(4) ? random.below(6000) : random.below(300)
  switch (random.below(6)) {
    case 0: return { text: Buffer.from(Uint8Array.from({ length: Math.min(size, 20_000) }, () => random.next())), isText: false }
    case 1: return { text: Buffer.alloc(size, 'a'), isText: true }
    case 2: return { text: Buffer.alloc(size, 'äöü€😀').subarray(0, size), isText: random.once(4) }
    case 3: return { text: Buffer.alloc(0), isText: true }
    default: return { text: Buffer.from(words(random, size)), isText: true }
  }
}

function words (random: Random, size: number): string {
  let text = ''
  while (text.length < size) text += `{"id":${random.below(1000)},"name":"${random.of(['one', 'two', 'drei', 'quatre', 'fünf'])}","on":${random.once(2)}},`
  return text.slice(0, size)
}

function compress (random: Random, text: Buffer, windowBits: number, context: Buffer): Buffer {
  // RFC 7692 §7.2.3.5: several blocks, and any of them may be final.
  if (random.once(6)) {
    const half = random.below(text.length + 1)
    const first = deflate(random, text.subarray(0, half), windowBits, context, random.once(3) ? constants.Z_FINISH : constants.Z_SYNC_FLUSH)
    return Buffer.concat([first, compress(random, text.subarray(half), windowBits, Buffer.concat([context, text.subarray(0, half)]))])
  }
  // §7.2.3.4: the last block may be final, and then an empty one follows, of which one octet is left.
  if (random.once(16)) return Buffer.concat([deflate(random, text, windowBits, context, constants.Z_FINISH), Buffer.from([0])])
  return deflate(random, text, windowBits, context, constants.Z_SYNC_FLUSH).subarray(0, -TAIL_BYTES)
}

function deflate (random: Random, text: Buffer, windowBits: number, context: Buffer, finishFlush: number): Buffer {
  const dictionary = context.subarray(-(2 ** windowBits))
  return deflateRawSync(text, {
    // zlib has no window of 2 ** 8; in one of 2 ** 9 it does not look back further than that.
    windowBits: Math.max(9, windowBits),
    level: random.below(10),
    memLevel: random.between(1, 9),
    strategy: random.of(STRATEGIES),
    finishFlush,
    ...dictionary.length > 0 ? { dictionary } : {}
  })
}

/** Bits as RFC 1951 §3.1.1 has them: the first is the lowest of its octet. */
class Bits {
  readonly octets: number[] = []
  #count = 0

  /** A number, its lowest bit first. */
  number (value: number, bits: number): void {
    for (let i = 0; i < bits; i++) this.#bit((value >> i) & 1)
  }

  /** A Huffman code, its highest bit first. */
  code (value: number, bits: number): void {
    for (let i = bits - 1; i >= 0; i--) this.#bit((value >> i) & 1)
  }

  #bit (bit: number): void {
    if (this.#count++ % 8 === 0) this.octets.push(0)
    this.octets[this.octets.length - 1]! |= bit << ((this.#count - 1) % 8)
  }
}

/** A block of the fixed code (§3.2.6): some octets, and references back as far as may be, or a little less. */
function refer (random: Random, windowBits: number, context: Buffer): { payload: Buffer, text: Buffer } {
  const bits = new Bits()
  const all = [...context]
  const symbol = (value: number): void => {
    if (value < 144) bits.code(0x30 + value, 8)
    else if (value < 256) bits.code(0x190 + value - 144, 9)
    else if (value < 280) bits.code(value - 256, 7)
    else bits.code(0xc0 + value - 280, 8)
  }

  bits.number(2, 3)
  for (let i = random.below(4) + (all.length === 0 ? 1 : 0); i > 0; i--) {
    all.push(random.below(256))
    symbol(all.at(-1)!)
  }
  for (let i = random.between(1, 4); i > 0; i--) {
    const furthest = Math.min(all.length, 2 ** windowBits)
    const distance = Math.max(1, furthest - (random.once(2) ? 0 : random.below(4)))
    const length = random.once(3) ? random.of([3, 257, 258]) : random.between(3, 40)
    const ofLength = LENGTH_BASE.findLastIndex((base) => base <= length)
    symbol(257 + ofLength)
    bits.number(length - LENGTH_BASE[ofLength]!, LENGTH_BITS[ofLength]!)
    const ofDistance = DISTANCE_BASE.findLastIndex((base) => base <= distance)
    bits.code(ofDistance, 5)
    bits.number(distance - DISTANCE_BASE[ofDistance]!, DISTANCE_BITS[ofDistance]!)
    for (let count = 0; count < length; count++) all.push(all[all.length - distance]!)
  }
  symbol(256)
  // The header of an empty stored block, without its lengths.
  bits.number(0, 3)
  return { payload: Buffer.from(bits.octets), text: Buffer.from(all.slice(context.length)) }
}
