/**
 * Octets, a few at a time: what Node's methods do for many of them they do for a few as well, but at the price of a call
 * that checks its arguments.
 */

/** Up to here a loop is faster than a call that leaves JavaScript (16 octets: 15 ns against 50). */
const LOOP_UP_TO = 48

/** Copies `source[start, end)` to `target`, from offset `at` on; the two ranges do not overlap. */
export function copyOctets (target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): void {
  if (end - start > LOOP_UP_TO) return target.set(source.subarray(start, end), at)
  const shift = at - start
  let i = start
  // Four at a time: 16 octets in 11 ns instead of 15.
  for (; i + 4 <= end; i += 4) {
    target[i + shift] = source[i]!
    target[i + shift + 1] = source[i + 1]!
    target[i + shift + 2] = source[i + 2]!
    target[i + shift + 3] = source[i + 3]!
  }
  for (; i < end; i++) target[i + shift] = source[i]!
}

/** The integer of 16 bits at this offset, in network byte order. */
export function readUint16 (octets: Uint8Array, offset: number): number {
  return (octets[offset]! << 8) | octets[offset + 1]!
}

/** The signed integer of 32 bits at this offset, in network byte order; `readInt32BE` takes twice as long. */
export function readInt32 (octets: Uint8Array, offset: number): number {
  return (octets[offset]! << 24) | (octets[offset + 1]! << 16) | (octets[offset + 2]! << 8) | octets[offset + 3]!
}
