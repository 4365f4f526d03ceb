/**
 * Puts one case of `test/fixtures/conformance-cases.json` to a server over TCP, and grades what comes back. Written from
 * RFC 6455 and from the `_readme` of the cases, with nothing of `lib`: so that a mistake made there is not made here too.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { createHash, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { dataOf, slidingWindow } from './data.ts'
import { AnswerFault, DeflateTester } from './deflate-tester.ts'

export type Grade = 'OK' | 'NON-STRICT' | 'INFORMATIONAL' | 'FAILED' | 'UNCLEAN' | 'WRONG CODE' | 'FAILED BY CLIENT' | 'UNIMPLEMENTED'

export interface Verdict {
  /** What came back. */
  readonly behavior: Grade
  /** How it ended. */
  readonly behaviorClose: Grade
  /** What was seen, or what was wrong with it. */
  readonly reason: string
  /** Of the messages that came back, how many were compressed. */
  readonly compressed: number
}

interface Payload {
  readonly text?: string
  readonly hex?: string
  /** Repeated, and cut to `length`. */
  readonly repeatText?: string
  readonly repeatHex?: string
  readonly length?: number
}

/** The name of what came, or how long the connection had stayed open. */
type Expected = string | (Payload & { readonly event: string, readonly times?: number, readonly same?: boolean })

export interface Step extends Payload {
  readonly op?: number
  /** The opcode, where the step is a message and not one frame. */
  readonly message?: number
  readonly fin?: boolean
  readonly rsv?: number
  readonly fragmentSize?: number
  readonly frames?: number
  readonly tcpWriteSize?: number
  readonly flush?: boolean
  readonly times?: number
  readonly close?: number
  readonly reason?: string
  readonly reasonHex?: string
  readonly reasonRepeat?: string
  readonly reasonLength?: number
  readonly waitSeconds?: number
  readonly frameHeader?: { readonly op: number, readonly fin: boolean, readonly length: number }
  readonly payloadPartHex?: string
  readonly offer?: readonly string[]
  readonly stopAndWait?: boolean
  readonly compressedFragmentSize?: number | null
}

export interface Case {
  readonly topic: string
  readonly does: string
  readonly send: readonly Step[]
  readonly ok: ReadonlyArray<readonly Expected[]>
  readonly nonStrict?: ReadonlyArray<readonly Expected[]>
  readonly close: {
    readonly by: 'tester' | 'server'
    readonly codes: readonly number[]
    readonly clean: boolean
    readonly notClosedIsFailed?: boolean
  }
  readonly waitSeconds: number
  readonly wrongCodeIsFailed?: boolean
  readonly informational?: boolean
}

interface Event {
  readonly event: string
  readonly length: number
  /** Let go once it was compared. */
  payload: Buffer
  /** Whether it is the message that was sent, where that is what is asked. */
  same?: boolean
}

const OPENING_SECONDS = 5
/** For the answer to a Close frame, and again for the end of the TCP connection. */
const CLOSING_SECONDS = 1
const CLOCK_SLICES = 20

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const HEAD_END = '\r\n\r\n'

const CONTINUATION = 0
const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const RSV1 = 0x40

const NOTHING = Buffer.alloc(0)

// Payloads and frames

function octets ({ text, hex, repeatText, repeatHex, length = 0 }: Payload): Buffer {
  if (text !== undefined) return Buffer.from(text)
  if (hex !== undefined) return Buffer.from(hex, 'hex')
  const unit = repeatText !== undefined ? Buffer.from(repeatText) : repeatHex !== undefined ? Buffer.from(repeatHex, 'hex') : undefined
  if (unit === undefined) throw new Error('a payload of a kind that this runner does not know')
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, unit)
}

function closePayload ({ close = 0, reason, reasonHex, reasonRepeat, reasonLength = 0 }: Step): Buffer {
  const text = reasonHex !== undefined ? Buffer.from(reasonHex, 'hex') : Buffer.from(reasonRepeat?.repeat(reasonLength) ?? reason ?? '')
  return Buffer.concat([Buffer.from([close >> 8, close & 0xff]), text])
}

/** `phase`: how many octets of the frame went before. */
function masked (payload: Buffer, key: Buffer, phase = 0): Buffer {
  const result = Buffer.from(payload)
  // Octet by octet up to a multiple of four, and from there by words, as far as they go.
  let i = 0
  for (; i < result.length && ((phase + i) % 4 !== 0 || (result.byteOffset + i) % 4 !== 0) && i < 16; i++) result[i]! ^= key[(phase + i) % 4]!
  if ((phase + i) % 4 === 0 && (result.byteOffset + i) % 4 === 0) {
    const words = new Int32Array(result.buffer, result.byteOffset + i, (result.length - i) >> 2)
    const word = new Int32Array(Uint8Array.from(key).buffer)[0]!
    for (let w = 0; w < words.length; w++) words[w]! ^= word
    i += 4 * words.length
  }
  for (; i < result.length; i++) result[i]! ^= key[(phase + i) % 4]!
  return result
}

function header (op: number, fin: boolean, rsv: number, length: number, key: Buffer): Buffer {
  const bytes = [(fin ? 0x80 : 0) | rsv << 4 | op]
  if (length < 126) bytes.push(0x80 | length)
  else if (length < 65_536) bytes.push(0x80 | 126, length >> 8, length & 0xff)
  else bytes.push(0x80 | 127, 0, 0, 0, 0, length >>> 24, length >> 16 & 0xff, length >> 8 & 0xff, length & 0xff)
  return Buffer.from([...bytes, ...key])
}

function frame (op: number, payload: Buffer, fin = true, rsv = 0): Buffer {
  const key = randomBytes(4)
  return Buffer.concat([header(op, fin, rsv, payload.length, key), masked(payload, key)])
}

/** One frame, or a message in fragments. */
function stepFrames (step: Step, op: number): Buffer {
  const payload = octets(step)
  const size = step.fragmentSize
  if (size === undefined) return frame(op, payload, step.fin, step.rsv)
  const frames: Buffer[] = []
  if (payload.length <= size) frames.push(frame(op, payload))
  // A length that is an exact multiple leaves an empty final frame.
  else for (let at = 0; at <= payload.length; at += size) frames.push(frame(at === 0 ? op : CONTINUATION, payload.subarray(at, at + size), at + size > payload.length))
  if (frames.length !== step.frames) throw new Error(`${frames.length} frames were made, where the case says ${step.frames}`)
  return Buffer.concat(frames)
}

// Time

/** Time in which this process does not run passes by at most one slice: a server in the same process could not have answered. */
class Clock {
  readonly #seconds: number
  readonly #onTick: () => void
  #slices = CLOCK_SLICES
  #timer: NodeJS.Timeout | undefined

  constructor (seconds: number, onTick: () => void) {
    this.#seconds = seconds
    this.#onTick = onTick
  }

  get isOver (): boolean { return this.#slices <= 0 }

  start (): void {
    this.#timer = setInterval(() => {
      this.#slices--
      this.#onTick()
    }, this.#seconds * 1000 / CLOCK_SLICES)
  }

  stop (): void { clearInterval(this.#timer) }
}

// The tester

class Tester {
  readonly events: Array<Event | string> = []
  /** Its side of permessage-deflate, once it is agreed on. */
  deflate: DeflateTester | undefined
  /** Messages that came compressed. */
  compressed = 0
  /** What the server did that no server may: it ends the case. */
  fault: string | undefined
  /** Its Close frame, once it is there. */
  serverClose: { readonly code: number | undefined } | undefined
  closedFirst: 'tester' | 'server' | undefined
  /** The server has ended the TCP connection, or broken it off. */
  hasServerEnded = false
  /** What came is handed on in order, however long it takes to inflate. */
  inflated = Promise.resolve()

  readonly #socket: Socket
  #isOpen = false
  #received: Buffer[] = []
  #size = 0
  /** Less than this is not worth looking at. */
  #needed = 0
  #message: { readonly op: number, readonly isCompressed: boolean, readonly parts: Buffer[] } | undefined
  #wake = (): void => {}

  constructor (port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    this.#socket.on('data', (chunk) => {
      this.#received.push(chunk)
      this.#size += chunk.length
      if (this.#isOpen) this.#readFrames()
      this.#wake()
    })
    this.#socket.on('end', () => this.#onServerEnd())
    // 'close' follows, which says all there is to say.
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => this.#onServerEnd())
  }

  /** Nothing more comes, or what comes does not matter any more. */
  get isOver (): boolean { return this.fault !== undefined || this.serverClose !== undefined || this.hasServerEnded }

  clock (seconds: number): Clock { return new Clock(seconds, () => this.#wake()) }

  destroy (): void {
    this.#socket.destroy()
    this.deflate?.close()
  }

  /** Whether it came true before the time was over. */
  async until (isTrue: () => boolean, clock: Clock): Promise<boolean> {
    while (!isTrue() && !clock.isOver) await new Promise<void>((resolve) => { this.#wake = resolve })
    return isTrue()
  }

  async untilFor (seconds: number, isTrue: () => boolean): Promise<boolean> {
    const clock = this.clock(seconds)
    clock.start()
    const isItTrue = await this.until(isTrue, clock)
    clock.stop()
    return isItTrue
  }

  /** The extensions that the server agreed to. */
  async open (port: number, offer: readonly string[]): Promise<string | undefined> {
    const key = randomBytes(16).toString('base64')
    const fields = [
      `Host: 127.0.0.1:${port}`, 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13',
      ...offer.length === 0 ? [] : [`Sec-WebSocket-Extensions: ${offer.join(', ')}`]
    ]
    this.#socket.write(['GET / HTTP/1.1', ...fields].join('\r\n') + HEAD_END)
    await this.untilFor(OPENING_SECONDS, () => this.#whole().includes(HEAD_END) || this.hasServerEnded)
    const bytes = this.#whole()
    const end = bytes.indexOf(HEAD_END)
    const [statusLine = '', ...lines] = bytes.toString('latin1', 0, Math.max(end, 0)).split('\r\n')
    const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
    const accept = createHash('sha1').update(key + ACCEPT_GUID).digest('base64')
    if (!/^HTTP\/1\.1 101 /.test(statusLine) || headers.get('upgrade')?.toLowerCase() !== 'websocket' ||
      headers.get('connection')?.toLowerCase() !== 'upgrade' || headers.get('sec-websocket-accept') !== accept) {
      this.fault = `the handshake was answered with ${JSON.stringify(bytes.toString('latin1').slice(0, 200))}`
      return undefined
    }
    this.#isOpen = true
    this.#keep(bytes.subarray(end + HEAD_END.length))
    this.#readFrames()
    return headers.get('sec-websocket-extensions')
  }

  /** In writes of this many octets, with a turn of the event loop after each; in one without. */
  async write (bytes: Buffer, size = bytes.length): Promise<void> {
    for (let at = 0; at < bytes.length && !this.isOver; at += size) {
      await new Promise<void>((resolve) => { this.#socket.write(bytes.subarray(at, at + size), () => resolve()) })
      await nextTurn()
    }
  }

  /** What is written next has a Close frame in it. */
  willClose (): void {
    if (!this.isOver) this.closedFirst ??= 'tester'
  }

  #onServerEnd (): void {
    if (!this.hasServerEnded && this.#isOpen && this.#size > 0) this.fault ??= 'the server ended inside a frame'
    this.hasServerEnded = true
    this.#wake()
  }

  #whole (): Buffer {
    return this.#keep(this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received))
  }

  #keep (bytes: Buffer): Buffer {
    this.#received = [bytes]
    this.#size = bytes.length
    return bytes
  }

  #readFrames (): void {
    if (this.#size < this.#needed) return
    let bytes = this.#whole()
    for (;;) {
      const field = bytes.length < 2 ? 0 : bytes[1]! & 0x7f
      const start = field === 127 ? 10 : field === 126 ? 4 : 2
      this.#needed = start
      if (bytes.length < start) break
      const length = field === 127 ? Number(bytes.readBigUInt64BE(2)) : field === 126 ? bytes.readUInt16BE(2) : field
      this.#needed = start + length
      if (this.fault === undefined) this.fault = headerFault(bytes, length, this.#message !== undefined, this.deflate !== undefined)
      if (this.fault !== undefined || bytes.length < this.#needed) break
      this.#onFrame(bytes[0]! & 0x0f, bytes[0]! >= 0x80, (bytes[0]! & RSV1) !== 0, bytes.subarray(start, this.#needed))
      bytes = bytes.subarray(this.#needed)
    }
    this.#keep(this.fault === undefined ? bytes : Buffer.alloc(0))
  }

  #onFrame (op: number, fin: boolean, rsv1: boolean, payload: Buffer): void {
    if (this.serverClose !== undefined) this.fault = `the server sent a frame of opcode ${op} after its Close frame`
    else if (op === CLOSE) this.#onClose(payload)
    else if (op === PING || op === PONG) this.events.push({ event: op === PING ? 'ping' : 'pong', length: payload.length, payload })
    else {
      this.#message ??= { op, isCompressed: rsv1, parts: [] }
      this.#message.parts.push(payload)
      if (!fin) return
      const { parts, isCompressed } = this.#message
      const whole = parts.length === 1 ? payload : Buffer.concat(parts)
      const isText = this.#message.op === TEXT
      this.#message = undefined
      if (this.deflate === undefined) return this.#onMessage(whole, isText)
      this.inflated = this.inflated.then(() => this.#inflate(whole, isText, isCompressed))
    }
  }

  async #inflate (payload: Buffer, isText: boolean, isCompressed: boolean): Promise<void> {
    try {
      this.#onMessage(isCompressed ? await this.deflate!.inflate(payload) : payload, isText)
      if (isCompressed) this.compressed++
    } catch (error) {
      this.fault ??= `the server sent what cannot be inflated: ${(error as Error).message}`
    }
    this.#wake()
  }

  #onMessage (payload: Buffer, isText: boolean): void {
    if (isText && !isUtf8(payload)) this.fault = 'the server sent text that is not UTF-8'
    this.events.push({ event: isText ? 'text' : 'binary', length: payload.length, payload })
  }

  #onClose (payload: Buffer): void {
    if (payload.length === 1) this.fault = 'the server sent a Close frame with a payload of one octet'
    else if (!isUtf8(payload.subarray(2))) this.fault = 'the server sent a Close frame whose reason is not UTF-8'
    this.serverClose = { code: payload.length < 2 ? undefined : payload.readUInt16BE(0) }
    if (this.closedFirst !== undefined) return
    this.closedFirst = 'server'
    this.#socket.write(frame(CLOSE, payload.subarray(0, 2)))
  }
}

/** What RFC 6455 §5 does not allow in the header of a server's frame; undefined if it may be. */
function headerFault (bytes: Buffer, length: number, isInMessage: boolean, isDeflateAgreed: boolean): string | undefined {
  const [first, second] = bytes as unknown as [number, number]
  const op = first & 0x0f
  // RFC 7692 §6.1: RSV1 is for the first frame of a message.
  const reserved = isDeflateAgreed && (op === TEXT || op === BINARY) ? 0x30 : 0x70
  if (first & reserved) return `the server sent a frame with RSV bits set: 0x${first.toString(16)}`
  if (second & 0x80) return 'the server sent a masked frame'
  if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(op)) return `the server sent a frame of opcode ${op}`
  if ((second === 126 && length < 126) || (second === 127 && length < 65_536)) return 'the server sent a length that is not in its shortest form'
  if (!Number.isSafeInteger(length)) return 'the server announced a frame that is too long'
  if (op >= CLOSE) return first < 0x80 || length > 125 ? `the server sent a control frame of ${length} octets, first octet 0x${first.toString(16)}` : undefined
  if ((op === CONTINUATION) !== isInMessage) return `the server sent a frame of opcode ${op} ${isInMessage ? 'within' : 'outside'} a message`
  return undefined
}

// A case

export async function runCase (port: number, testCase: Case): Promise<Verdict> {
  const tester = new Tester(port)
  const clock = tester.clock(testCase.waitSeconds)
  try {
    const offer = testCase.send.flatMap((step) => step.offer ?? [])
    const extensions = await tester.open(port, offer)
    if (offer.length > 0 && extensions === undefined && tester.fault === undefined) {
      return { behavior: 'UNIMPLEMENTED', behaviorClose: 'UNIMPLEMENTED', reason: 'the server did not agree to permessage-deflate', compressed: 0 }
    }
    if (extensions !== undefined) agree(tester, extensions, offer)
    clock.start()
    await sendSteps(tester, testCase, clock)
    await awaitAnswers(tester, testCase, clock)
    return grade(tester, testCase, await endConnection(tester))
  } finally {
    clock.stop()
    tester.destroy()
  }
}

function agree (tester: Tester, extensions: string, offer: readonly string[]): void {
  try {
    tester.deflate = new DeflateTester(extensions, offer)
  } catch (error) {
    if (!(error instanceof AnswerFault)) throw error
    tester.fault ??= error.message
  }
}

async function sendSteps (tester: Tester, testCase: Case, clock: Clock): Promise<void> {
  // What goes out back to back is gathered, and leaves in one write.
  let gathered: Buffer[] = []
  let part: { readonly key: Buffer, sent: number } | undefined
  let pauses = 0
  const flush = async (): Promise<void> => {
    const bytes = Buffer.concat(gathered)
    gathered = []
    await tester.write(bytes)
  }
  for (const step of testCase.send) {
    const op = step.op ?? step.message
    if (step.close !== undefined || (op === CLOSE && step.rsv === undefined)) tester.willClose()
    if (step.close !== undefined) {
      gathered.push(frame(CLOSE, closePayload(step)))
    } else if (step.waitSeconds !== undefined) {
      await flush()
      if (await tester.untilFor(step.waitSeconds, () => tester.isOver)) return
      pauses++
      if (namesPauses(testCase)) tester.events.push(`stillOpenAfterPause${pauses}`)
    } else if (step.frameHeader !== undefined) {
      part = { key: randomBytes(4), sent: 0 }
      gathered.push(header(step.frameHeader.op, step.frameHeader.fin, 0, step.frameHeader.length, part.key))
    } else if (step.payloadPartHex !== undefined && part !== undefined) {
      const payload = Buffer.from(step.payloadPartHex, 'hex')
      gathered.push(masked(payload, part.key, part.sent))
      part.sent += payload.length
    } else if (op === undefined) {
      throw new Error(`a step that this runner does not know: ${JSON.stringify(step)}`)
    } else if (step.offer !== undefined) {
      await sendCompressed(tester, step, dataOf(testCase.does), clock)
    } else if (step.times !== undefined) {
      for (let i = 1; i <= step.times && !tester.isOver; i++) {
        await tester.write(stepFrames(step, op))
        if (!await tester.until(() => tester.events.length >= i || tester.isOver, clock)) return
      }
    } else if (step.tcpWriteSize !== undefined) {
      await flush()
      await tester.write(stepFrames(step, op), step.tcpWriteSize)
    } else {
      gathered.push(stepFrames(step, op))
      if (step.flush === true) await flush()
    }
  }
  await flush()
}

/** One message after the other, each with the echo of the one before. */
async function sendCompressed (tester: Tester, { op = TEXT, length = 0, times = 1, compressedFragmentSize }: Step, data: Buffer, clock: Clock): Promise<void> {
  const next = slidingWindow(data, op === TEXT, length)
  for (let i = 0; i < times && !tester.isOver; i++) {
    const message = next()
    const compressed = await tester.deflate!.compress(message)
    const size = compressedFragmentSize ?? compressed.length
    const frames: Buffer[] = []
    for (let at = 0; at === 0 || at < compressed.length; at += size) {
      frames.push(frame(at === 0 ? op : CONTINUATION, compressed.subarray(at, at + size), at + size >= compressed.length, at === 0 ? 4 : 0))
    }
    await tester.write(Buffer.concat(frames))
    if (!await tester.until(() => tester.events.length > i || tester.isOver, clock)) return
    const event = tester.events[i] as Event | undefined
    if (event === undefined) return
    event.same = event.payload.equals(message)
    event.payload = NOTHING
  }
}

/** Until it is the tester's turn to close, or the server has closed. */
async function awaitAnswers (tester: Tester, testCase: Case, clock: Clock): Promise<void> {
  const { close, ok } = testCase
  // A Close frame is answered at once, whatever time the case has.
  if (tester.closedFirst === 'tester') return
  await tester.until(() => tester.isOver || (close.by === 'tester' && ok.some((sequence) => matches(tester.events, sequence, testCase))), clock)
  if (tester.isOver || close.by === 'server') return
  tester.willClose()
  await tester.write(frame(CLOSE, closePayload({ close: 1000 })))
}

/** How the connection ended. */
async function endConnection (tester: Tester): Promise<'by the server' | 'by the tester'> {
  if (tester.closedFirst === 'tester') await tester.untilFor(CLOSING_SECONDS, () => tester.isOver)
  if (tester.serverClose !== undefined) await tester.untilFor(CLOSING_SECONDS, () => tester.hasServerEnded || tester.fault !== undefined)
  await tester.inflated
  return tester.hasServerEnded ? 'by the server' : 'by the tester'
}

// Grades

function namesPauses ({ ok }: Case): boolean {
  return ok.some((sequence) => sequence.some((expected) => typeof expected === 'string'))
}

/** Where a case names type and length alone, what comes back has to be what was sent all the same. */
function expectedPayload (expected: Payload, { send }: Case): Buffer {
  return octets('length' in expected && !('repeatHex' in expected) ? send[0]! : expected)
}

function matches (events: ReadonlyArray<Event | string>, sequence: readonly Expected[], testCase: Case): boolean {
  const wanted = sequence.flatMap<Expected>((expected) => typeof expected === 'string' ? [expected] : Array.from({ length: expected.times ?? 1 }, () => expected))
  if (wanted.length !== events.length) return false
  return wanted.every((expected, i) => {
    const event = events[i]!
    if (typeof expected === 'string' || typeof event === 'string') return expected === event
    if (expected.same === true) return expected.event === event.event && event.same === true
    if (expected.event !== event.event || (expected.length ?? event.length) !== event.length) return false
    return expectedPayload(expected, testCase).equals(event.payload)
  })
}

function grade (tester: Tester, testCase: Case, ended: 'by the server' | 'by the tester'): Verdict {
  const seen = `${describeEvents(tester.events)}; ${describeEnd(tester, ended)}`
  const { compressed } = tester
  if (tester.fault !== undefined) return { behavior: 'FAILED', behaviorClose: 'FAILED', reason: `${tester.fault}; before that: ${seen}`, compressed }
  if (testCase.informational === true) return { behavior: 'INFORMATIONAL', behaviorClose: 'INFORMATIONAL', reason: seen, compressed }
  const [behaviorClose, why] = gradeClose(tester, testCase, ended)
  const isFailedByClose = (testCase.wrongCodeIsFailed === true && behaviorClose === 'WRONG CODE') ||
    (testCase.close.notClosedIsFailed === true && behaviorClose === 'FAILED')
  const behavior = isFailedByClose ? 'FAILED' : gradeEvents(tester, testCase)
  return { behavior, behaviorClose, reason: why === '' ? seen : `${seen}; ${why}`, compressed }
}

function gradeEvents ({ events }: Tester, testCase: Case): Grade {
  if (testCase.ok.some((sequence) => matches(events, sequence, testCase))) return 'OK'
  return testCase.nonStrict?.some((sequence) => matches(events, sequence, testCase)) === true ? 'NON-STRICT' : 'FAILED'
}

function gradeClose (tester: Tester, { close }: Case, ended: 'by the server' | 'by the tester'): [Grade, string] {
  const closedFirst = tester.closedFirst ?? (ended === 'by the server' ? 'server' : 'tester')
  if (closedFirst !== close.by) return ['FAILED', `the ${close.by} should have closed`]
  if (close.clean && tester.serverClose === undefined) return ['UNCLEAN', 'there was no Close frame of the server']
  const code = tester.serverClose?.code
  if (code !== undefined && !close.codes.includes(code)) return ['WRONG CODE', `it should have been ${close.codes.join(' or ')}`]
  if (ended === 'by the tester') return ['FAILED BY CLIENT', `the server did not end the TCP connection within ${CLOSING_SECONDS} s`]
  return ['OK', '']
}

function describeEvents (events: ReadonlyArray<Event | string>): string {
  const names = events.map((event) => typeof event === 'string' ? event : `${event.event} of ${event.length}`)
  if (names.length === 0) return 'nothing came'
  return names.length <= 10 ? names.join(', ') : `${names.slice(0, 10).join(', ')} and ${names.length - 10} more`
}

function describeEnd ({ closedFirst, serverClose }: Tester, ended: string): string {
  const code = serverClose?.code ?? 'without code'
  const close = serverClose === undefined
    ? closedFirst === 'tester' ? 'Close not answered' : 'no Close'
    : closedFirst === 'tester' ? `Close answered ${code}` : `Close of the server ${code}`
  return `${close}, TCP ended ${ended}`
}
