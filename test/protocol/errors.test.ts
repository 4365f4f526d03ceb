import t from 'tap'
import { CloseCode, GUID, MAX_CONTROL_PAYLOAD, MAX_HEADER_BYTES, Opcode } from '../../lib/protocol/constants.ts'
import { HandshakeError, ProtocolError } from '../../lib/protocol/errors.ts'

t.test('ProtocolError carries the code of the Close, and what caused it', async t => {
  const cause = new Error('deeper')
  const error = new ProtocolError(1002, 'reserved opcode', { cause })
  t.ok(error instanceof Error)
  t.equal(error.name, 'ProtocolError')
  t.equal(error.message, 'reserved opcode')
  t.equal(error.closeCode, 1002)
  t.equal(error.cause, cause)
  const other = new ProtocolError(1009, 'message above the limit')
  t.equal(other.closeCode, 1009)
  t.notOk('cause' in other, 'no cause if there is none')
})

t.test('HandshakeError carries the status of the answer, and its header fields', async t => {
  const error = new HandshakeError(426, 'version', { 'sec-websocket-version': '13' })
  t.ok(error instanceof Error)
  t.equal(error.name, 'HandshakeError')
  t.equal(error.message, 'version')
  t.equal(error.statusCode, 426)
  t.strictSame(error.headers, { 'sec-websocket-version': '13' })
  t.strictSame(new HandshakeError(400, 'no key').headers, {})
})

t.test('the numbers are those of RFC 6455 and the IANA registry', async t => {
  t.strictSame(Opcode, { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 })
  t.strictSame(CloseCode, {
    NormalClosure: 1000,
    GoingAway: 1001,
    ProtocolError: 1002,
    UnsupportedData: 1003,
    NoStatusReceived: 1005,
    AbnormalClosure: 1006,
    InvalidFramePayloadData: 1007,
    PolicyViolation: 1008,
    MessageTooBig: 1009,
    MandatoryExtension: 1010,
    InternalError: 1011,
    ServiceRestart: 1012,
    TryAgainLater: 1013,
    BadGateway: 1014
  })
  t.equal(GUID, '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
  t.equal(MAX_CONTROL_PAYLOAD, 125)
  t.equal(MAX_HEADER_BYTES, 14)
})
