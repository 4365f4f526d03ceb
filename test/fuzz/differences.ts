/**
 * Where ws and this package may differ, and why. Whatever does not fit one of these entries is a fault, of one or the other.
 *
 * A difference is always one of how a stream ends: up to there both have told the same.
 */
import type { Buffer } from 'node:buffer'
import { CloseCode, Opcode } from '../../lib/protocol/constants.ts'
import { layOut, type Frame } from './layout.ts'
import { Kind, type Outcome } from './outcome.ts'
import type { Setting } from './subjects.ts'

/** Empty fragments before its last that a message may have here. */
const MAX_EMPTY_FRAGMENTS = 256

export interface Difference {
  readonly setting: Setting
  readonly frames: readonly Frame[]
  readonly ours: Outcome
  readonly theirs: Outcome
}

export interface Accepted {
  readonly name: string
  /** With the section of RFC 6455 that it is about. */
  readonly reason: string
  readonly fits: (difference: Difference) => boolean
}

export const ACCEPTED: readonly Accepted[] = [
  {
    name: 'length not in its shortest form',
    reason: '§5.2: "the minimal number of bytes MUST be used to encode the length". We fail with 1002, ws takes it and goes on, or fails for something else.',
    fits: ({ frames, ours, theirs }) => weFail(ours, theirs, CloseCode.ProtocolError) && !isMinimal(frames[ours.frame])
  },
  {
    name: 'length with its topmost bit set',
    reason: '§5.2: "the most significant bit MUST be 0". We fail with 1002 for the rule that was broken, ws with 1009 for a length that it cannot count.',
    fits: ({ frames, ours, theirs }) => bothFail(ours, theirs, CloseCode.ProtocolError, CloseCode.MessageTooBig) && (frames[ours.frame]?.length ?? 0n) >= 2n ** 63n
  },
  {
    name: 'length of 4 GiB or more in a frame that has no place there',
    reason: '§5.4, §7.4.1: two rules are broken, and none says which is first. We judge the length (1009) before the order of fragments (1002), ws after it.',
    fits: ({ frames, ours, theirs }) => bothFail(ours, theirs, CloseCode.MessageTooBig, CloseCode.ProtocolError) && (frames[ours.frame]?.length ?? 0n) >= 2n ** 32n &&
      breaksOrder(frames, ours.frame)
  },
  {
    name: 'stream that ends within a header',
    reason: '§5.4, §5.5.1, §7.4.1: ws judges the order of fragments and the size of a Close by the first two octets, and the size of a message before the masking-key. We do so when the header is whole, or the Close: at most 12 octets later.',
    fits: ({ frames, ours, theirs }) => {
      const frame = frames[theirs.frame]
      if (ours.end !== 'open' || theirs.end !== 'failed' || ours.frame !== theirs.frame || frame === undefined || !toldTheSame(ours, theirs)) return false
      if (frame.opcode === Opcode.Close) return theirs.code === CloseCode.ProtocolError && frame.length === 1n && frame.payload.length === 0
      if (frame.hasHeader) return false
      return theirs.code === CloseCode.ProtocolError ? breaksOrder(frames, theirs.frame) : theirs.code === CloseCode.MessageTooBig
    }
  },
  {
    name: 'text that is not UTF-8, found before its end',
    reason: '§8.1: a connection fails "when an endpoint is to interpret a byte stream as UTF-8 but finds that it is not". We look at what has arrived of a message and fail at once with 1007, ws looks at whole messages and takes what comes until then.',
    fits: ({ frames, ours, theirs }) => weFail(ours, theirs, CloseCode.InvalidFramePayloadData) && !canBeText(frames, ours.frame) &&
      theirs.kinds.slice(ours.kinds.length).every((kind) => kind === Kind.Ping || kind === Kind.Pong)
  },
  {
    name: 'more than 256 empty fragments',
    reason: '§5.4 sets no limit, §10.4 allows one: they cost work and bring nothing. We fail with 1008; ws has a limit too (maxFragments), which is not set here.',
    fits: ({ frames, ours, theirs }) => weFail(ours, theirs, CloseCode.PolicyViolation) && emptyFragments(frames, ours.frame) > MAX_EMPTY_FRAGMENTS
  }
]

/** The entry that explains it, if one does. */
export function explain (setting: Setting, bytes: Buffer, ours: Outcome, theirs: Outcome): Accepted | undefined {
  if (!ours.agreesWith(theirs)) return undefined
  const difference = { setting, frames: layOut(bytes), ours, theirs }
  return ACCEPTED.find(({ fits }) => fits(difference))
}

/** The rules that only this package keeps: what of them it has let pass, in a stream of which both say the same. */
export function overlooked (bytes: Buffer, ours: Outcome): string | undefined {
  const frames = layOut(bytes)
  const read = ours.end === 'open' ? frames.length : ours.frame
  for (let i = 0; i < read; i++) {
    if (!isMinimal(frames[i])) return `frame ${i} has a length that is not in its shortest form`
  }
  // The rest is judged when the header is whole.
  const last = frames.findLastIndex((frame, i) => i < read && !isControl(frame) && frame.hasHeader)
  if (last === -1) return undefined
  if (breaksOrder(frames, last)) return `frame ${last} continues nothing, or does not continue what it should`
  if (!canBeText(frames, last)) return `the message of frame ${last} is not UTF-8`
  if (emptyFragments(frames, last) > MAX_EMPTY_FRAGMENTS) return `the message of frame ${last} has too many empty fragments`
  return undefined
}

/** We fail with this code; they go on, or fail at the same frame. */
function weFail (ours: Outcome, theirs: Outcome, code: number): boolean {
  return ours.end === 'failed' && ours.code === code && theirs.kinds.length >= ours.kinds.length && theirs.frame >= ours.frame
}

function toldTheSame (ours: Outcome, theirs: Outcome): boolean {
  return ours.kinds.length === theirs.kinds.length
}

function bothFail (ours: Outcome, theirs: Outcome, ourCode: number, theirCode: number): boolean {
  return ours.end === 'failed' && theirs.end === 'failed' && ours.frame === theirs.frame && toldTheSame(ours, theirs) && ours.code === ourCode && theirs.code === theirCode
}

function isControl ({ opcode }: Frame): boolean { return opcode >= Opcode.Close }

function isMinimal (frame: Frame | undefined): boolean {
  return frame?.length === undefined || frame.lengthBits === 7 || frame.length > (frame.lengthBits === 16 ? 125n : 0xffffn)
}

/** The data frames of the message that is not finished before this frame. */
function messageBefore (frames: readonly Frame[], at: number): Frame[] {
  const data = frames.slice(0, at).filter((frame) => !isControl(frame))
  return data.slice(data.findLastIndex(({ fin }) => fin) + 1)
}

/** §5.4: a continuation of nothing, or a new message within another. */
function breaksOrder (frames: readonly Frame[], at: number): boolean {
  const frame = frames[at]
  if (frame === undefined || isControl(frame)) return false
  return (messageBefore(frames, at).length === 0) === (frame.opcode === Opcode.Continuation)
}

/** Whether the message up to this frame, as far as it is there, can be the beginning of a text, or all of one. */
function canBeText (frames: readonly Frame[], at: number): boolean {
  const last = frames[at]!
  const message = [...messageBefore(frames, at), last]
  // What is compressed is looked at when it is inflated.
  if (message[0]!.opcode !== Opcode.Text || message[0]!.rsv1) return true
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    for (const { payload } of message) decoder.decode(payload, { stream: true })
    if (last.fin && last.isWhole) decoder.decode()
    return true
  } catch {
    return false
  }
}

function emptyFragments (frames: readonly Frame[], at: number): number {
  return [...messageBefore(frames, at), frames[at]!].filter(({ fin, length }) => !fin && length === 0n).length
}
