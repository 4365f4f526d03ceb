/**
 * What the fuzzer has found in this package, one test for each, in its smallest form.
 */
import { Buffer } from 'node:buffer'
import t from 'tap'
import { DeflateCodec } from '../../lib/protocol/deflate.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { connect } from '../helpers/pair.ts'
import { deflateSettings } from './compressed.ts'
import { judge } from './inflated-differences.ts'
import { Random } from './random.ts'

const MOST_BYTES = 100_000

/** What a client tells of these octets, with permessage-deflate. */
function told (hex: string): readonly string[] {
  const { connection, recorder } = connect({ role: 'client', deflate: deflateSettings({ windowBits: 15, takeover: false }, 'client') })
  connection.receive(Buffer.from(hex, 'hex'))
  return recorder.events
}

t.test('a compressed message that is cut off: our own end of it is no part of it', async (t) => {
  // RFC 7692 §7.2.2: a final stored block of so many octets, of which none is there.
  for (const octets of [5, 6]) {
    t.strictSame(told(`c20501${octets.toString(16).padStart(2, '0')}00${(0xff - octets).toString(16)}ff`), ['closing', 'error 1007 data that cannot be inflated'], `${octets} octets are missing`)
  }
  // The same octets as the data of a whole message.
  t.strictSame(told('c20c010600f9ff0000ffff030000'), ['binary 0000ffff0300'], 'all are there')
})

// What we put behind a payload must not be read as a part of it. fb7f7f ends within a block of the fixed code, which those
// octets go on with, and end.
t.test('a compressed message that is cut off within a reference', async (t) => {
  t.strictSame(told('c203fb7f7f'), ['closing', 'error 1007 data that cannot be inflated'])
})

t.test('a few octets, inflated by whom zlib does not help', async (t) => {
  const codec = new DeflateCodec('client', deflateSettings({ windowBits: 15, takeover: false }, 'client'))
  const random = new Random(1951)
  const wrong: string[] = []
  for (let i = 0; i < 10_000; i++) {
    const payload = Buffer.from(Uint8Array.from({ length: random.between(1, 6) }, () => random.next()))
    const { status, data } = judge(payload, Buffer.alloc(0), MOST_BYTES, true)
    let found: Buffer | undefined
    try {
      found = codec.inflate(payload, MOST_BYTES)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
    }
    if (status === 'whole' ? found?.equals(data) !== true : found !== undefined) wrong.push(payload.toString('hex'))
  }
  t.strictSame(wrong, [])
})
