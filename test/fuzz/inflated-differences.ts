/**
 * Where ws and this package may differ in compressed messages, and why. ws has one zlib stream for a connection, and gives
 * it each fragment as it comes; this package inflates whole messages.
 *
 * What is right is said by a third, which does without zlib.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { CloseCode, Opcode } from '../../lib/protocol/constants.ts'
import { Inflater } from './inflate.ts'
import { layOut, type Frame } from './layout.ts'
import { Kind, sameData, type Outcome } from './outcome.ts'
import type { Setting } from './subjects.ts'

const MAX_FINAL_BLOCKS = 64
/** So much may come out of the two octets with which we find that a message is cut off, which count as well: 258 for two bits. */
const MOST_OF_FINAL_BLOCK = 8 * 258
const LARGEST_WINDOW = 2 ** 15
const TAIL = Buffer.from('0000ffff', 'hex')

/** What is to be made of the payload of a message. */
export interface Verdict {
  readonly status: 'whole' | 'cut off' | 'broken' | 'too large'
  readonly data: Buffer
  readonly finalBlocks: number
  /** The furthest reference back. */
  readonly reach: number
}

const NOTHING: Verdict = { status: 'whole', data: Buffer.alloc(0), finalBlocks: 0, reach: 0 }

interface CompressedMessage {
  readonly opcode: number
  readonly payload: Buffer
  /** What all its frames have announced, up to the one at hand. */
  readonly announced: bigint
  readonly isComplete: boolean
  /** Its last frame, or the one at hand. */
  readonly last: number
}

/** Where the two part, in a compressed message or behind one. */
interface Parting {
  /** The frame. */
  readonly at: number
  /** How much both have told before. */
  readonly told: number
  readonly message: CompressedMessage
  readonly verdict: Verdict
  /** Whether it refers to what is further back than the window reaches. */
  readonly isBeyondWindow: boolean
  /** Whether a message before had a final block, or no octets at all. */
  readonly hadFinalBlock: boolean
  readonly hadNothing: boolean
  readonly maxBytes: number
  readonly takeover: boolean
  readonly ours: Outcome
  readonly theirs: Outcome
}

export interface AcceptedInflated {
  readonly name: string
  /** With the section of RFC 7692 that it is about. */
  readonly reason: string
  readonly fits: (parting: Parting) => boolean
}

export const ACCEPTED_INFLATED: readonly AcceptedInflated[] = [
  {
    name: 'compressed message that is cut off',
    reason: '§7.2.2: a message ends with the end of a block. We fail with 1007 where it does not (1009 if it is as good as too large), ws hands on what has come out of it.',
    fits: ({ verdict, ours, at }) => verdict.status === 'cut off' && failsSo(ours, at)
  },
  {
    name: 'final block within a message',
    reason: '§7.2.3.4, §7.2.3.5: a block may be final, and others follow it. We go on behind it, ws ends its inflater: what follows in the message is lost, and the context for the next.',
    fits: ({ verdict, hadFinalBlock, takeover }) => verdict.finalBlocks > 0 || (hadFinalBlock && takeover)
  },
  {
    name: 'reference beyond the window',
    reason: '§7.1.2: the window that was agreed on is not to be exceeded. zlib notices it only where the octets are not in its output any more; ours is smaller for small messages, and larger for large ones, so either may be the one that fails, with 1007.',
    fits: ({ isBeyondWindow, ours, theirs, at }) => isBeyondWindow && [ours, theirs].some(({ end, frame, code }) => end === 'failed' && frame === at && code === CloseCode.InvalidFramePayloadData)
  },
  {
    name: 'compressed message of no octets',
    reason: '§7.2.3.6: a message of nothing is sent as one octet, 00. Both take no octets at all for it; the inflater of ws then stands within a block, and with context takeover stays there.',
    fits: ({ hadNothing, takeover }) => hadNothing && takeover
  },
  {
    name: 'compressed form that is larger than the limit',
    reason: '§6.2 leaves limits to the endpoint. Ours is for the message that comes out, and gives its compressed form an eighth more; that of ws is for both.',
    fits: ({ message, maxBytes, theirs, at }) => message.announced > BigInt(maxBytes) && theirs.end === 'failed' && theirs.frame === at && theirs.code === CloseCode.MessageTooBig
  },
  {
    name: 'fragment that cannot be inflated, or to too much',
    reason: '§6.2: all fragments are put together, and then inflated. So do we; ws finds it with the fragment, and we when the message is complete, unless something else comes before.',
    fits: ({ message, verdict, ours, theirs, told, at }) => !message.isComplete && isWrong(verdict) && failsSo(theirs, at) &&
      ours.kinds.slice(told).every((kind) => kind === Kind.Ping || kind === Kind.Pong)
  },
  {
    name: 'message that is too large, and cannot be inflated',
    reason: 'Two things are wrong, and zlib meets them in one step: one says 1009, the other 1007.',
    fits: ({ verdict, ours, theirs, at }) => isWrong(verdict) && failsSo(ours, at) && failsSo(theirs, at)
  }
]

export function explainInflated ({ deflate, maxMessageBytes }: Setting, bytes: Buffer, ours: Outcome, theirs: Outcome): AcceptedInflated | undefined {
  const told = firstDifference(ours, theirs)
  const at = Math.min(ours.frames[told] ?? ours.frame, theirs.frames[told] ?? theirs.frame)
  const messages = compressedMessages(layOut(bytes), at)
  const message = messages.find(({ last }) => last === at)
  if (message === undefined) return undefined

  let context: Buffer = Buffer.alloc(0)
  let hadFinalBlock = false
  let hadNothing = false
  let verdict = NOTHING
  for (const one of messages) {
    // Behind where they part there is no one but us to be judged.
    const isDelivered = one.isComplete && one.last < ours.frame
    const of = judge(one.payload, context, isDelivered ? Infinity : maxMessageBytes, one.isComplete)
    if (one.isComplete && deflate!.takeover) context = Buffer.concat([context, of.data]).subarray(-LARGEST_WINDOW)
    if (isDelivered && !sameData(ours.data[ours.frames.indexOf(one.last)] ?? '', of.data)) return undefined
    if (one === message) verdict = of
    if (one.last >= at) continue
    hadFinalBlock ||= of.finalBlocks > 0
    hadNothing ||= one.payload.length === 0
  }
  const isBeyondWindow = verdict.reach > 2 ** deflate!.windowBits
  const parting: Parting = { at, told, message, verdict, isBeyondWindow, hadFinalBlock, hadNothing, maxBytes: maxMessageBytes, takeover: deflate!.takeover, ours, theirs }
  return isRight(parting) ? ACCEPTED_INFLATED.find(({ fits }) => fits(parting)) : undefined
}

/** Whether this package does with the message at this frame what it should. */
function isRight ({ ours, verdict, isBeyondWindow, message, at, told, maxBytes }: Parting): boolean {
  const { status, data, finalBlocks } = verdict
  const failure = ours.end === 'failed' && ours.frame === at ? ours.code : undefined
  // What is wrong with it is found when it is complete; only its size, as it comes, may be too much before.
  if (!message.isComplete) return failure === undefined || failure === CloseCode.MessageTooBig
  if (isBeyondWindow && failure === CloseCode.InvalidFramePayloadData) return true
  if (finalBlocks > MAX_FINAL_BLOCKS && failure === CloseCode.PolicyViolation) return true
  if (status === 'cut off') return failure === CloseCode.InvalidFramePayloadData || (failure === CloseCode.MessageTooBig && maxBytes - data.length < MOST_OF_FINAL_BLOCK)
  if (status !== 'whole') return failure === CloseCode.InvalidFramePayloadData || failure === CloseCode.MessageTooBig
  if (message.opcode === Opcode.Text && !isUtf8(data)) return failure === CloseCode.InvalidFramePayloadData
  return ours.frames[told] === at && ours.kinds[told] === message.opcode && sameData(ours.data[told]!, data)
}

function isWrong ({ status }: Verdict): boolean { return status === 'broken' || status === 'too large' }

function failsSo ({ end, frame, code }: Outcome, at: number): boolean {
  return end === 'failed' && frame === at && (code === CloseCode.InvalidFramePayloadData || code === CloseCode.MessageTooBig)
}

function firstDifference (ours: Outcome, theirs: Outcome): number {
  let i = 0
  while (i < ours.kinds.length && i < theirs.kinds.length && ours.kinds[i] === theirs.kinds[i] && ours.frames[i] === theirs.frames[i] && sameData(ours.data[i]!, theirs.data[i]!)) i++
  return i
}

/** The compressed messages, and that which has this frame up to it. */
function compressedMessages (frames: readonly Frame[], at: number): CompressedMessage[] {
  const messages: CompressedMessage[] = []
  let ofMessage: Frame[] = []
  for (const [i, frame] of frames.entries()) {
    if (frame.opcode >= Opcode.Close) continue
    ofMessage.push(frame)
    const isComplete = frame.fin && frame.isWhole
    if (ofMessage[0]!.rsv1 && (isComplete || i === at)) {
      messages.push({
        opcode: ofMessage[0]!.opcode,
        payload: Buffer.concat(ofMessage.map(({ payload }) => payload)),
        announced: ofMessage.reduce((sum, { length }) => sum + (length ?? 0n), 0n),
        isComplete,
        last: i
      })
    }
    if (isComplete) ofMessage = []
  }
  return messages
}

/** Reads a message by the letter of §7.2.2, or what there is of it. */
export function judge (payload: Buffer, context: Buffer, maxBytes: number, isComplete: boolean): Verdict {
  if (payload.length === 0) return NOTHING
  const whole = isComplete ? Buffer.concat([payload, TAIL]) : payload
  let data: Buffer = Buffer.alloc(0)
  let finalBlocks = 0
  let reach = 0
  for (let at = 0; ;) {
    const inflater = new Inflater(whole.subarray(at), Buffer.concat([context, data]).subarray(-LARGEST_WINDOW), maxBytes - data.length)
    const ending = inflater.run()
    data = Buffer.concat([data, inflater.data])
    reach = Math.max(reach, inflater.reach)
    at += inflater.octetsRead
    if (ending !== 'final block') return { status: ending === 'end' ? 'whole' : ending, data, finalBlocks, reach }
    finalBlocks++
    // Behind it nothing has to be completed; one that ends within the tail was cut off.
    if (at >= payload.length) return { status: at === payload.length || at === whole.length ? 'whole' : 'cut off', data, finalBlocks, reach }
  }
}
