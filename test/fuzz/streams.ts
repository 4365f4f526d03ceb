/**
 * Streams of frames, and what can be done to them. A stream is made in one buffer that is used again for the next.
 */
import { Buffer } from 'node:buffer'
import { Opcode, type Role } from '../../lib/protocol/constants.ts'
import { Random } from './random.ts'

const CAPACITY = 2 * 1024 * 1024
const POOL_BYTES = 256 * 1024
const LARGEST_PAYLOAD = 70000

/** Sizes at which the form of the length or the way of the payload changes. */
const EDGES = [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 16383, 16384, 65535, 65536, LARGEST_PAYLOAD]
const CODES = [0, 1, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1010, 1011, 1014, 1015, 1016, 1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 32768, 65535]
const BAD_TEXT = ['80', 'bf', 'c0', 'c080', 'c1bf', 'c3', 'c328', 'e0', 'e0809f', 'e282', 'e28228', 'eda080', 'edbfbf', 'f09f98', 'f08fbfbf', 'f4908080', 'f5808080', 'f888808080', 'fe', 'ff'].map((hex) => Buffer.from(hex, 'hex'))
const OCTETS = [0x00, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x0f, 0x10, 0x40, 0x70, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0xfd, 0xfe, 0xff]
const LENGTHS = [0n, 1n, 2n, 125n, 126n, 127n, 255n, 256n, 32767n, 32768n, 65535n, 65536n, 70000n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]

const pool = new Random(6455)
const OCTET_POOL = Buffer.from(Uint8Array.from({ length: POOL_BYTES }, () => pool.next()))
const TEXT_POOL = makeText()

/** Runs of code points of each length. */
function makeText (): Buffer {
  const ranges = [[0x20, 0x7e], [0x00, 0x7f], [0x80, 0x7ff], [0x800, 0xd7ff], [0xe000, 0xffff], [0x10000, 0x10ffff]] as const
  let text = ''
  let bytes = 0
  while (bytes < POOL_BYTES) {
    const [least, most] = pool.of(ranges)
    const run = String.fromCodePoint(...Array.from({ length: pool.between(1, 40) }, () => pool.once(8) ? pool.of([least, most]) : pool.between(least, most)))
    text += run
    bytes += Buffer.byteLength(run)
  }
  return Buffer.from(text)
}

/** A message in its compressed form, which is sent with RSV1. */
export interface CompressedMessage {
  readonly opcode: number
  readonly payload: Buffer
  /** What comes out of it. */
  readonly text: Buffer
}

export class StreamMaker {
  readonly bytes = Buffer.alloc(CAPACITY)
  length = 0
  /** Where the frames begin, as they were before they were mutated or have moved since. */
  readonly starts: number[] = []

  #random = new Random(0)
  #masked = false
  /** The message that is not finished, and where its text goes on. */
  #opcode = 0
  #textAt = 0
  /** Compressed messages that follow each other, and what is left of the one that is not finished. */
  #compressed: readonly CompressedMessage[] = []
  #nextCompressed = 0
  #rest: Buffer | undefined

  /** Makes the stream that the peer of this role would send. Half of its messages are compressed, while there are any. */
  make (random: Random, role: Role, compressed: readonly CompressedMessage[] = []): void {
    this.#random = random
    this.#compressed = compressed
    this.#nextCompressed = 0
    this.#rest = undefined
    this.#masked = role === 'server'
    this.length = 0
    this.starts.length = 0
    this.#opcode = 0
    const frames = random.once(8) ? 1 : random.between(2, 12)
    for (let i = 0; i < frames; i++) this.#addFrame()
    if (random.once(400)) this.#addEmptyFragments()
    if (random.once(4)) this.#addClose()
  }

  /** Does some things to it. */
  mutate (): void {
    const random = this.#random
    if (random.once(8)) return
    for (let count = random.once(3) ? random.between(2, 4) : 1; count > 0; count--) {
      if (this.length === 0) return
      this.#mutateOnce()
    }
  }

  // Frames

  #addFrame (): void {
    const random = this.#random
    if (random.once(5)) return this.#addControl()
    if (this.#rest !== undefined) return this.#addCompressed(Opcode.Continuation, this.#rest)
    if (this.#opcode === 0 && this.#nextCompressed < this.#compressed.length && random.once(2)) {
      const { opcode, payload } = this.#compressed[this.#nextCompressed++]!
      return this.#addCompressed(opcode, payload)
    }
    if (this.#opcode === 0) {
      const opcode = random.once(2) ? Opcode.Text : Opcode.Binary
      const fin = !random.once(3)
      this.#textAt = this.#boundary(random.below(POOL_BYTES - LARGEST_PAYLOAD - 4))
      this.#addData(opcode, opcode, fin)
      if (!fin) this.#opcode = opcode
    } else {
      const fin = !random.once(3)
      this.#addData(Opcode.Continuation, this.#opcode, fin)
      if (fin) this.#opcode = 0
    }
  }

  #addData (opcode: number, kind: number, fin: boolean): void {
    const random = this.#random
    let length = this.#size()
    if (kind === Opcode.Text && fin && !random.once(20)) {
      // Ends with a code point.
      length = Math.min(length, TEXT_POOL.length - this.#textAt)
      length = this.#boundary(this.#textAt + length) - this.#textAt
    }
    if (this.length + length > CAPACITY / 2) length = 0
    const start = this.#addHeader(opcode, fin, length)
    const at = kind === Opcode.Text ? this.#textAt : random.below(POOL_BYTES - LARGEST_PAYLOAD)
    const source = kind === Opcode.Text ? TEXT_POOL : OCTET_POOL
    source.copy(this.bytes, start, at, at + length)
    if (kind === Opcode.Text) {
      // A later fragment goes on where this one ended, while there is text.
      this.#textAt = at + length < POOL_BYTES - LARGEST_PAYLOAD ? at + length : this.#boundary(0)
      if (length > 0 && random.once(40)) {
        const bad = random.of(BAD_TEXT)
        bad.copy(this.bytes, start + random.below(Math.max(1, length - bad.length + 1)), 0, Math.min(bad.length, length))
      }
    }
    this.#finishFrame(start, length)
  }

  /** All that is left of the payload, or a part of it. */
  #addCompressed (opcode: number, payload: Buffer): void {
    const random = this.#random
    const fin = !random.once(3)
    const length = fin ? payload.length : random.once(5) ? 0 : random.below(payload.length + 1)
    this.#rest = fin ? undefined : payload.subarray(length)
    const start = this.#addHeader(opcode, fin, length)
    if (opcode !== Opcode.Continuation) this.bytes[this.starts.at(-1)!]! |= 0x40
    payload.copy(this.bytes, start, 0, length)
    this.#finishFrame(start, length)
  }

  #addControl (): void {
    const random = this.#random
    const length = random.once(6) ? random.between(120, 125) : random.below(20)
    const start = this.#addHeader(random.once(2) ? Opcode.Ping : Opcode.Pong, true, length)
    const at = random.below(POOL_BYTES - 200)
    OCTET_POOL.copy(this.bytes, start, at, at + length)
    this.#finishFrame(start, length)
  }

  #addClose (): void {
    const random = this.#random
    const kind = random.below(8)
    const at = this.#boundary(random.below(POOL_BYTES - 200))
    const most = random.once(3) ? 0 : random.once(4) ? random.between(110, 123) : random.below(40)
    // Now and then the reason begins or ends within a code point.
    const reason = random.once(8) ? most : this.#boundary(at + most) - at
    const length = kind === 0 ? 0 : kind === 1 ? 1 : 2 + Math.max(0, reason)
    const start = this.#addHeader(Opcode.Close, true, length)
    if (length === 1) this.bytes[start] = random.below(256)
    if (length >= 2) {
      const code = random.once(2) ? 1000 + random.below(4) : random.once(2) ? random.of(CODES) : random.once(2) ? random.between(3000, 4999) : random.below(65536)
      const from = random.once(16) ? at + 1 : at
      TEXT_POOL.copy(this.bytes, this.bytes.writeUInt16BE(code, start), from, from + length - 2)
    }
    this.#finishFrame(start, length)
  }

  /** As many as are too many, or one less. */
  #addEmptyFragments (): void {
    const random = this.#random
    if (this.#opcode !== 0) this.#addData(Opcode.Continuation, this.#opcode, true)
    while (this.#rest !== undefined) this.#addCompressed(Opcode.Continuation, this.#rest)
    for (let i = random.between(256, 258); i > 0; i--) {
      this.#finishFrame(this.#addHeader(this.#opcode === 0 ? Opcode.Binary : Opcode.Continuation, false, 0), 0)
      this.#opcode = Opcode.Binary
    }
    this.#addData(Opcode.Continuation, Opcode.Binary, true)
    this.#opcode = 0
  }

  #size (): number {
    const random = this.#random
    const kind = random.below(400)
    if (kind < 220) return random.below(16)
    if (kind < 340) return random.below(126)
    if (kind < 390) return random.below(700)
    if (kind < 397) return random.of(EDGES)
    return kind < 399 ? random.below(20000) : random.below(LARGEST_PAYLOAD + 1)
  }

  /** The nearest place before this one, in the text of the pool, at which a code point begins. */
  #boundary (at: number): number {
    while (at > 0 && at < TEXT_POOL.length && isInside(TEXT_POOL[at]!)) at--
    return at
  }

  /** Returns where the payload begins. */
  #addHeader (opcode: number, fin: boolean, length: number): number {
    const { bytes } = this
    const mask = this.#masked ? 0x80 : 0
    let at = this.length
    this.starts.push(at)
    bytes[at++] = (fin ? 0x80 : 0) | opcode
    if (length < 126) {
      bytes[at++] = mask | length
    } else if (length < 65536) {
      bytes[at++] = mask | 126
      at = bytes.writeUInt16BE(length, at)
    } else {
      bytes[at++] = mask | 127
      at = bytes.writeUInt32BE(0, at)
      at = bytes.writeUInt32BE(length, at)
    }
    if (this.#masked) at = bytes.writeUInt32BE(this.#random.once(30) ? 0 : this.#random.next(), at)
    return at
  }

  #finishFrame (start: number, length: number): void {
    const { bytes } = this
    if (this.#masked) {
      const k = [bytes[start - 4]!, bytes[start - 3]!, bytes[start - 2]!, bytes[start - 1]!] as const
      for (let i = 0; i < length; i++) bytes[start + i]! ^= k[i & 3]!
    }
    this.length = start + length
  }

  // Mutations

  #mutateOnce (): void {
    const random = this.#random
    const at = random.below(this.length)
    if (this.#compressed.length > 0 && random.once(2)) return this.#mutatePayload()
    switch (random.below(20)) {
      case 0: case 1: case 2: this.bytes[at]! ^= 1 << random.below(8); return
      case 3: this.bytes[at] = random.of(OCTETS); return
      case 4: return this.#insert(at)
      case 5: return this.#splice(at, Math.min(random.between(1, 8), this.length - at), 0)
      case 6: this.length = at; return
      case 7: return this.#copyRange(false)
      case 8: return this.#copyRange(true)
      case 9: return this.#dropFrame()
      case 10: return this.#repeatFrame()
      case 11: return this.#swapFrames()
      case 12: case 13: return this.#mutateFirstOctet()
      case 14: return this.#mutateLength()
      case 15: return this.#widenLength()
      case 16: return this.#mutatePayload()
      default: return this.#mutateHeader()
    }
  }

  /** Makes room for `added` octets in the place of `removed` ones. */
  #splice (at: number, removed: number, added: number): void {
    if (this.length + added > CAPACITY) return
    this.bytes.copyWithin(at + added, at + removed, this.length)
    this.length += added - removed
    for (let i = 0; i < this.starts.length; i++) if (this.starts[i]! > at) this.starts[i]! += added - removed
  }

  #insert (at: number): void {
    const count = this.#random.between(1, 8)
    this.#splice(at, 0, count)
    for (let i = 0; i < count; i++) this.bytes[at + i] = this.#random.once(2) ? this.#random.of(OCTETS) : this.#random.below(256)
  }

  /** Copies a range elsewhere: over what is there, or between. */
  #copyRange (over: boolean): void {
    const random = this.#random
    const from = random.below(this.length)
    const count = Math.min(random.between(1, 64), this.length - from)
    const copy = Buffer.from(this.bytes.subarray(from, from + count))
    const to = random.below(this.length)
    if (!over) this.#splice(to, 0, count)
    copy.copy(this.bytes, to, 0, Math.min(count, this.length - to))
  }

  /** The place of a frame and of the next, as far as is known. */
  #pick (): { i: number, start: number, end: number } {
    const i = this.#random.below(this.starts.length)
    const start = Math.min(Math.max(0, this.starts[i]!), this.length)
    const end = Math.min(Math.max(start, i + 1 < this.starts.length ? this.starts[i + 1]! : this.length), this.length)
    return { i, start, end }
  }

  #dropFrame (): void {
    const { i, start, end } = this.#pick()
    this.#splice(start, end - start, 0)
    this.starts.splice(i, 1)
    if (this.starts.length === 0) this.starts.push(0)
  }

  #repeatFrame (): void {
    const { i, start, end } = this.#pick()
    const copy = Buffer.from(this.bytes.subarray(start, end))
    if (this.length + copy.length > CAPACITY) return
    this.#splice(start, 0, copy.length)
    copy.copy(this.bytes, start)
    this.starts.splice(i + 1, 0, start + copy.length)
  }

  #swapFrames (): void {
    const a = this.#pick()
    const b = this.#pick()
    if (a.end > b.start) return
    const { bytes } = this
    const swapped = Buffer.concat([bytes.subarray(b.start, b.end), bytes.subarray(a.end, b.start), bytes.subarray(a.start, a.end)])
    swapped.copy(bytes, a.start)
  }

  #mutateFirstOctet (): void {
    const { start } = this.#pick()
    const random = this.#random
    const octet = this.bytes[start]!
    const kind = random.below(4)
    if (kind === 0) this.bytes[start] = octet ^ 0x80
    else if (kind === 1) this.bytes[start] = octet ^ (0x10 << random.below(3))
    else this.bytes[start] = (octet & 0xf0) | (kind === 2 ? random.below(16) : random.of([Opcode.Continuation, Opcode.Text, Opcode.Binary, Opcode.Close, Opcode.Ping]))
  }

  #mutateLength (): void {
    const { start } = this.#pick()
    const random = this.#random
    const octet = this.bytes[start + 1]!
    this.bytes[start + 1] = random.once(4) ? octet ^ 0x80 : (octet & 0x80) | (random.once(3) ? random.below(128) : random.of([0, 1, 2, 125, 126, 127]))
  }

  /** Another form of the length, with the length that it had or another. */
  #widenLength (): void {
    const { start, end } = this.#pick()
    if (end - start < 2) return
    const random = this.#random
    const field = this.bytes[start + 1]! & 0x7f
    const form = field === 126 ? 2 : field === 127 ? 8 : 0
    if (end - start < 2 + form) return
    const length = form === 0 ? BigInt(field) : form === 2 ? BigInt(this.bytes.readUInt16BE(start + 2)) : this.bytes.readBigUInt64BE(start + 2)
    const written = random.once(2) ? length : random.of(LENGTHS)
    const wide = random.once(2) ? 2 : 8
    this.#splice(start + 2, form, wide)
    this.bytes[start + 1] = (this.bytes[start + 1]! & 0x80) | (wide === 2 ? 126 : 127)
    if (wide === 2) this.bytes.writeUInt16BE(Number(written & 0xffffn), start + 2)
    else this.bytes.writeBigUInt64BE(written, start + 2)
  }

  /** Something in what is surely a payload. */
  #mutatePayload (): void {
    const { start, end } = this.#pick()
    const header = this.#masked ? 6 : 2
    if (end - start <= header) return
    const at = this.#random.between(start + header, end - 1)
    if (this.#random.once(2)) this.bytes[at]! ^= 0x80
    else this.bytes[at]! ^= 1 << this.#random.below(8)
  }

  #mutateHeader (): void {
    const { start } = this.#pick()
    this.bytes[start + this.#random.below(this.#masked ? 6 : 2)]! ^= 1 << this.#random.below(8)
  }
}

function isInside (octet: number): boolean { return (octet & 0xc0) === 0x80 }

/** Fills in where the stream is cut. */
export function cut (random: Random, length: number, starts: readonly number[], cuts: number[]): void {
  cuts.length = 0
  const kind = random.below(8)
  if (length < 2 || kind < 2) return
  if (kind === 2 && length <= 300) {
    for (let i = 1; i < length; i++) cuts.push(i)
    return
  }
  for (let count = random.between(1, kind < 5 ? 3 : 12); count > 0; count--) {
    const near = kind > 5 && starts.length > 0
    const at = near ? random.of(starts) + random.between(-2, 8) : random.between(1, length - 1)
    if (at > 0 && at < length) cuts.push(at)
  }
  cuts.sort((a, b) => a - b)
  let distinct = 0
  for (const at of cuts) if (distinct === 0 || cuts[distinct - 1] !== at) cuts[distinct++] = at
  cuts.length = distinct
}
