/**
 * What the fuzzer has found in this package, one test for each, in its smallest form.
 */
import { Buffer } from 'node:buffer'
import t from 'tap'
import { connect } from '../helpers/pair.ts'
import { deflateSettings } from './compressed.ts'

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
