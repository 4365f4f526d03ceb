/**
 * Delta debugging: the smallest stream that still does what it did, by leaving out ever smaller ranges of it and then
 * making octets plain.
 */
import { Buffer } from 'node:buffer'

type Cutting = (length: number) => number[]

const WHOLE: Cutting = () => []
const EVERYWHERE: Cutting = (length) => Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1)

const LARGEST_OCTET_BY_OCTET = 4096

export interface Found {
  readonly bytes: Buffer
  readonly cuts: readonly number[]
}

/** `isBad` is asked over and over, with streams that it may change. */
export async function shrink (found: Found, isBad: (found: Found) => Promise<boolean>): Promise<Found> {
  const cutting = await simplestCutting(found, isBad)
  let bytes: Buffer = Buffer.from(found.bytes)
  const take = async (simpler: Buffer): Promise<boolean> => {
    if (!await isBad({ bytes: Buffer.from(simpler), cuts: cutting(simpler.length) })) return false
    bytes = simpler
    return true
  }

  for (let changed = true; changed;) {
    changed = false
    for (let size = Math.ceil(bytes.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < bytes.length;) {
        if (await take(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]))) changed = true
        else at += size
      }
    }
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] === 0) continue
      const plain = Buffer.from(bytes)
      plain[at] = 0
      if (await take(plain)) changed = true
    }
  }
  return { bytes, cuts: cutting(bytes.length) }
}

/** As it was cut only if no other way does. */
async function simplestCutting ({ bytes, cuts }: Found, isBad: (found: Found) => Promise<boolean>): Promise<Cutting> {
  const simple = bytes.length > LARGEST_OCTET_BY_OCTET ? [WHOLE] : [WHOLE, EVERYWHERE]
  for (const cutting of simple) {
    if (await isBad({ bytes: Buffer.from(bytes), cuts: cutting(bytes.length) })) return cutting
  }
  return (length) => cuts.filter((cut) => cut < length)
}
