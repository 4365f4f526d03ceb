/**
 * Small chunks that many connections send one after the other, as one: copied together once for all of them. (Of eight
 * messages to 1,000 connections each gets one `write`, not a `writev` of eight pieces.)
 *
 * What they are copied to is collected with the last write that needs it, and never used again.
 */
import { Buffer } from 'node:buffer'

/** What is longer is not worth the copy. */
export const MAX_JOINED_BYTES = 4 * 1024
const SLAB_BYTES = 16 * 1024

let slab = Buffer.alloc(0)
let used = 0

// What was joined last: it ends where the slab is used to.
let lastLeft: Buffer | undefined
let lastRight: Buffer | undefined
let lastJoined: Buffer | undefined

/** Both chunks as one, the same for all who ask one after the other; undefined if that is more than `MAX_JOINED_BYTES`. */
export function join (left: Buffer, right: Buffer): Buffer | undefined {
  if (left !== lastLeft || right !== lastRight) {
    if (left.length + right.length > MAX_JOINED_BYTES) return undefined
    lastJoined = left === lastJoined && used + right.length <= slab.length ? extendLast(left, right) : copyBoth(left, right)
    lastLeft = left
    lastRight = right
  }
  return lastJoined
}

function extendLast (left: Buffer, right: Buffer): Buffer {
  slab.set(right, used)
  used += right.length
  return slab.subarray(used - left.length - right.length, used)
}

function copyBoth (left: Buffer, right: Buffer): Buffer {
  const length = left.length + right.length
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  slab.set(left, used)
  slab.set(right, used + left.length)
  used += length
  return slab.subarray(used - length, used)
}
