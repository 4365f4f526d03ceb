/**
 * What became of a stream: what was told, at which frame, and how it ended.
 */
import { Buffer } from 'node:buffer'

export const Kind = { Text: 1, Binary: 2, Ping: 9, Pong: 10 } as const

const NAMES: Readonly<Record<number, string>> = { 1: 'text', 2: 'binary', 9: 'ping', 10: 'pong' }

export class Outcome {
  readonly kinds: number[] = []
  /** The frame with which it was told, counted from 0. */
  readonly frames: number[] = []
  readonly data: Array<Buffer | string> = []

  end: 'open' | 'closed' | 'failed' = 'open'
  /** Of the Close that came, or with which it failed. */
  code = 0
  /** The reason of the Close, or what was wrong. */
  text: Buffer | string = ''
  /** The frame with which it ended; the one that would come next if it did not. */
  frame = 0

  reset (): void {
    this.kinds.length = this.frames.length = this.data.length = 0
    this.end = 'open'
    this.code = this.frame = 0
    this.text = ''
  }

  tell (kind: number, frame: number, data: Buffer | string): void {
    this.kinds.push(kind)
    this.frames.push(frame)
    this.data.push(data)
  }

  /** What both tell is the same, as far as the shorter goes. */
  agreesWith (other: Outcome): boolean {
    const count = Math.min(this.kinds.length, other.kinds.length)
    for (let i = 0; i < count; i++) {
      if (this.kinds[i] !== other.kinds[i] || this.frames[i] !== other.frames[i] || !sameData(this.data[i]!, other.data[i]!)) return false
    }
    return true
  }

  /** Told the same and ended the same, whatever words an error has. */
  equals (other: Outcome): boolean {
    return this.kinds.length === other.kinds.length && this.end === other.end && this.code === other.code && this.frame === other.frame &&
      (this.end !== 'closed' || sameData(this.text, other.text)) && this.agreesWith(other)
  }

  lines (): string[] {
    const show = (data: Buffer | string): string => {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data
      return `${bytes.length} ${bytes.toString('hex', 0, 40)}${bytes.length > 40 ? '…' : ''}`
    }
    const end = this.end === 'open' ? `open at frame ${this.frame}` : `${this.end} with frame ${this.frame}: ${this.code} ${this.text.toString()}`
    return [...this.kinds.map((kind, i) => `frame ${this.frames[i]}: ${NAMES[kind]} ${show(this.data[i]!)}`), end]
  }
}

export function sameData (a: Buffer | string, b: Buffer | string): boolean {
  if (typeof a === 'string') return typeof b === 'string' ? a === b : a === b.toString()
  return typeof b === 'string' ? b === a.toString() : a.equals(b)
}
