/**
 * Frames to bytes (RFC 6455 §5.2): header and small payloads go into the region of the output, large payloads by
 * reference. A client masks (§5.3): in the region, or in a copy, never in what the application handed over.
 */
import { Buffer } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import { First, MAX_HEADER_BYTES } from './constants.ts'
import { mask, maskInto } from './mask.ts'
import { copyOctets } from './octets.ts'
import { MAX_RANGE_BYTES, type OutputBuffer } from './output-buffer.ts'

const MASK = 0x80
const LENGTH_16 = 126
const LENGTH_64 = 127

/** UTF-8 takes three octets at most for one unit of a string. */
export const OCTETS_PER_UNIT = 3

/** Payloads up to this size are copied into the region. */
const SMALL_PAYLOAD = MAX_RANGE_BYTES - MAX_HEADER_BYTES

/**
 * Writes a frame whose payload is this text; `masks` says whether the endpoint masks what it sends (§5.1: a client every frame, a server
 * none).
 */
export function writeText (output: OutputBuffer, masks: boolean, opcode: number, fin: boolean, text: string): void {
  const most = OCTETS_PER_UNIT * text.length
  if (most > SMALL_PAYLOAD) return writeFrame(output, masks, opcode, fin, Buffer.from(text))

  // Where ASCII would stand, which most text is; counting the octets first would cost as much as writing them.
  const expected = headerLengthFor(text.length, masks)
  const at = output.reserve(headerLengthFor(most, masks) + most)
  const { buffer } = output
  const written = buffer.write(text, at + expected, most)
  const headerLength = headerLengthFor(written, masks)
  if (headerLength > expected) buffer.copyWithin(at + headerLength, at + expected, at + expected + written)
  writeHeader(buffer, at, fin ? First.Fin | opcode : opcode, written, masks)
  if (masks) maskPayload(buffer, at + headerLength, written)
  output.commit(headerLength + written, written)
}

/** Writes a frame with this payload, which must not change until it is written. */
export function writeFrame (output: OutputBuffer, masks: boolean, opcode: number, fin: boolean, payload: Uint8Array): void {
  write(output, masks, fin ? First.Fin | opcode : opcode, payload, (opcode & First.Control) === 0 ? payload.length : 0)
}

/** Writes a whole message of so many octets in its compressed form (RFC 7692 §6.1): they are what counts as application data. */
export function writeCompressed (output: OutputBuffer, masks: boolean, opcode: number, compressed: Uint8Array, messageBytes: number): void {
  write(output, masks, First.Fin | First.Rsv1 | opcode, compressed, messageBytes)
}

function write (output: OutputBuffer, masks: boolean, first: number, payload: Uint8Array, applicationBytes: number): void {
  const length = payload.length
  const headerLength = headerLengthFor(length, masks)
  if (length <= SMALL_PAYLOAD) {
    const at = output.reserve(headerLength + length)
    const { buffer } = output
    writeHeader(buffer, at, first, length, masks)
    copyOctets(buffer, at + headerLength, payload, 0, length)
    if (masks) maskPayload(buffer, at + headerLength, length)
    return output.commit(headerLength + length, applicationBytes)
  }

  const at = output.reserve(headerLength)
  writeHeader(output.buffer, at, first, length, masks)
  const octets = masks ? maskedCopy(payload, output.buffer.readInt32BE(at + headerLength - 4)) : bufferOver(payload)
  output.commit(headerLength, 0)
  output.append(octets, applicationBytes)
}

/** Masks the payload at `start` with the key that stands before it. */
function maskPayload (buffer: Buffer, start: number, length: number): void {
  mask(buffer, start, start + length, buffer.readInt32BE(start - 4))
}

/** The bytes of a whole, unmasked message, which a server may send to many peers as they are. */
export function encodeServerFrame (opcode: number, payload: Uint8Array, isCompressed = false): Buffer {
  const headerLength = headerLengthFor(payload.length, false)
  const frame = Buffer.allocUnsafeSlow(headerLength + payload.length)
  writeHeader(frame, 0, isCompressed ? First.Fin | First.Rsv1 | opcode : First.Fin | opcode, payload.length, false)
  frame.set(payload, headerLength)
  return frame
}

function headerLengthFor (payloadLength: number, masked: boolean): number {
  return (payloadLength < LENGTH_16 ? 2 : payloadLength <= 0xffff ? 4 : 10) + (masked ? 4 : 0)
}

/** Writes the header (its first octet: FIN, RSV1, opcode), the length in its shortest form (§5.2). */
function writeHeader (buffer: Buffer, at: number, first: number, length: number, masks: boolean): void {
  const end = writeLength(buffer, at + 1, length, masks ? MASK : 0)
  buffer[at] = first
  // §5.3, §10.3: a fresh key for each frame, which nobody can foresee.
  if (masks) randomFillSync(buffer, end, 4)
}

/** Returns what follows. */
function writeLength (buffer: Buffer, at: number, length: number, mask: number): number {
  if (length < LENGTH_16) {
    buffer[at] = mask | length
    return at + 1
  }
  if (length <= 0xffff) {
    buffer[at] = mask | LENGTH_16
    return buffer.writeUInt16BE(length, at + 1)
  }
  buffer[at] = mask | LENGTH_64
  buffer.writeUInt32BE(Math.floor(length / 2 ** 32), at + 1)
  return buffer.writeUInt32BE(length % 2 ** 32, at + 5)
}

function maskedCopy (payload: Uint8Array, key: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(payload.length)
  maskInto(copy, 0, payload, 0, payload.length, key)
  return copy
}

function bufferOver (payload: Uint8Array): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}
