import t from 'tap'
import { DeflateCodec, type DeflateSettings } from '../../lib/protocol/deflate.ts'
import { SharedMessage } from '../../lib/protocol/shared-message.ts'
import { compressed, frame, noise, words } from '../helpers/frames.ts'

const SETTINGS: DeflateSettings = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
  thresholdBytes: 0,
  level: 1,
  memLevel: 5,
  maxConcurrentJobs: 4
}

/** The codec of a server that counts how often it compresses. */
class Counting extends DeflateCodec {
  compressions = 0

  constructor (settings: Partial<DeflateSettings> = {}) {
    super('server', { ...SETTINGS, ...settings })
  }

  override compress (payload: Uint8Array): Buffer | undefined {
    this.compressions++
    return super.compress(payload)
  }

  override compressLater (...args: Parameters<DeflateCodec['compressLater']>): void {
    this.compressions++
    super.compressLater(...args)
  }
}

/** The frame, whether it is there at once or later; and whether it was. */
function frameOf (message: SharedMessage, codec: DeflateCodec): { now: boolean, frame: Promise<Buffer> } {
  let now = true
  const frame = new Promise<Buffer>((resolve) => {
    const found = message.compressedFrame(codec, codec.sharedForm!, resolve)
    if (found === undefined) now = false
    else resolve(found)
  })
  return { now, frame }
}

const SMALL = words(2000)
const LARGE = words(40_000)
const SMALL_NOISE = noise(2000)
const LARGE_NOISE = noise(40_000)

t.test('the frame that is not compressed is made once', async t => {
  for (const opcode of [1, 2] as const) {
    const message = new SharedMessage(opcode, SMALL)
    t.ok(message.frame.equals(frame({ opcode, payload: SMALL })))
    t.equal(message.frame, message.frame)
    t.equal(message.payload, SMALL)
  }
})

t.test('the compressed frame has RSV1, and inflates to the message', async t => {
  for (const opcode of [1, 2] as const) {
    for (const payload of [SMALL, LARGE]) {
      const { now, frame: found } = frameOf(new SharedMessage(opcode, payload), new Counting())
      t.equal(now, payload === SMALL)
      t.ok((await found).equals(frame({ opcode, rsv: 4, payload: compressed(payload, { level: 1, memLevel: 5 }) })))
    }
  }
})

t.test('it is compressed once for all codecs of one form', async t => {
  for (const payload of [SMALL, LARGE, SMALL_NOISE, LARGE_NOISE]) {
    const message = new SharedMessage(2, payload)
    const codecs = [new Counting(), new Counting({ clientMaxWindowBits: 9, thresholdBytes: 500 }), new Counting()]
    const first = codecs.map((codec) => frameOf(message, codec))
    const isSmall = payload.length === 2000
    t.strictSame(first.map(({ now }) => now), Array(3).fill(isSmall))
    const frames = await Promise.all(first.map(({ frame }) => frame))
    const after = frameOf(message, codecs[1]!)
    t.equal(after.now, true, 'then it is there')
    frames.push(await after.frame)
    t.equal(new Set(frames).size, 1)
    t.strictSame(codecs.map(({ compressions }) => compressions), [1, 0, 0])
    const isNoise = payload === SMALL_NOISE || payload === LARGE_NOISE
    t.equal(frames[0] === message.frame, isNoise, 'what cannot be compressed is the one frame that there is')
  }
})

t.test('each form has its own', async t => {
  for (const payload of [SMALL, LARGE]) {
    const message = new SharedMessage(2, payload)
    const codecs = [new Counting(), new Counting({ serverMaxWindowBits: 9 }), new Counting({ level: 9 }), new Counting({ memLevel: 1 })]
    const found = codecs.map((codec) => frameOf(message, codec))
    const frames = await Promise.all(found.map(({ frame }) => frame))
    t.equal(new Set(frames).size, 4)
    t.strictSame(codecs.map(({ compressions }) => compressions), [1, 1, 1, 1])
    const again = await Promise.all(codecs.map((codec) => frameOf(message, codec).frame))
    again.forEach((frame, i) => t.equal(frame, frames[i]))
  }
})

t.test('a codec that cannot compress: the frame as it is', async t => {
  for (const payload of [SMALL, LARGE]) {
    const message = new SharedMessage(1, payload)
    const codec = new Counting({ level: 99 })
    for (let i = 0; i < 2; i++) t.equal(await frameOf(message, codec).frame, message.frame)
    t.equal(codec.compressions, 1)
  }
})

t.test('who gets it may ask for it again', async t => {
  const message = new SharedMessage(1, LARGE)
  const codec = new Counting()
  const found = await new Promise<Array<Buffer | undefined>>((resolve) => {
    message.compressedFrame(codec, codec.sharedForm!, (frame) => {
      resolve([frame, message.compressedFrame(codec, codec.sharedForm!, () => t.fail('it is there'))])
    })
  })
  t.ok(Buffer.isBuffer(found[0]))
  t.equal(found[1], found[0])
})
