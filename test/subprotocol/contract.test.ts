import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  bytes, custom, defineWebSocketRoute, isContract, json, raw, routeIdentity, text, validateContracts, type Codec
} from '../../lib/subprotocol/contract.ts'
import { ROOT } from '../helpers/root.ts'

const schema = { type: 'object' }
const codec: Codec = { name: 'reverse', wire: 'text', encode: String, decode: String }

/** What no type allows. */
const untyped = (value: unknown): any => value

/** The error of a broken contract, by how its message goes on after what every such message says. */
const invalid = (message: RegExp) => ({ name: 'TypeError', code: 'FST_WS_ERR_INVALID_CONTRACT', message: new RegExp(`^The contract of ${message.source}`) })

t.test('each helper makes a frozen object of what it was given', async (t) => {
  for (const [contract, wanted] of [
    [json(), { codec: 'json' }],
    [json({}), { codec: 'json' }],
    [json({ receive: schema }), { codec: 'json', receive: schema }],
    [json({ receive: schema, send: schema, binary: true }), { codec: 'json', receive: schema, send: schema, binary: true }],
    [json({ binary: false }), { codec: 'json' }],
    [json({ receive: true, send: () => {} }), { codec: 'json', receive: true, send: Function }],
    [text(), { codec: 'text' }],
    [bytes(), { codec: 'bytes' }],
    [raw(), { codec: 'raw' }],
    [custom({ codec }), { codec }],
    [custom({ codec, receive: schema, send: false }), { codec, receive: schema, send: false }]
  ] as const) {
    t.match(contract, wanted)
    t.same(Object.keys(contract).sort(), Object.keys(wanted).sort())
    t.ok(Object.isFrozen(contract))
    t.ok(isContract(contract))
  }
  t.equal(custom({ codec }).codec, codec)
  t.notOk(Object.isFrozen(codec), 'what belongs to the application stays as it is')
})

t.test('a key that is not one is named', async (t) => {
  t.throws(() => json(untyped({ recieve: schema })), invalid(/json\(\) is not valid: it has no key 'recieve'; the keys are 'receive', 'send', 'binary'/))
  t.throws(() => custom(untyped({ codec, binary: true })), invalid(/custom\(\) is not valid: it has no key 'binary'; the keys are 'codec', 'receive', 'send'/))
  t.throws(() => json(untyped({ type: 'object', properties: {} })), invalid(/json\(\) is not valid: a schema stands under 'receive' or 'send'/))
  t.throws(() => json(untyped({ codec: 'text' })), invalid(/json\(\) is not valid: it has no key 'codec'/))
})

t.test('the keys of later versions are reserved', async (t) => {
  for (const key of ['calls', 'summary', 'title', 'description']) {
    t.throws(() => json(untyped({ [key]: 'x' })), invalid(new RegExp(`json\\(\\) is not valid: the key '${key}' is reserved`)))
    t.throws(() => custom(untyped({ codec, [key]: 'x' })), invalid(new RegExp(`custom\\(\\) is not valid: the key '${key}' is reserved`)))
  }
})

t.test('a schema that is none is refused, undefined above all: it would let everything pass', async (t) => {
  for (const [value, name] of [[undefined, 'undefined'], [null, 'null'], ['object', 'string'], [1, 'number'], [[], 'an array']]) {
    const wanted = (helper: string, key: string) => invalid(new RegExp(`${helper}\\(\\) is not valid: '${key}' must be a schema, not ${name}$`))
    t.throws(() => json(untyped({ receive: value })), wanted('json', 'receive'))
    t.throws(() => json(untyped({ send: value })), wanted('json', 'send'))
    t.throws(() => custom(untyped({ codec, send: value })), wanted('custom', 'send'))
  }
  t.throws(() => json(untyped({ binary: 'yes' })), invalid(/json\(\) is not valid: 'binary' must be true or false/))
})

t.test('what is no object is no definition', async (t) => {
  for (const [value, name] of [[null, 'null'], ['json', 'string'], [[], 'an array']]) {
    t.throws(() => json(untyped(value)), invalid(new RegExp(`json\\(\\) is not valid: it takes an object, not ${name}$`)))
    t.throws(() => custom(untyped(value)), invalid(new RegExp(`custom\\(\\) is not valid: it takes an object, not ${name}$`)))
    t.throws(() => defineWebSocketRoute(untyped(value)), invalid(new RegExp(`defineWebSocketRoute\\(\\) is not valid: it takes an object, not ${name}$`)))
  }
})

t.test('the helpers without schema take nothing', async (t) => {
  for (const helper of [text, bytes, raw]) {
    t.throws(() => untyped(helper)({ receive: schema }), invalid(new RegExp(`${helper.name}\\(\\) is not valid: it takes no argument`)))
  }
})

t.test('a codec is looked at when the contract is made', async (t) => {
  for (const [value, why] of [
    [undefined, "'codec' must be an object, not undefined"],
    ['json', "'codec' must be an object, not string"],
    [{ ...codec, name: '' }, "the codec's 'name' must be a string that is not empty"],
    [{ ...codec, name: 1 }, "the codec's 'name' must be a string that is not empty"],
    [{ ...codec, wire: 'utf8' }, "the codec's 'wire' must be 'text', 'binary' or 'both'"],
    [{ ...codec, encode: undefined }, "the codec's 'encode' must be a function"],
    [{ ...codec, decode: undefined }, "the codec's 'decode' must be a function"]
  ] as const) {
    t.throws(() => custom(untyped({ codec: value })), invalid(new RegExp(`custom\\(\\) is not valid: ${why}$`)))
  }
  class MessagePack {
    readonly name = 'msgpack'
    readonly wire = 'binary'
    encode (): Uint8Array { return new Uint8Array() }
    decode (): unknown { return undefined }
  }
  t.ok(isContract(custom({ codec: new MessagePack() })))
  t.ok(isContract(custom({ codec: { ...codec, wire: 'both' } })))
})

t.test('a contract is known by its shape, so that a second copy of this module may have made it', async (t) => {
  t.ok(isContract({ codec: 'json', receive: schema }))
  for (const value of [
    undefined, null, 'json', [], () => {}, {}, { receive: schema }, { codec: 'yaml' }, { codec: undefined }, { codec: [] }, { codec: {} },
    { codec: 'text', receive: schema }, { codec: 'json', recieve: schema }, { codec: 'json', receive: undefined }, { codec: 'json', binary: false }
  ]) {
    t.notOk(isContract(value), JSON.stringify(value))
  }
})

t.test('the contracts of a route are checked by name', async (t) => {
  validateContracts('route /', undefined, undefined)
  validateContracts('route /', json(), undefined)
  validateContracts('route /', json(), { 'chat.v2': json(), "!#$%&'*+-.^_`|~09AZaz": raw() })

  const refused = (messages: unknown, subprotocols: unknown, message: RegExp) => {
    t.throws(() => validateContracts('route /', messages, subprotocols), invalid(message))
  }
  refused({ receive: schema }, undefined, /route \/, 'messages', is not valid: it has no 'codec'; make it with json\(\)/)
  refused(json, undefined, /route \/, 'messages', is not valid: it must be made by json\(\), .*, not function/)
  refused(null, undefined, /route \/, 'messages', is not valid: it must be made by json\(\), .*, not null/)
  refused({ codec: 'yaml' }, undefined, /route \/, 'messages', is not valid: 'yaml' is not a codec/)
  refused({ codec: { name: 'x' } }, undefined, /route \/, 'messages', is not valid: the codec's 'wire' must be/)
  refused(undefined, [json()], /route \/, 'subprotocols', is not valid: it must be an object of contracts by name, not an array/)
  refused(undefined, 'chat', /route \/, 'subprotocols', is not valid: it must be an object of contracts by name, not string/)
  refused(undefined, {}, /route \/, 'subprotocols', is not valid: it names no subprotocol/)
  refused(undefined, { '': json() }, /route \/, 'subprotocols', is not valid: the contract of a connection without subprotocol is 'messages', not ''/)
  for (const name of ['a b', 'a,b', 'ü', 'a/b', 'a\n']) {
    refused(undefined, { [name]: json() }, /route \/, 'subprotocols', is not valid: '[^]*' is not a token/)
  }
  refused(undefined, { 'chat.v2': json(), 'chat.v1': {} }, /route \/, subprotocol 'chat.v1', is not valid: it has no 'codec'/)
})

t.test('a route object is the options of its route', async (t) => {
  const params = { type: 'object' }
  const subprotocols = { a: json() }
  const messages = text()
  const route = defineWebSocketRoute({ url: '/a/:b', schema: { params }, messages, subprotocols })
  t.same(Object.keys(route).sort(), ['messages', 'schema', 'subprotocols', 'url', 'websocket'])
  t.equal(route.url, '/a/:b')
  t.equal(route.websocket, true)
  t.equal(route.schema.params, params)
  t.equal(route.messages, messages)
  t.equal(route.subprotocols, subprotocols)
  t.ok(Object.isFrozen(route))
  t.notOk(Object.isFrozen(route.schema), 'Fastify marks it')

  const bare = defineWebSocketRoute({ url: '/' })
  t.same(Object.keys(bare).sort(), ['url', 'websocket'])
})

t.test('the identity of a route object survives copies, and no two are the same', async (t) => {
  const one = defineWebSocketRoute({ url: '/' })
  const other = defineWebSocketRoute({ url: '/' })
  const identity = routeIdentity(one)
  t.type(identity, 'object')
  t.equal(routeIdentity({ ...one, websocketOptions: {} }), identity)
  t.equal(routeIdentity(Object.assign({}, one)), identity)
  t.not(routeIdentity(other), identity)
  t.equal(routeIdentity({ url: '/', websocket: true }), undefined)
})

t.test('a route that cannot be one is refused where it is defined', async (t) => {
  const refused = (definition: unknown, message: RegExp) => {
    t.throws(() => defineWebSocketRoute(untyped(definition)), invalid(message))
  }
  refused({ url: '/', message: json() }, /defineWebSocketRoute\(\) is not valid: it has no key 'message'; the keys are 'url', 'schema', 'messages', 'subprotocols'/)
  refused({ url: '/', summary: 'x' }, /defineWebSocketRoute\(\) is not valid: the key 'summary' is reserved/)
  refused({}, /defineWebSocketRoute\(\) is not valid: 'url' must be a string, not undefined/)
  refused({ url: '/', schema: undefined }, /defineWebSocketRoute\(\) is not valid: 'schema' must be an object, not undefined/)
  refused({ url: '/', schema: 'x' }, /defineWebSocketRoute\(\) is not valid: 'schema' must be an object, not string/)
  refused({ url: '/a', messages: {} }, /'\/a', 'messages', is not valid: it has no 'codec'/)
  refused({ url: '/a', subprotocols: { '': json() } }, /'\/a', 'subprotocols', is not valid: the contract of a connection without subprotocol is 'messages'/)
})

t.test('a browser can load it: it imports nothing', async (t) => {
  const source = await readFile(join(ROOT, 'lib/subprotocol/contract.ts'), 'utf8')
  t.notMatch(source, /\bimport\b[^.\n]*['"(]|\bfrom '/)
  t.notMatch(source, /\bBuffer\b(?!`)/, 'nor does it need the types of Node')
})
