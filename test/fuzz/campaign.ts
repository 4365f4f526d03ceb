/**
 * Makes streams, mutates them, and has each read by both: what they tell, at which frame, and how it ends must be the same,
 * or be among the accepted differences.
 */
import { Buffer } from 'node:buffer'
import type { Role } from '../../lib/protocol/constants.ts'
import { chainsFor } from './compressed.ts'
import { explain, overlooked } from './differences.ts'
import { explainInflated } from './inflated-differences.ts'
import { Outcome } from './outcome.ts'
import { Random } from './random.ts'
import { shrink, type Found } from './shrink.ts'
import { cut, StreamMaker } from './streams.ts'
import { inflateOurs, inflateTheirs, readOurs, readTheirs, type Setting } from './subjects.ts'

const MOST_BYTES = [125, 126, 1000, 65535, 65536, 1024 * 1024, 1024 * 1024]
const MOST_INFLATED_BYTES = [1000, 65536, 100_000, 1024 * 1024]
/** Streams up to this size are looked at frame by frame as well. */
const LARGEST_LAID_OUT = 4096
const SHRINKING_MS = 20_000
/** Streams that are inflated at the same time, in the thread pool. */
const INFLATING_LANES = 8
/** Streams between two looks at the clock. */
const AT_A_TIME = 64

export type Mode = 'frames' | 'deflate'

export interface Limits {
  readonly seed: number
  /** The number of the first stream. */
  readonly first?: number
  readonly streams?: number
  readonly frames?: number
  readonly milliseconds?: number
}

export interface Report {
  streams: number
  /** That were read until the stream ended or failed, and the one with which it failed. */
  frames: number
  /** Those of all streams. */
  framesMade: number
  bytes: number
  failed: number
  closed: number
  milliseconds: number
  /** By the name of the accepted difference. */
  readonly differences: Map<string, number>
  readonly faults: Fault[]
}

export interface Fault {
  readonly mode: Mode
  readonly seed: number
  readonly stream: number
  readonly setting: Setting
  readonly found: Found
  readonly problem: string
  readonly ours: readonly string[]
  readonly theirs: readonly string[]
}

/** What one stream after the other is made in and read from. */
class Lane {
  readonly random = new Random(0)
  readonly maker = new StreamMaker()
  readonly cuts: number[] = []
  readonly ours = new Outcome()
  readonly theirs = new Outcome()
  /** Each reads a copy of its own, since both unmask in place. */
  readonly #ourCopy = Buffer.alloc(this.maker.bytes.length + 8)
  readonly #theirCopy = Buffer.alloc(this.maker.bytes.length + 8)

  get bytes (): Buffer { return this.maker.bytes.subarray(0, this.maker.length) }

  /** Copies that begin at any address. */
  copies (bytes: Buffer, shift: number): [Buffer, Buffer] {
    this.ours.reset()
    this.theirs.reset()
    const copies: [Buffer, Buffer] = [this.#ourCopy.subarray(shift, shift + bytes.length), this.#theirCopy.subarray(shift, shift + bytes.length)]
    for (const copy of copies) copy.set(bytes)
    return copies
  }
}

/** Nothing if both say the same; the accepted difference, or what is wrong. */
export interface Comparison {
  readonly accepted?: string
  readonly problem?: string
}

const SAME: Comparison = {}
const UNEXPLAINED: Comparison = { problem: 'a difference that is not explained' }

function checkOverlooked (bytes: Buffer, ours: Outcome): Comparison {
  const problem = bytes.length <= LARGEST_LAID_OUT ? overlooked(bytes, ours) : undefined
  return problem === undefined ? SAME : { problem }
}

export abstract class Campaign {
  abstract readonly mode: Mode
  readonly report: Report = { streams: 0, frames: 0, framesMade: 0, bytes: 0, failed: 0, closed: 0, milliseconds: 0, differences: new Map(), faults: [] }
  readonly #limits: Limits
  readonly #lanes: readonly Lane[]
  #next: number

  constructor (limits: Limits, lanes: number) {
    this.#limits = limits
    this.#lanes = Array.from({ length: lanes }, () => new Lane())
    this.#next = limits.first ?? 0
  }

  /** Decides the setting, and makes the stream. */
  abstract make (lane: Lane): Setting
  /** Has both read it. */
  abstract read (lane: Lane, setting: Setting, bytes: Buffer, cuts: readonly number[], shift: number): Comparison | Promise<Comparison>

  get done (): boolean {
    const { frames, milliseconds } = this.#limits
    const { report } = this
    return report.faults.length > 0 || this.#made >= (this.#limits.streams ?? Infinity) || report.frames >= (frames ?? Infinity) || report.milliseconds >= (milliseconds ?? Infinity)
  }

  /** Works for so long, or until it is done. */
  async run (milliseconds: number): Promise<void> {
    const start = Date.now()
    const before = this.report.milliseconds
    const { stackTraceLimit } = Error
    // Errors are part of the work, their stacks are not.
    Error.stackTraceLimit = 0
    const isTimeUp = (): boolean => {
      this.report.milliseconds = before + Date.now() - start
      return this.done || this.report.milliseconds - before >= milliseconds
    }
    try {
      await Promise.all(this.#lanes.map((lane) => this.#work(lane, isTimeUp)))
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
  }

  get #made (): number { return this.#next - (this.#limits.first ?? 0) }

  async #work (lane: Lane, isTimeUp: () => boolean): Promise<void> {
    while (!isTimeUp()) {
      for (let i = 0; i < AT_A_TIME && !this.done; i++) {
        const stream = this.#next++
        lane.random.restart(this.#limits.seed, stream)
        const setting = this.make(lane)
        lane.maker.mutate()
        const { bytes } = lane
        cut(lane.random, bytes.length, lane.maker.starts, lane.cuts)
        const reading = this.read(lane, setting, bytes, lane.cuts, lane.random.below(8))
        const { accepted, problem } = reading instanceof Promise ? await reading : reading
        this.#count(lane, accepted)
        if (problem !== undefined) this.report.faults.push(await this.#fault(lane, stream, setting, { bytes: Buffer.from(bytes), cuts: [...lane.cuts] }))
      }
    }
  }

  #count ({ maker, ours }: Lane, accepted: string | undefined): void {
    const { report } = this
    if (accepted !== undefined) report.differences.set(accepted, (report.differences.get(accepted) ?? 0) + 1)
    report.streams++
    report.framesMade += maker.starts.length
    report.bytes += maker.length
    report.frames += ours.frame + (ours.end === 'failed' ? 1 : 0)
    if (ours.end === 'failed') report.failed++
    if (ours.end === 'closed') report.closed++
  }

  async #fault (lane: Lane, stream: number, setting: Setting, found: Found): Promise<Fault> {
    const deadline = Date.now() + SHRINKING_MS
    const smallest = await shrink(found, async ({ bytes, cuts }) => Date.now() < deadline && (await this.read(lane, setting, bytes, cuts, 0)).problem !== undefined)
    const { problem = 'not seen again' } = await this.read(lane, setting, smallest.bytes, smallest.cuts, 0)
    return { mode: this.mode, seed: this.#limits.seed, stream, setting, found: smallest, problem, ours: lane.ours.lines(), theirs: lane.theirs.lines() }
  }
}

/** Frames without extensions. All happens at once. */
class FramesCampaign extends Campaign {
  override readonly mode = 'frames'

  constructor (limits: Limits) {
    super(limits, 1)
  }

  override make ({ random, maker }: Lane): Setting {
    const role: Role = random.once(2) ? 'server' : 'client'
    maker.make(random, role)
    return { role, maxMessageBytes: random.of(MOST_BYTES), textAs: random.once(2) ? 'string' : 'buffer' }
  }

  override read (lane: Lane, setting: Setting, bytes: Buffer, cuts: readonly number[], shift: number): Comparison {
    const { ours, theirs } = lane
    const [ourCopy, theirCopy] = lane.copies(bytes, shift)
    try {
      readOurs(setting, ourCopy, cuts, ours)
    } catch (error) {
      return { problem: String(error) }
    }
    readTheirs(setting, theirCopy, cuts, theirs)
    if (ours.equals(theirs)) return checkOverlooked(bytes, ours)
    const accepted = explain(setting, bytes, ours, theirs)
    return accepted === undefined ? UNEXPLAINED : { accepted: accepted.name }
  }
}

/** With permessage-deflate: half of the messages are compressed. */
class DeflateCampaign extends Campaign {
  override readonly mode = 'deflate'

  constructor (limits: Limits) {
    super(limits, INFLATING_LANES)
  }

  override make ({ random, maker }: Lane): Setting {
    const role: Role = random.once(2) ? 'server' : 'client'
    const { windowBits, takeover, messages } = random.of(chainsFor(role))
    maker.make(random, role, messages)
    return { role, maxMessageBytes: random.of(MOST_INFLATED_BYTES), textAs: random.once(2) ? 'string' : 'buffer', deflate: { windowBits, takeover } }
  }

  override async read (lane: Lane, setting: Setting, bytes: Buffer, cuts: readonly number[], shift: number): Promise<Comparison> {
    const { ours, theirs } = lane
    const [ourCopy, theirCopy] = lane.copies(bytes, shift)
    try {
      await inflateOurs(setting, ourCopy, cuts, ours)
    } catch (error) {
      return { problem: String(error) }
    }
    try {
      await inflateTheirs(setting, theirCopy, cuts, theirs)
    } catch (error) {
      return { problem: `ws: ${String(error)}` }
    }
    if (ours.equals(theirs)) return checkOverlooked(bytes, ours)
    const accepted = explain(setting, bytes, ours, theirs) ?? explainInflated(setting, bytes, ours, theirs)
    return accepted === undefined ? UNEXPLAINED : { accepted: accepted.name }
  }
}

export function startCampaign (mode: Mode, limits: Limits): Campaign {
  return mode === 'frames' ? new FramesCampaign(limits) : new DeflateCampaign(limits)
}

/** Has both read this one stream. */
export async function compare (setting: Setting, bytes: Buffer, cuts: readonly number[] = []): Promise<Comparison> {
  return await startCampaign(setting.deflate === undefined ? 'frames' : 'deflate', { seed: 0 }).read(new Lane(), setting, bytes, cuts, 0)
}

/** To be read by whoever looks for the fault. */
export function describeFault ({ mode, seed, stream, setting, found: { bytes, cuts }, problem, ours, theirs }: Fault): string[] {
  const { role, maxMessageBytes, textAs, deflate } = setting
  return [
    problem,
    `FUZZ_MODE=${mode} FUZZ_SEED=${seed} FUZZ_FIRST=${stream} FUZZ_STREAMS=1 makes this stream again`,
    `${role}, at most ${maxMessageBytes} octets, text as ${textAs}${deflate === undefined ? '' : `, windows of ${deflate.windowBits} bits${deflate.takeover ? ', context takeover' : ''}`}`,
    `octets: ${bytes.toString('hex')}`,
    cuts.length > 0 && cuts.length === bytes.length - 1 ? 'octet by octet' : `cut at: ${cuts.join(' ') || 'nowhere'}`,
    'this package:',
    ...ours.map((line) => `  ${line}`),
    'ws:',
    ...theirs.map((line) => `  ${line}`)
  ]
}
