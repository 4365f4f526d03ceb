/**
 * Frames as a client sends them, built before they are needed, and the frames that come back, counted and checked.
 * It shares no code with any of the servers that are measured.
 */
import { randomBytes } from 'node:crypto'

export const Opcode = { Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 }
const FIN = 0x80
const RSV1 = 0x40

/** A whole message in one frame. Unmasked it is what a server sends. */
export function frame (payload, { opcode, compressed = false, masked = true }) {
  const { length } = payload
  const extended = length < 126 ? 0 : length < 65536 ? 2 : 8
  const header = Buffer.alloc(2 + extended)
  header[0] = FIN | (compressed ? RSV1 : 0) | opcode
  header[1] = (masked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127)
  if (extended === 2) header.writeUInt16BE(length, 2)
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([header, payload])

  const key = randomBytes(4)
  const bytes = Buffer.from(payload)
  for (let i = 0; i < length; i++) bytes[i] ^= key[i & 3]
  return Buffer.concat([header, key, bytes])
}

/** The frames of a connection, to be sent over and over again: any `most` of them in a row are one piece of memory. */
export class FrameRing {
  #bytes
  #offsets = [0]

  constructor (frames, most) {
    this.length = frames.length
    const inRow = Array.from({ length: frames.length + most }, (_, i) => frames[i % frames.length])
    this.#bytes = Buffer.concat(inRow)
    for (const { length } of inRow) this.#offsets.push(this.#offsets.at(-1) + length)
  }

  slice (from, count) {
    return this.#bytes.subarray(this.#offsets[from], this.#offsets[from + count])
  }
}

/** Counts the whole frames of a server in what arrives, and throws at one that is not as expected. */
export class FrameCounter {
  /** The payload of the next frame is kept here, if it is an array. */
  kept

  #first
  #length
  #header = Buffer.alloc(10)
  #headerBytes = 0
  /** Octets of the payload that are still to come, while `#inPayload`. */
  #left = 0
  #inPayload = false
  /** The payload of a ping that is being read. */
  #ping
  #onPing

  /** A length that is undefined may be any: that of a compressed message. `onPing` gets the payload of a ping, which is not counted. */
  constructor ({ opcode, compressed, length, onPing }) {
    this.#onPing = onPing
    this.#first = FIN | (compressed ? RSV1 : 0) | opcode
    this.#length = length
  }

  /** Returns how many frames ended within the first `end` octets of the chunk. */
  count (chunk, end) {
    let frames = 0
    let at = 0
    while (at < end) {
      if (!this.#inPayload) {
        at = this.#readHeader(chunk, at, end)
        if (!this.#inPayload) break
      }
      const size = Math.min(this.#left, end - at)
      const kept = this.#ping ?? this.kept
      kept?.push(Buffer.from(chunk.subarray(at, at + size)))
      at += size
      this.#left -= size
      if (this.#left > 0) break
      this.#inPayload = false
      if (this.#ping === undefined) frames++
      else this.#endPing()
    }
    return frames
  }

  #readHeader (chunk, at, end) {
    // A short frame whose header is whole: nearly all of them.
    if (this.#headerBytes === 0 && end - at >= 2 && chunk[at + 1] < 126) {
      this.#check(chunk[at], chunk[at + 1])
      return at + 2
    }
    const header = this.#header
    while (at < end) {
      header[this.#headerBytes++] = chunk[at++]
      if (this.#headerBytes < 2) continue
      const extended = header[1] < 126 ? 0 : header[1] === 126 ? 2 : 8
      if (this.#headerBytes < 2 + extended) continue
      this.#headerBytes = 0
      this.#check(header[0], extended === 0 ? header[1] : extended === 2 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2)))
      break
    }
    return at
  }

  #endPing () {
    const payload = Buffer.concat(this.#ping)
    this.#ping = undefined
    this.#onPing(payload)
  }

  #check (first, length) {
    if (first === (FIN | Opcode.Ping) && this.#onPing !== undefined) this.#ping = []
    else if (first !== this.#first || (this.#length !== undefined && length !== this.#length)) {
      throw new Error(`a frame of ${length} octets came that begins with 0x${first.toString(16)}; expected were ${this.#length ?? 'some'} and 0x${this.#first.toString(16)}`)
    }
    this.#left = length
    this.#inPayload = true
  }
}
