/**
 * Frames to messages: fragmentation (RFC 6455 §5.4), the limit on a message's size, and UTF-8 (§8.1).
 *
 * A message that lies whole in one frame and one chunk is taken out of it by `wholeMessage`. Any other is gathered by an assembler in one
 * growing buffer, so that it costs its bytes, however many fragments they come in; its text is checked as it arrives. A
 * compressed message is handed on as it came.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { CloseCode, First, Opcode } from './constants.ts'
import { ProtocolError } from './errors.ts'
import { mask, maskInto } from './mask.ts'
import { checkUtf8, decodeUtf8 } from './utf8.ts'

/** How text is handed on: decoded, or as the octets that were checked to be UTF-8. */
export type TextAs = 'string' | 'buffer'

export interface MessageSink {
  /** A whole message. A Buffer is the receiver's to keep. */
  onMessage (data: string | Buffer, isBinary: boolean): void
  /** The payload of a compressed message, valid during the call only. */
  onCompressedMessage (payload: Buffer, isBinary: boolean): void
}

/** Fragments without payload that one message may hold: they cost work and bring nothing. */
export const MAX_EMPTY_FRAGMENTS = 256

/**
 * A payload of this size that ends a read is handed on as a view of it: for smaller ones memory from the pool costs less, and
 * what follows would be lost if the application transferred the memory to another thread.
 */
const VIEW_FROM = 512
/** Not if the view would keep alive more than so many times its size. */
const MOST_KEPT_ALIVE = 4

const FIRST_CAPACITY = 128
const GROWTH = 2
const GROWTH_TO_END = 16
/** Room for the blocks of an empty message. */
const COMPRESSED_MARGIN = 64
const NO_MESSAGE = -1

export class MessageAssembler {
  readonly #sink: MessageSink
  readonly #maxMessageBytes: number
  readonly #textAs: TextAs

  /** Opcode of the message that is being gathered. */
  #opcode = NO_MESSAGE
  /** Whether the message is compressed, which its first frame says. */
  #compressed = false
  /** Whether the frame at hand is its last. */
  #fin = false
  #buffer: Buffer | undefined
  #length = 0
  /** The length of the message up to the end of the frame at hand, as it was announced. */
  #announced = 0
  /** Up to here the text is known to be whole code points. */
  #checked = 0
  #emptyFragments = 0

  constructor (sink: MessageSink, maxMessageBytes: number, textAs: TextAs) {
    this.#sink = sink
    this.#maxMessageBytes = maxMessageBytes
    this.#textAs = textAs
  }

  /** Whether a message has begun whose last fragment is still to come. */
  get inMessage (): boolean {
    return this.#opcode !== NO_MESSAGE
  }

  /** A data frame with this `first` octet that lies in `buffer[start, end)`, masked with `key`. */
  onFrame (first: number, buffer: Buffer, start: number, end: number, key: number): void {
    this.#begin(first, end - start)
    this.onFramePart(buffer, start, end, key, true)
  }

  /** The header of a data frame whose payload comes in parts. */
  onFrameStart (first: number, length: number): void {
    this.#begin(first, length)
  }

  onFramePart (buffer: Buffer, start: number, end: number, key: number, last: boolean): void {
    this.#append(buffer, start, end, key)
    if (last && this.#fin) this.#finish()
  }

  /** Judges a frame by its header (§5.4), before any of its payload is looked at. */
  #begin (first: number, length: number): void {
    const opcode = first & First.Opcode
    const fin = (first & First.Fin) !== 0
    if (opcode === Opcode.Continuation) {
      if (this.#opcode === NO_MESSAGE) throw new ProtocolError(CloseCode.ProtocolError, 'continuation frame without a message to continue')
    } else {
      if (this.#opcode !== NO_MESSAGE) throw new ProtocolError(CloseCode.ProtocolError, 'new message before the last fragment of the one before')
      this.#opcode = opcode
      this.#compressed = (first & First.Rsv1) !== 0
    }
    checkMessageBytes(this.#length + length, this.#compressed, this.#maxMessageBytes)
    if (length === 0 && !fin && ++this.#emptyFragments > MAX_EMPTY_FRAGMENTS) throw new ProtocolError(CloseCode.PolicyViolation, 'too many empty fragments')
    this.#fin = fin
    this.#announced = this.#length + length
  }

  #append (buffer: Buffer, start: number, end: number, key: number): void {
    const length = this.#length + end - start
    if (this.#buffer === undefined || length > this.#buffer.length) this.#grow(length)
    maskInto(this.#buffer!, this.#length, buffer, start, end, key)
    this.#length = length
    if (this.#opcode === Opcode.Text && !this.#compressed) {
      this.#checked = checkUtf8(this.#buffer!, this.#checked, length)
      if (this.#checked === -1) throw notUtf8()
    }
  }

  /**
   * Makes room for `needed` octets that are here, and for more, but for no more than there will be: that is known when the
   * last frame has begun, and then the first read of a message of 1 MiB makes room for all of it (1.0 ms for its echo,
   * against 1.6 by doubling). Memory that nobody writes to is not resident.
   */
  #grow (needed: number): void {
    const most = this.#fin ? this.#announced : mostBytes(this.#compressed, this.#maxMessageBytes)
    const growth = this.#fin ? GROWTH_TO_END : GROWTH
    // allocUnsafeSlow: the application may keep it, which must not keep a shared pool alive. Only octets that were written are handed on.
    const grown = Buffer.allocUnsafeSlow(Math.min(Math.max(growth * needed, FIRST_CAPACITY), most))
    this.#buffer?.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }

  #finish (): void {
    const opcode = this.#opcode
    const buffer = this.#buffer!
    const length = this.#length
    if (this.#compressed) {
      this.#reset()
      return this.#sink.onCompressedMessage(buffer.subarray(0, length), opcode === Opcode.Binary)
    }
    // A buffer that is half empty would keep twice the memory of its message alive.
    const data = buffer.length > 2 * length ? exactly(buffer, length) : buffer.subarray(0, length)
    if (opcode === Opcode.Text && this.#checked !== length) throw notUtf8()
    this.#reset()
    this.#sink.onMessage(opcode === Opcode.Text && this.#textAs === 'string' ? data.toString() : data, opcode === Opcode.Binary)
  }

  #reset (): void {
    this.#opcode = NO_MESSAGE
    this.#buffer = undefined
    this.#length = 0
    this.#checked = 0
    this.#emptyFragments = 0
  }
}

/**
 * The message in one frame that is not compressed, out of `buffer[start, end)`, masked with `key`. A Buffer is the receiver's to
 * keep. Throws for text that is not UTF-8.
 */
export function wholeMessage (isBinary: boolean, buffer: Buffer, start: number, end: number, key: number, textAs: TextAs): string | Buffer {
  if (isBinary) return ownBytes(buffer, start, end, key)
  if (textAs === 'buffer') return messageOf(false, ownBytes(buffer, start, end, key), textAs)
  mask(buffer, start, end, key)
  const text = decodeUtf8(buffer, start, end)
  if (text === undefined) throw notUtf8()
  return text
}

/** Throws if so many octets are more than a message may have on the wire. */
export function checkMessageBytes (bytes: number, compressed: boolean, maxMessageBytes: number): void {
  if (bytes > mostBytes(compressed, maxMessageBytes)) throw new ProtocolError(CloseCode.MessageTooBig, 'message above the limit')
}

/** What may come over the wire: zlib makes a ninth more, at worst, of what it cannot compress. */
function mostBytes (compressed: boolean, maxMessageBytes: number): number {
  return compressed ? maxMessageBytes + Math.ceil(maxMessageBytes / 8) + COMPRESSED_MARGIN : maxMessageBytes
}

/** The message that these octets are, which lie in memory of their own. Throws for text that is not UTF-8. */
export function messageOf (isBinary: boolean, octets: Buffer, textAs: TextAs): string | Buffer {
  if (isBinary) return octets
  if (!isUtf8(octets)) throw notUtf8()
  return textAs === 'string' ? octets.toString() : octets
}

/** The payload where it lies. */
export function unmasked (buffer: Buffer, start: number, end: number, key: number): Buffer {
  mask(buffer, start, end, key)
  return buffer.subarray(start, end)
}

/** The payload, for somebody to keep. */
function ownBytes (buffer: Buffer, start: number, end: number, key: number): Buffer {
  const length = end - start
  if (length >= VIEW_FROM && end === buffer.length && MOST_KEPT_ALIVE * length >= buffer.buffer.byteLength) return unmasked(buffer, start, end, key)
  // Below 4 KiB from the pool, which a Buffer that is kept for long keeps alive: 8 KiB, for a tenth of the price of memory of its own.
  const own = Buffer.allocUnsafe(length)
  maskInto(own, 0, buffer, start, end, key)
  return own
}

/** The first octets in memory of their own. */
function exactly (buffer: Buffer, length: number): Buffer {
  const own = Buffer.allocUnsafeSlow(length)
  buffer.copy(own, 0, 0, length)
  return own
}

function notUtf8 (): ProtocolError {
  return new ProtocolError(CloseCode.InvalidFramePayloadData, 'text that is not UTF-8')
}
