/**
 * What one endpoint sends, in order. Frames go straight to the writer; on a connection with permessage-deflate a large
 * message is compressed by a job, and what is sent meanwhile waits behind it.
 */
import { Buffer } from 'node:buffer'
import { Opcode, type Role } from './constants.ts'
import type { DeflateCodec } from './deflate.ts'
import { FrameWriter, OCTETS_PER_UNIT } from './frame-writer.ts'
import type { OutputBuffer, WriteCallback } from './output-buffer.ts'
import type { SharedMessage } from './shared-message.ts'

/** Something that happens when everything before it has been written. */
interface Waiting {
  /** Application data that it stands for. */
  readonly bytes: number
  readonly run: () => void
  /** Whether it runs even if what was sent before is lost. */
  readonly always: boolean
  next: Waiting | undefined
}

/** How much of what waited is compressed at once before the event loop gets its turn: what is left goes through a job. */
const BURST_BYTES = 128 * 1024

export interface SenderSink {
  /** Something was written that had to wait. */
  onProgress (): void
}

export class MessageSender {
  /** Application data that waits to be compressed, or behind what is. */
  pendingBytes = 0

  readonly #output: OutputBuffer
  readonly #writer: FrameWriter
  readonly #role: Role
  readonly #deflate: DeflateCodec | undefined
  readonly #sink: SenderSink
  #sendingFragments = false
  /** A message is being compressed by a job. */
  #compressing = false
  #firstWaiting: Waiting | undefined
  #lastWaiting: Waiting | undefined
  #stopped = false
  /** What may still be compressed at once in this turn; undefined, without limit, when the application sends, which is its own turn. */
  #burst: number | undefined

  constructor (role: Role, output: OutputBuffer, deflate: DeflateCodec | undefined, sink: SenderSink) {
    this.#role = role
    this.#output = output
    this.#writer = new FrameWriter(role, output)
    this.#deflate = deflate
    this.#sink = sink
  }

  /** Whether a message of ours has begun whose last fragment is still to come. */
  get sendingFragments (): boolean { return this.#sendingFragments }

  /** Sends text; `fin` false leaves the message open for further fragments, none of which is compressed. */
  sendText (text: string, fin: boolean, compress: boolean): void {
    const opcode = this.#nextOpcode(Opcode.Text, fin)
    const mostBytes = OCTETS_PER_UNIT * text.length
    if (!this.#compressing && !this.#compresses(opcode, fin, compress, mostBytes)) this.#writer.writeText(opcode, fin, text)
    else this.#inOrder(Buffer.from(text), opcode, fin, compress)
  }

  /** Sends octets, which must not change until they are written. */
  sendBytes (payload: Uint8Array, opcode: number, fin: boolean, compress: boolean): void {
    const next = this.#nextOpcode(opcode, fin)
    // Without deflate nothing waits for anything: 25 ns of 300 that an echo of 16 octets takes in JavaScript.
    if (this.#deflate === undefined) this.#writer.writeFrame(next, fin, payload)
    else this.#inOrder(payload, next, fin, compress)
  }

  /** Sends a message that others send too. */
  sendShared (message: SharedMessage, compress: boolean): void {
    const { opcode, payload } = message
    const form = this.#compresses(opcode, true, compress, payload.length) ? this.#deflate!.sharedForm : ''
    // A client masks each frame with a key of its own; between fragments, or with a context of its own, no frame is like another.
    if (this.#role === 'client' || this.#sendingFragments || form === undefined) return this.sendBytes(payload, opcode, true, compress)
    if (this.#compressing) this.#waitToWriteShared(message, form)
    else if (form === '') this.#output.appendShared(message.frame, payload.length)
    else this.#writeSharedCompressed(message, form)
  }

  /** Sends a control frame behind what was sent before, and then calls `written`. */
  sendControl (opcode: number, payload: Uint8Array, written: () => void = noop): void {
    this.afterAll(() => {
      this.#writer.writeFrame(opcode, true, payload)
      written()
    })
  }

  /** Sends a pong at once: it answers, and belongs to no order (RFC 6455 §5.5.2). */
  pong (payload: Uint8Array): void {
    this.#writer.writeFrame(Opcode.Pong, true, payload)
  }

  /** Calls back when all that was sent so far has left, or is lost. */
  addCallback (callback: WriteCallback): void {
    if (this.#compressing) this.#wait(0, () => this.#output.addCallback(callback), true)
    else this.#output.addCallback(callback)
  }

  /** Calls back when all that was sent so far is in the output. */
  afterAll (run: () => void): void {
    if (this.#compressing) this.#wait(0, run)
    else run()
  }

  /** Compresses and writes nothing more of what waits. */
  stop (): void {
    this.#stopped = true
  }

  /** The transport is gone: forgets what waits, but for the callbacks, which the output gets. Returns the application data that is lost. */
  drop (): number {
    this.#stopped = true
    const lost = this.pendingBytes
    this.pendingBytes = 0
    for (let waiting = this.#firstWaiting; waiting !== undefined; waiting = waiting.next) {
      if (waiting.always) waiting.run()
    }
    this.#firstWaiting = this.#lastWaiting = undefined
    return lost
  }

  #nextOpcode (opcode: number, fin: boolean): number {
    // RFC 6455 §5.4: every fragment but the first is a continuation.
    const next = this.#sendingFragments ? Opcode.Continuation : opcode
    this.#sendingFragments = !fin
    return next
  }

  /** Whether it goes through the compressor. RSV1 stands for a whole message, so one that is sent in fragments is not compressed. */
  #compresses (opcode: number, fin: boolean, compress: boolean, bytes: number): boolean {
    return this.#deflate !== undefined && compress && fin && opcode !== Opcode.Continuation && bytes >= this.#deflate.thresholdBytes
  }

  #inOrder (payload: Uint8Array, opcode: number, fin: boolean, compress: boolean): void {
    const compresses = this.#compresses(opcode, fin, compress, payload.length)
    if (this.#compressing) this.#waitToWrite(payload, opcode, fin, compresses)
    else this.#write(payload, opcode, fin, compresses)
  }

  // Apart from what every message goes through: what a closure may need is allocated by each call, closure or not.
  #waitToWrite (payload: Uint8Array, opcode: number, fin: boolean, compresses: boolean): void {
    this.#wait(payload.length, () => this.#write(payload, opcode, fin, compresses))
  }

  #waitToWriteShared (message: SharedMessage, form: string): void {
    this.#wait(message.payload.length, () => {
      if (form === '') this.#output.appendShared(message.frame, message.payload.length)
      else this.#writeSharedCompressed(message, form)
    })
  }

  #write (payload: Uint8Array, opcode: number, fin: boolean, compresses: boolean): void {
    if (!compresses) {
      this.#writer.writeFrame(opcode, fin, payload)
    } else if ((this.#burst === undefined || this.#burst > 0) && this.#deflate!.compressesNow(payload.length)) {
      if (this.#burst !== undefined) this.#burst -= payload.length
      this.#writeMessage(payload, opcode, this.#deflate!.compress(payload))
    } else {
      this.#compressLater(payload, opcode)
    }
  }

  #compressLater (payload: Uint8Array, opcode: number): void {
    this.#compressing = true
    this.pendingBytes += payload.length
    this.#deflate!.compressLater(payload, () => !this.#stopped, (compressed) => {
      this.#goOn(payload.length, () => this.#writeMessage(payload, opcode, compressed))
    })
  }

  #writeMessage (payload: Uint8Array, opcode: number, compressed: Buffer | undefined): void {
    if (compressed === undefined) this.#writer.writeFrame(opcode, true, payload)
    else this.#writer.writeCompressed(opcode, compressed, payload.length)
  }

  #writeSharedCompressed (message: SharedMessage, form: string): void {
    const { length } = message.payload
    // Before it is asked for: a job that cannot be started calls back at once.
    this.#compressing = true
    this.pendingBytes += length
    const frame = message.compressedFrame(this.#deflate!, form, (frame) => {
      this.#goOn(length, () => this.#output.appendShared(frame, length))
    })
    if (frame === undefined) return
    this.#compressing = false
    this.pendingBytes -= length
    this.#output.appendShared(frame, length)
  }

  #wait (bytes: number, run: () => void, always = false): void {
    const waiting: Waiting = { bytes, run, always, next: undefined }
    this.pendingBytes += bytes
    if (this.#lastWaiting === undefined) this.#firstWaiting = waiting
    else this.#lastWaiting.next = waiting
    this.#lastWaiting = waiting
  }

  /** A message is compressed: writes it, and what waited for it up to the next that needs a job. */
  #goOn (bytes: number, write: () => void): void {
    if (this.#stopped) return
    this.#compressing = false
    this.#burst = BURST_BYTES
    this.pendingBytes -= bytes
    write()
    while (!this.#compressing && this.#firstWaiting !== undefined) {
      const { bytes, run, next } = this.#firstWaiting
      this.#firstWaiting = next
      if (next === undefined) this.#lastWaiting = undefined
      this.pendingBytes -= bytes
      run()
    }
    this.#burst = undefined
    this.#sink.onProgress()
  }
}

function noop (): void {}
