/**
 * permessage-deflate (RFC 7692 §7.2): whole messages, compressed and inflated.
 *
 * There is no live zlib stream: between two messages a connection holds nothing, or with context takeover the plain text
 * that its windows cover, which zlib takes as a dictionary. (A live pair costs 247 KB.) Small messages are done at once,
 * large ones by a job of the thread pool, which costs the event loop 40 microseconds more: as much as level 1 takes to
 * compress 12 KiB, or to inflate 16.
 */
import { Buffer } from 'node:buffer'
import { constants, deflateRaw, deflateRawSync, inflateRaw, inflateRawSync, type ZlibOptions } from 'node:zlib'
import { CloseCode, type Role } from './constants.ts'
import { ProtocolError } from './errors.ts'
import { runZlibJob } from './zlib-jobs.ts'

/** What was agreed on (§7.1), and how this end compresses. */
export interface DeflateSettings {
  readonly serverNoContextTakeover: boolean
  readonly clientNoContextTakeover: boolean
  /** Base-2 logarithms of the windows, 9 to 15; 8 for the window of a peer. */
  readonly serverMaxWindowBits: number
  readonly clientMaxWindowBits: number
  /** Messages below this size are sent as they are. */
  readonly thresholdBytes: number
  readonly level: number
  readonly memLevel: number
  /** Jobs of the thread pool at once, in the whole process. */
  readonly maxConcurrentJobs: number
}

/** Up to here a message is compressed at once: 0.1 to 0.2 ms. */
const COMPRESS_NOW_BYTES = 32 * 1024
/** The same for what is inflated, as it came. */
const INFLATE_NOW_BYTES = 16 * 1024
/** So much may come out of it at once, 0.15 ms, and so much in one step of a job. */
const INFLATE_STEP_BYTES = 64 * 1024
const SMALLEST_CHUNK = 64
const LARGEST_CHUNK = 16 * 1024
/** JSON and prose shrink to a quarter or less: the first chunk then holds most messages. */
const USUAL_RATIO = 4

/** Final blocks that one message may hold: each costs a new inflater, and a sender has no use for more than one. */
const MAX_FINAL_BLOCKS = 64

/** §7.2.1: a message ends with an empty stored block, and its last four octets are left out. */
const FLUSH_TAIL_BYTES = 4
/** What comes out last of a message that is whole. */
const MARK = Buffer.from('mark')
/**
 * §7.2.2: those octets; and a final block that holds the mark. zlib ends with that block or finds the data cut off, but a
 * block that was cut off may also take what we put behind it for its own, and end: then what comes out is not the mark.
 * Its codes are the fixed ones of RFC 1951 §3.2.6. To have zlib make it here would take 1 ms of each start.
 */
const INFLATE_TAIL = Buffer.from('0000ffff' + 'cb4d2cca0600', 'hex')

const NOTHING = Buffer.alloc(0)

/** Compresses what one end sends and inflates what it receives: in each direction one message after the other. */
export class DeflateCodec {
  readonly thresholdBytes: number
  /** Connections with the same form compress a message to the same octets. None with context takeover. */
  readonly sharedForm: string | undefined

  readonly #options: DeflateSettings
  readonly #sent: Window
  readonly #received: Window

  constructor (role: Role, options: DeflateSettings) {
    const server = new Window(options.serverMaxWindowBits, !options.serverNoContextTakeover)
    const client = new Window(options.clientMaxWindowBits, !options.clientNoContextTakeover)
    this.#options = options
    this.#sent = role === 'server' ? server : client
    this.#received = role === 'server' ? client : server
    this.thresholdBytes = options.thresholdBytes
    this.sharedForm = this.#sent.takesOver ? undefined : `${this.#sent.bits}/${options.level}/${options.memLevel}`
  }

  /** Whether a payload of this size is compressed at once; else `compressLater` is to be used. */
  compressesNow (bytes: number): boolean {
    return bytes <= COMPRESS_NOW_BYTES
  }

  /** The payload in its compressed form; undefined where that is no smaller, or cannot be had. */
  compress (payload: Uint8Array): Buffer | undefined {
    try {
      return this.#compressed(payload, deflateRawSync(payload, this.#deflateOptions(payload.length)))
    } catch {
      // The deflater fails for want of memory alone. What cannot be compressed can be sent as it is.
      return undefined
    }
  }

  /** The same as a job: calls back later, or never if `isWanted` says, when the turn comes, that nobody waits any more. */
  compressLater (payload: Uint8Array, isWanted: () => boolean, done: (compressed: Buffer | undefined) => void): void {
    const start = (finished: () => void): void => {
      const settle = (error: unknown, octets: Buffer): void => {
        finished()
        done(error === null ? this.#compressed(payload, octets) : undefined)
      }
      try {
        deflateRaw(payload, this.#deflateOptions(payload.length), settle)
      } catch (error) {
        settle(error, NOTHING)
      }
    }
    runZlibJob({ maxConcurrentJobs: this.#options.maxConcurrentJobs, isWanted, start })
  }

  /**
   * Inflates the payload of a message; undefined if it is too large to be done at once. Throws a ProtocolError: 1009
   * above `maxBytes`, 1007 for what is no compressed message.
   */
  inflate (payload: Uint8Array, maxBytes: number): Buffer | undefined {
    if (payload.length > INFLATE_NOW_BYTES) return undefined
    const inflation = new Inflation(payload, Math.min(maxBytes, INFLATE_STEP_BYTES))
    try {
      while (!inflation.done) {
        const options = this.#inflateOptions(inflation, clamp(USUAL_RATIO * inflation.rest.length, SMALLEST_CHUNK, LARGEST_CHUNK))
        inflation.take(inflateRawSync(inflation.rest, options) as unknown as Inflated)
      }
    } catch (error) {
      if (isTooLarge(error) && maxBytes > INFLATE_STEP_BYTES) return undefined
      throw inflateError(error)
    }
    return this.#inflated(inflation)
  }

  /** The same as a job, which may be dropped as that of `compressLater`. */
  inflateLater (payload: Uint8Array, maxBytes: number, isWanted: () => boolean, done: (result: Buffer | ProtocolError) => void): void {
    const inflation = new Inflation(payload, maxBytes)
    const start = (finished: () => void): void => {
      const settle = (error: unknown): void => {
        finished()
        done(error === null ? this.#inflated(inflation) : inflateError(error))
      }
      const step = (): void => {
        // Steps of the full size: that it is done by a job says that little may have become much.
        const options = this.#inflateOptions(inflation, INFLATE_STEP_BYTES)
        inflateRaw(inflation.rest, options, (failure: Error | null, inflated: unknown): void => {
          try {
            if (failure !== null) throw failure
            inflation.take(inflated as Inflated)
            if (!inflation.done) return step()
          } catch (error) {
            return settle(error)
          }
          settle(null)
        })
      }
      try {
        step()
      } catch (error) {
        settle(error)
      }
    }
    runZlibJob({ maxConcurrentJobs: this.#options.maxConcurrentJobs, isWanted, start })
  }

  #deflateOptions (bytes: number): ZlibOptions {
    const { level, memLevel } = this.#options
    return {
      level,
      memLevel,
      windowBits: this.#sent.bits,
      finishFlush: constants.Z_SYNC_FLUSH,
      chunkSize: clamp(bytes, SMALLEST_CHUNK, LARGEST_CHUNK),
      ...dictionary(this.#sent.text)
    }
  }

  #compressed (payload: Uint8Array, octets: Buffer): Buffer | undefined {
    const length = octets.length - FLUSH_TAIL_BYTES
    if (length >= payload.length) return undefined
    this.#sent.add(payload)
    return octets.subarray(0, length)
  }

  #inflateOptions (inflation: Inflation, chunkSize: number): ZlibOptions {
    return {
      windowBits: this.#received.bits,
      finishFlush: constants.Z_FINISH,
      chunkSize: clamp(chunkSize, SMALLEST_CHUNK, Math.max(SMALLEST_CHUNK, inflation.mostOutput)),
      maxOutputLength: inflation.mostOutput,
      info: true,
      ...dictionary(inflation.parts.length === 0 ? this.#received.text : this.#received.textBefore(inflation.parts))
    }
  }

  #inflated (inflation: Inflation): Buffer {
    const { parts } = inflation
    for (const part of parts) this.#received.add(part)
    const [message] = parts
    if (parts.length > 1 || message === undefined) return Buffer.concat(parts)
    // A chunk that is mostly empty would be kept alive with its message.
    return 2 * message.length < message.buffer.byteLength ? Buffer.from(message) : message
  }
}

/** What zlib returns with `info`. */
interface Inflated {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

/** A message that is being inflated. */
class Inflation {
  rest: Buffer
  readonly parts: Buffer[] = []
  /** Octets that may still come out. */
  room: number

  constructor (payload: Uint8Array, maxBytes: number) {
    this.rest = payload.length === 0 ? NOTHING : Buffer.concat([payload, INFLATE_TAIL])
    this.room = maxBytes
  }

  /** One octet more than there is room for tells that there is too much. */
  get mostOutput (): number {
    return this.room + 1 + MARK.length
  }

  /** §7.2.3.4, §7.2.3.5: a block may be final and others follow. Behind the last one that is final the tail is left. */
  get done (): boolean {
    const { length } = this.rest
    return length === 0 || (length === INFLATE_TAIL.length && this.parts.length > 0)
  }

  take ({ buffer, engine }: Inflated): void {
    this.rest = this.rest.subarray(engine.bytesWritten)
    const part = this.rest.length === 0 ? withoutMark(buffer) : buffer
    if (part.length > this.room) throw TOO_LARGE
    if (this.parts.length === MAX_FINAL_BLOCKS) throw new ProtocolError(CloseCode.PolicyViolation, 'too many final blocks in a compressed message')
    this.parts.push(part)
    this.room -= part.length
  }
}

function withoutMark (inflated: Buffer): Buffer {
  if (!inflated.subarray(-MARK.length).equals(MARK)) throw new ProtocolError(CloseCode.InvalidFramePayloadData, 'data that cannot be inflated')
  return inflated.subarray(0, -MARK.length)
}

/** What one direction may refer back to (§7.2.3.2): the end of what was compressed before. */
class Window {
  readonly bits: number
  readonly takesOver: boolean
  readonly #size: number
  /** Half as large again as the window, when full, so that it is moved to the front once for many messages. */
  #buffer = NOTHING
  #end = 0

  constructor (bits: number, takesOver: boolean) {
    this.bits = bits
    this.takesOver = takesOver
    this.#size = 1 << bits
  }

  get text (): Buffer {
    return this.#buffer.subarray(Math.max(0, this.#end - this.#size), this.#end)
  }

  /** The text in the middle of a message, of which these parts are inflated. */
  textBefore (parts: readonly Buffer[]): Buffer {
    // Of a large message that has many parts no more than can matter is copied.
    const text = Buffer.concat([this.text, ...parts.map((part) => part.subarray(Math.max(0, part.length - this.#size)))])
    return text.subarray(Math.max(0, text.length - this.#size))
  }

  add (text: Uint8Array): void {
    if (!this.takesOver) return
    const added = text.subarray(Math.max(0, text.length - this.#size))
    if (this.#end + added.length > this.#buffer.length) this.#makeRoom(added.length)
    this.#buffer.set(added, this.#end)
    this.#end += added.length
  }

  #makeRoom (bytes: number): void {
    const kept = this.text.subarray(Math.max(0, this.text.length + bytes - this.#size))
    const needed = kept.length + bytes
    const capacity = Math.min(2 * needed, this.#size + this.#size / 2)
    const buffer = capacity > this.#buffer.length ? Buffer.allocUnsafeSlow(capacity) : this.#buffer
    buffer.set(kept, 0)
    this.#buffer = buffer
    this.#end = kept.length
  }
}

const TOO_LARGE = Object.assign(new Error('too large'), { code: 'ERR_BUFFER_TOO_LARGE' })
const NOT_COMPRESSED_DATA = ['Z_DATA_ERROR', 'Z_BUF_ERROR', 'Z_NEED_DICT']

function isTooLarge (error: unknown): boolean {
  return codeOf(error) === 'ERR_BUFFER_TOO_LARGE'
}

function inflateError (error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error
  if (isTooLarge(error)) return new ProtocolError(CloseCode.MessageTooBig, 'message above the limit')
  return NOT_COMPRESSED_DATA.includes(codeOf(error))
    ? new ProtocolError(CloseCode.InvalidFramePayloadData, 'data that cannot be inflated')
    : new ProtocolError(CloseCode.InternalError, 'internal error', { cause: error })
}

function codeOf (error: unknown): string {
  return String((error as { code?: unknown } | null)?.code)
}

/** zlib takes no empty dictionary. */
function dictionary (text: Buffer): { dictionary?: Buffer } {
  return text.length === 0 ? {} : { dictionary: text }
}

function clamp (value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}
