import { Buffer } from 'node:buffer'
import v8 from 'node:v8'
import t from 'tap'
import AjvCompiler from '@fastify/ajv-compiler'
import { Type, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import { validatorCompiler as zodCompiler } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Codec, Contract } from '../../lib/subprotocol/contract.ts'
import { createSubprotocol, InvalidMessage, selectSubprotocol, type Subprotocol, type SubprotocolOptions } from '../../lib/subprotocol/subprotocol.ts'
import type { SchemaCompiler } from '../../lib/subprotocol/validator.ts'

const ajv = AjvCompiler()({}, {
  customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, discriminator: true }
}) as unknown as SchemaCompiler
const never: SchemaCompiler = () => { throw new Error('nothing to compile') }

function make (contract: object, options: Partial<SubprotocolOptions> = {}, name = 'chat.v2'): Subprotocol {
  return createSubprotocol(name, contract as Contract, { method: 'GET', url: '/chat', compiler: ajv, validateSend: false, ...options })
}

function invalid (run: () => unknown): InvalidMessage {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof InvalidMessage) return thrown
    throw thrown
  }
  throw new Error('it is valid')
}

const Say = { type: 'object', required: ['type', 'text'], properties: { type: { const: 'say' }, text: { type: 'string' }, loud: { type: 'boolean', default: false } } }

/** An own format: big-endian numbers. */
const numbers: Codec = {
  name: 'numbers',
  wire: 'binary',
  encode (message: number) {
    if (!Number.isInteger(message)) throw new RangeError('integers only')
    const data = Buffer.alloc(4)
    data.writeInt32BE(message)
    return data
  },
  decode: (data) => (data as Buffer).readInt32BE()
}

t.test('name, wire and how text is handed over', async (t) => {
  for (const [contract, raw, wire, textAs] of [
    [{ codec: 'raw' }, true, 'both', 'buffer'],
    [{ codec: 'json' }, false, 'text', 'string'],
    [{ codec: 'json', binary: true }, false, 'both', 'string'],
    [{ codec: 'text' }, false, 'text', 'string'],
    [{ codec: 'bytes' }, false, 'binary', 'buffer'],
    [{ codec: numbers }, false, 'binary', 'buffer'],
    [{ codec: { ...numbers, wire: 'both' } }, false, 'both', 'string']
  ] as const) {
    const { name, ...rest } = make(contract)
    t.equal(name, 'chat.v2')
    t.match(rest, { raw, wire, textAs }, JSON.stringify(contract))
  }
  t.equal(make({ codec: 'json' }, {}, '').name, '')
})

t.test('each codec gives back what it was given', async (t) => {
  const bytes = Buffer.from([1, 2, 3])
  t.strictSame(make({ codec: 'json' }).decode('{"a":1}', false), { a: 1 })
  t.equal(make({ codec: 'json' }).encode({ a: 1 }), '{"a":1}')
  t.equal(make({ codec: 'text' }).decode('{"a":1}', false), '{"a":1}')
  t.equal(make({ codec: 'text' }).encode('x'), 'x')
  t.equal(make({ codec: 'bytes' }).decode(bytes, true), bytes)
  t.equal(make({ codec: 'bytes' }).encode(bytes), bytes)
  const both = make({ codec: 'json', binary: true, receive: Say })
  t.strictSame(both.decode('{"type":"say","text":"x"}', false), { type: 'say', text: 'x', loud: false })
  t.equal(both.decode(bytes, true), bytes, 'bytes beside JSON are not validated')
  t.equal(both.encode(bytes), bytes)
  t.equal(make({ codec: numbers }).decode(Buffer.from([0, 0, 1, 0]), true), 256)
  t.strictSame(make({ codec: numbers }).encode(256), Buffer.from([0, 0, 1, 0]))
})

t.test('raw passes everything as it is', async (t) => {
  const raw = make({ codec: 'raw' })
  const bytes = Buffer.from([0xff])
  for (const [data, isBinary] of [['x', false], [bytes, false], [bytes, true], ['', true]] as const) t.equal(raw.decode(data, isBinary), data)
  t.equal(raw.encode('x'), 'x')
  t.equal(raw.encode(bytes), bytes)
  t.throws(() => raw.encode({}), { code: 'FST_WS_ERR_DATA_TYPE' })
})

t.test('the wrong kind of message is 1003', async (t) => {
  for (const [contract, data, isBinary, text] of [
    [{ codec: 'json', receive: Say }, Buffer.from('{"type":"say","text":"SECRET"}'), true, 'binary where the contract has text'],
    [{ codec: 'text' }, Buffer.from('SECRET'), true, 'binary where the contract has text'],
    [{ codec: 'bytes' }, 'SECRET', false, 'text where the contract has binary'],
    [{ codec: 'bytes' }, Buffer.from('SECRET'), false, 'text where the contract has binary'],
    [{ codec: numbers }, 'SECRET', false, 'text where the contract has binary']
  ] as const) {
    const { error, message } = invalid(() => make(contract).decode(data, isBinary))
    t.match(error, { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1003, statusCode: 400, validationContext: 'message', message: `Invalid message: ${text}` })
    t.notOk('validation' in error)
    t.equal(message, undefined)
  }
})

t.test('what cannot be decoded is 1007, and is not quoted', async (t) => {
  const json = make({ codec: 'json', receive: Say })
  for (const text of ['SECRET', '{"a":SECRET}', '{"__proto__":{"SECRET":1}}', '{"constructor":{"prototype":{"SECRET":1}}}', '', '['.repeat(100_000), `${'['.repeat(100_000)}SECRET`]) {
    const { error, message } = invalid(() => json.decode(text, false))
    t.match(error, { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1007, validationContext: 'message', message: "Invalid message: the codec 'json' cannot decode it (SyntaxError)" })
    t.notMatch(error.stack, /SECRET/)
    t.equal(error.cause, undefined)
    t.equal(message, undefined)
  }
  t.equal(({} as { SECRET?: unknown }).SECRET, undefined)
  t.match(invalid(() => make({ codec: 'json', binary: true }).decode('{', false)).error, { closeCode: 1007 })
})

t.test('whatever an own codec throws is 1007', async (t) => {
  for (const [thrown, name] of [[new RangeError('SECRET'), 'RangeError'], [new Error('SECRET'), 'Error'], ['SECRET', 'string'], [undefined, 'undefined']] as const) {
    const { error } = invalid(() => make({ codec: { ...numbers, decode () { throw thrown } } }).decode(Buffer.alloc(0), true))
    t.match(error, { closeCode: 1007, message: `Invalid message: the codec 'numbers' cannot decode it (${name})` })
  }
  const deep = (data: string | Uint8Array): unknown => deep(data)
  t.match(invalid(() => make({ codec: { ...numbers, decode: deep } }).decode(Buffer.alloc(0), true)).error, { closeCode: 1007, message: /RangeError/ })
  const long = invalid(() => make({ codec: { ...numbers, name: 'ü'.repeat(5000), decode: deep } }).decode(Buffer.alloc(0), true)).error
  t.ok(Buffer.byteLength(long.message) <= 1024)
})

t.test('what does not fit the schema is 1008, with what the compiler reported', async (t) => {
  const typebox = Type.Object({ type: Type.Literal('say'), text: Type.String() })
  const zod = z.object({ type: z.literal('say'), text: z.string() })
  for (const [compiler, schema, text] of [
    [ajv, Say, 'must be string'],
    [TypeBoxValidatorCompiler, typebox, 'Expected string'],
    [zodCompiler, zod, 'Invalid input: expected string, received object']
  ] as const) {
    const subprotocol = make({ codec: 'json', receive: schema }, { compiler: compiler as SchemaCompiler })
    t.match(subprotocol.decode('{"type":"say","text":"x"}', false), { type: 'say', text: 'x' })
    const { error, message } = invalid(() => subprotocol.decode('{"type":"say","text":{"SECRET":"SECRET"}}', false))
    t.match(error, { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1008, statusCode: 400, validationContext: 'message', message: `Invalid message: message/text ${text}` })
    t.match(error.validation, [{ instancePath: '/text', message: text }])
    t.equal(error.validation?.length, 1)
    t.notMatch(error.stack, /SECRET/)
    t.match(message, { type: 'say', text: { SECRET: 'SECRET' } }, 'the decoded message is there for onInvalidMessage')
  }
  t.match(invalid(() => make({ codec: numbers, receive: { type: 'integer', minimum: 10 } }).decode(Buffer.from([0, 0, 0, 1]), true)), { error: { closeCode: 1008 }, message: 1 })
  t.match(invalid(() => make({ codec: 'json', receive: false }).decode('1', false)), { error: { closeCode: 1008 } }, 'false is a schema')
})

t.test('nesting too deep for the schema is 1008, and ends nothing', async (t) => {
  const tree = Type.Recursive((This) => Type.Array(This))
  const subprotocol = make({ codec: 'json', receive: tree }, { compiler: TypeBoxValidatorCompiler as SchemaCompiler })
  const { error, message } = invalid(() => subprotocol.decode('['.repeat(100_000) + ']'.repeat(100_000), false))
  t.match(error, { closeCode: 1008, message: 'Invalid message: message is nested too deeply' })
  t.strictSame(error.validation, [])
  t.ok(Array.isArray(message))
  t.strictSame(subprotocol.decode('[[]]', false), [[]])
})

t.test('unions keep their fields, null stays null, defaults are there', async (t) => {
  const union = make({
    codec: 'json',
    receive: {
      anyOf: [
        { type: 'object', required: ['type', 'text'], additionalProperties: false, properties: { type: { enum: ['say'] }, text: { type: 'string' } } },
        { type: 'object', required: ['type', 'text', 'id'], additionalProperties: false, properties: { type: { enum: ['edit'] }, text: { type: ['string', 'null'] }, id: { type: 'integer' } } }
      ]
    }
  })
  t.strictSame(union.decode('{"type":"edit","text":"x","id":1}', false), { type: 'edit', text: 'x', id: 1 })
  t.strictSame(union.decode('{"type":"edit","text":null,"id":1}', false), { type: 'edit', text: null, id: 1 })
  t.strictSame(make({ codec: 'json', receive: Say }).decode('{"type":"say","text":"x"}', false), { type: 'say', text: 'x', loud: false })
  t.strictSame(make({ codec: 'json', receive: z.string().transform(Number) }, { compiler: zodCompiler as SchemaCompiler }).decode('"5"', false), 5)
})

t.test('faults of the application leave decode as they are', async (t) => {
  const bug = new TypeError('bug')
  t.throws(() => make({ codec: 'json', receive: {} }, { compiler: () => () => { throw bug } }).decode('1', false), bug)
  t.throws(() => make({ codec: 'json', receive: false }, { schemaErrorFormatter: () => { throw bug } }).decode('1', false), bug)
  t.throws(() => make({ codec: 'json', receive: {} }, { compiler: () => async () => true }).decode('1', false), {
    code: 'FST_WS_ERR_ASYNC_VALIDATOR', message: /^The validator of route \/chat, subprotocol 'chat\.v2' returned a promise/
  })
  t.throws(() => make({ codec: { ...numbers, decode: () => Promise.reject(new Error('late')) } }, {}, '').decode(Buffer.alloc(0), true), {
    code: 'FST_WS_ERR_INVALID_CONTRACT', message: "The contract of route /chat is not valid: the codec 'numbers' decoded to a promise: codecs are synchronous"
  })
  await new Promise(resolve => setImmediate(resolve))
})

t.test('a formatter words the message, and its error is the cause', async (t) => {
  const made = Object.assign(new Error('say something'), { code: 'MINE' })
  const subprotocol = make({ codec: 'json', receive: Say, send: Say }, { validateSend: true, schemaErrorFormatter: () => made })
  t.match(invalid(() => subprotocol.decode('{}', false)).error, { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1008, message: 'Invalid message: say something', cause: made })
  t.throws(() => subprotocol.encode({}), { code: 'FST_WS_ERR_INVALID_SEND', message: 'The message does not fit the send schema: say something', cause: made })
})

t.test('sending is validated only by choice', async (t) => {
  const free = make({ codec: 'json', send: Say })
  t.equal(free.encode({ any: 'thing' }), '{"any":"thing"}')

  const strict = make({ codec: 'json', receive: false, send: Say }, { validateSend: true })
  t.equal(strict.encode({ type: 'say', text: 'x' }), '{"type":"say","text":"x"}')
  const error = t.throws(() => strict.encode({ type: 'say', text: 5 }), {
    code: 'FST_WS_ERR_INVALID_SEND', validationContext: 'message', message: 'The message does not fit the send schema: message/text must be string'
  }) as unknown as { validation: unknown[], cause?: unknown }
  t.match(error.validation, [{ keyword: 'type', instancePath: '/text' }])
  t.notOk('cause' in error)
  t.type(error, TypeError)

  const both = make({ codec: 'json', binary: true, send: Say }, { validateSend: true })
  const bytes = Buffer.from([1])
  t.equal(both.encode(bytes), bytes, 'bytes beside JSON are not validated')
  t.throws(() => both.encode('x'), { code: 'FST_WS_ERR_INVALID_SEND' })
  t.throws(() => make({ codec: { ...numbers, wire: 'both' }, send: false }, { validateSend: true }).encode(bytes), { code: 'FST_WS_ERR_INVALID_SEND' }, 'those of an own codec are')
  t.throws(() => make({ codec: 'json', send: {} }, { validateSend: true, compiler: () => () => { throw new TypeError('bug') } }).encode(1), { message: 'bug' })
})

t.test('validateSend changes neither the message nor what is sent', async (t) => {
  const schema = { type: 'object', properties: { list: { type: 'array', items: Say }, at: {}, data: {}, loud: { default: true } } }
  const strict = make({ codec: 'json', send: schema }, { validateSend: true })
  const message = Object.freeze({ list: Object.freeze([Object.freeze({ type: 'say', text: 'x' })]), at: new Date(0), data: Buffer.from([1]) })
  t.equal(strict.encode(message), make({ codec: 'json' }).encode(message))
  const open = { list: [{ type: 'say', text: 'x' }] }
  strict.encode(open)
  t.strictSame(open, { list: [{ type: 'say', text: 'x' }] })

  const zod = make({ codec: 'json', send: z.object({ at: z.date(), text: z.string().trim() }) }, { validateSend: true, compiler: zodCompiler as SchemaCompiler })
  t.equal(zod.encode({ at: new Date(0), text: ' x ' }), '{"at":"1970-01-01T00:00:00.000Z","text":" x "}', 'dates reach the schema as dates, transforms do not reach the wire')

  let seen: any
  class Money { amount = 1 }
  const spy = make({ codec: 'json', send: {} }, { validateSend: true, compiler: () => (message: unknown) => { seen = message } })
  const poisoned = { money: new Money(), own: JSON.parse('{"__proto__":{"admin":true}}') }
  spy.encode(poisoned)
  t.equal(seen.money, poisoned.money, 'instances are not copied')
  t.not(seen.own, poisoned.own)
  t.equal(seen.own.admin, undefined)
  t.ok(Object.hasOwn(seen.own, '__proto__'))
  t.not(Object.getOwnPropertyDescriptor(seen.own, '__proto__')?.value, Object.getOwnPropertyDescriptor(poisoned.own, '__proto__')?.value, 'and copied like any key')
})

t.test('a message in a circle is the sender\'s fault, and says so', async (t) => {
  const circle: { self?: unknown } = {}
  circle.self = circle
  const error = t.throws(() => make({ codec: 'json', send: {} }, { validateSend: true }).encode(circle), {
    code: 'FST_WS_ERR_INVALID_SEND', message: 'The message does not fit the send schema: message is nested too deeply, or in a circle'
  }) as unknown as { validation: unknown[] }
  t.strictSame(error.validation, [])
  t.throws(() => make({ codec: 'json' }).encode(circle), { code: 'FST_WS_ERR_DATA_TYPE', message: /circular/ })
})

t.test('what an own codec throws on encode is the sender\'s', async (t) => {
  t.throws(() => make({ codec: numbers }).encode(1.5), { name: 'RangeError', message: 'integers only' })
})

t.test('an own codec must encode to what its wire can carry', async (t) => {
  const encoding = (wire: Codec['wire'], encoded: unknown) => () => make({ codec: { ...numbers, wire, encode: () => encoded as string } }).encode(1)
  const bytes = new Uint8Array(1)
  t.equal(encoding('text', 'x')(), 'x')
  t.equal(encoding('both', '')(), '')
  t.equal(encoding('both', bytes)(), bytes)
  for (const [wire, encoded, type] of [
    ['text', bytes, 'a string'],
    ['text', undefined, 'a string'],
    ['binary', 'x', 'a Uint8Array'],
    ['binary', new ArrayBuffer(1), 'a Uint8Array'],
    ['both', 5, 'a string or a Uint8Array'],
    ['both', Promise.reject(new Error('late')), 'a string or a Uint8Array']
  ] as const) {
    t.throws(encoding(wire, encoded), { code: 'FST_WS_ERR_DATA_TYPE', message: `the codec 'numbers' must encode to ${type}, synchronously` })
  }
  await new Promise(resolve => setImmediate(resolve))
})

t.test('schemas are compiled at the start, those of send even if unused', async (t) => {
  const bad = { type: 'nonsense' }
  t.throws(() => make({ codec: 'json', receive: bad }), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /^The receive schema of route \/chat, subprotocol 'chat\.v2' does not compile: schema is invalid/ })
  t.throws(() => make({ codec: 'json', send: bad }), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /^The send schema of route \/chat, subprotocol 'chat\.v2'/ })
  t.throws(() => make({ codec: 'json', send: bad }, {}, ''), { message: /^The send schema of route \/chat does not/ })
  t.throws(() => make({ codec: numbers, receive: bad }), { code: 'FST_WS_ERR_INVALID_SCHEMA' })
  for (const contract of [{ codec: 'raw' }, { codec: 'text' }, { codec: 'bytes' }, { codec: 'json' }, { codec: 'json', receive: undefined, send: undefined }]) {
    t.ok(make(contract, { compiler: never }))
  }
})

t.test('the other side speaks the same codec without schemas', async (t) => {
  const strict = make({ codec: 'json', receive: Say, send: Say }, { validateSend: true })
  const other = strict.flipped()
  t.match(other, { name: 'chat.v2', raw: false, wire: 'text', textAs: 'string' })
  t.strictSame(other.decode('{"any":1}', false), { any: 1 })
  t.equal(other.encode({ any: 1 }), '{"any":1}')
  t.match(invalid(() => other.decode('{', false)).error, { closeCode: 1007 })
  t.equal(other.encodingKey, make({ codec: 'json' }).encodingKey)
  t.match(make({ codec: 'raw' }).flipped(), { raw: true, textAs: 'buffer' })
  const bytes = Buffer.from([1])
  t.equal(make({ codec: 'json', binary: true }).flipped().decode(bytes, true), bytes)
})

t.test('encodings are shared by codec, and with validateSend by nobody', async (t) => {
  const key = (contract: object, validateSend = false) => make(contract, { validateSend }).encodingKey
  t.equal(key({ codec: 'json', receive: Say }), key({ codec: 'json', send: Say }))
  t.equal(key({ codec: 'raw' }), key({ codec: 'raw' }))
  t.equal(key({ codec: numbers }), key({ codec: numbers, receive: Say }))
  t.equal(key({ codec: 'json', receive: Say }, true), key({ codec: 'json' }), 'nothing to validate')
  t.not(key({ codec: 'json', send: Say }, true), key({ codec: 'json', send: Say }, true))
  const kinds = [key({ codec: 'json' }), key({ codec: 'json', binary: true }), key({ codec: 'text' }), key({ codec: 'bytes' }), key({ codec: 'raw' }), key({ codec: numbers })]
  t.equal(new Set(kinds).size, kinds.length)
})

t.test('the client\'s order decides (RFC 6455 §4.2.2)', async (t) => {
  const v1 = make({ codec: 'json' }, {}, 'chat.v1')
  const v2 = make({ codec: 'json' }, {}, 'chat.v2')
  const available = new Map([['chat.v2', v2], ['chat.v1', v1]])
  t.equal(selectSubprotocol(['chat.v1', 'chat.v2'], available), v1)
  t.equal(selectSubprotocol(['chat.v3', 'chat.v2', 'chat.v1'], available), v2)
  t.equal(selectSubprotocol(['chat.v3'], available), undefined)
  t.equal(selectSubprotocol(['CHAT.V1', '__proto__', 'constructor', ''], available), undefined, 'names are compared exactly')
  t.equal(selectSubprotocol([], available), undefined)
  t.equal(selectSubprotocol(['chat.v1'], new Map()), undefined)
})

t.test('a valid message costs no memory but its own', async (t) => {
  const subprotocol = make({ codec: 'json', receive: Say })
  const text = '{"type":"say","text":"hello","loud":true}'
  // Few enough for many rounds to stay within one young generation: a collection disturbs one of them, and not the median.
  const bytesOf = (run: () => unknown) => {
    for (let i = 0; i < 20_000; i++) run()
    const used = Array.from({ length: 11 }, () => {
      const before = v8.getHeapStatistics().used_heap_size
      for (let i = 0; i < 1000; i++) run()
      return v8.getHeapStatistics().used_heap_size - before
    })
    return used.sort((one, other) => one - other)[5]! / 1000
  }
  const parsed = bytesOf(() => JSON.parse(text))
  const decoded = bytesOf(() => subprotocol.decode(text, false))
  t.ok(decoded - parsed < 16, `${decoded.toFixed(0)} B for a message, ${parsed.toFixed(0)} B of them by JSON.parse`)
})
