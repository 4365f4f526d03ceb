import t from 'tap'
import fc from 'fast-check'
import type { Role } from '../../lib/protocol/constants.ts'
import { encodeServerFrame, writeFrame, writeText } from '../../lib/protocol/frame-writer.ts'
import { MAX_RANGE_BYTES, OutputBuffer } from '../../lib/protocol/output-buffer.ts'
import { frame, readFrames, type LengthForm, type WireFrame } from '../helpers/frames.ts'

const ROLES: readonly Role[] = ['server', 'client']
/** Payloads above it go by reference: it leaves room for the longest header in a range. */
const SMALL = 16 * 1024 - 14

const LENGTHS: ReadonlyArray<[number, LengthForm]> = [
  [0, 'short'], [1, 'short'], [2, 'short'], [3, 'short'], [4, 'short'], [5, 'short'], [124, 'short'], [125, 'short'],
  [126, '16'], [127, '16'], [1000, '16'], [SMALL - 1, '16'], [SMALL, '16'], [SMALL + 1, '16'], [65534, '16'], [65535, '16'],
  [65536, '64'], [65537, '64'], [1024 * 1024 + 1, '64']
]

function noise (length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 151 + 7) & 0xff))
}

/** Writes the frames of one endpoint. */
class Writer {
  readonly #output: OutputBuffer
  readonly #masks: boolean

  constructor (role: Role, output: OutputBuffer) {
    this.#output = output
    this.#masks = role === 'client'
  }

  text (opcode: number, fin: boolean, text: string): void { writeText(this.#output, this.#masks, opcode, fin, text) }
  frame (opcode: number, fin: boolean, payload: Uint8Array): void { writeFrame(this.#output, this.#masks, opcode, fin, payload) }
}

/** What this writer writes: one frame, and the numbers that go with it. */
function write (role: Role, action: (writer: Writer) => void): { frame: WireFrame, bytes: Buffer, payloadBytes: number, chunks: Buffer[], release (): void } {
  const output = new OutputBuffer()
  action(new Writer(role, output))
  const batch = output.take()!
  const bytes = Buffer.concat(batch.chunks)
  if (batch.byteLength !== bytes.length) throw new Error(`byteLength ${batch.byteLength} of ${bytes.length}`)
  const [frame, ...more] = readFrames(bytes)
  if (frame === undefined || more.length > 0) throw new Error('not one frame')
  return { frame, bytes, payloadBytes: batch.payloadBytes, chunks: [...batch.chunks], release: () => batch.release() }
}

for (const role of ROLES) {
  t.test(`${role}: writeFrame`, async t => {
    for (const [length, lengthForm] of LENGTHS) {
      t.test(`${length} octets: the shortest form of the length, ${role === 'client' ? 'masked' : 'not masked'}`, async t => {
        const payload = noise(length)
        const { frame: found, payloadBytes, release } = write(role, (writer) => writer.frame(2, true, payload))
        t.equal(found.opcode, 2)
        t.equal(found.fin, true)
        t.equal(found.rsv, 0)
        t.equal(found.masked, role === 'client')
        t.equal(found.lengthForm, lengthForm)
        t.ok(found.payload.equals(payload), 'the payload')
        t.ok(payload.equals(noise(length)), 'what was handed over is as it was')
        t.equal(payloadBytes, length)
        release()
      })
    }

    t.test('every opcode, with and without FIN; control frames hold no application data', async t => {
      for (const opcode of [0, 1, 2, 8, 9, 10]) {
        for (const fin of [true, false]) {
          const { frame: found, payloadBytes, release } = write(role, (writer) => writer.frame(opcode, fin, noise(7)))
          t.equal(found.opcode, opcode)
          t.equal(found.fin, fin)
          t.equal(found.rsv, 0)
          t.equal(payloadBytes, opcode < 8 ? 7 : 0)
          release()
        }
      }
    })

    t.test('a view that is no Buffer, small and large', async t => {
      for (const length of [10, SMALL, SMALL + 1, 70000]) {
        const view = new Uint8Array(noise(length + 8)).subarray(5, 5 + length)
        const { frame: found, release } = write(role, (writer) => writer.frame(2, true, view))
        t.ok(found.payload.equals(noise(length + 8).subarray(5, 5 + length)), `${length}`)
        t.ok(Buffer.from(view).equals(noise(length + 8).subarray(5, 5 + length)), 'it is as it was')
        release()
      }
    })

    t.test('several frames stand in order, large ones among small ones', async t => {
      const output = new OutputBuffer()
      const writer = new Writer(role, output)
      const lengths = [3, 20000, 0, 125, 65536, 65536, 17, SMALL, SMALL + 1, 1]
      for (const length of lengths) writer.frame(2, true, noise(length))
      writer.text(1, true, 'last')
      const batch = output.take()!
      const frames = readFrames(Buffer.concat(batch.chunks))
      t.strictSame(frames.map(({ payload }) => payload.length), [...lengths, 4])
      t.ok(frames.every(({ payload }, i) => i === lengths.length || payload.equals(noise(lengths[i]!))))
      t.equal(batch.payloadBytes, lengths.reduce((sum, length) => sum + length, 4))
      batch.release()
    })
  })

  t.test(`${role}: writeText`, async t => {
    /** Where the length in units, and the most octets they can take, are on different sides of a bound. */
    const COUNTS = [0, 1, 41, 42, 43, 62, 63, 64, 124, 125, 126, 127, 5456, 5457, 5458, 16370, 16371, 21845, 21846, 65535, 65536]

    for (const [what, unit] of [['ASCII', 'a'], ['two octets', 'é'], ['three octets', '€'], ['surrogate pairs', '😀'], ['lone surrogates', '\ud800'], ['NUL', '\0']] as const) {
      t.test(`${what}, at all bounds`, async t => {
        const failures: string[] = []
        for (const count of COUNTS) {
          for (const text of [unit.repeat(count), `${unit.repeat(count)}z`]) {
            const octets = Buffer.from(text)
            const { frame: found, payloadBytes, release } = write(role, (writer) => writer.text(1, true, text))
            const form = octets.length < 126 ? 'short' : octets.length < 65536 ? '16' : '64'
            if (!found.payload.equals(octets)) failures.push(`${count}: payload`)
            if (found.lengthForm !== form) failures.push(`${count}: length in form ${found.lengthForm}`)
            if (found.opcode !== 1 || !found.fin || found.rsv !== 0 || found.masked !== (role === 'client')) failures.push(`${count}: header`)
            if (payloadBytes !== octets.length) failures.push(`${count}: ${payloadBytes}`)
            release()
          }
        }
        t.strictSame(failures, [])
      })
    }

    t.test('every mixture of one and three octets around the bound of the short form', async t => {
      const failures: string[] = []
      for (let ascii = 0; ascii <= 130; ascii++) {
        for (let wide = 0; wide <= 43; wide++) {
          const text = 'a'.repeat(ascii) + '€'.repeat(wide)
          const { frame: found, release } = write(role, (writer) => writer.text(1, true, text))
          if (found.payload.toString() !== text || found.lengthForm !== (ascii + 3 * wide < 126 ? 'short' : '16')) failures.push(`${ascii}, ${wide}`)
          release()
        }
      }
      t.strictSame(failures, [])
    })

    t.test('a fragment: continuation, without FIN', async t => {
      for (const text of ['abc', 'x'.repeat(SMALL)]) {
        const { frame: found, release } = write(role, (writer) => writer.text(0, false, text))
        t.equal(found.opcode, 0)
        t.equal(found.fin, false)
        t.equal(found.payload.length, text.length)
        release()
      }
    })

    t.test('any text', async t => {
      fc.assert(fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 200 })), { maxLength: 8 }), (texts) => {
        const output = new OutputBuffer()
        const writer = new Writer(role, output)
        for (const text of texts) writer.text(1, true, text)
        const batch = output.take()
        const frames = batch === undefined ? [] : readFrames(Buffer.concat(batch.chunks))
        batch?.release()
        return frames.length === texts.length && frames.every(({ payload }, i) => payload.equals(Buffer.from(texts[i]!)))
      }))
      t.pass('for whatever fast-check tried')
    })
  })

  t.test(`${role}: an empty frame fits into the very end of a region`, async t => {
    const headerLength = role === 'client' ? 6 : 2
    for (const [what, action] of [
      ['text', (writer) => writer.text(1, true, '')],
      ['binary', (writer) => writer.frame(2, true, Buffer.alloc(0))]
    ] as Array<[string, (writer: Writer) => void]>) {
      const output = new OutputBuffer()
      const writer = new Writer(role, output)
      // Nothing waits, so that the region begins at its start; 65536 octets is its size.
      for (let left = 65536 - headerLength; left > 0;) {
        const size = Math.min(left, MAX_RANGE_BYTES)
        t.equal(output.reserve(size), 65536 - headerLength - left)
        output.buffer.fill(0, 65536 - headerLength - left, 65536 - headerLength - left + size)
        output.commit(size, 0)
        left -= size
      }
      action(writer)
      const batch = output.take()!
      t.equal(batch.chunks.length, 1, what)
      t.strictSame(readFrames(batch.chunks[0]!.subarray(65536 - headerLength)).map(({ payload }) => payload.length), [0])
      batch.release()
    }
  })

  t.test(`${role}: text that takes three octets a unit keeps within its range at the end of a region`, async t => {
    for (const left of [100, 150, 200, 300, 306, 307]) {
      const output = new OutputBuffer()
      for (let filled = 0; filled < 65536 - left;) {
        const size = Math.min(65536 - left - filled, MAX_RANGE_BYTES)
        output.reserve(size)
        output.commit(size, 0)
        filled += size
      }
      new Writer(role, output).text(1, true, '€'.repeat(100))
      const batch = output.take()!
      const [found] = readFrames(Buffer.concat(batch.chunks).subarray(65536 - left))
      t.equal(found?.payload.toString(), '€'.repeat(100), `${left} octets are left`)
      batch.release()
    }
  })

  t.test(`${role}: what is small is copied at once, what is large goes ${role === 'client' ? 'as a masked copy' : 'by reference'}`, async t => {
    for (const length of [5, SMALL, SMALL + 1, 70000]) {
      const small = length <= SMALL
      const output = new OutputBuffer()
      const writer = new Writer(role, output)
      const payload = noise(length)
      writer.frame(2, true, payload)
      payload.fill(0)
      const batch = output.take()!
      const [found] = readFrames(Buffer.concat(batch.chunks))
      const isReference = role === 'server' && !small
      t.ok(found!.payload.equals(isReference ? payload : noise(length)), `${length}`)
      t.equal(batch.chunks.length, small ? 1 : 2)
      if (isReference) t.equal(batch.chunks[1]!.buffer, payload.buffer)
      batch.release()
    }
  })
}

t.test('a client takes a fresh key for each frame, small or large, text or not', async t => {
  for (const [what, action] of [
    ['text', (writer) => writer.text(1, true, 'abcdef')],
    ['small', (writer) => writer.frame(2, true, noise(100))],
    ['large', (writer) => writer.frame(2, true, noise(20000))],
    ['control', (writer) => writer.frame(9, true, noise(4))],
    ['empty', (writer) => writer.frame(2, true, noise(0))]
  ] as Array<[string, (writer: Writer) => void]>) {
    const output = new OutputBuffer()
    // What the region held before must not pass for a key.
    const at = output.reserve(MAX_RANGE_BYTES)
    output.buffer.fill(0, at, at + MAX_RANGE_BYTES)
    output.commit(MAX_RANGE_BYTES, 0)
    output.take()!.release()
    const writer = new Writer('client', output)
    for (let i = 0; i < 50; i++) action(writer)
    const batch = output.take()!
    const frames = readFrames(Buffer.concat(batch.chunks))
    const keys = frames.map(({ key }) => key)
    // By chance: once in four million runs.
    t.equal(new Set(keys).size, 50, `${what}: all differ`)
    for (const at of [0, 2, 4, 6]) {
      t.ok(new Set(keys.map((key) => key.slice(at, at + 2))).size > 25, `${what}: and in each of their octets`)
    }
    batch.release()
  }
})

t.test('a length above 2^32 is written in all its octets', async t => {
  const output = new OutputBuffer()
  const length = 2 ** 40 + 2 ** 32 + 0xfedcba98
  // No machine that runs this test has such a payload.
  new Writer('server', output).frame(2, true, { length, buffer: new ArrayBuffer(1), byteOffset: 0, byteLength: 1 } as unknown as Uint8Array)
  const batch = output.take()!
  t.equal(batch.chunks[0]!.toString('hex'), '827f00000101fedcba98')
  batch.release()
})

t.test('encodeServerFrame', async t => {
  t.test('is a whole frame without a mask, for every length', async t => {
    for (const [length, lengthForm] of LENGTHS) {
      for (const opcode of [1, 2]) {
        const payload = noise(length)
        const bytes = encodeServerFrame(opcode, payload)
        t.ok(bytes.equals(frame({ opcode, payload, lengthForm })), `${length} octets, opcode ${opcode}`)
      }
    }
  })

  t.test('is a copy that shares its memory with nothing', async t => {
    const payload = new Uint8Array(noise(20)).subarray(4, 14)
    const bytes = encodeServerFrame(2, payload)
    payload.fill(0)
    t.ok(bytes.equals(frame({ opcode: 2, payload: noise(14).subarray(4) })))
    t.equal(bytes.buffer.byteLength, bytes.length, 'it is kept long, so it must not keep a pool')
  })
})

t.test('the examples of RFC 6455 §5.7', async t => {
  const bytes = (action: (writer: Writer) => void): string => {
    const written = write('server', action)
    written.release()
    return written.bytes.toString('hex')
  }
  t.equal(bytes((writer) => writer.text(1, true, 'Hello')), '810548656c6c6f')
  t.equal(bytes((writer) => writer.text(1, false, 'Hel')), '010348656c')
  t.equal(bytes((writer) => writer.text(0, true, 'lo')), '80026c6f')
  t.equal(bytes((writer) => writer.frame(9, true, Buffer.from('Hello'))), '890548656c6c6f')
  t.equal(bytes((writer) => writer.frame(2, true, noise(256))).slice(0, 8), '827e0100')
  t.equal(bytes((writer) => writer.frame(2, true, noise(65536))).slice(0, 20), '827f0000000000010000')
})
