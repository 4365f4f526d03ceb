/**
 * The state machine of a connection against a model of it: whatever the application, the peer and the transport do, in
 * whatever order, the connection tells, sends and is what the model says.
 */
import { deepStrictEqual } from 'node:assert'
import { Buffer } from 'node:buffer'
import t from 'tap'
import fc, { type Arbitrary } from 'fast-check'
import type { Connection } from '../../lib/protocol/connection.ts'
import { Opcode, type Role } from '../../lib/protocol/constants.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { describe, framesTo, readFrames } from '../helpers/frames.ts'
import { connect, Recorder, takeOutput } from '../helpers/pair.ts'
import { HIGH_WATER_MARK_BYTES, MAX_MESSAGE_BYTES, Model, react, type Endpoint, type Incoming, type Piece, type Reaction, type Snapshot } from './closing-model.ts'
import { runs } from './runs.ts'
import { holdClock, nameOf, ROLES } from './subject.ts'

holdClock()

/** Also does what it was told to do when it is told something. */
class Reacting extends Recorder {
  onTold: (what: 'frame' | 'closing') => void = () => {}

  override onMessage (data: string | Buffer, isBinary: boolean): void {
    super.onMessage(data, isBinary)
    this.onTold('frame')
  }

  override onPing (payload: Buffer): void {
    super.onPing(payload)
    this.onTold('frame')
  }

  override onPong (payload: Buffer): void {
    super.onPong(payload)
    this.onTold('frame')
  }

  override onClosing (): void {
    super.onClosing()
    this.onTold('closing')
  }
}

/** The connection, driven like the model. */
class Real implements Endpoint {
  readonly connection: Connection
  readonly #recorder = new Reacting()
  readonly #peer: ReturnType<typeof framesTo>
  #blocked = false
  #reaction: { readonly to: 'frame' | 'closing', readonly what: Reaction } | undefined
  #isReacting = false
  #told = 0
  #wakes = 0

  constructor (role: Role) {
    this.connection = connect({ role, maxMessageBytes: MAX_MESSAGE_BYTES, highWaterMarkBytes: HIGH_WATER_MARK_BYTES }).connection
    this.connection.handler = this.#recorder
    this.connection.driver = { onWake: () => { this.#wakes++ } }
    this.#peer = framesTo(role)
    this.#recorder.onTold = (what) => {
      if (this.#reaction?.to !== what) return
      const reaction = this.#reaction.what
      this.#reaction = undefined
      this.#isReacting = true
      react(this, reaction)
      this.#isReacting = false
    }
  }

  receive (pieces: readonly Piece[]): void { this.connection.receive(Buffer.concat(pieces.map((piece) => this.#octets(piece)))) }
  continue (): void { this.connection.continue() }
  eof (): void { this.connection.receiveEof() }
  lost (): void { this.connection.transportClosed() }

  block (): void { this.#blocked = this.connection.output.blocked = true }

  drained (): void {
    this.#blocked = this.connection.output.blocked = false
    this.connection.outputDrained()
  }

  outputDrained (): void { this.connection.outputDrained() }
  sendText (text: string, fin: boolean): void { this.#wakingFor(() => this.connection.sendText(text, fin)) }
  sendBinary (text: string, fin: boolean): void { this.#wakingFor(() => this.connection.sendBytes(Buffer.from(text), Opcode.Binary, fin)) }
  ping (payload: string): void { this.#wakingFor(() => this.connection.ping(Buffer.from(payload))) }
  pong (payload: string): void { this.#wakingFor(() => this.connection.pong(Buffer.from(payload))) }
  close (code: number, reason: string): void { this.#wakingFor(() => this.connection.close(code, reason)) }
  fail (): void { this.#wakingFor(() => this.connection.fail(new ProtocolError(1008, 'of the test'))) }
  abort (): void { this.connection.abort() }
  pause (): void { this.#wakingFor(() => this.connection.pause()) }
  resume (): void { this.#wakingFor(() => this.connection.resume()) }
  reactTo (to: 'frame' | 'closing', what: Reaction): void { this.#reaction = { to, what } }

  get events (): readonly string[] { return this.#recorder.events }

  snapshot (): Snapshot {
    const { shutdown, closeCode, closeReason, sentCloseCode, wasClean, reading, more, messagesReceived, messagesSent, droppedBytes } = this.connection
    const { events } = this.#recorder
    const told = events.slice(this.#told)
    this.#told = events.length
    return {
      told: told.map(withoutText),
      sent: this.#blocked ? [] : readFrames(takeOutput(this.connection)).map(describe).map(withoutReason),
      state: nameOf(this.connection.state)!,
      shutdown,
      closeCode,
      closeReason,
      sentCloseCode,
      wasClean,
      reading,
      more: reading ? more : undefined,
      messagesReceived,
      messagesSent,
      droppedBytes
    }
  }

  #octets ({ frame, part }: Piece): Buffer {
    const bytes = bytesOf(frame, this.#peer)
    // Behind the header and the first octet of the payload.
    const cut = this.connection.role === 'server' ? 7 : 3
    return part === 'whole' ? bytes : part === 'first' ? bytes.subarray(0, cut) : bytes.subarray(cut)
  }

  /** The transport is told of everything that it has to do; within a call of the connection it looks anyway. */
  #wakingFor (act: () => void): void {
    const facts = (): unknown[] => [this.connection.output.byteLength, this.connection.reading, this.connection.more, this.connection.shutdown]
    const before = facts()
    const wakes = this.#wakes
    act()
    if (!this.#isReacting && wakes === this.#wakes) deepStrictEqual(facts(), before, 'something changed, and the transport was not told')
  }
}

/** The texts of errors are not foretold, so neither is what the Close says with which a connection fails. */
function withoutReason (line: string): string {
  return line.replace(/^close (1002|1007|1008|1009) .*/, 'close $1')
}

function withoutText (line: string): string {
  return line.replace(/^error (\d+) .*/, 'error $1')
}

const TEXTS = ['', 'hé', 'h'.repeat(60)]
/** A cut needs two octets of payload. */
const CONTROL_TEXTS = ['', 'p', 'ping', 'p'.repeat(125)]
/** None that a failed connection sends, whose reason is not compared. */
const CODES = [1000, 1001, 1010, 3000, 4999]

function bytesOf (frame: Incoming, peer: ReturnType<typeof framesTo>): Buffer {
  switch (frame.kind) {
    case 'text': return peer.text(frame.payload, frame.fin)
    case 'binary': return peer.binary(frame.payload, frame.fin)
    case 'continuation': return peer.continuation(frame.payload, frame.fin)
    case 'not UTF-8': return peer.text(Buffer.from('ab\xff', 'latin1'))
    case 'ping': return peer.ping(frame.payload)
    case 'pong': return peer.pong(frame.payload)
    case 'close': return peer.close(frame.code, frame.reason)
    case 'bad close': return peer.close(1006)
    case 'bad': return peer.frame({ opcode: 11, payload: 'bad' })
  }
}

function payloadBytes (frame: Incoming): number {
  switch (frame.kind) {
    case 'close': return frame.code === undefined ? 0 : 2 + Buffer.byteLength(frame.reason)
    case 'bad close': return 2
    case 'bad': case 'not UTF-8': return 3
    default: return Buffer.byteLength(frame.payload)
  }
}

const incoming: Arbitrary<Incoming> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('text', 'binary', 'continuation'), payload: fc.constantFrom(...TEXTS), fin: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('text', 'binary'), payload: fc.constantFrom(...TEXTS), fin: fc.constant(true) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('ping', 'pong'), payload: fc.constantFrom(...CONTROL_TEXTS) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'binary' as const, payload: 'x'.repeat(MAX_MESSAGE_BYTES + 1), fin: true }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('close'), code: fc.constantFrom(...CODES), reason: fc.constantFrom('', 'bye', 'é'.repeat(61)) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'close' as const, code: undefined, reason: '' }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'bad close' as const }, { kind: 'bad' as const }, { kind: 'not UTF-8' as const }) }
)

/** What has arrived of a frame is followed by the rest of it. */
interface Wire {
  readonly model: Model
  readonly real: Real
  cutOff: Incoming | undefined
}

class Step implements fc.Command<Wire, Wire> {
  readonly #label: string
  readonly #act: (endpoint: Endpoint) => void

  constructor (label: string, act: (endpoint: Endpoint) => void) {
    this.#label = label
    this.#act = act
  }

  check (): boolean { return true }

  run (wire: Wire): void {
    this.#act(wire.model)
    this.#act(wire.real)
    compare(wire)
  }

  toString (): string { return this.#label }
}

class Receive implements fc.Command<Wire, Wire> {
  readonly #frames: readonly Incoming[]
  readonly #cutsLast: boolean

  constructor (frames: readonly Incoming[], cutsLast: boolean) {
    this.#frames = frames
    this.#cutsLast = cutsLast
  }

  check (): boolean { return true }

  run (wire: Wire): void {
    const pieces: Piece[] = this.#frames.map((frame) => ({ frame, part: 'whole' }))
    if (wire.cutOff !== undefined) pieces.unshift({ frame: wire.cutOff, part: 'second' })
    const last = this.#frames.at(-1)!
    wire.cutOff = this.#cutsLast && payloadBytes(last) >= 2 && payloadBytes(last) < 126 ? last : undefined
    if (wire.cutOff !== undefined) pieces[pieces.length - 1] = { frame: last, part: 'first' }
    wire.model.receive(pieces)
    wire.real.receive(pieces)
    compare(wire)
  }

  toString (): string {
    const frames = this.#frames.length > 10 ? `${this.#frames.length} times ${JSON.stringify(this.#frames[0])}` : JSON.stringify(this.#frames)
    return `receive(${frames}${this.#cutsLast ? ', cut off' : ''})`
  }
}

function compare ({ model, real }: Wire): void {
  deepStrictEqual(real.snapshot(), model.snapshot())
}

const step = (label: string, act: (endpoint: Endpoint) => void): Arbitrary<Step> => fc.constant(new Step(label, act))

const STEPS: Array<Arbitrary<fc.Command<Wire, Wire>>> = [
  fc.tuple(fc.array(incoming, { minLength: 1, maxLength: 4 }), fc.boolean()).map(([frames, cutsLast]) => new Receive(frames, cutsLast)),
  fc.tuple(fc.array(incoming, { minLength: 1, maxLength: 4 }), fc.boolean()).map(([frames, cutsLast]) => new Receive(frames, cutsLast)),
  fc.integer({ min: 250, max: 520 }).map((count) => new Receive(Array.from({ length: count }, () => ({ kind: 'text', payload: '', fin: true })), false)),
  fc.integer({ min: 90, max: 110 }).map((count) => new Receive(Array.from({ length: count }, () => ({ kind: 'ping', payload: '' })), false)),
  fc.tuple(fc.constantFrom(...TEXTS), fc.boolean()).map(([text, fin]) => new Step(`sendText(${JSON.stringify(text)}, ${fin})`, (on) => on.sendText(text, fin))),
  fc.tuple(fc.constantFrom(...TEXTS), fc.boolean()).map(([text, fin]) => new Step(`sendBinary(${JSON.stringify(text)}, ${fin})`, (on) => on.sendBinary(text, fin))),
  fc.tuple(fc.constantFrom('ping', 'pong'), fc.constantFrom(...CONTROL_TEXTS)).map(([what, payload]) => new Step(`${what}(${JSON.stringify(payload)})`, (on) => on[what](payload))),
  fc.tuple(fc.constantFrom(...CODES, 1005), fc.constantFrom('', 'bye')).map(([code, reason]) => new Step(`close(${code}, ${JSON.stringify(reason)})`, (on) => on.close(code, code === 1005 ? '' : reason))),
  fc.tuple(fc.constantFrom('frame', 'closing'), fc.constantFrom('pause', 'close', 'abort', 'fail', 'send', 'ping'))
    .map(([to, what]) => new Step(`reactTo(${to}, ${what})`, (on) => on.reactTo(to, what))),
  step('pause()', (on) => on.pause()),
  step('resume()', (on) => on.resume()),
  step('continue()', (on) => on.continue()),
  step('block()', (on) => on.block()),
  step('drained()', (on) => on.drained()),
  step('outputDrained()', (on) => on.outputDrained())
]

const ENDS: Array<Arbitrary<fc.Command<Wire, Wire>>> = [
  step('eof()', (on) => on.eof()),
  step('lost()', (on) => on.lost()),
  step('abort()', (on) => on.abort()),
  step('fail()', (on) => on.fail())
]

t.test('any calls in any order: as the model says', async (t) => {
  // Most sequences go on for a while before something ends the connection.
  const commands = fc.oneof(
    fc.commands(STEPS, { maxCommands: 40 }),
    fc.commands([...STEPS, ...ENDS], { maxCommands: 40 })
  )
  for (const role of ROLES) {
    fc.assert(fc.property(commands, (commands) => {
      const wire: Wire = { model: new Model(role), real: new Real(role), cutOff: undefined }
      fc.modelRun(() => ({ model: wire, real: wire }), commands)
      // However it was left, it can be lost, and then everything has been told once and in order.
      new Step('drained', (on) => on.drained()).run(wire)
      new Step('lost', (on) => on.lost()).run(wire)
      const { events } = wire.real
      deepStrictEqual(events.filter((event) => event === 'closing').length, 1)
      deepStrictEqual(events.filter((event) => event.startsWith('close ')).length, 1)
      deepStrictEqual(events.at(-1)!.startsWith('close '), true)
      const behind = events.slice(events.indexOf('closing') + 1)
      deepStrictEqual(behind.filter((event) => /^(text|binary) /.test(event)), [])
    }), runs(1000))
    t.pass(role)
  }
})
