/**
 * The fuzzer itself, in short: an example of each difference to ws that is accepted, a few streams of seeds that are given,
 * and that a stream can be made again from its number. `npm run test:fuzz` goes on from there.
 */
import { Buffer } from 'node:buffer'
import { constants, deflateRawSync } from 'node:zlib'
import t from 'tap'
import { compare, describeFault, startCampaign, type Mode } from './campaign.ts'
import { chainsFor } from './compressed.ts'
import { ACCEPTED } from './differences.ts'
import { ACCEPTED_INFLATED } from './inflated-differences.ts'
import { Inflater } from './inflate.ts'
import { Random } from './random.ts'
import { StreamMaker } from './streams.ts'
import type { Setting } from './subjects.ts'

const CLIENT: Setting = { role: 'client', maxMessageBytes: 1000, textAs: 'string' }
const SERVER: Setting = { role: 'server', maxMessageBytes: 1000, textAs: 'string' }
const INFLATING: Setting = { ...CLIENT, deflate: { windowBits: 15, takeover: false } }
const TAKING_OVER: Setting = { ...CLIENT, deflate: { windowBits: 15, takeover: true } }

/** A frame of a compressed binary message, unmasked. */
function compressed (payload: Buffer, first = 0xc2): Buffer {
  const length = Buffer.from([payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([payload.length < 126 ? Buffer.from([first, payload.length]) : Buffer.concat([Buffer.from([first, 126]), length]), payload])
}

const noise = new Random(1)
const NOISE = Buffer.from(Uint8Array.from({ length: 300 }, () => noise.next()))
/** Refers back by more than 5000 octets. */
const FAR = deflateRawSync(Buffer.concat([NOISE, Buffer.alloc(5000), NOISE]), { finishFlush: constants.Z_SYNC_FLUSH })
/** Too much, and then a block of a type that does not exist. */
const TOO_MUCH_AND_BROKEN = Buffer.concat([deflateRawSync(Buffer.alloc(2000), { finishFlush: constants.Z_SYNC_FLUSH }), Buffer.from([0x07])])

const EXAMPLES: ReadonlyArray<{ readonly name: string, readonly what: string, readonly setting: Setting, readonly bytes: string | Buffer }> = [
  { name: 'length not in its shortest form', what: '16 bits for 1', setting: CLIENT, bytes: '827e000161' },
  { name: 'length not in its shortest form', what: '64 bits for 65535, a message above the limit', setting: CLIENT, bytes: '827f000000000000ffff' },
  { name: 'length with its topmost bit set', what: '2 ** 63', setting: CLIENT, bytes: '827f8000000000000000' },
  { name: 'length of 4 GiB or more in a frame that has no place there', what: 'a continuation of nothing', setting: CLIENT, bytes: '807f0000000100000000' },
  { name: 'stream that ends within a header', what: 'a continuation of nothing whose length is missing', setting: CLIENT, bytes: '807e' },
  { name: 'stream that ends within a header', what: 'a message above the limit whose key is missing', setting: SERVER, bytes: '82fe03e9' },
  { name: 'stream that ends within a header', what: 'a Close that will have one octet', setting: CLIENT, bytes: '8801' },
  { name: 'text that is not UTF-8, found before its end', what: 'in the first of two fragments, and a ping behind it', setting: CLIENT, bytes: '0101ff8900' },
  { name: 'more than 256 empty fragments', what: '257 of them', setting: CLIENT, bytes: `0200${'0000'.repeat(256)}` },
  { name: 'compressed message that is cut off', what: 'in a block without an end', setting: INFLATING, bytes: 'c2024a04' },
  { name: 'final block within a message', what: 'and another block behind it', setting: INFLATING, bytes: compressed(Buffer.concat([deflateRawSync('a'), Buffer.from('4a0200', 'hex')])) },
  { name: 'reference beyond the window', what: 'of 2 ** 8', setting: { ...CLIENT, maxMessageBytes: 100_000, deflate: { windowBits: 8, takeover: false } }, bytes: compressed(FAR.subarray(0, -4)) },
  { name: 'compressed message of no octets', what: 'and one with an octet behind it', setting: TAKING_OVER, bytes: 'c200c2034a0400' },
  { name: 'compressed form that is larger than the limit', what: 'of a message that is not', setting: { ...INFLATING, maxMessageBytes: 10 }, bytes: compressed(Buffer.concat([Buffer.from('000a00f5ff', 'hex'), NOISE.subarray(0, 10), Buffer.from([0x00])])) },
  { name: 'fragment that cannot be inflated, or to too much', what: 'a block of a type that does not exist', setting: INFLATING, bytes: '420107' },
  { name: 'message that is too large, and cannot be inflated', what: 'by half of it', setting: INFLATING, bytes: compressed(TOO_MUCH_AND_BROKEN) }
]

t.test('an example of each accepted difference', async (t) => {
  for (const { name, what, setting, bytes } of EXAMPLES) {
    t.strictSame(await compare(setting, typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes), { accepted: name }, `${name}: ${what}`)
  }
  const names = new Set(EXAMPLES.map(({ name }) => name))
  t.strictSame([...ACCEPTED, ...ACCEPTED_INFLATED].filter(({ name }) => !names.has(name)), [], 'for all of them')
})

t.test('streams of given seeds', async (t) => {
  for (const [mode, streams] of [['frames', 5_000], ['deflate', 600]] as const satisfies ReadonlyArray<readonly [Mode, number]>) {
    const campaign = startCampaign(mode, { seed: 6455, streams })
    await campaign.run(Infinity)
    t.strictSame(campaign.report.faults.map(describeFault), [], mode)
    t.equal(campaign.report.streams, streams)
    t.ok(campaign.report.failed > streams / 3 && campaign.report.failed < streams * 2 / 3 + streams / 10, `${mode}: some fail, some do not`)
  }
})

t.test('a stream is made again from the seed and its number', async (t) => {
  const random = new Random(0)
  const make = (maker: StreamMaker, stream: number): Buffer => {
    random.restart(7, stream)
    maker.make(random, stream % 2 === 0 ? 'server' : 'client')
    maker.mutate()
    return Buffer.from(maker.bytes.subarray(0, maker.length))
  }
  const maker = new StreamMaker()
  const streams = Array.from({ length: 200 }, (_, stream) => make(maker, stream))
  t.ok(streams.every((bytes, stream) => make(maker, stream).equals(bytes)), 'whatever was made before')
  t.ok(make(new StreamMaker(), 150).equals(streams[150]!), 'or nothing')
})

t.test('the inflater that judges', async (t) => {
  for (const { takeover, messages } of chainsFor('server').filter((_, i) => i % 8 === 0)) {
    let context = Buffer.alloc(0)
    for (const { payload, text } of messages) {
      const inflater = new Inflater(Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]), context, Infinity)
      const ending = inflater.run()
      if (ending === 'end' && !inflater.data.equals(text)) t.fail('inflates to something else')
      if (ending !== 'end' && ending !== 'final block') t.fail(`takes what zlib has made for ${ending}`)
      if (takeover) context = Buffer.concat([context, text])
    }
  }
  t.pass('takes what zlib has made')
})
