import { Buffer } from 'node:buffer'
import t from 'tap'
import type { Codec, Contract } from '../../lib/subprotocol/contract.ts'
import { prepare, Prepared } from '../../lib/subprotocol/prepared.ts'
import { createSubprotocol } from '../../lib/subprotocol/subprotocol.ts'
import type { SchemaCompiler } from '../../lib/subprotocol/validator.ts'

let encoded = 0
let validated = 0
const counting: Codec = { name: 'counting', wire: 'text', encode (message) { encoded++; return String(message) }, decode: (data) => data }
const compiler: SchemaCompiler = () => (message: unknown) => { validated++; return message !== 'bad' }

function make (contract: object, validateSend = false) {
  return createSubprotocol('', contract as Contract, { method: 'GET', url: '/', compiler, validateSend })
}

t.beforeEach(() => { encoded = 0; validated = 0 })

t.test('keeps the message, and encodes nothing before it is needed', async (t) => {
  const message = { a: 1, toJSON () { encoded++; return 1 } }
  const prepared = prepare(message)
  t.type(prepared, Prepared)
  t.equal(prepared.message, message)
  t.equal(encoded, 0)
})

t.test('encodes once for a codec, whatever the route', async (t) => {
  const prepared = prepare('x')
  const shared = prepared.encodedFor(make({ codec: counting }))
  t.equal(prepared.encodedFor(make({ codec: counting, receive: {}, send: {} })), shared)
  t.equal(prepared.encodedFor(make({ codec: counting }).flipped()), shared)
  t.equal(encoded, 1)
  t.strictSame(shared.payload, Buffer.from('x'))
  t.equal(shared.opcode, 1)

  const json = prepared.encodedFor(make({ codec: 'json' }))
  t.not(json, shared)
  t.strictSame(json.payload, Buffer.from('"x"'))
  t.equal(prepared.encodedFor(make({ codec: 'json', send: {} })), json)
  t.strictSame(prepared.encodedFor(make({ codec: 'text' })).payload, Buffer.from('x'))
  t.strictSame(prepared.encodedFor(make({ codec: 'raw' })).payload, Buffer.from('x'))
  t.equal(prepared.encodedFor(make({ codec: 'raw' })), prepared.encodedFor(make({ codec: 'raw' })))
  t.equal(encoded, 1)
})

t.test('validates once for a subprotocol that validates what it sends', async (t) => {
  const prepared = prepare('x')
  const strict = make({ codec: counting, send: {} }, true)
  const free = prepared.encodedFor(make({ codec: counting }))
  t.equal(validated, 0)
  const shared = prepared.encodedFor(strict)
  t.not(shared, free, 'what another encoded has not been validated')
  t.equal(prepared.encodedFor(strict), shared)
  t.strictSame([validated, encoded], [1, 2])
  prepared.encodedFor(make({ codec: counting, send: {} }, true))
  t.equal(validated, 2, 'another schema')
})

t.test('what cannot be sent throws each time, and is not kept', async (t) => {
  const strict = make({ codec: counting, send: {} }, true)
  const prepared = prepare('bad')
  for (let i = 0; i < 2; i++) t.throws(() => prepared.encodedFor(strict), { code: 'FST_WS_ERR_INVALID_SEND' })
  t.equal(encoded, 0)
  t.ok(prepared.encodedFor(make({ codec: 'json' })))
  t.throws(() => prepare(undefined).encodedFor(make({ codec: 'json' })), { code: 'FST_WS_ERR_DATA_TYPE' })
})

t.test('bytes are copied, so that all get the same', async (t) => {
  const memory = Buffer.from('.abc.')
  const view = memory.subarray(1, 4)
  const prepared = prepare(view)
  const shared = prepared.encodedFor(make({ codec: 'bytes' }))
  memory.fill(0)
  t.strictSame(shared.payload, Buffer.from('abc'))
  t.ok(Buffer.isBuffer(shared.payload))
  t.equal(shared.opcode, 2)
  t.equal(prepare(new DataView(Uint8Array.of(1, 2, 3).buffer, 1, 1)).encodedFor(make({ codec: 'raw' })).payload[0], 2)
  t.equal(prepare(new ArrayBuffer(3)).encodedFor(make({ codec: 'json', binary: true })).opcode, 2)
})

t.test('text is UTF-8', async (t) => {
  t.strictSame(prepare('ü😀').encodedFor(make({ codec: 'text' })).payload, Buffer.from([0xc3, 0xbc, 0xf0, 0x9f, 0x98, 0x80]))
  t.strictSame(prepare('').encodedFor(make({ codec: 'text' })).payload, Buffer.alloc(0))
  t.strictSame(prepare('\ud800').encodedFor(make({ codec: 'text' })).payload, Buffer.from('\ufffd'), 'a lone surrogate has no UTF-8')
})

t.test('the frame is made once, for all that encode alike', async (t) => {
  const prepared = prepare({ a: 1 })
  const { frame } = prepared.encodedFor(make({ codec: 'json' }))
  t.equal(frame.toString('hex'), `8107${Buffer.from('{"a":1}').toString('hex')}`)
  t.equal(prepared.encodedFor(make({ codec: 'json', send: {} })).frame, frame)
  t.equal(prepare(Buffer.from([1])).encodedFor(make({ codec: 'bytes' })).frame.toString('hex'), '820101')
})

t.test('it is no text for sockets of other libraries', async (t) => {
  const prepared = prepare('secret')
  for (const use of [() => `${prepared as never}`, () => Buffer.from(prepared as never), () => Number(prepared)]) t.throws(use, { code: 'FST_WS_ERR_DATA_TYPE' })
})

t.test('its type follows the message', async (t) => {
  type Out = { type: 'said', text: string, tags: readonly string[] } | { type: 'left', who: string[] }
  const send = (message: Out | Prepared<Out>) => message
  const said = prepare({ type: 'said', text: 'x', tags: ['a'] })
  const type: 'said' = said.message.type
  t.equal(type, 'said')
  t.equal(send(said), said)
  t.ok(send(prepare({ type: 'left', who: ['a'] })), 'in place even where the contract has a mutable array')
  // @ts-expect-error the text is missing
  send(prepare({ type: 'said', tags: [] }))
})
