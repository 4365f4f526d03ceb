import { Buffer } from 'node:buffer'
import t from 'tap'
import AjvCompiler from '@fastify/ajv-compiler'
import { Type, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import { validatorCompiler as zodCompiler } from 'fastify-type-provider-zod'
import { TypeBoxValidatorCompiler as TypeBox1Compiler } from 'type-provider-typebox-1'
import { z } from 'zod'
import {
  compileValidator, isPlainObject, isThenable, MAX_TEXT_BYTES, shorten, ValidationFault,
  type CompiledSchema, type SchemaCompiler, type SchemaErrorFormatter
} from '../../lib/subprotocol/validator.ts'

const ajvCompiler = (options: object = {}, schemas = {}) => AjvCompiler()(schemas, {
  customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, discriminator: true, ...options }
}) as unknown as SchemaCompiler
const what = "route /chat, subprotocol 'chat.v2'"
const compile = (compiler: SchemaCompiler, schema: unknown, schemaErrorFormatter?: SchemaErrorFormatter) =>
  compileValidator(compiler, schema, { method: 'GET', url: '/chat', direction: 'receive', what, schemaErrorFormatter })
/** A validator whose schema function is given, and not compiled. */
const own = (check: CompiledSchema, formatter?: SchemaErrorFormatter) => compile(() => check, {}, formatter)

function faultOf (run: () => unknown): ValidationFault {
  try {
    run()
  } catch (fault) {
    if (fault instanceof ValidationFault) return fault
    throw fault
  }
  throw new Error('it is valid')
}

const Say = { type: 'object', required: ['type', 'text'], properties: { type: { const: 'say' }, text: { type: 'string' }, loud: { type: 'boolean', default: false } } }

t.test('the compiler gets what Fastify gives it, and the schema as it is', async (t) => {
  for (const schema of [Say, true, false, z.string()]) {
    const calls: unknown[] = []
    compile((...args) => { calls.push(...args); return () => true }, schema)
    t.strictSame(calls, [{ schema, method: 'GET', url: '/chat', httpPart: 'body' }])
    t.equal((calls[0] as { schema: unknown }).schema, schema)
  }
})

t.test('all results that a validator may have', async (t) => {
  const message = { a: 1 }
  for (const result of [true, undefined, null, 0, '', 1, 'x', {}, { error: undefined }, { error: null }]) {
    t.equal(own(() => result).validate(message), message, `${JSON.stringify(result)} is valid`)
  }
  const made = { a: '1' }
  t.equal(own(() => ({ value: made })).validate(message), made, 'what the compiler made is delivered')
  t.equal(own(() => ({ value: undefined })).validate(message), undefined)
  t.equal(own(() => Object.create({ value: made })).validate(message), made)

  const errors = [{ instancePath: '/a', message: 'is wrong' }]
  t.strictSame(faultOf(() => own(Object.assign(() => false, { errors })).validate(message)).errors, errors)
  t.strictSame(faultOf(() => own(() => ({ error: errors, value: made })).validate(message)).errors, errors, 'an error outdoes a value')
  const bare = faultOf(() => own(() => false).validate(message))
  t.strictSame(bare.errors, [])
  t.equal(bare.text, 'message does not fit the schema')
  t.equal(faultOf(() => own(() => ({ error: 'no' })).validate(message)).text, 'message does not fit the schema')

  const joi = new Error('"a" must be a string')
  const fault = faultOf(() => own(() => ({ error: joi }), () => { throw new Error('not called') }).validate(message))
  t.equal(fault.text, '"a" must be a string')
  t.strictSame(fault.errors, [{ instancePath: '', message: '"a" must be a string' }])
  t.equal(fault.cause, undefined)
})

t.test('a promise is refused, and its rejection ends nothing', async (t) => {
  const unhandled: unknown[] = []
  const listener = (reason: unknown) => { unhandled.push(reason) }
  process.on('unhandledRejection', listener)
  t.teardown(() => process.off('unhandledRejection', listener))
  const async = { code: 'FST_WS_ERR_ASYNC_VALIDATOR', message: `The validator of ${what} returned a promise: message schemas must validate synchronously` }
  const later = () => Promise.reject(new Error('late'))

  t.throws(() => own(later).validate({}), async)
  t.throws(() => own(async () => true).validate({}), async)
  t.throws(() => own(() => ({ then: (_: unknown, no: () => void) => no() })).validate({}), async, 'thenables too')
  t.throws(() => compile(later as never, {}), async, 'a compiler that is asynchronous')
  t.throws(() => compile(ajvCompiler(), { ...Say, $async: true }), async, 'Ajv says so when it compiles')
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(unhandled, [])
})

t.test('a schema that does not compile names route, subprotocol and direction', async (t) => {
  const cause = new Error('boom')
  const error = t.throws(() => compile(() => { throw cause }, {}), {
    code: 'FST_WS_ERR_INVALID_SCHEMA', statusCode: 500, message: `The receive schema of ${what} does not compile: boom`
  }) as unknown as Error
  t.equal(error.cause, cause)
  const options = { method: 'GET', url: '/', direction: 'send', what } as const
  // eslint-disable-next-line no-throw-literal
  t.throws(() => compileValidator(() => { throw 'text' }, {}, options), { message: `The send schema of ${what} does not compile: text`, cause: 'text' })
  for (const nothing of [undefined, null, {}, true]) {
    t.throws(() => compile(() => nothing as never, {}), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /: the compiler returned no function$/ })
  }
  const long = t.throws(() => compile(() => { throw new Error('ü'.repeat(5000)) }, {}), { code: 'FST_WS_ERR_INVALID_SCHEMA' }) as unknown as Error
  t.ok(Buffer.byteLength(long.message) <= 1024)

  t.throws(() => compile(ajvCompiler(), { type: 'nonsense' }), { code: 'FST_WS_ERR_INVALID_SCHEMA', cause: { message: /schema is invalid/ } })
  t.throws(() => compile(ajvCompiler(), { $ref: 'nowhere#' }), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /can't resolve reference nowhere#/ })
  t.throws(() => compile(TypeBoxValidatorCompiler, { type: 'object' }), { code: 'FST_WS_ERR_INVALID_SCHEMA', cause: { message: /^Preflight validation check failed/ } })
})

t.test('a fault of the validator itself is not the peer\'s', async (t) => {
  t.throws(() => own(() => { throw new TypeError('bug') }).validate({}), { name: 'TypeError', message: 'bug' })
  t.throws(() => own(() => false, () => { throw new TypeError('bug') }).validate({}), { name: 'TypeError', message: 'bug' })
})

t.test('a message too deep for a recursive schema is invalid, whatever validates it', async (t) => {
  const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
  const tree: z.ZodType = z.lazy(() => z.array(tree))
  for (const [compiler, schema] of [
    [ajvCompiler({}, { tree: { $id: 'tree', type: 'array', items: { $ref: 'tree#' } } }), { $ref: 'tree#' }],
    [TypeBoxValidatorCompiler, Type.Recursive((This) => Type.Array(This))],
    [zodCompiler, tree]
  ] as const) {
    const validator = compile(compiler as SchemaCompiler, schema)
    const fault = faultOf(() => validator.validate(deep))
    t.equal(fault.text, 'message is nested too deeply')
    t.strictSame(fault.errors, [])
    t.strictSame(validator.validate([[[]]]), [[[]]], 'and the next one is looked at')
  }
})

t.test('Ajv: unions keep the fields of every branch', async (t) => {
  const { validate } = wrap(compile(ajvCompiler(), {
    anyOf: [
      { type: 'object', required: ['type', 'text'], properties: { type: { const: 'say' }, text: { type: 'string' } }, additionalProperties: false },
      { type: 'object', required: ['type', 'text', 'id'], properties: { type: { const: 'edit' }, text: { type: 'string' }, id: { type: 'integer' } }, additionalProperties: false }
    ]
  }))
  t.strictSame(validate({ type: 'edit', text: 'x', id: 1 }), { type: 'edit', text: 'x', id: 1 })
  t.throws(() => validate({ type: 'say', text: 'x', id: 1 }), ValidationFault)
})

t.test('Ajv: a discriminator picks the branch, and gives its errors only', async (t) => {
  const { validator, validate } = wrap(compile(ajvCompiler(), {
    type: 'object',
    required: ['type'],
    discriminator: { propertyName: 'type' },
    oneOf: [
      { properties: { type: { const: 'say' }, text: { type: 'string' } }, required: ['text'] },
      { properties: { type: { const: 'edit' }, id: { type: 'integer' } }, required: ['id'] }
    ]
  }))
  t.strictSame(validate({ type: 'edit', id: 1 }), { type: 'edit', id: 1 })
  t.equal(faultOf(() => validator.validate({ type: 'edit' })).text, "message must have required property 'id'")
  t.match(faultOf(() => validator.validate({ type: 'x' })).text, /value of tag "type" must be in oneOf/)
})

t.test('Ajv: null stays null, nothing is coerced, defaults are filled in', async (t) => {
  const nullable = wrap(compile(ajvCompiler(), { type: 'object', properties: { name: { anyOf: [{ type: 'string' }, { type: 'null' }] } } }))
  t.strictSame(nullable.validate({ name: null }), { name: null })
  const say = compile(ajvCompiler(), Say)
  const message = { type: 'say', text: 'x' }
  t.equal(say.validate(message), message, 'the same object')
  t.strictSame(message, { type: 'say', text: 'x', loud: false })
  t.strictSame(say.validate({ type: 'say', text: 'x', more: 1 }), { type: 'say', text: 'x', more: 1, loud: false }, 'and nothing is removed')
  for (const [message, text] of [
    [{ type: 'say', text: 5 }, 'message/text must be string'],
    [{ type: 'say', text: 'x', loud: 'true' }, 'message/loud must be boolean'],
    [{ type: 'say' }, "message must have required property 'text'"],
    [{ type: 'shout', text: 'x' }, 'message/type must be equal to constant'],
    [[], 'message must be object'],
    [null, 'message must be object'],
    ['', 'message must be object']
  ] as const) {
    const fault = faultOf(() => say.validate(message))
    t.equal(fault.text, text)
    t.equal(fault.errors.length, 1)
    t.ok(fault.errors[0].keyword)
  }
})

t.test('Ajv: a whole message that is coerced is delivered coerced, as a body is', async (t) => {
  const number = compile(ajvCompiler({ coerceTypes: true }), { type: 'number' })
  t.equal(number.validate('5'), 5)
  t.equal(number.validate(6), 6)
  t.throws(() => number.validate('x'), ValidationFault)
  t.equal(compile(ajvCompiler(), { type: 'string' }).validate('5'), '5')
  t.throws(() => compile(ajvCompiler(), { type: 'number' }).validate('5'), ValidationFault)
  const list = compile(ajvCompiler({ coerceTypes: 'array' }), { type: 'array', items: { type: 'integer' } })
  t.strictSame(list.validate('7'), [7])
  t.equal(compile(ajvCompiler(), true).validate('x'), 'x')
  t.throws(() => compile(ajvCompiler(), false).validate('x'), ValidationFault)
})

t.test('Ajv: one message leaves nothing behind for the next', async (t) => {
  let seen: { parentData?: { message: unknown } } = {}
  const check = Object.assign((message: unknown, context: typeof seen) => {
    seen = context
    if (message === 'throw') throw new Error('bug')
    return message !== 'no'
  }, { schemaEnv: {} })
  const validator = own(check)
  t.equal(validator.validate('yes'), 'yes')
  t.strictSame(seen.parentData, { message: undefined })
  t.throws(() => validator.validate('no'), ValidationFault)
  t.strictSame(seen.parentData, { message: undefined })
  t.throws(() => validator.validate('throw'), { message: 'bug' })
  t.strictSame(seen.parentData, { message: undefined })
  own((...args: unknown[]) => { t.strictSame(args, ['yes']); return true }).validate('yes')
})

t.test('Ajv: a shared schema is found by its $id', async (t) => {
  const validator = compile(ajvCompiler({}, { say: { $id: 'say', ...Say } }), { $ref: 'say#' })
  t.strictSame(validator.validate({ type: 'say', text: 'x' }), { type: 'say', text: 'x', loud: false })
  const fault = faultOf(() => validator.validate({ type: 'say', text: 5 }))
  t.equal(fault.text, 'message/* must be string', 'names of other schemas are not spelled')
  t.equal(fault.errors[0].instancePath, '/text', 'but reported')
})

t.test('TypeBox: both major versions', async (t) => {
  const schema = Type.Object({ type: Type.Literal('say'), text: Type.String(), at: Type.Union([Type.String(), Type.Null()]), tags: Type.Array(Type.String()) }, { additionalProperties: false })
  const valid = { type: 'say', text: 'x', at: null, tags: ['a'] }
  const old = compile(TypeBoxValidatorCompiler, schema)
  t.equal(old.validate(valid), valid)
  t.strictSame(faultOf(() => old.validate({ ...valid, tags: ['a', 1] })).text, 'message/tags/1 Expected string')
  t.throws(() => old.validate({ ...valid, text: 5 }), ValidationFault, 'nothing is converted')
  t.match(faultOf(() => old.validate({ ...valid, SECRET: 1 })).text, /^message\/\* Unexpected property/)

  const { Type: Type1 } = await import('type-provider-typebox-1')
  const current = compile(TypeBox1Compiler as SchemaCompiler, Type1.Object({ type: Type1.Literal('say'), text: Type1.String() }))
  t.strictSame(current.validate({ type: 'say', text: 'x' }), { type: 'say', text: 'x' })
  t.match(faultOf(() => current.validate({ type: 'say', text: 5 })).text, /^message\/text must be string/)
})

t.test('zod: what the schema makes of a message is delivered', async (t) => {
  const validator = compile(zodCompiler as SchemaCompiler, z.strictObject({
    type: z.literal('say'), text: z.string().trim(), at: z.string().transform((text) => new Date(text)), loud: z.boolean().default(false), user: z.object({ name: z.string() })
  }))
  const message = { type: 'say', text: ' x ', at: '1970-01-01T00:00:00.000Z', user: { name: 'a', age: 3 } }
  t.strictSame(validator.validate(message), { type: 'say', text: 'x', at: new Date(0), loud: false, user: { name: 'a' } })
  t.strictSame(message.text, ' x ', 'and the received one is left alone')
  const fault = faultOf(() => validator.validate({ ...message, user: { name: 5 } }))
  t.equal(fault.text, 'message/user/name Invalid input: expected string, received number')
  t.equal(fault.errors[0][Symbol.for('ZodFastifySchemaValidationError')], true, 'the provider knows its own')
  t.equal(faultOf(() => validator.validate({ ...message, SECRET: 1 })).text, 'message/ has unrecognized keys')
})

t.test('zod: a refinement that is asynchronous throws, as zod does', async (t) => {
  const validator = compile(zodCompiler as SchemaCompiler, z.string().refine(async () => true))
  t.throws(() => validator.validate('x'), { message: /Promise/ })
})

t.test('circular schemas end', async (t) => {
  const circular: Record<string, unknown> = { text: null }
  circular['self'] = circular
  t.equal(compile(() => () => true, circular).validate(1), 1)
  t.throws(() => compile(() => () => true, { get bad () { throw new Error('getter') } }), { code: 'FST_WS_ERR_INVALID_SCHEMA', cause: { message: 'getter' } })
})

t.test('texts spell no key that the peer chose', async (t) => {
  const validator = compile(ajvCompiler({ allErrors: true }), {
    type: 'object', properties: { list: { type: 'array', items: { type: 'string' } } }, additionalProperties: { type: 'object', properties: { 'a/b': { type: 'null' } }, additionalProperties: { type: 'string' } }
  })
  const fault = faultOf(() => validator.validate({ list: ['a', 1], SECRET: { list: 1, 'SECRET\n': 2, 'a/b': 3 } }))
  t.equal(fault.text, 'message/*/list must be string, message/*/* must be string, message/*/* must be null, message/list/1 must be string')
  t.strictSame(fault.errors.map((error) => error.instancePath), ['/SECRET/list', '/SECRET/SECRET\n', '/SECRET/a~1b', '/list/1'])
})

t.test('entries of any form become text', async (t) => {
  const fault = faultOf(() => own(() => ({ error: [{ message: 'is bad' }, {}, null, 'x', { instancePath: '/1234567890/12' }] })).validate({}))
  t.equal(fault.text, 'message is bad, message is not valid, message is not valid, message is not valid, message/*/12 is not valid')
})

t.test('what is reported stays small, whatever was sent', async (t) => {
  const many = compile(TypeBoxValidatorCompiler, Type.Array(Type.String()))
  const fault = faultOf(() => many.validate(new Array(10_000).fill(1)))
  t.equal(fault.errors.length, 16)
  t.ok(Buffer.byteLength(fault.text) <= 1024)

  const key = 'SECRET'.repeat(100_000)
  const strict = compile(ajvCompiler(), { type: 'object', properties: { a: { type: 'object', additionalProperties: false } } })
  const wide = faultOf(() => strict.validate({ a: { [key]: 1 } }))
  t.equal(wide.errors[0].params.additionalProperty, `${key.slice(0, 256)}…`)
  t.equal(wide.errors[0].keyword, 'additionalProperties')
  const record = faultOf(() => compile(ajvCompiler(), { additionalProperties: { type: 'string' } }).validate({ [key]: 1 }))
  t.equal(record.errors[0].instancePath.length, 257)

  const long = faultOf(() => own(() => ({ error: [{ message: 'ü'.repeat(200), params: { list: new Array(100).fill(1) } }, ...new Array(20).fill({ message: 'x'.repeat(100) })] })).validate({}))
  t.ok(Buffer.byteLength(long.text) <= MAX_TEXT_BYTES + 3)
  t.equal(long.errors[0].params.list.length, 16)

  const date = new Date()
  const nested = faultOf(() => own(() => ({ error: [{ a: { b: { c: { d: { e: { f: 1 } } } } }, list: [[[[[1]]]]], wide: Object.fromEntries(new Array(20).fill(1).entries()), date, big: 1n, extra: 1 }] })).validate({})).errors[0]
  t.strictSame(nested, { a: { b: { c: { d: { e: {} } } } }, list: [[[[[]]]]], wide: Object.fromEntries(new Array(16).fill(1).entries()), date, big: 1n, extra: 1 })
  t.equal(nested.date, date)

  const joi = faultOf(() => own(() => ({ error: new Error('x'.repeat(5000)) })).validate({}))
  t.ok(joi.text.length <= MAX_TEXT_BYTES + 1)
  t.equal(joi.errors[0].message.length, 257)
})

t.test('errors are copies, and poison in them stays a property', async (t) => {
  const errors = [JSON.parse('{"message":"x","params":{"__proto__":{"admin":"yes"}}}')]
  const fault = faultOf(() => own(() => ({ error: errors })).validate({}))
  t.not(fault.errors, errors)
  t.not(fault.errors[0], errors[0])
  t.equal(fault.errors[0].params.admin, undefined)
  t.ok(Object.hasOwn(fault.errors[0].params, '__proto__'))
})

t.test('a formatter words the fault, as Fastify\'s schemaErrorFormatter', async (t) => {
  const calls: unknown[] = []
  const made = new RangeError('say something')
  const validator = compile(ajvCompiler(), Say, (errors, part) => { calls.push(errors, part); return made })
  const fault = faultOf(() => validator.validate({ type: 'say' }))
  t.equal(fault.text, 'say something')
  t.equal(fault.cause, made)
  t.strictSame(calls, [fault.errors, 'message'])
  t.equal(fault.errors[0].keyword, 'required')
  t.ok(faultOf(() => own(() => false, () => new Error('x'.repeat(5000))).validate({})).text.length <= MAX_TEXT_BYTES + 1)
})

t.test('shorten cuts at a whole character', async (t) => {
  t.equal(shorten('x'.repeat(MAX_TEXT_BYTES)), 'x'.repeat(MAX_TEXT_BYTES))
  t.equal(shorten('x'.repeat(MAX_TEXT_BYTES + 1)), `${'x'.repeat(MAX_TEXT_BYTES)}…`)
  t.equal(shorten(`x${'😀'.repeat(MAX_TEXT_BYTES / 4)}`), `x${'😀'.repeat(MAX_TEXT_BYTES / 4 - 1)}…`)
  t.equal(shorten(''), '')
})

t.test('plain objects and thenables', async (t) => {
  t.ok(isPlainObject({}))
  t.ok(isPlainObject(Object.create(null)))
  for (const value of [null, undefined, 1, 'x', [], new Date(), Buffer.alloc(0), new (class {})(), () => {}]) t.notOk(isPlainObject(value))
  t.ok(isThenable(Promise.resolve()))
  t.ok(isThenable({ then () {} }))
  for (const value of [null, undefined, 1, {}, { then: 1 }]) t.notOk(isThenable(value))
})

function wrap (validator: ReturnType<typeof compile>) {
  return { validator, validate: (message: unknown) => validator.validate(message) }
}
