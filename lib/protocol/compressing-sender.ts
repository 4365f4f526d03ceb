/**
 * What one endpoint sends on a connection with permessage-deflate (RFC 7692): a large message is compressed by a job, and what
 * is sent meanwhile waits behind it, so that all leaves in the order in which it was sent.
 */
import { Buffer } from 'node:buffer'
import { Opcode, type Role } from './constants.ts'
import type { DeflateCodec } from './deflate.ts'
import { OCTETS_PER_UNIT, writeCompressed, writeFrame, writeText } from './frame-writer.ts'
import { MessageSender } from './message-sender.ts'
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

export class CompressingSender extends MessageSender {
  readonly #deflate: DeflateCodec
  readonly #sink: SenderSink
  #pendingBytes = 0
  /** A message is being compressed by a job. */
  #compressing = false
  #firstWaiting: Waiting | undefined
  #lastWaiting: Waiting | undefined
  #stopped = false
  /** What may still be compressed at once in this turn; undefined, without limit, when the application sends, which is its own turn. */
  #burst: number | undefined

  constructor (role: Role, output: OutputBuffer, deflate: DeflateCodec, sink: SenderSink) {
    super(role, output)
    this.#deflate = deflate
    this.#sink = sink
  }

  override get pendingBytes (): number { return this.#pendingBytes }

  override sendText (text: string, fin: boolean, compress: boolean): void {
    const opcode = this.nextOpcode(Opcode.Text, fin)
    if (!this.#compressing && !this.#compresses(opcode, fin, compress, OCTETS_PER_UNIT * text.length)) writeText(this.output, this.masks, opcode, fin, text)
    else this.#inOrder(Buffer.from(text), opcode, fin, compress)
  }

  override sendBytes (payload: Uint8Array, opcode: number, fin: boolean, compress: boolean): void {
    this.#inOrder(payload, this.nextOpcode(opcode, fin), fin, compress)
  }

  override sendShared (message: SharedMessage, compress: boolean): void {
    const { opcode, payload } = message
    const form = this.#compresses(opcode, true, compress, payload.length) ? this.#deflate.sharedForm : ''
    // With a context of its own, no compressed message is like another's.
    if (this.makesOwnFrames || form === undefined) return this.sendBytes(payload, opcode, true, compress)
    if (this.#compressing) this.#waitToWriteShared(message, form)
    else this.#writeShared(message, form)
  }

  override addCallback (callback: WriteCallback): void {
    if (this.#compressing) this.#wait(0, () => super.addCallback(callback), true)
    else super.addCallback(callback)
  }

  override afterAll (run: () => void): void {
    if (this.#compressing) this.#wait(0, run)
    else run()
  }

  override stop (): void {
    this.#stopped = true
  }

  override drop (): number {
    this.#stopped = true
    const lost = this.#pendingBytes
    this.#pendingBytes = 0
    for (let waiting = this.#firstWaiting; waiting !== undefined; waiting = waiting.next) {
      if (waiting.always) waiting.run()
    }
    this.#firstWaiting = this.#lastWaiting = undefined
    return lost
  }

  /** Whether it goes through the compressor. RSV1 stands for a whole message, so one that is sent in fragments is not compressed. */
  #compresses (opcode: number, fin: boolean, compress: boolean, bytes: number): boolean {
    return compress && fin && opcode !== Opcode.Continuation && bytes >= this.#deflate.thresholdBytes
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
    this.#wait(message.payload.length, () => this.#writeShared(message, form))
  }

  #write (payload: Uint8Array, opcode: number, fin: boolean, compresses: boolean): void {
    if (!compresses) {
      writeFrame(this.output, this.masks, opcode, fin, payload)
    } else if ((this.#burst === undefined || this.#burst > 0) && this.#deflate.compressesNow(payload.length)) {
      if (this.#burst !== undefined) this.#burst -= payload.length
      this.#writeMessage(payload, opcode, this.#deflate.compress(payload))
    } else {
      this.#compressLater(payload, opcode)
    }
  }

  #compressLater (payload: Uint8Array, opcode: number): void {
    this.#compressing = true
    this.#pendingBytes += payload.length
    this.#deflate.compressLater(payload, () => !this.#stopped, (compressed) => {
      this.#goOn(payload.length, () => this.#writeMessage(payload, opcode, compressed))
    })
  }

  #writeMessage (payload: Uint8Array, opcode: number, compressed: Buffer | undefined): void {
    if (compressed === undefined) writeFrame(this.output, this.masks, opcode, true, payload)
    else writeCompressed(this.output, this.masks, opcode, compressed, payload.length)
  }

  #writeShared (message: SharedMessage, form: string): void {
    if (form === '') this.output.appendShared(message.frame, message.payload.length)
    else this.#writeSharedCompressed(message, form)
  }

  #writeSharedCompressed (message: SharedMessage, form: string): void {
    const { length } = message.payload
    // Before it is asked for: a job that cannot be started calls back at once.
    this.#compressing = true
    this.#pendingBytes += length
    const frame = message.compressedFrame(this.#deflate, form, (frame) => {
      this.#goOn(length, () => this.output.appendShared(frame, length))
    })
    if (frame === undefined) return
    this.#compressing = false
    this.#pendingBytes -= length
    this.output.appendShared(frame, length)
  }

  #wait (bytes: number, run: () => void, always = false): void {
    const waiting: Waiting = { bytes, run, always, next: undefined }
    this.#pendingBytes += bytes
    if (this.#lastWaiting === undefined) this.#firstWaiting = waiting
    else this.#lastWaiting.next = waiting
    this.#lastWaiting = waiting
  }

  /** A message is compressed: writes it, and what waited for it up to the next that needs a job. */
  #goOn (bytes: number, write: () => void): void {
    if (this.#stopped) return
    this.#compressing = false
    this.#burst = BURST_BYTES
    this.#pendingBytes -= bytes
    write()
    while (!this.#compressing && this.#firstWaiting !== undefined) {
      const { bytes, run, next } = this.#firstWaiting
      this.#firstWaiting = next
      if (next === undefined) this.#lastWaiting = undefined
      this.#pendingBytes -= bytes
      run()
    }
    this.#burst = undefined
    this.#sink.onProgress()
  }
}
