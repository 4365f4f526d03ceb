/**
 * The bytes that one connection has to send, gathered until the transport takes them: small ones side by side
 * in a region, large ones and those that others send too by reference.
 *
 * All connections share one region, so that an idle one owns none (0.8 KB, not 17). It is used again from its
 * start when no range of it waits any more. A connection whose transport is blocked writes to a region of its
 * own: what waits long must not keep the shared one.
 */
import { Buffer } from 'node:buffer'
import { join } from './join.ts'

const SHARED_BYTES = 64 * 1024
const FIRST_OWN_BYTES = 1024

/** The largest range that a region is asked for; what is larger goes by reference. */
export const MAX_RANGE_BYTES = 16 * 1024

/** Memory from which ranges are taken in order, and which is whole again when the last of them is released. */
class Region {
  readonly buffer: Buffer
  position = 0
  ranges = 0

  constructor (size: number) {
    this.buffer = Buffer.allocUnsafeSlow(size)
  }

  release (): void {
    if (--this.ranges === 0) this.position = 0
  }
}

let shared = new Region(SHARED_BYTES)

/** Called when what was sent is written, or lost: then with an error. */
export type WriteCallback = (error?: Error) => void

/** Any array that is still empty. */
const NONE: readonly never[] = []

/** Adds to an array that may be `NONE`. A batch mostly has one chunk, and `push` onto an empty array makes room for sixteen. */
function added<T> (array: readonly T[], one: T): readonly T[] {
  if (array === NONE) return [one];
  (array as T[]).push(one)
  return array
}

/** What was gathered: chunks to write in order, and what to give back once they are written. */
export class OutputBatch {
  chunks: readonly Buffer[] = NONE
  regions: readonly Region[] = NONE
  byteLength = 0
  /** Application data in it, without the framing. */
  payloadBytes = 0
  /** Called when the batch is written, or lost. */
  callbacks: WriteCallback[] | undefined

  /** The range being written, `region.buffer[start, end)`; not yet among the chunks. */
  #region: Region | undefined
  #start = 0
  #end = 0
  /** The region that nobody else writes to. */
  #own: Region | undefined

  /** Where the range lies that `reserve` returned an offset into. */
  get buffer (): Buffer { return this.#region!.buffer }

  reserve (size: number, blocked: boolean): number {
    const region = blocked ? this.#ownRegion(size) : sharedRegion(size)
    if (region !== this.#region || region.position !== this.#end) {
      this.endRange()
      this.#region = region
      this.#start = this.#end = region.position
      region.ranges++
    }
    return this.#end
  }

  commit (size: number, payloadBytes: number): void {
    this.#end += size
    this.#region!.position = this.#end
    this.#count(size, payloadBytes)
  }

  append (chunk: Buffer, payloadBytes: number): void {
    this.endRange()
    this.chunks = added(this.chunks, chunk)
    this.#count(chunk.length, payloadBytes)
  }

  appendShared (chunk: Buffer, payloadBytes: number, blocked: boolean): void {
    this.endRange()
    const chunks = this.chunks as Buffer[]
    // What is blocked may wait long: it costs less by reference. Not `at(-1)`: of eight messages to 1,000 connections it took
    // a fifth of all the time.
    const both = blocked || chunks.length === 0 ? undefined : join(chunks[chunks.length - 1]!, chunk)
    if (both === undefined) return this.append(chunk, payloadBytes)
    chunks[chunks.length - 1] = both
    this.#count(chunk.length, payloadBytes)
  }

  /** What is being written becomes a chunk. */
  endRange (): void {
    const region = this.#region
    if (region === undefined) return
    this.#region = undefined
    this.chunks = added(this.chunks, region.buffer.subarray(this.#start, this.#end))
    this.regions = added(this.regions, region)
  }

  /** To be called once, when nothing reads the chunks any more. */
  release (): void {
    for (const region of this.regions) region.release()
  }

  #count (size: number, payloadBytes: number): void {
    this.byteLength += size
    this.payloadBytes += payloadBytes
  }

  #ownRegion (size: number): Region {
    const own = this.#own
    if (own !== undefined && own.position + size <= own.buffer.length) return own
    return (this.#own = new Region(Math.max(size, own === undefined ? FIRST_OWN_BYTES : Math.min(2 * own.buffer.length, SHARED_BYTES))))
  }
}

export class OutputBuffer {
  /** Set by the transport while a write is under way: what is added then may have to wait. */
  blocked = false
  /** Octets of all batches so far, but for those that were lost. */
  totalBytes = 0
  /** Octets of those that have left. */
  writtenBytes = 0

  /** Made for the first octet and gone when taken: an idle connection has none. */
  #batch: OutputBatch | undefined

  /** Octets that have not left: those here, and those of the batch that was taken. */
  get unsentBytes (): number { return this.totalBytes - this.writtenBytes }
  get byteLength (): number { return this.#batch === undefined ? 0 : this.#batch.byteLength }
  get payloadBytes (): number { return this.#batch === undefined ? 0 : this.#batch.payloadBytes }

  /** Where the range lies that `reserve` returned an offset into. */
  get buffer (): Buffer { return this.#batch!.buffer }

  /** Makes room for `size` octets (`MAX_RANGE_BYTES` at most) and returns the offset in `buffer` at which to write; `commit` follows. */
  reserve (size: number): number {
    return (this.#batch ??= new OutputBatch()).reserve(size, this.blocked)
  }

  /** Adds the first `size` octets of what was reserved, of which `payloadBytes` are application data. */
  commit (size: number, payloadBytes: number): void {
    this.totalBytes += size
    this.#batch!.commit(size, payloadBytes)
  }

  /** Adds these octets by reference: they must not change until the batch is released. */
  append (chunk: Buffer, payloadBytes: number): void {
    this.totalBytes += chunk.length;
    (this.#batch ??= new OutputBatch()).append(chunk, payloadBytes)
  }

  /** Adds octets that others send too, and that never change. */
  appendShared (chunk: Buffer, payloadBytes: number): void {
    this.totalBytes += chunk.length;
    (this.#batch ??= new OutputBatch()).appendShared(chunk, payloadBytes, this.blocked)
  }

  /** Calls back when all that was added so far is written, or lost. */
  addCallback (callback: WriteCallback): void {
    const batch = (this.#batch ??= new OutputBatch());
    (batch.callbacks ??= []).push(callback)
  }

  /** Hands over what was gathered; undefined if there is nothing. */
  take (): OutputBatch | undefined {
    const batch = this.#batch
    this.#batch = undefined
    batch?.endRange()
    return batch
  }

  /** A batch that was taken has left. Nothing reads its chunks any more. */
  written (batch: OutputBatch): void {
    this.writtenBytes += batch.byteLength
    batch.release()
  }

  /** A batch that was taken will never leave. */
  lost (batch: OutputBatch): void {
    this.totalBytes -= batch.byteLength
    batch.release()
  }
}

function sharedRegion (size: number): Region {
  if (shared.position + size > SHARED_BYTES) shared = new Region(SHARED_BYTES)
  return shared
}
