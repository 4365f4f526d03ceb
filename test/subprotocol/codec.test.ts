import { Buffer } from 'node:buffer'
import vm from 'node:vm'
import t from 'tap'
import { bytesCodec, encodeRaw, jsonCodec, jsonOrBytesCodec, resolveCodec, textCodec } from '../../lib/subprotocol/codec.ts'
import type { Codec } from '../../lib/subprotocol/contract.ts'

const DATA_TYPE = { code: 'FST_WS_ERR_DATA_TYPE', name: 'FastifyError' }

t.test('json decodes what JSON.parse decodes', async (t) => {
  for (const text of ['{"a":[1,null,true,"ü"]}', '[]', '0', 'null', '"x"', ' {"constructor":"Ford","proto":1} ', '{"constructor":{"name":1}}']) {
    t.same(jsonCodec.decode(text), JSON.parse(text), text)
  }
  t.equal(jsonCodec.wire, 'text')
})

t.test('json refuses what is no JSON', async (t) => {
  for (const text of ['', ' ', '{', '{"a":1}x', 'undefined', 'NaN', "{'a':1}", '{"a":1,}', '[1}', '"\u0001"']) {
    t.throws(() => jsonCodec.decode(text), { name: 'SyntaxError' }, JSON.stringify(text))
  }
})

t.test('json refuses keys that set a prototype, however spelled and however deep', async (t) => {
  for (const text of [
    '{"__proto__":{"admin":true}}',
    '{"a":[{"b":{"__proto__":null}}]}',
    '{"\\u005f\\u005fproto\\u005f\\u005f":{}}',
    '{"__proto__" \n : 1}',
    '{"constructor":{"prototype":{"admin":true}}}',
    '[{"constructor":{"prototype":1}}]',
    '{"c\\u006fnstructor":{"prototype":{}}}'
  ]) {
    t.throws(() => jsonCodec.decode(text), { name: 'SyntaxError', message: /forbidden prototype/ }, text)
    t.throws(() => jsonOrBytesCodec.decode(text), { name: 'SyntaxError', message: /forbidden prototype/ }, text)
  }
  t.strictSame(jsonCodec.decode('{"text":"about __proto__ and constructor.prototype"}'), { text: 'about __proto__ and constructor.prototype' })
})

t.test('json survives nesting that a recursive parser would not', async (t) => {
  t.throws(() => jsonCodec.decode('['.repeat(100_000)), { name: 'SyntaxError' })
  t.throws(() => jsonCodec.decode('{"a":'.repeat(100_000)), { name: 'SyntaxError' })
})

t.test('json encodes what JSON.stringify encodes', async (t) => {
  for (const message of [{ a: [1, 'ü'] }, null, 0, '', [], { at: new Date(0), gone: undefined }, Buffer.from('x')]) {
    t.equal(jsonCodec.encode(message), JSON.stringify(message))
  }
})

t.test('json does not send what has no JSON form', async (t) => {
  for (const [message, type] of [[undefined, 'undefined'], [() => {}, 'function'], [Symbol('x'), 'symbol'], [{ toJSON () {} }, 'object']] as const) {
    for (const codec of [jsonCodec, jsonOrBytesCodec]) {
      t.throws(() => codec.encode(message), { ...DATA_TYPE, message: `JSON has no form for a message of type ${type}` })
    }
  }
  const circular: { self?: object } = {}
  circular.self = circular
  for (const message of [1n, circular]) {
    t.throws(() => jsonCodec.encode(message), { ...DATA_TYPE, message: /^JSON has no form for this message: /, cause: { name: 'TypeError' } })
  }
  t.throws(() => jsonCodec.encode({ toJSON () { throw new RangeError('mine') } }), { name: 'RangeError', message: 'mine' }, 'what a toJSON throws is the sender\'s')
})

t.test('json with binary: text is JSON, bytes pass both ways without a copy', async (t) => {
  t.equal(jsonOrBytesCodec.wire, 'both')
  t.strictSame(jsonOrBytesCodec.decode('{"a":1}'), { a: 1 })
  t.throws(() => jsonOrBytesCodec.decode('x'), { name: 'SyntaxError' })
  const received = Buffer.from('{"a":1}')
  t.equal(jsonOrBytesCodec.decode(received), received)
  t.equal(jsonOrBytesCodec.encode({ a: 1 }), '{"a":1}')
  t.equal(jsonOrBytesCodec.encode('x'), '"x"')
  const sent = Buffer.from('abc')
  t.equal(jsonOrBytesCodec.encode(sent), sent)
})

t.test('every form of bytes is sent as its own octets and no others', async (t) => {
  const memory = new ArrayBuffer(8)
  new Uint8Array(memory).set([1, 2, 3, 4, 5, 6, 7, 8])
  const foreign = vm.runInNewContext('({ array: new Uint8Array([1, 2]), buffer: new Uint8Array([1, 2]).buffer })')
  const shared = new SharedArrayBuffer(2)
  new Uint8Array(shared).set([1, 2])
  for (const [bytes, expected] of [
    [new Uint8Array(memory, 2, 2), [3, 4]],
    [new DataView(memory, 1, 3), [2, 3, 4]],
    [new Uint16Array(memory, 4, 1), [5, 6]],
    [memory, [1, 2, 3, 4, 5, 6, 7, 8]],
    [new ArrayBuffer(0), []],
    [Buffer.from([9]), [9]],
    [foreign.array, [1, 2]],
    [foreign.buffer, [1, 2]],
    [shared, [1, 2]]
  ] as const) {
    for (const encoded of [bytesCodec.encode(bytes), jsonOrBytesCodec.encode(bytes), encodeRaw(bytes)]) {
      t.type(encoded, 'object')
      t.strictSame([...encoded as Uint8Array], expected)
    }
  }
  const view = new DataView(memory, 1, 3)
  t.equal((bytesCodec.encode(view) as Uint8Array).buffer, memory, 'no copy')
})

t.test('text is strings only', async (t) => {
  t.equal(textCodec.wire, 'text')
  t.equal(textCodec.decode('a'), 'a')
  t.equal(textCodec.encode(''), '')
  for (const message of [1, null, undefined, Buffer.from('a'), { toString: () => 'a' }]) {
    t.throws(() => textCodec.encode(message), { ...DATA_TYPE, message: `text() sends strings, not a message of type ${typeof message}` })
  }
})

t.test('bytes are bytes only', async (t) => {
  t.equal(bytesCodec.wire, 'binary')
  const received = Buffer.from('a')
  t.equal(bytesCodec.decode(received), received)
  for (const message of ['a', 5, null, undefined, [1], { length: 1 }]) {
    t.throws(() => bytesCodec.encode(message), { ...DATA_TYPE, message: /^bytes\(\) sends Buffers, ArrayBuffers and views, not/ })
  }
})

t.test('raw sends strings, bytes and the decimal text of numbers', async (t) => {
  t.equal(encodeRaw('a'), 'a')
  t.equal(encodeRaw(1.5), '1.5')
  for (const message of [{}, [1], null, undefined, true, 1n, Object.create(Buffer.prototype), new Proxy(Buffer.alloc(1), {})]) {
    t.throws(() => encodeRaw(message), { ...DATA_TYPE, message: /^a raw route sends strings, Buffers/ })
  }
})

t.test('a contract names its codec', async (t) => {
  const own: Codec = { name: 'own', wire: 'binary', encode: () => '', decode: (data) => data }
  const none = { receive: undefined, send: undefined }
  t.equal(resolveCodec({ codec: 'json', binary: false, ...none }), jsonCodec)
  t.equal(resolveCodec({ codec: 'json', ...none } as any), jsonCodec)
  t.equal(resolveCodec({ codec: 'json', binary: true, ...none }), jsonOrBytesCodec)
  t.equal(resolveCodec({ codec: 'text' }), textCodec)
  t.equal(resolveCodec({ codec: 'bytes' }), bytesCodec)
  t.equal(resolveCodec({ codec: 'raw' }), undefined)
  t.equal(resolveCodec({ codec: own, ...none }), own)
})
