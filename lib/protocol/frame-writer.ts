/**
 * Frames to bytes (RFC 6455 §5.2): header and small payloads go into the region of the output, large payloads by
 * reference. A client masks (§5.3): in the region, or in a copy, never in what the application handed over.
 */
import { Buffer } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import { MAX_HEADER_BYTES, type Role } from './constants.ts'
import { mask, maskInto } from './mask.ts'
import { copyOctets } from './octets.ts'
import { MAX_RANGE_BYTES, type OutputBuffer } from './output-buffer.ts'

const FIN = 0x80
const RSV1 = 0x40
const CONTROL = 0x08
const MASK = 0x80
const LENGTH_16 = 126
const LENGTH_64 = 127

/** UTF-8 takes three octets at most for one unit of a string. */
export const OCTETS_PER_UNIT = 3

/** Payloads up to this size are copied into the region. */
const SMALL_PAYLOAD = MAX_RANGE_BYTES - MAX_HEADER_BYTES

/** Writes the frames that one endpoint sends. */
export class FrameWriter {
  readonly #output: OutputBuffer
  readonly #masks: boolean

  constructor (role: Role, output: OutputBuffer) {
    this.#output = output
    // §5.1: a client masks every frame, a server none.
    this.#masks = role === 'client'
  }

  /** A data frame whose payload is this text. Returns the octets of the payload. */
  writeText (opcode: number, fin: boolean, text: string): number {
    const most = OCTETS_PER_UNIT * text.length
    if (most > SMALL_PAYLOAD) return this.writeFrame(opcode, fin, Buffer.from(text))

    // Where ASCII would stand, which most text is; counting the octets first would cost as much as writing them.
    const expected = headerLengthFor(text.length, this.#masks)
    const output = this.#output
    const at = output.reserve(headerLengthFor(most, this.#masks) + most)
    const { buffer } = output
    const written = buffer.write(text, at + expected, most)
    const headerLength = headerLengthFor(written, this.#masks)
    if (headerLength > expected) buffer.copyWithin(at + headerLength, at + expected, at + expected + written)
    this.#writeHeader(buffer, at, fin ? FIN | opcode : opcode, written)
    this.#maskPayload(output.buffer, at + headerLength, written)
    output.commit(headerLength + written, written)
    return written
  }

  /** A frame with this payload, which must not change until it is written. Returns the octets of the payload. */
  writeFrame (opcode: number, fin: boolean, payload: Uint8Array): number {
    this.#write(fin ? FIN | opcode : opcode, payload, (opcode & CONTROL) === 0 ? payload.length : 0)
    return payload.length
  }

  /** A whole message of so many octets in its compressed form (RFC 7692 §6.1): they are what counts as application data. */
  writeCompressed (opcode: number, compressed: Uint8Array, messageBytes: number): void {
    this.#write(FIN | RSV1 | opcode, compressed, messageBytes)
  }

  #write (first: number, payload: Uint8Array, applicationBytes: number): void {
    const length = payload.length
    const headerLength = headerLengthFor(length, this.#masks)
    const output = this.#output
    if (length <= SMALL_PAYLOAD) {
      const at = output.reserve(headerLength + length)
      this.#writeHeader(output.buffer, at, first, length)
      copyOctets(output.buffer, at + headerLength, payload, 0, length)
      this.#maskPayload(output.buffer, at + headerLength, length)
      return output.commit(headerLength + length, applicationBytes)
    }

    const at = output.reserve(headerLength)
    this.#writeHeader(output.buffer, at, first, length)
    const octets = this.#masks ? maskedCopy(payload, output.buffer.readInt32BE(at + headerLength - 4)) : bufferOver(payload)
    output.commit(headerLength, 0)
    output.append(octets, applicationBytes)
  }

  #writeHeader (buffer: Buffer, at: number, first: number, length: number): void {
    const end = writeHeader(buffer, at, first, length, this.#masks)
    // §5.3, §10.3: a fresh key for each frame, which nobody can foresee.
    if (this.#masks) randomFillSync(buffer, end, 4)
  }

  /** Masks the payload at `start` with the key that stands before it. */
  #maskPayload (buffer: Buffer, start: number, length: number): void {
    if (this.#masks) mask(buffer, start, start + length, buffer.readInt32BE(start - 4))
  }
}

/** The bytes of a whole, unmasked message, which a server may send to many peers as they are. */
export function encodeServerFrame (opcode: number, payload: Uint8Array, isCompressed = false): Buffer {
  const headerLength = headerLengthFor(payload.length, false)
  const frame = Buffer.allocUnsafeSlow(headerLength + payload.length)
  writeHeader(frame, 0, isCompressed ? FIN | RSV1 | opcode : FIN | opcode, payload.length, false)
  frame.set(payload, headerLength)
  return frame
}

function headerLengthFor (payloadLength: number, masked: boolean): number {
  return (payloadLength < LENGTH_16 ? 2 : payloadLength <= 0xffff ? 4 : 10) + (masked ? 4 : 0)
}

/** Writes the header (its first octet: FIN, RSV1, opcode) but for the masking-key, the length in its shortest form (§5.2). Returns what follows. */
function writeHeader (buffer: Buffer, at: number, first: number, length: number, masked: boolean): number {
  const mask = masked ? MASK : 0
  buffer[at] = first
  if (length < LENGTH_16) {
    buffer[at + 1] = mask | length
    return at + 2
  }
  if (length <= 0xffff) {
    buffer[at + 1] = mask | LENGTH_16
    return buffer.writeUInt16BE(length, at + 2)
  }
  buffer[at + 1] = mask | LENGTH_64
  buffer.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2)
  return buffer.writeUInt32BE(length % 2 ** 32, at + 6)
}

function maskedCopy (payload: Uint8Array, key: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(payload.length)
  maskInto(copy, 0, payload, 0, payload.length, key)
  return copy
}

function bufferOver (payload: Uint8Array): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}
