import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { constants, createInflateRaw } from 'node:zlib'
import t from 'tap'
import { Opcode } from '../../lib/protocol/constants.ts'
import { FrameParser } from '../../lib/protocol/frame-parser.ts'
import { maskInto } from '../../lib/protocol/mask.ts'
import { ROOT } from '../helpers/root.ts'

// The benchmark is JavaScript without types, which anyone can run as it is.
const load = (file: string): Promise<any> => import(pathToFileURL(join(ROOT, 'bench', file)).href)
const { FrameCounter, FrameRing, frame } = await load('frames.js')
const { payloadsOf } = await load('payloads.js')
const { median, ratioOf } = await load('tables.js')

const SIZES = [0, 1, 16, 125, 126, 65_535, 65_536]

t.test('frames of clients are what a server takes them for', async (t) => {
  for (const size of SIZES) {
    const payload = Buffer.alloc(size, 'octets')
    const bytes = frame(payload, { opcode: Opcode.Binary })
    const seen: unknown[] = []
    const parser = new FrameParser('server', {
      onFrame: (first, buffer, start, end, key) => {
        const unmasked = Buffer.alloc(end - start)
        maskInto(unmasked, 0, buffer, start, end, key)
        seen.push([first, unmasked.equals(payload)])
      },
      onFrameStart: () => t.fail('the frame is whole'),
      onFramePart: () => t.fail('the frame is whole')
    })
    t.equal(parser.feed(bytes, 0), bytes.length)
    t.strictSame(seen, [[0x80 | Opcode.Binary, true]], `${size} octets`)
  }
  t.notSame(frame(Buffer.alloc(64), { opcode: Opcode.Binary }), frame(Buffer.alloc(64), { opcode: Opcode.Binary }), 'each has a key of its own')
})

t.test('frames that come back are counted, wherever they are cut', async (t) => {
  for (const size of SIZES) {
    const payload = Buffer.alloc(size, 'octets')
    const echo = frame(payload, { opcode: Opcode.Text, masked: false })
    const two = Buffer.concat([echo, echo])
    const step = Math.max(1, Math.floor(size / 50))
    for (let cut = 0; cut <= two.length; cut += cut < 20 ? 1 : step) {
      const counter = new FrameCounter({ opcode: Opcode.Text, compressed: false, length: size })
      const kept: Buffer[] = counter.kept = []
      const counts = [two.subarray(0, cut), two.subarray(cut)].map((chunk) => counter.count(chunk, chunk.length))
      const whole = cut < echo.length ? 0 : cut < two.length ? 1 : 2
      if (counts[0] !== whole || counts[1] !== 2 - whole || !Buffer.concat(kept).equals(Buffer.concat([payload, payload]))) t.fail(`two frames of ${size} octets, cut at ${cut}: ${counts}`)
    }
    t.pass(`${size} octets`)
  }
})

t.test('a ping between them is answered, and counts for nothing', async (t) => {
  const payload = Buffer.alloc(16, 'octets')
  const echo = frame(payload, { opcode: Opcode.Binary, masked: false })
  for (const asked of ['', 'are you there?']) {
    const bytes = Buffer.concat([echo, frame(Buffer.from(asked), { opcode: Opcode.Ping, masked: false }), echo])
    for (let cut = 0; cut <= bytes.length; cut++) {
      const pings: string[] = []
      const counter = new FrameCounter({ opcode: Opcode.Binary, compressed: false, length: 16, onPing: (ping: Buffer) => pings.push(String(ping)) })
      const kept: Buffer[] = counter.kept = []
      const count = [bytes.subarray(0, cut), bytes.subarray(cut)].reduce((sum, chunk) => sum + counter.count(chunk, chunk.length), 0)
      t.strictSame([count, pings, String(Buffer.concat(kept))], [2, [asked], String(payload).repeat(2)], `cut at ${cut}`)
    }
  }
})

t.test('a frame that is not as expected stops the measurement', async (t) => {
  const expected = { opcode: Opcode.Binary, compressed: false, length: 16 }
  const payload = Buffer.alloc(16)
  for (const [what, bytes] of Object.entries({
    'another opcode': frame(payload, { opcode: Opcode.Text, masked: false }),
    'another length': frame(payload.subarray(1), { opcode: Opcode.Binary, masked: false }),
    'compressed, as was not agreed': frame(payload, { opcode: Opcode.Binary, masked: false, compressed: true }),
    'masked, as no server does': frame(payload, { opcode: Opcode.Binary })
  })) t.throws(() => new FrameCounter(expected).count(bytes, bytes.length), /a frame of \d+ octets came/, what)
})

t.test('a ring of frames gives as many in a row as are in flight, from any of them on', async (t) => {
  const ring = new FrameRing(['a', 'bb', 'ccc'].map((text) => Buffer.from(text)), 2)
  t.equal(String(ring.slice(0, 2)), 'abb')
  t.equal(String(ring.slice(2, 1)), 'ccc')
  t.equal(String(ring.slice(2, 2)), 'ccca')
})

t.test('messages with context takeover stay right when they are sent over and over again', async (t) => {
  for (const windowBits of [9, 12, 15]) {
    const scenario = { payload: 'json' }
    const { sent, expected } = payloadsOf(scenario, { takeover: true, windowBits })
    const plain: Buffer[] = payloadsOf(scenario).sent
    t.ok(expected.equals(plain[0]))
    const inflate = createInflateRaw({ windowBits })
    const pieces: Buffer[] = []
    inflate.on('data', (piece: Buffer) => { pieces.push(piece) })
    for (const message of [...sent, ...sent]) {
      inflate.write(Buffer.concat([message, Buffer.from([0, 0, 0xff, 0xff])]))
    }
    await new Promise<void>((resolve) => { inflate.flush(constants.Z_SYNC_FLUSH, resolve) })
    t.ok(Buffer.concat(pieces).equals(Buffer.concat([...plain, ...plain])), `window of ${windowBits} bits`)
    inflate.destroy()
    await once(inflate, 'close')
  }
})

t.test('ratios are those of single rounds, and their median is taken last', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  const rounds = [[1, 2], [10, 10], [100, 400]].map(([ours, ws]) => ({ ours: { cpu: ours }, ws: { cpu: ws } }))
  t.equal(ratioOf(rounds, 'ours', 'ws'), 0.5)
})
