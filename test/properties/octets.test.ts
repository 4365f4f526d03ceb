/**
 * Masking, the payload of a Close, and UTF-8 as it arrives, against what RFC 6455 and RFC 3629 say in the plainest form.
 */
import { deepStrictEqual } from 'node:assert'
import { Buffer } from 'node:buffer'
import t from 'tap'
import fc, { type Arbitrary } from 'fast-check'
import { isCloseCode, readClosePayload, writeClosePayload } from '../../lib/protocol/close-payload.ts'
import { Opcode } from '../../lib/protocol/constants.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { mask, rotateKey } from '../../lib/protocol/mask.ts'
import { checkUtf8, decodeUtf8 } from '../../lib/protocol/utf8.ts'
import { copyAt } from '../helpers/every-cut.ts'
import { framesTo, masked } from '../helpers/frames.ts'
import { cuts, positions, text } from './arbitraries.ts'
import { runs } from './runs.ts'
import { holdClock, ROLES, subject } from './subject.ts'

holdClock()

// Masking

t.test('a range that is masked in any parts is masked octet by octet, and nothing beside it', async (t) => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 100, maxLength: 1000 }))
  const part = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(fc.property(bytes, fc.uint8Array({ minLength: 4, maxLength: 4 }), part, part, cuts, fc.nat(15), (bytes, key, a, b, cuts, shift) => {
    const [start, end] = [a, b].map((part) => Math.round(part * bytes.length)).sort((a, b) => a - b) as [number, number]
    const expected = Buffer.concat([bytes.subarray(0, start), masked(bytes.subarray(start, end), [...key]), bytes.subarray(end)])
    const buffer = copyAt(bytes, shift)
    let phase = Buffer.from(key).readInt32BE()
    let at = start
    for (const cut of [...positions(cuts, end - start), end - start]) {
      mask(buffer, at, start + cut, phase)
      phase = rotateKey(phase, start + cut - at)
      at = start + cut
    }
    deepStrictEqual(buffer, Buffer.from(expected))
  }), runs(600))
  t.pass('for whatever was tried')
})

// The payload of a Close

/** RFC 3629 §4: the first octet, and the range of the second; what follows is 80-BF. */
const SECOND: ReadonlyArray<readonly [from: number, to: number, length: number, least: number, most: number]> = [
  [0xc2, 0xdf, 2, 0x80, 0xbf], [0xe0, 0xe0, 3, 0xa0, 0xbf], [0xe1, 0xec, 3, 0x80, 0xbf], [0xed, 0xed, 3, 0x80, 0x9f], [0xee, 0xef, 3, 0x80, 0xbf],
  [0xf0, 0xf0, 4, 0x90, 0xbf], [0xf1, 0xf3, 4, 0x80, 0xbf], [0xf4, 0xf4, 4, 0x80, 0x8f]
]

/** Where the first octet stands that UTF-8 cannot have there; the length if there is none. `whole`: whether it ends with a code point. */
function utf8 (bytes: Uint8Array): { good: number, whole: boolean } {
  let i = 0
  while (i < bytes.length) {
    const lead = bytes[i]!
    const row = lead < 0x80 ? [0, 0, 1, 0, 0] as const : SECOND.find(([from, to]) => lead >= from && lead <= to)
    if (row === undefined) return { good: i, whole: false }
    for (let at = 1; at < row[2]; at++) {
      if (i + at === bytes.length) return { good: bytes.length, whole: false }
      const [least, most] = at === 1 ? [row[3], row[4]] : [0x80, 0xbf]
      if (bytes[i + at]! < least || bytes[i + at]! > most) return { good: i + at, whole: false }
    }
    i += row[2]
  }
  return { good: bytes.length, whole: true }
}

/** Text, and now and then something in it that is none, or almost none. */
const almostText: Arbitrary<Buffer> = fc.array(fc.oneof(
  { weight: 8, arbitrary: text },
  { weight: 1, arbitrary: fc.constantFrom('c0af', 'e080bf', 'ed9fbf', 'eda080', 'f0908080', 'f08fbfbf', 'f48fbfbf', 'f4908080', 'f5', 'ff', '80', 'c3', 'e2', 'e282', 'f09f', 'f09f98', 'efbfbd').map((hex) => Buffer.from(hex, 'hex')) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)) }
), { maxLength: 4 }).map((parts) => Buffer.concat(parts))

/** The code the connection fails with, or what was read. */
function attempt<Read> (read: () => Read): Read | number {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return error.closeCode
  }
}

t.test('what a Close holds', async (t) => {
  const code = fc.oneof(fc.nat(65535), fc.integer({ min: 990, max: 1020 }), fc.constantFrom(2999, 3000, 3999, 4000, 4999, 5000))
  // RFC 6455 §7.4: a registered code, or one of libraries and applications.
  const mayBeSent = (code: number): boolean => [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(code) || (code >= 3000 && code <= 4999)

  fc.assert(fc.property(code, almostText, fc.boolean(), (code, reason, empty) => {
    const payload = empty ? reason : Buffer.concat([Buffer.from([code >> 8, code & 0xff]), reason])
    const read = attempt(() => readClosePayload(copyAt(payload, 3), 0, payload.length))
    const found = payload.length < 2 ? undefined : payload.readUInt16BE(0)
    const rest = payload.subarray(2)
    deepStrictEqual(read, payload.length === 0
      ? { code: 1005, reason: '' }
      : found === undefined || !mayBeSent(found)
        ? 1002
        : utf8(rest).whole ? { code: found, reason: rest.toString() } : 1007)
  }), runs(1000))
  t.pass('is read as §5.5.1 and §7.4 say')

  fc.assert(fc.property(fc.integer({ min: 1000, max: 4999 }).filter(isCloseCode), text, (code, reason) => {
    const payload = writeClosePayload(code, reason.toString())
    deepStrictEqual(readClosePayload(payload, 0, payload.length), { code, reason: reason.toString() })
  }), runs(300))
  t.pass('is read as it was written')
})

// UTF-8

t.test('UTF-8 that arrives in any parts', async (t) => {
  fc.assert(fc.property(almostText, cuts, fc.nat(7), (bytes, cuts, shift) => {
    const buffer = copyAt(Buffer.concat([Buffer.from('--'), bytes, Buffer.from('--')]), shift)
    const { good, whole } = utf8(bytes)
    let checked = 2
    for (const cut of [...positions(cuts, bytes.length), bytes.length]) {
      checked = checkUtf8(buffer, checked, 2 + cut)
      // It is found as soon as the octet is there.
      deepStrictEqual(checked === -1, cut > good)
      if (checked === -1) break
    }
    deepStrictEqual(checked === 2 + bytes.length, whole)
    deepStrictEqual(decodeUtf8(buffer, 2, 2 + bytes.length), whole ? bytes.toString() : undefined)
  }), runs(1000))
  t.pass('is checked as soon as it is there')

  for (const role of ROLES) {
    fc.assert(fc.property(almostText, fc.array(fc.nat(40), { maxLength: 3 }), (bytes, ends) => {
      const peer = framesTo(role)
      const sorted = [...ends.map((end) => Math.min(end, bytes.length)).sort((a, b) => a - b), bytes.length]
      const { good, whole } = utf8(bytes)
      const { connection, recorder } = subject({ role })
      let at = 0
      sorted.forEach((end, i) => {
        const frame = peer.frame({ opcode: i === 0 ? Opcode.Text : Opcode.Continuation, fin: i === sorted.length - 1, payload: bytes.subarray(at, end) })
        const header = frame.length - (end - at)
        frame.forEach((octet, offset) => {
          const isBad = recorder.events.length > 0
          connection.receive(Buffer.from([octet]))
          if (!isBad && recorder.events.includes('error 1007 text that is not UTF-8')) deepStrictEqual(at + offset - header, whole || good < bytes.length ? good : bytes.length - 1)
        })
        at = end
      })
      if (whole) deepStrictEqual(recorder.events, [`text ${JSON.stringify(bytes.toString())}`])
      else deepStrictEqual(recorder.events, ['closing', 'error 1007 text that is not UTF-8'])
    }), runs(250))
    t.pass(`in frames to a ${role} fails the connection with the very octet`)
  }
})
