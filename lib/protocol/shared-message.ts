/**
 * A whole message that a server sends on many connections: its frame is made once, and compressed once for all
 * connections that compress alike.
 */
import { Buffer } from 'node:buffer'
import type { Opcode } from './constants.ts'
import type { DeflateCodec } from './deflate.ts'
import { encodeServerFrame } from './frame-writer.ts'

type FrameCallback = (frame: Buffer) => void

export class SharedMessage {
  readonly opcode: typeof Opcode.Text | typeof Opcode.Binary
  /** Sent by reference: nobody may write into it. */
  readonly payload: Buffer
  #frame: Buffer | undefined
  /** By `DeflateCodec.sharedForm`: the frame, or those who wait for it. */
  #compressed: Map<string, Buffer | FrameCallback[]> | undefined

  constructor (opcode: typeof Opcode.Text | typeof Opcode.Binary, payload: Buffer) {
    this.opcode = opcode
    this.payload = payload
  }

  /** The uncompressed frame. */
  get frame (): Buffer {
    return (this.#frame ??= encodeServerFrame(this.opcode, this.payload))
  }

  /** The frame in the codec's form; undefined if it is compressed by a job, and `later` gets it. */
  compressedFrame (codec: DeflateCodec, form: string, later: FrameCallback): Buffer | undefined {
    const frames = (this.#compressed ??= new Map<string, Buffer | FrameCallback[]>())
    const known = frames.get(form)
    if (Buffer.isBuffer(known)) return known
    if (known !== undefined) {
      known.push(later)
      return undefined
    }
    if (codec.compressesNow(this.payload.length)) return this.#keep(frames, form, codec.compress(this.payload))

    const waiting = [later]
    frames.set(form, waiting)
    codec.compressLater(this.payload, always, (compressed) => {
      const frame = this.#keep(frames, form, compressed)
      for (const callback of waiting) callback(frame)
    })
    return undefined
  }

  #keep (frames: Map<string, Buffer | FrameCallback[]>, form: string, compressed: Buffer | undefined): Buffer {
    const frame = compressed === undefined ? this.frame : encodeServerFrame(this.opcode, compressed, true)
    frames.set(form, frame)
    return frame
  }
}

function always (): true { return true }
