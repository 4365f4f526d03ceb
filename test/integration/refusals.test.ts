import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { text } from '../../index.ts'
import { deferred, LEVEL, startApp, type Running } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { request, SAMPLE_KEY, upgradeRequest, Wire, type RequestOptions } from '../helpers/wire.ts'

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

/** Requests that have reached a handler or a hook, and connections that were opened. */
interface Counted extends Running { readonly routed: string[] }

async function start (t: Test): Promise<Counted> {
  const routed: string[] = []
  const running = await startApp(t, (app) => {
    app.addHook('preHandler', async (request) => { routed.push(request.url) })
    app.get('/', { websocket: true }, (socket) => { routed.push('opened'); socket.on('message', (data) => { routed.push(`message ${data}`) }) })
    app.get('/plain', async () => 'plain')
    app.post('/plain', async (request) => JSON.stringify(request.body))
  })
  return { ...running, routed }
}

/** What follows every refused request: none of it may be parsed, neither as HTTP nor as frames. */
const BEHIND = Buffer.concat([Buffer.from(request({ path: '/plain?smuggled', headers: { Host: 'localhost' } })), frame({ opcode: 1, masked: true, payload: 'smuggled' })])

async function refusal (port: number, sent: string | Buffer): Promise<{ statusCode: number, headers: Readonly<Record<string, string>>, body: string }> {
  const wire = await Wire.connect(port)
  wire.write(Buffer.concat([Buffer.from(sent as string, 'latin1'), BEHIND]))
  const response = await wire.response()
  const answeredAt = performance.now()
  // The client does not end its side: the server drops it.
  await wire.untilEnd()
  // Only what it writes tells it that the server is gone.
  const more = setInterval(() => wire.write('and still more'), 20)
  await new Promise<void>((resolve) => { if (wire.closed) resolve(); else wire.duplex.on('close', () => resolve()) })
  clearInterval(more)
  const took = performance.now() - answeredAt
  if (took > 4_000) throw new Error(`the socket closed after ${took} ms`)
  if (wire.received.length > 0) throw new Error(`something was answered behind the refusal: ${wire.received.toString('latin1')}`)
  return response
}

const token = (length: number): string => 'x'.repeat(length)

const REFUSED: Array<[name: string, status: number, request: RequestOptions, headers?: Record<string, RegExp>]> = [
  // A11: the version is the exact text 13, once.
  ...['12', '7', '8', '0', '013', '0xd', '13.0', '+13', '1e1', '13, 13', '14', '-13', 'abc', ''].map((version) =>
    [`version ${JSON.stringify(version)}`, 426, { headers: { 'Sec-WebSocket-Version': version } }, { 'sec-websocket-version': /^13$/, upgrade: /^websocket$/i, connection: /upgrade/i }] as [string, number, RequestOptions, Record<string, RegExp>]),
  ['no version', 426, { headers: { 'Sec-WebSocket-Version': null } }, { 'sec-websocket-version': /^13$/ }],
  ['two versions', 426, { headers: { 'Sec-WebSocket-Version': ['13', '13'] } }, { 'sec-websocket-version': /^13$/ }],
  ['two different versions', 426, { headers: { 'Sec-WebSocket-Version': ['13', '8'] } }, { 'sec-websocket-version': /^13$/ }],
  // A11: the key is 16 bytes in base64, once.
  ['no key', 400, { headers: { 'Sec-WebSocket-Key': null } }],
  ['two keys', 400, { headers: { 'Sec-WebSocket-Key': [SAMPLE_KEY, SAMPLE_KEY] } }],
  ...['', 'short', 'dGhlIHNhbXBsZSBub25jZQ', 'dGhlIHNhbXBsZSBub25jZQ=', 'dGhlIHNhbXBsZSBub25jZQ===', 'dGhlIHNhbXBsZSBub25jZ-==', 'dGhlIHNhbXBsZSBub25jZQ== x', 'dGhlIHNhbXBsZSBub25jZQ== dGhlIHNhbXBsZSBub25jZQ==', 'dGhl\tHNhbXBsZSBub25jZQ==', token(5000)].map((key) =>
    [`key ${key.slice(0, 40)}`, key.length > 4096 ? 431 : 400, { headers: { 'Sec-WebSocket-Key': key } }] as [string, number, RequestOptions]),
  // A12: Host once, and valid.
  ['no Host', 400, { headers: { Host: null } }],
  ['two Hosts', 400, { headers: { Host: ['localhost', 'localhost'] } }],
  ['two different Hosts', 400, { headers: { Host: ['localhost', 'evil.example'] } }],
  ...['', 'a b', 'localhost:port', 'localhost:99999', 'user@localhost', 'localhost/path', 'http://localhost', '[::1', '::1', 'a\x80b', 'localhost#x', 'localhost?x'].map((host) =>
    [`Host ${JSON.stringify(host)}`, 400, { headers: { Host: host } }] as [string, number, RequestOptions]),
  // §4.2.1, 1 and 3: what concerns WebSocket at all is refused as such.
  ['HTTP/1.0', 400, { version: 'HTTP/1.0' }],
  ['Upgrade to another version of websocket', 400, { headers: { Upgrade: 'websocket/14' } }],
  ['Upgrade to something like websocket', 400, { headers: { Upgrade: 'xwebsocket, h2c' } }],
  // A10: no body.
  ['a body by Content-Length', 400, { headers: { 'Content-Length': '5' }, body: 'hello' }],
  ['a body that is announced', 400, { headers: { 'Content-Length': '500' } }],
  ['a chunked body', 400, { headers: { 'Transfer-Encoding': 'chunked' }, body: '5\r\nhello\r\n0\r\n\r\n' }],
  ['a Transfer-Encoding without a body', 400, { headers: { 'Transfer-Encoding': 'chunked' }, body: '0\r\n\r\n' }],
  // A1, A2, A6: lists that are none.
  ...['a b', ',', '', 'a,,b c', '"quoted"', 'a;b', 'a/b', 'chat\x80', 'caf\xe9', '(x)', token(5000), Array.from({ length: 33 }, (_, i) => `p${i}`).join(','), 'a, a'].map((value) =>
    [`subprotocols ${value.slice(0, 20)}`, value.length > 4096 ? 431 : 400, { headers: { 'Sec-WebSocket-Protocol': value } }] as [string, number, RequestOptions]),
  ['subprotocols the server does not have', 400, { headers: { 'Sec-WebSocket-Protocol': '__proto__, constructor' } }],
  ...[',', 'a;', 'a;=', 'a; b="', 'a; b="x y"', 'a; b=""', 'caf\xe9', 'a b', `permessage-deflate; x="${token(5000)}`, `a${', a'.repeat(8)}`, `a; b=${' '.repeat(2000)}"`].map((value) =>
    [`extensions ${value.slice(0, 30)}`, value.length > 4096 ? 431 : 400, { headers: { 'Sec-WebSocket-Extensions': value } }] as [string, number, RequestOptions]),
  ['two Origins', 400, { headers: { Origin: ['http://localhost', 'http://evil.example'] } }]
]

t.test('every handshake that breaks a rule is refused whole, and nothing behind it is parsed', async (t) => {
  const { port, routed, app, log } = await start(t)
  const responses = await Promise.all(REFUSED.map(async ([name, , sent]) => {
    try {
      return await refusal(port, upgradeRequest(sent))
    } catch (error) {
      return { statusCode: 0, headers: {} as Record<string, string>, body: `${name}: ${(error as Error).message}` }
    }
  }))
  for (const [index, [name, status, , wanted = {}]] of REFUSED.entries()) {
    const { statusCode, headers, body } = responses[index]!
    t.equal(statusCode, status, `${name}${statusCode === 0 ? body : ''}`)
    t.match(headers['connection'], /\bclose\b/i, name)
    t.equal(Number(headers['content-length']), Buffer.byteLength(body), name)
    t.notOk('sec-websocket-accept' in headers)
    for (const [field, value] of Object.entries(wanted)) t.match(headers[field], value, `${name}: ${field}`)
  }
  // What is no matter of the handshake itself reaches the hooks.
  t.strictSame(routed, ['/'])
  t.equal(app.websockets.size, 0)
  t.strictSame(log.atLevel(LEVEL.error), [])
})

t.test('a right handshake in unusual form is accepted', async (t) => {
  const { port } = await start(t)
  const unusual: RequestOptions[] = [
    {},
    { headers: { Upgrade: 'WebSocket', Connection: 'keep-alive, Upgrade' } },
    { headers: { Upgrade: 'h2c, websocket', Connection: 'Keep-Alive , UPGRADE' } },
    { headers: { Connection: ['keep-alive', 'Upgrade'] } },
    { headers: { 'Content-Length': '0' } },
    { headers: { Host: 'localhost:' } },
    { headers: { Host: '[::1]:3000' } },
    { headers: { Host: 'ex%41mple.com' } },
    { headers: { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' } },
    { headers: { 'Sec-WebSocket-Key': '//////////////////////==' } },
    { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x-unknown; a="b"' } },
    { headers: { 'Sec-WebSocket-Extensions': ['permessage-deflate', 'bbf-usp-protocol; a=1'] } },
    { headers: { __proto__x: 'x', constructor: 'y' } },
    { path: '/?q=%c3%a4' }
  ]
  for (const options of unusual) {
    const wire = await Wire.open(port, options)
    wire.close(1000)
    t.strictSame(await wire.lines(1), ['close 1000 ""'], JSON.stringify(options))
    await wire.untilClosed()
  }
})

t.test('a plain route too refuses what node:http leaves unchecked in an upgrade, and answers the rest', async (t) => {
  const { port, routed } = await start(t)
  const cases: RequestOptions[] = [
    { headers: { Host: null } }, { headers: { Host: ['a', 'b'] } }, { headers: { Host: 'a b' } },
    { headers: { 'Content-Length': '5' }, body: 'hello' }, { headers: { 'Transfer-Encoding': 'chunked' }, body: '5\r\nhello\r\n0\r\n\r\n' }
  ]
  await Promise.all(cases.map(async (options) => {
    const { statusCode, headers } = await refusal(port, upgradeRequest({ path: '/plain', ...options }))
    t.equal(statusCode, 400, JSON.stringify(options))
    t.match(headers['connection'], /close/)
  }))
  t.strictSame(routed, [])
  t.equal((await refusal(port, upgradeRequest({ path: '/plain', headers: { 'Sec-WebSocket-Key': 'wrong' } }))).statusCode, 200)
  t.equal((await refusal(port, upgradeRequest({ path: '/nowhere', headers: { 'Sec-WebSocket-Key': 'wrong' } }))).statusCode, 404)
})

t.test('what is no request for WebSocket at all is a plain request', async (t) => {
  const { port, routed } = await start(t)
  const cases: Array<[RequestOptions, number]> = [
    [{ headers: { Upgrade: 'h2c' } }, 426],
    [{ version: 'HTTP/1.0', path: '/plain', headers: { Upgrade: 'h2c' } }, 200],
    [{ path: '/plain', headers: { Upgrade: 'TLS/1.0, HTTP/2.0' } }, 200],
    [{ path: '/plain', headers: { Upgrade: '' } }, 200],
    [{ method: 'POST', path: '/plain', headers: { Upgrade: 'h2c', 'Content-Type': 'application/json', 'Content-Length': '7' }, body: '{"a":1}' }, 200]
  ]
  for (const [options, status] of cases) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest(options))
    const { statusCode, headers } = await wire.response()
    t.equal(statusCode, status, JSON.stringify(options))
    if (status === 426) t.match(headers['upgrade'], /^websocket$/i)
    wire.end()
    await wire.untilClosed()
  }
  t.notOk(routed.includes('opened'))
})

t.test('a request for an upgrade without its Connection field is a plain one', async (t) => {
  const { port, routed } = await start(t)
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ headers: { Connection: 'keep-alive' } }))
  t.equal((await wire.response()).statusCode, 426)
  wire.write(request({ path: '/plain', headers: { Host: 'localhost' } }))
  t.equal((await wire.response()).body, 'plain')
  wire.destroy()
  t.notOk(routed.includes('opened'))
})

t.test('a refused client that sends more gets the answer, not a reset', async (t) => {
  const { port } = await start(t)
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path: '/nowhere' }))
  wire.write(Buffer.alloc(5_000_000))
  t.equal((await wire.response()).statusCode, 404)
  await wire.untilEnd()
  t.equal(wire.error, undefined)
  wire.destroy()
})

t.test('a refused client that stays is dropped after a second', async (t) => {
  const { port, app } = await start(t)
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path: '/nowhere' }))
  await wire.response()
  const answeredAt = performance.now()
  await wire.untilEnd()
  const flood = setInterval(() => wire.write('more'), 10)
  await new Promise<void>((resolve) => { wire.duplex.on('close', () => resolve()) })
  clearInterval(flood)
  const took = performance.now() - answeredAt
  t.ok(took > 500 && took < 4_000, `${took} ms`)
  t.equal(await connectionsOf(app.server), 0)
})

t.test('a refused client that ends at once leaves nothing behind', async (t) => {
  const { port, app } = await start(t)
  const leaving: Array<(wire: Wire) => void> = [(wire) => wire.end(), (wire) => wire.destroy(), (wire) => { (wire.duplex as Socket).resetAndDestroy() }]
  for (const leave of leaving) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ path: '/nowhere' }))
    leave(wire)
    while (await connectionsOf(app.server) > 0) await new Promise((resolve) => { setImmediate(resolve) })
    t.pass('gone')
    wire.destroy()
  }
})

t.test('an error on the socket during the handshake ends nothing', async (t) => {
  const entered = deferred<Socket>()
  const { port, app } = await startApp(t, (app) => {
    app.get('/', { websocket: true, onRequest: async (request) => { entered.resolve(request.raw.socket); await new Promise((resolve) => { setTimeout(resolve, 30) }) } }, () => t.fail('not opened'))
  })
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest())
  const socket = await entered.promise
  socket.destroy(new Error('the network has failed'))
  await wire.untilEnd()
  t.equal(app.websockets.size, 0)
  await new Promise((resolve) => { setTimeout(resolve, 50) })
})

t.test('a reason in the answer names the rule and echoes nothing of the peer', async (t) => {
  const { port } = await start(t)
  const cases: Array<[RequestOptions, RegExp]> = [
    [{ headers: { 'Sec-WebSocket-Version': 'evil<script>' } }, /Sec-WebSocket-Version must/],
    [{ headers: { 'Sec-WebSocket-Key': 'evil<script>' } }, /Sec-WebSocket-Key must/],
    [{ headers: { Host: 'evil<script>' } }, /Host must/],
    [{ headers: { 'Sec-WebSocket-Protocol': 'evil<script>' } }, /Sec-WebSocket-Protocol must/],
    [{ headers: { 'Content-Length': '7' }, body: 'evil!!!' }, /must not have a body/]
  ]
  await Promise.all(cases.map(async ([options, message]) => {
    const { body } = await refusal(port, upgradeRequest(options))
    t.match(JSON.parse(body), { code: 'FST_WS_ERR_HANDSHAKE', message })
    t.notMatch(body, /evil/)
  }))
})

t.test('more fields than node:http keeps are refused, by it or by us', async (t) => {
  const { port, routed } = await start(t)
  const many = Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`a${i}`, '1']))
  t.equal((await refusal(port, upgradeRequest({ headers: many }))).statusCode, 431)
  t.strictSame(routed, [])
})

t.test('a server that keeps fewer fields than are sent refuses, lest a body hide among those it drops', async (t) => {
  const { port, app, routed } = await start(t)
  app.server.maxHeadersCount = 50
  const body = frame({ opcode: 1, masked: true, payload: 'in the body' })
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`a${i}`, '1']))
  const wire = await Wire.connect(port)
  wire.write(Buffer.concat([Buffer.from(upgradeRequest({ headers: { ...many, 'Content-Length': String(body.length) } })), body]))
  const { statusCode } = await wire.response()
  t.ok(statusCode >= 400, String(statusCode))
  wire.destroy()
  t.strictSame(routed, [])
})

t.test('what the server has agreed to is what it wrote itself: tokens of its own list', async (t) => {
  const { port } = await startApp(t, (app) => { app.get('/', { websocket: true, subprotocols: { 'chat.v1': text() } }, () => {}) })
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ headers: { 'Sec-WebSocket-Protocol': ['x', 'chat.v1 , y'] } }))
  const { statusCode, headers } = await wire.response()
  t.equal(statusCode, 101)
  t.equal(headers['sec-websocket-protocol'], 'chat.v1')
  wire.destroy()
})

t.test('a head that never ends, or is cut off, opens nothing', async (t) => {
  const { port, app } = await start(t)
  const cut = await Wire.connect(port)
  cut.write(upgradeRequest().slice(0, -2))
  cut.end()
  await cut.untilEnd()
  const long = await Wire.connect(port)
  long.write(upgradeRequest({ headers: { 'X-Long': 'x'.repeat(20_000) } }))
  t.equal((await long.response()).statusCode, 431)
  await long.untilEnd()
  t.equal(app.websockets.size, 0)
  cut.destroy()
  long.destroy()
})

async function connectionsOf (server: { getConnections (callback: (error: Error | null, count: number) => void): unknown }): Promise<number> {
  return await new Promise((resolve, reject) => server.getConnections((error, count) => error === null ? resolve(count) : reject(error)))
}

t.test('nothing in all this was left unhandled', async (t) => {
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})
