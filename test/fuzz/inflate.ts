/**
 * DEFLATE by the letter of RFC 1951, slowly and without zlib: says what a compressed message is, where two who use zlib say
 * different things.
 */
import { Buffer } from 'node:buffer'

const MAX_BITS = 15
const END_OF_BLOCK = 256
export const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258]
export const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
export const DISTANCE_BASE = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577]
export const DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13]
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

/** Why it ended; `end`: where a block ends. */
export type Ending = 'end' | 'final block' | 'cut off' | 'broken' | 'too large'

class Stop extends Error {
  readonly ending: Ending

  constructor (ending: Ending) {
    super(ending)
    this.ending = ending
  }
}

/** A canonical code: how many symbols have each length, and those that have one, in order. */
interface Code {
  /** By length. */
  readonly count: number[]
  readonly symbols: number[]
}

function makeCode (lengths: readonly number[]): Code & { readonly left: number } {
  const count = new Array<number>(MAX_BITS + 1).fill(0)
  for (const length of lengths) count[length]!++
  let left = 1
  for (let length = 1; length <= MAX_BITS; length++) {
    left = 2 * left - count[length]!
    if (left < 0) throw new Stop('broken')
  }
  const symbols = [...lengths.keys()].filter((symbol) => lengths[symbol]! > 0).sort((a, b) => lengths[a]! - lengths[b]! || a - b)
  // A code of nothing is as good as whole: no symbol can be read.
  return { count, symbols, left: count[0] === lengths.length ? 0 : left }
}

/** An incomplete code may have no more than one symbol, of one bit. */
function hasOneSymbol ({ count }: Code, lengths: readonly number[]): boolean {
  return count[0]! + count[1]! === lengths.length
}

const FIXED_LENGTHS = makeCode(Array.from({ length: 288 }, (_, symbol) => symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8))
/** The last two stand for nothing. */
const FIXED_DISTANCES = makeCode(new Array<number>(32).fill(5))

export class Inflater {
  /** What has come out so far. */
  get data (): Buffer { return this.#out.subarray(this.#start, this.#length) }
  /** The furthest reference back. */
  reach = 0

  readonly #octets: Buffer
  /** In bits. */
  #at = 0
  #out: Buffer
  /** Where the data begins, behind the context. */
  readonly #start: number
  #length: number
  readonly #most: number

  constructor (octets: Buffer, context: Buffer, maxBytes: number) {
    this.#octets = octets
    this.#out = Buffer.concat([context, Buffer.alloc(1024)])
    this.#start = this.#length = context.length
    this.#most = context.length + maxBytes
  }

  /** Octets that were read, the last of them perhaps in part. */
  get octetsRead (): number { return Math.ceil(this.#at / 8) }

  /** Goes on to the end of the octets, or of the next final block: an octet begins behind it. */
  run (): Ending {
    try {
      while (this.#at < 8 * this.#octets.length) {
        const isFinal = this.#bits(1) === 1
        const type = this.#bits(2)
        if (type === 0) this.#stored()
        else if (type === 1) this.#compressed(FIXED_LENGTHS, FIXED_DISTANCES)
        else if (type === 2) this.#dynamic()
        else throw new Stop('broken')
        if (isFinal) {
          this.#at = 8 * this.octetsRead
          return 'final block'
        }
      }
      return 'end'
    } catch (error) {
      if (error instanceof Stop) return error.ending
      throw error
    }
  }

  #bits (count: number): number {
    let value = 0
    for (let i = 0; i < count; i++, this.#at++) {
      if (this.#at >= 8 * this.#octets.length) throw new Stop('cut off')
      value |= ((this.#octets[this.#at >> 3]! >> (this.#at & 7)) & 1) << i
    }
    return value
  }

  #symbol ({ count, symbols }: Code): number {
    let code = 0
    let first = 0
    let index = 0
    // A code of nothing takes one bit to be found wrong.
    const longest = Math.max(1, count.findLastIndex((ofLength) => ofLength > 0))
    for (let length = 1; length <= longest; length++) {
      code |= this.#bits(1)
      if (code - count[length]! < first) return symbols[index + code - first]!
      index += count[length]!
      first = (first + count[length]!) << 1
      code <<= 1
    }
    throw new Stop('broken')
  }

  #put (octet: number): void {
    if (this.#length >= this.#most) throw new Stop('too large')
    if (this.#length === this.#out.length) this.#out = Buffer.concat([this.#out, Buffer.alloc(this.#out.length)])
    this.#out[this.#length++] = octet
  }

  #stored (): void {
    this.#at = 8 * this.octetsRead
    const length = this.#bits(16)
    if (length !== (this.#bits(16) ^ 0xffff)) throw new Stop('broken')
    for (let i = 0; i < length; i++) this.#put(this.#bits(8))
  }

  #dynamic (): void {
    const lengthCount = 257 + this.#bits(5)
    const distanceCount = 1 + this.#bits(5)
    const codeCount = 4 + this.#bits(4)
    if (lengthCount > 286 || distanceCount > 30) throw new Stop('broken')
    const ofCodes = new Array<number>(19).fill(0)
    for (let i = 0; i < codeCount; i++) ofCodes[ORDER[i]!] = this.#bits(3)
    const codes = makeCode(ofCodes)
    if (codes.left > 0) throw new Stop('broken')
    if (codes.symbols.length === 0) {
      // zlib takes a bit for each length all the same, and finds only then that there is no end of the block.
      for (let i = 0; i < lengthCount + distanceCount; i++) this.#bits(1)
      throw new Stop('broken')
    }

    const lengths: number[] = []
    while (lengths.length < lengthCount + distanceCount) {
      const symbol = this.#symbol(codes)
      if (symbol < 16) {
        lengths.push(symbol)
        continue
      }
      if (symbol === 16 && lengths.length === 0) throw new Stop('broken')
      const repeated = symbol === 16 ? lengths.at(-1)! : 0
      const times = symbol === 16 ? 3 + this.#bits(2) : symbol === 17 ? 3 + this.#bits(3) : 11 + this.#bits(7)
      if (lengths.length + times > lengthCount + distanceCount) throw new Stop('broken')
      for (let i = 0; i < times; i++) lengths.push(repeated)
    }
    if (lengths[END_OF_BLOCK] === 0) throw new Stop('broken')
    const [ofLengths, ofDistances] = [lengths.slice(0, lengthCount), lengths.slice(lengthCount)]
    const [lengthCode, distanceCode] = [makeCode(ofLengths), makeCode(ofDistances)]
    if (lengthCode.left > 0 && !hasOneSymbol(lengthCode, ofLengths)) throw new Stop('broken')
    if (distanceCode.left > 0 && !hasOneSymbol(distanceCode, ofDistances)) throw new Stop('broken')
    this.#compressed(lengthCode, distanceCode)
  }

  #compressed (lengths: Code, distances: Code): void {
    while (true) {
      const symbol = this.#symbol(lengths)
      if (symbol === END_OF_BLOCK) return
      if (symbol < END_OF_BLOCK) {
        this.#put(symbol)
        continue
      }
      const i = symbol - 257
      if (i >= LENGTH_BASE.length) throw new Stop('broken')
      const length = LENGTH_BASE[i]! + this.#bits(LENGTH_BITS[i]!)
      const j = this.#symbol(distances)
      if (j >= DISTANCE_BASE.length) throw new Stop('broken')
      const distance = DISTANCE_BASE[j]! + this.#bits(DISTANCE_BITS[j]!)
      if (distance > this.#length) throw new Stop('broken')
      this.reach = Math.max(this.reach, distance)
      for (let count = 0; count < length; count++) this.#put(this.#out[this.#length - distance]!)
    }
  }
}
