/**
 * The same bytes whole, cut in two at every position, and octet by octet: whatever takes them must find the same
 * in all of them. Every run has a copy of its own, as frames are unmasked in place; chunks lie at all addresses,
 * and are written over as soon as they are taken, as nothing may be kept that was not copied.
 */
import { Buffer } from 'node:buffer'
import { deepStrictEqual } from 'node:assert'
import type { Test } from 'tap'

/** Takes chunks; a fresh one for each run. */
export interface Subject<Event> {
  feed (chunk: Buffer): void
  /** What was found so far, to be compared deeply. */
  readonly events: readonly Event[]
}

/** A copy that lies `shift` octets behind a word boundary. */
export function copyAt (bytes: Uint8Array, shift: number): Buffer {
  const copy = Buffer.from(new ArrayBuffer(bytes.length + shift), shift, bytes.length)
  copy.set(bytes)
  return copy
}

/** Copies of `bytes` cut at these positions, which ascend. */
export function cutAt (bytes: Uint8Array, positions: readonly number[]): Buffer[] {
  const ends = [...positions, bytes.length]
  return ends.map((end, i) => copyAt(bytes.subarray(i === 0 ? 0 : ends[i - 1]!, end), (i + end) % 8))
}

/** Asserts once that every cut of `bytes` gives `expected`, or what the whole gives. Returns what the whole gives. */
export function everyCut<Event> (t: Test, bytes: Uint8Array, subject: () => Subject<Event>, expected?: readonly Event[], name = 'the same, however it is cut'): readonly Event[] {
  const run = (positions: readonly number[]): readonly Event[] => {
    const taker = subject()
    for (const chunk of cutAt(bytes, positions)) {
      taker.feed(chunk)
      chunk.fill(0xee)
    }
    return taker.events
  }
  const whole = run([])
  const wanted = expected ?? whole
  const check = (what: string, found: readonly Event[]): boolean => {
    try {
      deepStrictEqual(found, wanted)
      return true
    } catch (error) {
      t.fail(`${name}: ${what}`, { found, wanted, diff: (error as Error).message })
      return false
    }
  }
  if (!check('whole', whole)) return whole
  for (let position = 1; position < bytes.length; position++) {
    if (!check(`cut at ${position}`, run([position]))) return whole
  }
  const everywhere = Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1)
  if (check('octet by octet', run(everywhere))) t.pass(name)
  return whole
}
