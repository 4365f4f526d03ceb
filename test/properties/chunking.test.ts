/**
 * TCP knows no frames: whatever a stream holds, right or wrong, the chunks in which it comes make no difference.
 */
import { deepStrictEqual } from 'node:assert'
import { Buffer } from 'node:buffer'
import { constants, deflateRawSync } from 'node:zlib'
import t from 'tap'
import fc, { type Arbitrary } from 'fast-check'
import type { ConnectionSettings } from '../helpers/pair.ts'
import { Opcode, type Role } from '../../lib/protocol/constants.ts'
import type { DeflateSettings } from '../../lib/protocol/deflate.ts'
import { cutAt } from '../helpers/every-cut.ts'
import { closePayload, frame, type FrameOptions } from '../helpers/frames.ts'
import { controlPayload, cuts, octets, positions, text } from './arbitraries.ts'
import { runs } from './runs.ts'
import { goOn, holdClock, ROLES, sentBy, standing, subject } from './subject.ts'

holdClock()

const MAX_MESSAGE_BYTES = 400

/** Makes the octets of a part of the stream, for an endpoint of this role. */
type Part = (role: Role) => Buffer

function framed (options: Arbitrary<FrameOptions>): Arbitrary<Part> {
  const key = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((octets) => [...octets])
  return fc.tuple(options, key).map(([options, key]) => (role) => frame({ masked: role === 'server', key, ...options }))
}

const control = framed(fc.record({ opcode: fc.constantFrom(Opcode.Ping, Opcode.Pong), payload: controlPayload }))

/** Messages in one frame or several, with control frames between them; now and then the last is missing. */
const message = fc.record({
  message: fc.oneof(fc.record({ opcode: fc.constant(Opcode.Text), bytes: text }), fc.record({ opcode: fc.constant(Opcode.Binary), bytes: octets })),
  ends: fc.array(fc.nat(200), { maxLength: 3 }),
  between: fc.array(control, { maxLength: 2 }),
  complete: fc.nat(15).map((n) => n > 0)
}).map(({ message: { opcode, bytes }, ends, between, complete }): Part => (role) => {
  const sorted = [...ends.map((end) => Math.min(end, bytes.length)).sort((a, b) => a - b), bytes.length]
  return Buffer.concat(sorted.flatMap((end, i) => {
    const fin = complete && i === sorted.length - 1
    const payload = bytes.subarray(i === 0 ? 0 : sorted[i - 1]!, end)
    return [frame({ opcode: i === 0 ? opcode : Opcode.Continuation, fin, payload, masked: role === 'server' }), ...between.map((part) => part(role))]
  }))
})

/** More than one turn of them. */
const manyFrames = fc.tuple(framed(fc.record({ opcode: fc.constant(Opcode.Binary), payload: controlPayload })), fc.integer({ min: 200, max: 300 }))
  .map(([binary, count]): Part => (role) => Buffer.concat(Array.from({ length: count }, () => binary(role))))

const emptyFragments = fc.integer({ min: 256, max: 257 }).map((count): Part => (role) => Buffer.concat(Array.from({ length: count }, (_, i) =>
  frame({ opcode: i === 0 ? Opcode.Binary : Opcode.Continuation, fin: false, masked: role === 'server' }))))

const closeFrame = framed(fc.record({
  opcode: fc.constant(Opcode.Close),
  payload: fc.oneof(
    fc.tuple(fc.constantFrom(999, 1000, 1001, 1004, 1005, 1006, 1010, 1014, 1015, 2999, 3000, 4999, 5000), text).map(([code, reason]) => closePayload(code, reason.subarray(0, 123))),
    fc.uint8Array({ maxLength: 8 })
  )
}))

const wrongFrame = framed(fc.record({
  opcode: fc.nat(15),
  fin: fc.boolean(),
  rsv: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(7) }),
  payload: fc.oneof(octets, text),
  masked: fc.boolean()
}, { requiredKeys: ['opcode', 'payload'] }))

const wrongLength = framed(fc.record({
  opcode: fc.constantFrom(Opcode.Text, Opcode.Binary, Opcode.Ping, Opcode.Close, Opcode.Continuation),
  payload: fc.oneof(octets, text),
  lengthForm: fc.constantFrom('short', '16', '64'),
  length: fc.constantFrom(0n, 1n, 125n, 126n, 127n, 400n, 401n, 65535n, 65536n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n)
}, { requiredKeys: ['opcode', 'payload'] }))

/** A part with something done to its octets. */
const mutated = fc.tuple(fc.oneof(message, control, closeFrame), fc.array(fc.record({
  what: fc.constantFrom('flip', 'set', 'insert', 'delete', 'truncate'),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  value: fc.nat(255)
}), { minLength: 1, maxLength: 3 })).map(([part, mutations]): Part => (role) => {
  let bytes = part(role)
  for (const { what, at, value } of mutations) {
    const i = Math.floor(at * bytes.length)
    const behind = bytes.subarray(what === 'insert' || what === 'truncate' ? i : i + 1)
    const instead = what === 'flip' ? [bytes[i]! ^ (1 << (value & 7))] : what === 'set' || what === 'insert' ? [value] : []
    bytes = Buffer.concat([bytes.subarray(0, i), Buffer.from(instead), what === 'truncate' ? Buffer.alloc(0) : behind])
  }
  return bytes
})

const garbage: Arbitrary<Part> = octets.map((bytes) => () => bytes)

const stream = fc.array(fc.oneof(
  { weight: 12, arbitrary: message },
  { weight: 4, arbitrary: control },
  { weight: 1, arbitrary: framed(fc.record({ opcode: fc.constant(Opcode.Continuation), fin: fc.boolean(), payload: octets })) },
  { weight: 1, arbitrary: framed(fc.record({ opcode: fc.constant(Opcode.Text), fin: fc.boolean(), payload: octets })) },
  { weight: 1, arbitrary: framed(fc.record({ opcode: fc.constantFrom(Opcode.Binary, Opcode.Continuation), payload: fc.integer({ min: 200, max: MAX_MESSAGE_BYTES + 1 }).map((length) => Buffer.alloc(length)) })) },
  { weight: 1, arbitrary: manyFrames },
  { weight: 1, arbitrary: emptyFragments },
  { weight: 1, arbitrary: closeFrame },
  { weight: 1, arbitrary: wrongFrame },
  { weight: 1, arbitrary: wrongLength },
  { weight: 3, arbitrary: mutated },
  { weight: 1, arbitrary: garbage }
), { maxLength: 12 })

/** So that whatever is inflated is inflated at once. */
const DEFLATE: DeflateSettings = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 9,
  clientMaxWindowBits: 15,
  thresholdBytes: 0,
  level: 1,
  memLevel: 8,
  maxConcurrentJobs: 1
}

/** Compressed messages in one frame or several, whole or with something done to their octets. */
const compressed = fc.record({
  message: fc.oneof(fc.record({ opcode: fc.constant(Opcode.Text), bytes: text }), fc.record({ opcode: fc.constantFrom(Opcode.Text, Opcode.Binary), bytes: octets })),
  level: fc.nat(9),
  ends: fc.array(fc.nat(60), { maxLength: 2 }),
  flipped: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.tuple(fc.nat(400), fc.nat(7)) })
}).map(({ message: { opcode, bytes }, level, ends, flipped }): Part => (role) => {
  const payload = deflateRawSync(bytes, { level, windowBits: 9, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
  if (flipped !== undefined) payload[flipped[0] % payload.length]! ^= 1 << flipped[1]
  const sorted = [...ends.map((end) => Math.min(end, payload.length)).sort((a, b) => a - b), payload.length]
  return Buffer.concat(sorted.map((end, i) => frame({
    opcode: i === 0 ? opcode : Opcode.Continuation,
    rsv: i === 0 ? 4 : 0,
    fin: i === sorted.length - 1,
    payload: payload.subarray(i === 0 ? 0 : sorted[i - 1]!, end),
    masked: role === 'server'
  })))
})

const streamWithCompressed = fc.array(fc.oneof({ weight: 3, arbitrary: compressed }, { weight: 2, arbitrary: message }, { weight: 1, arbitrary: fc.oneof(control, closeFrame, mutated) }), { maxLength: 10 })

/** Feeds the chunks, goes on after every so many of them, ends; what it told and sent, and where it stood before and after the end. */
function outcome (options: ConnectionSettings & { readonly role: Role }, chunks: readonly Buffer[], goOnAfter: number) {
  const { connection, recorder } = subject({ ...options, maxMessageBytes: MAX_MESSAGE_BYTES })
  let untouched: Buffer[] = []
  chunks.forEach((chunk, i) => {
    connection.receive(chunk)
    untouched.push(chunk)
    if ((i + 1) % goOnAfter !== 0) return
    goOn(connection)
    for (const taken of untouched) taken.fill(0xee)
    untouched = []
  })
  goOn(connection)
  const before = standing(connection)
  connection.receiveEof()
  return { told: recorder.events, sent: sentBy(connection), before, after: standing(connection) }
}

t.test('any octets: the same is told and sent, and the end is the same, whatever the chunks', async (t) => {
  for (const role of ROLES) {
    for (const textAs of ['string', 'buffer'] as const) {
      for (const [what, parts, deflate, usual] of [['frames', stream, undefined, 250], ['compressed too', streamWithCompressed, DEFLATE, 150]] as const) {
        const options = { role, textAs, deflate }
        fc.assert(fc.property(parts, cuts, fc.integer({ min: 1, max: 3 }), (parts, cuts, goOnAfter) => {
          const bytes = Buffer.concat(parts.map((part) => part(role)))
          const whole = outcome(options, cutAt(bytes, []), 1)
          deepStrictEqual(outcome(options, cutAt(bytes, positions(cuts, bytes.length)), goOnAfter), whole)
        }), runs(usual))
        t.pass(`${role}, text as ${textAs}, ${what}`)
      }
    }
  }
})
