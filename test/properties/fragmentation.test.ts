/**
 * RFC 6455 §5.4: however a message is cut into fragments, with whatever control frames between them, and however the octets
 * arrive, it is the same message.
 */
import { deepStrictEqual } from 'node:assert'
import { Buffer } from 'node:buffer'
import t from 'tap'
import fc from 'fast-check'
import { Opcode, type Role } from '../../lib/protocol/constants.ts'
import type { TextAs } from '../../lib/protocol/message-assembler.ts'
import { cutAt } from '../helpers/every-cut.ts'
import { framesTo } from '../helpers/frames.ts'
import { controlPayload, cuts, message, positions, type Message } from './arbitraries.ts'
import { runs } from './runs.ts'
import { goOn, holdClock, ROLES, sentBy, standing, subject } from './subject.ts'

holdClock()

/** Fragments without payload that a message may hold besides its last. */
const MOST_EMPTY = 256

interface Control {
  readonly opcode: typeof Opcode.Ping | typeof Opcode.Pong
  readonly payload: Buffer
  /** Behind which fragment of its message, of so many. */
  readonly place: number
}

interface Plan {
  readonly message: Message
  /** Where a fragment ends; an empty one where two are the same. */
  readonly ends: readonly number[]
  /** So many more empty ones behind the fragment at this place. */
  readonly empty: readonly [place: number, count: number]
  readonly controls: readonly Control[]
}

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

const plan = fc.record({
  message,
  ends: fc.array(place, { maxLength: 6 }),
  empty: fc.tuple(place, fc.oneof({ weight: 12, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.constant(MOST_EMPTY) })),
  controls: fc.array(fc.record({ opcode: fc.constantFrom(Opcode.Ping, Opcode.Pong), payload: controlPayload, place }), { maxLength: 5 })
})

/** The payloads of the fragments; of those before the last no more are empty than may be. */
function fragmentsOf ({ message: { bytes }, ends, empty: [place, count] }: Plan): Buffer[] {
  const sorted = [...ends.map((end) => Math.floor(end * (bytes.length + 1))).sort((a, b) => a - b), bytes.length]
  const fragments = sorted.map((end, i) => bytes.subarray(i === 0 ? 0 : sorted[i - 1]!, end))
  const room = MOST_EMPTY - fragments.slice(0, -1).filter(({ length }) => length === 0).length
  const at = Math.floor(place * fragments.length)
  return [...fragments.slice(0, at), ...Array.from({ length: Math.min(count, room) }, () => Buffer.alloc(0)), ...fragments.slice(at)]
}

/** The frames, and what shall be told and sent. */
function carriedOut (plans: readonly Plan[], role: Role, textAs: TextAs) {
  const peer = framesTo(role)
  const frames: Buffer[] = []
  const events: string[] = []
  const pongs: string[] = []
  const pong = (payload: Buffer): string => `10 0 ${role === 'client' ? 'masked ' : ''}short ${payload.toString('hex')}`

  for (const one of plans) {
    const { message: { opcode, bytes }, controls } = one
    const fragments = fragmentsOf(one)
    fragments.forEach((payload, i) => {
      const fin = i === fragments.length - 1
      frames.push(peer.frame({ opcode: i === 0 ? opcode : Opcode.Continuation, fin, payload }))
      if (fin) events.push(opcode === Opcode.Text && textAs === 'string' ? `text ${JSON.stringify(bytes.toString())}` : `${opcode === Opcode.Text ? 'text' : 'binary'} ${bytes.toString('hex')}`)
      for (const control of controls.filter(({ place }) => Math.floor(place * fragments.length) === i)) {
        frames.push(peer.frame(control))
        events.push(`${control.opcode === Opcode.Ping ? 'ping' : 'pong'} ${control.payload.toString('hex')}`)
        if (control.opcode === Opcode.Ping) pongs.push(pong(control.payload))
      }
    })
  }
  return { bytes: Buffer.concat(frames), events, pongs }
}

t.test('any messages in any fragments, control frames between them, in any chunks: the messages, and pongs in order', async (t) => {
  for (const role of ROLES) {
    for (const textAs of ['string', 'buffer'] as const) {
      fc.assert(fc.property(fc.array(plan, { maxLength: 4 }), cuts, (plans, cuts) => {
        const { bytes, events, pongs } = carriedOut(plans, role, textAs)
        const { connection, recorder } = subject({ role, textAs, maxMessageBytes: 70000 })
        for (const chunk of cutAt(bytes, positions(cuts, bytes.length))) {
          connection.receive(chunk)
          goOn(connection)
          chunk.fill(0xee)
        }
        deepStrictEqual(recorder.events, events)
        deepStrictEqual(sentBy(connection), pongs)
        deepStrictEqual(standing(connection), {
          state: 'Open',
          shutdown: 'none',
          reading: true,
          more: false,
          closeCode: 1006,
          closeReason: '',
          sentCloseCode: 1006,
          wasClean: false,
          messagesReceived: plans.length,
          bytesReceived: bytes.length
        })
      }), runs(250))
      t.pass(`${role}, text as ${textAs}`)
    }
  }
})
