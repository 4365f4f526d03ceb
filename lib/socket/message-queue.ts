/**
 * Received messages that nobody has taken yet, in their wire form, first in first out. It counts its bytes; whoever
 * fills it decides what to do when they are too many.
 */
import { Buffer } from 'node:buffer'

/**
 * What an entry costs beside its payload, so that empty messages count too. Of heap, on Node 20: a string 20 to 45 octets, a
 * Buffer 117 to 206.
 */
const STRING_BYTES = 64
const BUFFER_BYTES = 208

export class MessageQueue {
  /** Payloads, and the cost of their entries. */
  bytes = 0

  #data: Array<string | Buffer> = []
  #isBinary: boolean[] = []
  #first = 0

  get length (): number { return this.#data.length - this.#first }
  /** The first message; there must be one. */
  get data (): string | Buffer { return this.#data[this.#first]! }
  get isBinary (): boolean { return this.#isBinary[this.#first]! }

  push (data: string | Buffer, isBinary: boolean): void {
    this.#data.push(data)
    this.#isBinary.push(isBinary)
    this.bytes += cost(data)
  }

  /** Drops the first message. */
  shift (): void {
    this.bytes -= cost(this.data)
    this.#data[this.#first++] = ''
    // Moving the rest down now and then keeps `shift` at constant cost and the arrays short.
    if (this.#first === this.#data.length) this.clear()
    else if (this.#first >= 1024 && this.#first * 2 >= this.#data.length) this.#compact()
  }

  clear (): void {
    this.#data.length = this.#isBinary.length = this.#first = this.bytes = 0
  }

  #compact (): void {
    this.#data.splice(0, this.#first)
    this.#isBinary.splice(0, this.#first)
    this.#first = 0
  }
}

function cost (data: string | Buffer): number {
  return typeof data === 'string' ? STRING_BYTES + Buffer.byteLength(data) : BUFFER_BYTES + data.length
}
