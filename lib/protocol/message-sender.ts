/**
 * What one endpoint sends, in order: messages, whole or in fragments (RFC 6455 §5.4), and control frames. Here nothing
 * waits for anything; with permessage-deflate `CompressingSender` takes its place.
 */
import { Opcode, type Role } from './constants.ts'
import { writeFrame, writeText } from './frame-writer.ts'
import type { OutputBuffer, WriteCallback } from './output-buffer.ts'
import type { SharedMessage } from './shared-message.ts'

export class MessageSender {
  protected readonly output: OutputBuffer
  /** §5.1: a client masks every frame, a server none. */
  protected readonly masks: boolean
  #sendingFragments = false

  constructor (role: Role, output: OutputBuffer) {
    this.output = output
    this.masks = role === 'client'
  }

  /** Application data that waits to be compressed, or behind what is. */
  get pendingBytes (): number { return 0 }

  /** Whether a message of ours has begun whose last fragment is still to come. */
  get sendingFragments (): boolean { return this.#sendingFragments }

  /** Sends text; `fin` false leaves the message open for further fragments, none of which is compressed. */
  sendText (text: string, fin: boolean, _compress: boolean): void {
    writeText(this.output, this.masks, this.nextOpcode(Opcode.Text, fin), fin, text)
  }

  /** Sends octets, which must not change until they are written. */
  sendBytes (payload: Uint8Array, opcode: number, fin: boolean, _compress: boolean): void {
    writeFrame(this.output, this.masks, this.nextOpcode(opcode, fin), fin, payload)
  }

  /** Sends a message that others send too. */
  sendShared (message: SharedMessage, compress: boolean): void {
    if (this.makesOwnFrames) this.sendBytes(message.payload, message.opcode, true, compress)
    else this.output.appendShared(message.frame, message.payload.length)
  }

  /** Sends a control frame behind what was sent before, and then calls `written`. */
  sendControl (opcode: number, payload: Uint8Array, written: () => void = noop): void {
    this.afterAll(() => {
      writeFrame(this.output, this.masks, opcode, true, payload)
      written()
    })
  }

  /** Sends a pong at once: it answers, and belongs to no order (§5.5.2). */
  pong (payload: Uint8Array): void {
    writeFrame(this.output, this.masks, Opcode.Pong, true, payload)
  }

  /** Calls back when all that was sent so far has left, or is lost. */
  addCallback (callback: WriteCallback): void {
    this.output.addCallback(callback)
  }

  /** Calls back when all that was sent so far is in the output. */
  afterAll (run: () => void): void {
    run()
  }

  /** Compresses and writes nothing more of what waits. */
  stop (): void {}

  /** The transport is gone: forgets what waits, but for the callbacks, which the output gets. Returns the application data that is lost. */
  drop (): number { return 0 }

  /** Whether no frame of a message would be like another endpoint's: a client masks each with a key of its own, and after a fragment it is a continuation. */
  protected get makesOwnFrames (): boolean { return this.masks || this.#sendingFragments }

  /** §5.4: every fragment but the first is a continuation. */
  protected nextOpcode (opcode: number, fin: boolean): number {
    const next = this.#sendingFragments ? Opcode.Continuation : opcode
    this.#sendingFragments = !fin
    return next
  }
}

function noop (): void {}
