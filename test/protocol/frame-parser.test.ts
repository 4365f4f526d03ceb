import t from 'tap'
import fc from 'fast-check'
import type { Role } from '../../lib/protocol/constants.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { FrameParser, type FrameSink } from '../../lib/protocol/frame-parser.ts'
import { writeFrame } from '../../lib/protocol/frame-writer.ts'
import { maskInto } from '../../lib/protocol/mask.ts'
import { OutputBuffer } from '../../lib/protocol/output-buffer.ts'
import { copyAt, cutAt, everyCut, type Subject } from '../helpers/every-cut.ts'
import { frame, framesTo, type FrameOptions, type LengthForm } from '../helpers/frames.ts'

const ROLES: readonly Role[] = ['server', 'client']
const NAMES: Readonly<Record<number, string>> = { 0: 'continuation', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' }
const CONTROL = [8, 9, 10]
const DATA = [0, 1, 2]

/** Writes down whole frames, however they come; that those that come in parts do as they should is checked on the way. */
class Frames implements FrameSink, Subject<string> {
  readonly events: string[] = []
  readonly calls: string[] = []
  readonly parser: FrameParser
  /** Called with each whole frame. */
  onWhole: () => void = () => {}
  #head = ''
  #announced = 0
  #parts: Buffer[] | undefined
  #failed = false

  constructor (role: Role, rsv1Allowed?: boolean) {
    this.parser = rsv1Allowed === undefined ? new FrameParser(role, this) : new FrameParser(role, this, rsv1Allowed)
  }

  feed (chunk: Buffer): void {
    if (this.#failed) return
    try {
      const offset = this.parser.feed(chunk, 0)
      if (offset !== chunk.length) this.events.push(`stopped at ${offset} of ${chunk.length}`)
    } catch (error) {
      this.#failed = true
      this.events.push(error instanceof ProtocolError ? `error ${error.closeCode} ${error.message}` : String(error))
    }
  }

  onFrame (first: number, buffer: Buffer, start: number, end: number, key: number): void {
    this.calls.push('frame')
    if (this.#parts !== undefined) this.events.push('a frame within a frame')
    const payload = Buffer.alloc(end - start)
    maskInto(payload, 0, buffer, start, end, key)
    this.#whole(headOf(first), payload)
  }

  onFrameStart (first: number, length: number): void {
    this.calls.push('start')
    if (this.#parts !== undefined) this.events.push('a frame within a frame')
    if ((first & 0x08) !== 0) this.events.push('a control frame in parts')
    if (length === 0) this.events.push('an empty frame in parts')
    this.#head = headOf(first)
    this.#announced = length
    this.#parts = []
  }

  onFramePart (buffer: Buffer, start: number, end: number, key: number, last: boolean): void {
    this.calls.push(last ? 'last' : 'part')
    if (this.#parts === undefined) {
      this.events.push('a part of no frame')
      return
    }
    const part = Buffer.alloc(end - start)
    maskInto(part, 0, buffer, start, end, key)
    this.#parts.push(part)
    const payload = Buffer.concat(this.#parts)
    if (last !== (payload.length === this.#announced)) this.events.push(`last is ${last} at ${payload.length} of ${this.#announced}`)
    if (!last) return
    this.#parts = undefined
    this.#whole(this.#head, payload)
  }

  #whole (head: string, payload: Buffer): void {
    this.events.push(`${head}${payload.toString('hex')}`)
    this.onWhole()
  }
}

function headOf (first: number): string {
  return head(first & 0x0f, (first & 0x80) !== 0, (first & 0x40) !== 0)
}

function head (opcode: number, fin: boolean, rsv1: boolean): string {
  return `${NAMES[opcode] ?? opcode}${fin ? '' : '…'}${rsv1 ? ' rsv1' : ''} `
}

/** What parsing these bytes gives, fed whole. */
function parse (role: Role, bytes: Uint8Array, rsv1Allowed?: boolean): string[] {
  const frames = new Frames(role, rsv1Allowed)
  frames.feed(copyAt(bytes, 0))
  return frames.events
}

function noise (length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 151 + 7) & 0xff))
}

t.test('the first two octets', async t => {
  /** §5.1, §5.2, §5.5 and RFC 7692 §6.1 once more: whether a frame may begin so. */
  function mayBegin (first: number, second: number, role: Role, rsv1Allowed: boolean): boolean {
    const opcode = first & 15
    const control = CONTROL.includes(opcode)
    if (!control && !DATA.includes(opcode)) return false
    if ((first & 0x30) !== 0) return false
    if ((first & 0x40) !== 0 && (!rsv1Allowed || control || opcode === 0)) return false
    if (control && ((first & 0x80) === 0 || (second & 0x7f) > 125)) return false
    return (second >= 0x80) === (role === 'server')
  }

  for (const role of ROLES) {
    for (const rsv1Allowed of [false, true]) {
      t.test(`${role}${rsv1Allowed ? ' with an extension that uses RSV1' : ''}: every pair is judged when it is there, with 1002`, async t => {
        const wrong: string[] = []
        const { stackTraceLimit } = Error
        // Of 65536 errors most of the time would go into their stacks.
        Error.stackTraceLimit = 0
        t.teardown(() => { Error.stackTraceLimit = stackTraceLimit })
        for (let first = 0; first < 256; first++) {
          for (let second = 0; second < 256; second++) {
            const header = Buffer.from([first, second])
            const events = parse(role, header, rsv1Allowed)
            const failed = events.some((event) => event.startsWith('error 1002'))
            if (failed === mayBegin(first, second, role, rsv1Allowed)) wrong.push(`${header.toString('hex')}: ${events}`)
          }
        }
        t.strictSame(wrong, [])
      })
    }
  }
})

const BROKEN: ReadonlyArray<FrameOptions & { rule: string, rsv1Allowed?: boolean, maskedWrongly?: boolean }> = [
  { rule: 'RSV1 set without an extension', opcode: 1, rsv: 4 },
  { rule: 'RSV1 set without an extension', opcode: 0, rsv: 4 },
  { rule: 'RSV1 set without an extension', opcode: 9, rsv: 4 },
  { rule: 'RSV2 or RSV3 set without an extension', opcode: 1, rsv: 2 },
  { rule: 'RSV2 or RSV3 set without an extension', opcode: 2, rsv: 1 },
  { rule: 'RSV2 or RSV3 set without an extension', opcode: 1, rsv: 7, rsv1Allowed: true },
  { rule: 'RSV1 set on a control frame', opcode: 8, rsv: 4, rsv1Allowed: true },
  { rule: 'RSV1 set on a control frame', opcode: 9, rsv: 4, rsv1Allowed: true },
  { rule: 'RSV1 set on a control frame', opcode: 10, rsv: 4, rsv1Allowed: true },
  { rule: 'RSV1 set on a continuation frame', opcode: 0, rsv: 4, rsv1Allowed: true },
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => ({ rule: 'reserved opcode', opcode })),
  ...CONTROL.map((opcode) => ({ rule: 'fragmented control frame', opcode, fin: false })),
  ...CONTROL.map((opcode) => ({ rule: 'control frame above 125 octets', opcode, payload: noise(126) })),
  ...CONTROL.map((opcode) => ({ rule: 'control frame above 125 octets', opcode, lengthForm: '16' as const, payload: '' })),
  ...CONTROL.map((opcode) => ({ rule: 'control frame above 125 octets', opcode, lengthForm: '64' as const, payload: 'x' })),
  { rule: '', maskedWrongly: true, opcode: 1 },
  { rule: '', maskedWrongly: true, opcode: 9 },
  { rule: 'length not in its shortest form', opcode: 2, lengthForm: '16', payload: '' },
  { rule: 'length not in its shortest form', opcode: 2, lengthForm: '16', payload: noise(125) },
  { rule: 'length not in its shortest form', opcode: 2, lengthForm: '64', payload: '' },
  { rule: 'length not in its shortest form', opcode: 2, lengthForm: '64', payload: noise(126) },
  { rule: 'length not in its shortest form', opcode: 0, fin: false, lengthForm: '64', length: 65535 },
  { rule: 'length with its topmost bit set', opcode: 2, length: 1n << 63n },
  { rule: 'length with its topmost bit set', opcode: 2, length: (1n << 64n) - 1n },
  { rule: 'length with its topmost bit set', opcode: 1, length: (1n << 63n) + 5n }
]

t.test('a frame that breaks a rule of its header', async t => {
  for (const role of ROLES) {
    for (const { rule, rsv1Allowed, maskedWrongly, ...options } of BROKEN) {
      const wanted = maskedWrongly !== true ? rule : role === 'server' ? 'frame of a client without a mask' : 'frame of a server with a mask'
      const masked = (role === 'server') !== (maskedWrongly === true)
      const name = `${role}: ${wanted} (opcode ${options.opcode}, length ${options.length ?? options.payload?.length ?? 0})`
      t.test(name, async t => {
        const good = framesTo(role).ping('before')
        const bad = frame({ payload: 'x', masked, ...options })
        const expected = [`ping ${Buffer.from('before').toString('hex')}`, `error 1002 ${wanted}`]
        everyCut(t, Buffer.concat([good, bad, good]), () => new Frames(role, rsv1Allowed), expected)
      })
    }
  }

  t.test('RSV1 is refused unless told otherwise', async t => {
    t.strictSame(parse('client', frame({ opcode: 1, rsv: 4 })), ['error 1002 RSV1 set without an extension'])
  })
})

t.test('a length of 2^32 or more is above any limit', async t => {
  for (const role of ROLES) {
    for (const length of [1n << 32n, (1n << 32n) + 70000n, (1n << 63n) - 1n, 0x7fffffff00000000n]) {
      const header = frame({ opcode: 2, masked: role === 'server', length })
      everyCut(t, header, () => new Frames(role), ['error 1009 message above the limit'], `${role}: ${length}`)
    }
  }
})

t.test('an extended length is judged when its last octet is there, before the masking-key', async t => {
  const cases: Array<[FrameOptions, number]> = [
    [{ opcode: 2, lengthForm: '16', length: 125 }, 4],
    [{ opcode: 2, lengthForm: '64', length: 65535 }, 10],
    [{ opcode: 2, length: 1n << 32n }, 10],
    [{ opcode: 2, length: 1n << 63n }, 10]
  ]
  for (const role of ROLES) {
    for (const [options, at] of cases) {
      const header = frame({ masked: role === 'server', ...options }).subarray(0, at)
      t.strictSame(parse(role, header.subarray(0, at - 1)), [], `${role}: ${options.length} is not judged early`)
      t.match(parse(role, header), [/^error 10/], `${role}: ${options.length}`)
      const frames = new Frames(role)
      for (const octet of header) frames.feed(Buffer.from([octet]))
      t.match(frames.events, [/^error 10/], `${role}: ${options.length}, octet by octet`)
    }
  }
})

t.test('every good frame is found, with any length and in any cut', async t => {
  for (const role of ROLES) {
    const to = framesTo(role)
    for (const opcode of [...DATA, ...CONTROL]) {
      for (const fin of CONTROL.includes(opcode) ? [true] : [true, false]) {
        for (const length of [0, 1, 2, 3, 4, 5, 124, 125, ...(CONTROL.includes(opcode) ? [] : [126, 127, 300])]) {
          const payload = noise(length)
          const line = `${head(opcode, fin, false)}${payload.toString('hex')}`
          const next = to.frame({ opcode: 2, payload: 'next', key: [1, 2, 3, 4] })
          everyCut(t, Buffer.concat([to.frame({ opcode, fin, payload }), next]), () => new Frames(role),
            [line, 'binary 6e657874'], `${role}: ${head(opcode, fin, false)}of ${length}`)
        }
      }
    }
  }
})

t.test('lengths at the bounds of their forms', async t => {
  for (const role of ROLES) {
    for (const [length, lengthForm] of [[125, 'short'], [126, '16'], [65535, '16'], [65536, '64'], [70000, '64']] as Array<[number, LengthForm]>) {
      const payload = noise(length)
      const bytes = Buffer.concat([framesTo(role).frame({ opcode: 2, payload, lengthForm }), framesTo(role).ping('p')])
      const expected = [`binary ${payload.toString('hex')}`, 'ping 70']
      t.ok(parse(role, bytes).join() === expected.join(), `${role}: ${length} whole`)
      for (const cut of [1, 2, 3, 4, 8, 9, 10, 13, 14, 15, 17, 1000, length, bytes.length - 1]) {
        const frames = new Frames(role)
        for (const chunk of cutAt(bytes, [cut])) frames.feed(chunk)
        t.ok(frames.events.join() === expected.join(), `${role}: ${length} cut at ${cut}`)
      }
    }
  }
})

t.test('RSV1 is handed on where an extension allows it', async t => {
  for (const role of ROLES) {
    const to = framesTo(role)
    const bytes = Buffer.concat([
      to.frame({ opcode: 1, rsv: 4, fin: false, payload: 'ab' }), to.frame({ opcode: 0, payload: 'cd' }), to.frame({ opcode: 2, rsv: 4, payload: 'ef' }), to.text('gh')
    ])
    everyCut(t, bytes, () => new Frames(role, true), ['text… rsv1 6162', 'continuation 6364', 'binary rsv1 6566', 'text 6768'], role)
  }
})

t.test('the examples of RFC 6455 §5.7', async t => {
  const hello = '48656c6c6f'
  const parsed = (role: Role, hex: string): string[] => parse(role, Buffer.from(hex, 'hex'))
  t.strictSame(parsed('client', '810548656c6c6f'), [`text ${hello}`])
  t.strictSame(parsed('server', '818537fa213d7f9f4d5158'), [`text ${hello}`])
  t.strictSame(parsed('client', '010348656c' + '80026c6f'), ['text… 48656c', 'continuation 6c6f'])
  t.strictSame(parsed('client', '890548656c6c6f'), [`ping ${hello}`])
  t.strictSame(parsed('server', '8a8537fa213d7f9f4d5158'), [`pong ${hello}`])
  const kilobytes = noise(65536)
  t.ok(parsed('client', `827e0100${kilobytes.toString('hex', 0, 256)}`)[0] === `binary ${kilobytes.toString('hex', 0, 256)}`)
  t.ok(parsed('client', `827f0000000000010000${kilobytes.toString('hex')}`)[0] === `binary ${kilobytes.toString('hex')}`)
})

t.test('each frame is unmasked with its own key', async t => {
  const bytes = Buffer.concat([
    frame({ opcode: 2, masked: true, key: [0xff, 0, 0, 1], payload: noise(7) }),
    frame({ opcode: 2, masked: true, key: [0, 0, 0, 0], payload: noise(7) }),
    frame({ opcode: 9, masked: true, key: [0x80, 0x81, 0x82, 0x83], payload: noise(7) })
  ])
  const hex = noise(7).toString('hex')
  everyCut(t, bytes, () => new Frames('server'), [`binary ${hex}`, `binary ${hex}`, `ping ${hex}`])
})

t.test('a frame that lies in one chunk comes whole, one that straddles chunks in parts, a control frame always whole', async t => {
  for (const role of ROLES) {
    const to = framesTo(role)
    const calls = (...chunks: Buffer[]): string => {
      const frames = new Frames(role)
      for (const chunk of chunks) frames.feed(chunk)
      return frames.calls.join()
    }
    const data = to.binary('abcdef')
    const headerLength = data.length - 6
    t.equal(calls(copyAt(data, 0)), 'frame', `${role}: whole`)
    t.equal(calls(...cutAt(data, [1])), 'frame', `${role}: cut in the header`)
    t.equal(calls(...cutAt(data, [headerLength])), 'start,last', `${role}: cut behind the header`)
    t.equal(calls(...cutAt(data, [headerLength + 2, headerLength + 4])), 'start,part,part,last', `${role}: cut in the payload`)
    t.equal(calls(...cutAt(data, [1, headerLength + 1])), 'start,part,last', `${role}: cut in both`)
    t.equal(calls(...cutAt(to.binary(''), [headerLength - 1])), 'frame', `${role}: empty, cut in the header`)
    t.equal(calls(...cutAt(to.ping('abcdef'), [1, headerLength + 1, headerLength + 2])), 'frame', `${role}: ping`)
  }
})

t.test('an empty chunk changes nothing', async t => {
  for (const role of ROLES) {
    for (const bytes of [framesTo(role).binary('abc'), framesTo(role).ping('abc')]) {
      const frames = new Frames(role)
      const empty = Buffer.alloc(0)
      frames.feed(empty)
      for (const octet of bytes) {
        frames.feed(Buffer.from([octet]))
        frames.feed(empty)
      }
      t.equal(frames.events.length, 1)
      t.match(frames.events[0], /616263$/)
    }
  }
})

t.test('halted', async t => {
  for (const role of ROLES) {
    const to = framesTo(role)
    const frames = [to.text('one'), to.ping('two'), to.binary('', false), to.continuation('four')]
    const bytes = Buffer.concat(frames)
    const lines = parse(role, bytes)

    t.test(`${role}: stops after the frame at hand and goes on from there`, async t => {
      const sink = new Frames(role)
      sink.onWhole = () => { sink.parser.halted = true }
      const chunk = copyAt(bytes, 0)
      let offset = 0
      for (let i = 0; i < frames.length; i++) {
        sink.parser.halted = false
        const end = offset + frames[i]!.length
        offset = sink.parser.feed(chunk, offset)
        t.equal(offset, end, `behind frame ${i + 1}`)
        t.strictSame(sink.events, lines.slice(0, i + 1))
      }
      t.equal(sink.parser.feed(chunk, offset), bytes.length, 'nothing is left')
    })

    t.test(`${role}: stops so wherever the frame was cut`, async t => {
      const first = frames[0]!
      for (const frame of [first, frames[1]!]) {
        for (let cut = 1; cut < frame.length; cut++) {
          const sink = new Frames(role)
          sink.onWhole = () => { sink.parser.halted = true }
          const [head, rest] = cutAt(Buffer.concat([frame, to.text('next')]), [cut]) as [Buffer, Buffer]
          t.equal(sink.parser.feed(head, 0), cut)
          t.equal(sink.parser.feed(rest, 0), frame.length - cut, `cut at ${cut}`)
          t.equal(sink.events.length, 1)
        }
      }
    })

    t.test(`${role}: nothing is parsed while it stands`, async t => {
      const sink = new Frames(role)
      sink.parser.halted = true
      t.equal(sink.parser.feed(copyAt(bytes, 0), 0), 0)
      t.strictSame(sink.events, [])
    })
  }
})

t.test('nothing is allocated for an announced length, and little for what straddles', async t => {
  const sizes: number[] = []
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const original = Buffer[name]
    Buffer[name] = (size: number) => {
      sizes.push(size)
      return original(size)
    }
    t.teardown(() => { Buffer[name] = original })
  }
  for (const role of ROLES) {
    const header = frame({ opcode: 2, masked: role === 'server', length: 0xffffffff })
    const chunks = [...cutAt(header, [1, 5]), Buffer.from('part'), Buffer.from('part')]
    const ping = cutAt(framesTo(role).ping(noise(125)), [3, 50])
    const frames = Buffer.concat([framesTo(role).ping(noise(125)), framesTo(role).binary(noise(1000))])
    const [whole, again] = [copyAt(frames, 0), copyAt(frames, 0)]

    const straddling = new FrameParser(role, { onFrame () {}, onFrameStart () {}, onFramePart () {} })
    sizes.length = 0
    straddling.feed(whole, 0)
    for (const chunk of chunks) straddling.feed(chunk, 0)
    t.strictSame(sizes, [125], `${role}: a header in three chunks, then payload`)

    const control = new FrameParser(role, { onFrame () {}, onFrameStart () {}, onFramePart () {} })
    sizes.length = 0
    for (const chunk of ping) control.feed(chunk, 0)
    for (const chunk of ping) control.feed(chunk, 0)
    t.strictSame(sizes, [125], `${role}: two pings in three chunks each`)

    const idle = new FrameParser(role, { onFrame () {}, onFrameStart () {}, onFramePart () {} })
    sizes.length = 0
    idle.feed(again, 0)
    t.strictSame(sizes, [], `${role}: what lies in one chunk`)
  }
})

t.test('a frame in one chunk is handed on where it lies, as it came', async t => {
  for (const role of ROLES) {
    const chunk = copyAt(framesTo(role).binary('abc'), 0)
    const before = Buffer.from(chunk)
    let seen: [Buffer, number, number, number] | undefined
    new FrameParser(role, {
      onFrame (_first, buffer, start, end, key) { seen = [buffer, start, end, key] },
      onFrameStart () {},
      onFramePart () {}
    }).feed(chunk, 0)
    t.equal(seen![0], chunk)
    t.strictSame(seen!.slice(1), [chunk.length - 3, chunk.length, role === 'server' ? chunk.readInt32BE(chunk.length - 7) : 0])
    t.strictSame(chunk, before)
  }
})

t.test('reads what the writer of the other role has written, in any chunking', async t => {
  const control = fc.record({ opcode: fc.constantFrom(8, 9, 10), fin: fc.constant(true), payload: fc.uint8Array({ maxLength: 125 }) })
  const data = fc.record({
    opcode: fc.constantFrom(0, 1, 2),
    fin: fc.boolean(),
    payload: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(125, 126, 127, 16370, 16371, 65535, 65536).map(noise))
  })
  for (const role of ROLES) {
    fc.assert(fc.property(fc.array(fc.oneof(data, control), { maxLength: 6 }), fc.array(fc.nat(400), { maxLength: 20 }), (frames, sizes) => {
      const output = new OutputBuffer()
      for (const { opcode, fin, payload } of frames) writeFrame(output, role === 'server', opcode, fin, payload)
      const batch = output.take()
      const bytes = Buffer.concat(batch === undefined ? [] : batch.chunks)
      batch?.release()
      const sink = new Frames(role)
      let at = 0
      const positions = sizes.map((size) => (at += size)).filter((position) => position < bytes.length)
      for (const chunk of cutAt(bytes, positions)) {
        sink.feed(chunk)
        chunk.fill(0xee)
      }
      const expected = frames.map(({ opcode, fin, payload }) => `${head(opcode, fin, false)}${Buffer.from(payload).toString('hex')}`)
      return sink.events.join() === expected.join()
    }), { numRuns: 300 })
    t.pass(role)
  }
})
