import t from 'tap'
import fc from 'fast-check'
import { isCloseCode, isSendableCloseCode, MAX_CLOSE_REASON_BYTES, readClosePayload, writeClosePayload } from '../../lib/protocol/close-payload.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { closePayload } from '../helpers/frames.ts'

const PERMITTED = new Set<number>([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014])
for (let code = 3000; code <= 4999; code++) PERMITTED.add(code)

/** The close code that reading this fails with, or what was read. */
function read (payload: Uint8Array): unknown {
  // Octets around it that are not part of it.
  const bytes = Buffer.concat([Buffer.from([0x03, 0xe8]), payload, Buffer.from([0xff])])
  try {
    return readClosePayload(bytes, 2, 2 + payload.length)
  } catch (error) {
    return error instanceof ProtocolError ? [error.closeCode, error.message] : error
  }
}

const MUST_NOT_BE_SENT = [1002, 'Close frame with a code that must not be sent']
const NOT_UTF8 = [1007, 'Close frame with a reason that is not UTF-8']

t.test('a Close may carry the codes of §7.4 and no others, of all 65536', async t => {
  const wrong: number[] = []
  for (let code = 0; code <= 65535; code++) {
    const permitted = PERMITTED.has(code)
    if (isCloseCode(code) !== permitted) wrong.push(code)
    if (isSendableCloseCode(code, 'client') !== permitted) wrong.push(code)
    if (isSendableCloseCode(code, 'server') !== (permitted && code !== 1010)) wrong.push(code)
    const found = read(closePayload(code, 'why')) as { code?: number, reason?: string }
    if (permitted ? found.code !== code || found.reason !== 'why' : String(found) !== String(MUST_NOT_BE_SENT)) wrong.push(code)
  }
  t.strictSame(wrong, [])
})

t.test('what is no whole number is no close code', async t => {
  for (const code of [NaN, Infinity, -Infinity, 1000.5, 3000.1, -1000, 65536 + 1000]) {
    t.equal(isCloseCode(code), false, String(code))
    t.equal(isSendableCloseCode(code, 'client'), false, String(code))
    t.equal(isSendableCloseCode(code, 'server'), false, String(code))
  }
  t.equal(isCloseCode('1000' as unknown as number), false)
})

t.test('readClosePayload', async t => {
  t.test('an empty payload means 1005', async t => {
    t.strictSame(read(Buffer.alloc(0)), { code: 1005, reason: '' })
  })

  t.test('a payload of one octet is refused', async t => {
    for (const octet of [0x00, 0x03, 0xff]) t.strictSame(read(Buffer.from([octet])), [1002, 'Close frame with a payload of one octet'])
  })

  t.test('a code without a reason', async t => {
    t.strictSame(read(closePayload(1000)), { code: 1000, reason: '' })
  })

  t.test('a reason up to the longest', async t => {
    const reason = '€'.repeat(41)
    t.equal(Buffer.byteLength(reason), MAX_CLOSE_REASON_BYTES)
    t.strictSame(read(closePayload(4999, reason)), { code: 4999, reason })
  })

  t.test('a reason that is not UTF-8 is refused', async t => {
    for (const hex of ['ff', 'c3', '61eda080', 'f4908080', 'e282', '80', 'c080']) {
      t.strictSame(read(closePayload(1000, Buffer.from(hex, 'hex'))), NOT_UTF8, hex)
    }
  })

  t.test('the code is judged before the reason', async t => {
    t.strictSame(read(closePayload(1005, Buffer.from('ff', 'hex'))), MUST_NOT_BE_SENT)
  })

  t.test('the reason outlives the buffer', async t => {
    const bytes = closePayload(1001, 'going')
    const found = readClosePayload(bytes, 0, bytes.length)
    bytes.fill(0)
    t.strictSame(found, { code: 1001, reason: 'going' })
  })
})

t.test('writeClosePayload', async t => {
  t.test('writes the code in network order, then the reason', async t => {
    t.equal(writeClosePayload(1000, '').toString('hex'), '03e8')
    t.equal(writeClosePayload(4660, 'é').toString('hex'), '1234c3a9')
  })

  t.test('writes nothing for 1005', async t => {
    t.equal(writeClosePayload(1005, '').length, 0)
    t.equal(writeClosePayload(1005, 'dropped').length, 0)
  })

  t.test('is read back as it was', async t => {
    const reason = fc.string({ unit: 'binary' }).filter((reason) => Buffer.byteLength(reason) <= 123)
    fc.assert(fc.property(fc.constantFrom(...PERMITTED), reason, (code, reason) => {
      const payload = writeClosePayload(code, reason)
      const found = readClosePayload(payload, 0, payload.length)
      return payload.length <= 125 && found.code === code && found.reason === reason
    }))
    t.pass('for whatever fast-check tried')
  })
})

t.test('the longest reason leaves room for the code in a control frame', async t => {
  t.equal(MAX_CLOSE_REASON_BYTES, 123)
})
