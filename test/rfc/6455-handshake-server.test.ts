/**
 * RFC 6455 §4.2 to §4.4, §9 and §11.3: what binds a server before the connection is open.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { text } from '../../index.ts'
import { startApp } from '../helpers/app.ts'
import { describe, frame, framesTo, readFrames } from '../helpers/frames.ts'
import { request, SAMPLE_ACCEPT, SAMPLE_KEY, upgradeRequest, Wire, type RequestOptions, type WireResponse } from '../helpers/wire.ts'
import { acceptOf, requestHead } from './endpoints.ts'

type Headers = NonNullable<RequestOptions['headers']>

/** What has reached the application: connections, and plain requests. */
const reached: string[] = []

const { port, app } = await startApp(t, (app) => {
  app.get('/', { websocket: true }, (socket) => {
    reached.push('opened')
    socket.on('message', (data) => { reached.push(`message ${data}`) })
  })
  app.get('/greets', { websocket: true }, (socket) => { socket.send('hello') })
  app.get('/chat', { websocket: true, subprotocols: { 'chat.v1': text(), 'chat.v2': text() } }, () => {})
  app.get('/optional', { websocket: true, messages: text(), subprotocols: { 'chat.v1': text() } }, () => {})
  app.get('/plain', async () => { reached.push('plain') })
})

/** Follows every request that is refused: it must be read neither as HTTP nor as frames. */
const BEHIND = Buffer.concat([Buffer.from(request({ path: '/plain', headers: { Host: 'localhost' } })), frame({ opcode: 1, masked: true, payload: 'behind' })])

/** The answer to a handshake that must be refused: an HTTP error, after which the connection ends. */
async function refusal (t: Test, options: RequestOptions, what: string): Promise<WireResponse> {
  const wire = await Wire.connect(port)
  wire.write(Buffer.concat([Buffer.from(upgradeRequest(options), 'latin1'), BEHIND]))
  const response = await wire.response()
  t.ok(response.statusCode >= 400 && response.statusCode < 500, `${what}: ${response.statusCode}`)
  t.notOk('sec-websocket-accept' in response.headers, what)
  await wire.untilClosed()
  t.equal(wire.received.length, 0, `${what}: nothing behind the answer`)
  t.equal(app.websockets.size, 0, what)
  t.strictSame(reached.splice(0), [], what)
  return response
}

async function allRefused (t: Test, cases: Readonly<Record<string, RequestOptions>>, status: number): Promise<void> {
  for (const [what, options] of Object.entries(cases)) t.equal((await refusal(t, options, what)).statusCode, status, what)
}

/** A field with each of these values. */
function each (field: string, values: readonly string[], path = '/'): Record<string, RequestOptions> {
  return Object.fromEntries(values.map((value) => [`${field}: ${value}`, { path, headers: { [field]: value } }]))
}

/** The head of an answer that agrees, octet for octet. */
async function agreed (headers: Headers = {}, path = '/'): Promise<string> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path, headers }))
  await wire.until(() => wire.received.includes('\r\n\r\n'), 'the head of an answer')
  const head = wire.received.toString('latin1', 0, wire.received.indexOf('\r\n\r\n') + 4)
  wire.close(1000)
  await wire.untilClosed()
  reached.length = 0
  return head
}

function linesOf (head: string, name: string): string[] {
  return head.split('\r\n').filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
}

t.test('§4.2.1 a handshake that does not match MUST be answered with an HTTP error and not be processed further', async (t) => {
  const wrong: Record<string, RequestOptions> = {
    'a space in a subprotocol': { path: '/optional', headers: { 'Sec-WebSocket-Protocol': 'chat.v1, a b' } },
    'no key': { headers: { 'Sec-WebSocket-Key': null } },
    'no Host': { headers: { Host: null } },
    'a body': { headers: { 'Content-Length': '5' }, body: 'hello' }
  }
  await allRefused(t, wrong, 400)
  t.match((await refusal(t, { headers: { 'Sec-WebSocket-Key': 'short' } }, 'a short key')).headers, { connection: /close/ })
})

t.test('§4.2.1, 1: a request that is no GET of HTTP/1.1 MUST be refused', async (t) => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) await refusal(t, { method }, method)
  // Of the answer to a HEAD there is only the head.
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ method: 'HEAD' }))
  t.match(await requestHead(wire), /^HTTP\/1\.1 4\d\d /)
  await wire.untilClosed()
  for (const version of ['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2']) await refusal(t, { version }, version)
})

t.test('§4.2.1, 2: a Host field that is missing, repeated or none MUST be refused', async (t) => {
  await allRefused(t, {
    'no Host': { headers: { Host: null } },
    'two Hosts': { headers: { Host: ['localhost', 'localhost'] } },
    ...each('Host', ['', 'a b', 'localhost:x', 'localhost:70000', 'user@localhost', 'localhost/x', '[::1'])
  }, 400)
})

t.test('§4.2.1, 3: Upgrade without "websocket" MUST be refused, in any case it is taken', async (t) => {
  await refusal(t, { headers: { Upgrade: 'websocket/13' } }, 'another version')
  await refusal(t, { headers: { Upgrade: 'websockets' } }, 'something like it')
  for (const Upgrade of [null, 'h2c']) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ headers: { Upgrade } }))
    t.equal((await wire.response()).statusCode, 426, `Upgrade: ${Upgrade}`)
    wire.end()
    await wire.untilClosed()
  }
  t.strictSame(reached, [])
  for (const Upgrade of ['websocket', 'WebSocket', 'WEBSOCKET', 'h2c, websocket']) t.match(await agreed({ Upgrade }), /^HTTP\/1.1 101 /, Upgrade)
})

t.test('§4.2.1, 4: Connection without "Upgrade" MUST be refused, in any case it is taken', async (t) => {
  for (const Connection of [null, 'keep-alive', 'Upgraded']) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ headers: { Connection } }))
    t.equal((await wire.response()).statusCode, 426, `Connection: ${Connection}`)
    wire.end()
    await wire.untilClosed()
  }
  t.strictSame(reached, [])
  for (const Connection of ['Upgrade', 'upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'keep-alive,upgrade']) t.match(await agreed({ Connection }), /^HTTP\/1.1 101 /, Connection)
})

t.test('§4.2.1, 5: a key that is not 16 bytes in base64 MUST be refused', async (t) => {
  const bytes = (length: number): string => Buffer.alloc(length, 1).toString('base64')
  await allRefused(t, {
    'no key': { headers: { 'Sec-WebSocket-Key': null } },
    ...each('Sec-WebSocket-Key', ['', bytes(15), bytes(17), bytes(20), bytes(16).slice(0, -2), bytes(16).slice(0, -1), `${bytes(16)}=`, 'dGhlIHNhbXBsZSBub25jZ-==', 'dGhlIHNhbXBsZSBub25j!Q==', 'dGhlIHNh bXBsZSBub25jZQ==', `${SAMPLE_KEY}, ${SAMPLE_KEY}`])
  }, 400)
  for (const key of [SAMPLE_KEY, Buffer.alloc(16, 0xff).toString('base64'), 'AQIDBAUGBwgJCgsMDQ4PEC==']) t.match(await agreed({ 'Sec-WebSocket-Key': key }), /^HTTP\/1.1 101 /, key)
})

t.test('§4.2.1, 6: a version other than 13 MUST be refused', async (t) => {
  await allRefused(t, {
    'no version': { headers: { 'Sec-WebSocket-Version': null } },
    ...each('Sec-WebSocket-Version', ['', '0', '7', '8', '12', '14', '25', '013', '0xd', '13.0', '+13', '13, 13', 'thirteen'])
  }, 426)
})

t.test('§4.2.1, 8: a Sec-WebSocket-Protocol that is no list of tokens, all unique, MUST be refused', async (t) => {
  // On a route that would do with none of them, and has one.
  const wrong = ['', ',', 'a b', 'a;b', 'a/b', '"a"', '(b)', 'a@b', 'caf\xe9']
  await allRefused(t, each('Sec-WebSocket-Protocol', [...wrong, ...wrong.slice(2).map((value) => `chat.v1, ${value}`), 'chat.v1, chat.v1', 'chat.v1, a, a'], '/optional'), 400)
  t.match(await agreed({ 'Sec-WebSocket-Protocol': 'chat.v1, a' }, '/optional'), /^HTTP\/1.1 101 /)
})

t.test('§4.2.1, 9: a Sec-WebSocket-Extensions that breaks its grammar MUST be refused', async (t) => {
  await allRefused(t, each('Sec-WebSocket-Extensions', ['', ',', 'a b', '; a', 'a;', 'a; =b', 'a; b=', 'a; b="c', 'a/b', 'caf\xe9', 'a, b c']), 400)
})

t.test('§4.2.2 a server MUST send its whole answer before anything else', async (t) => {
  const wire = await Wire.connect(port)
  wire.write(Buffer.concat([Buffer.from(upgradeRequest({ path: '/greets' })), framesTo('server').ping('early')]))
  await wire.until(() => wire.received.includes('early'), 'a pong')
  const end = wire.received.indexOf('\r\n\r\n') + 4
  t.match(wire.received.toString('latin1', 0, end), /^HTTP\/1\.1 101 [^\r]*\r\n(?:[\w-]+: [^\r]*\r\n)+\r\n$/)
  t.strictSame(readFrames(wire.received.subarray(end)).map(describe), ['text "hello"', 'pong "early"'])
  wire.close(1000)
  await wire.untilClosed()
})

t.test('§4.2.2, 1: on an HTTPS port all communication MUST run through the TLS tunnel', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'rfc-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = (name: string): string => join(directory, name)
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', file('key'), '-out', file('cert')], { stdio: 'ignore' })
  const secure = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(`${data}, said in secret`, { binary: false }) }) })
  }, {}, { https: { key: readFileSync(file('key')), cert: readFileSync(file('cert')) } })

  // What goes over TCP is seen here, on its way through.
  const outside: Buffer[] = []
  const relay = createServer((near) => {
    const far = connectTcp({ port: secure.port, host: '127.0.0.1' })
    for (const end of [near, far]) end.on('data', (chunk) => { outside.push(chunk) })
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.teardown(() => { relay.close() })
  const tls = connectTls({ port: (relay.address() as AddressInfo).port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(tls, 'secureConnect')
  const wire = new Wire(tls)
  wire.write(upgradeRequest())
  t.equal((await wire.response()).statusCode, 101)
  wire.text('hello')
  t.strictSame(await wire.lines(1), ['text "hello, said in secret"'])
  wire.close(1000)
  t.strictSame(await wire.lines(1), ['close 1000 ""'])
  await wire.untilClosed()
  const all = Buffer.concat(outside)
  t.ok(all.length > 0)
  t.notOk(all.includes('HTTP/1.1') || all.includes('secret'), 'nothing is readable outside the tunnel')

  const plain = await Wire.connect(secure.port)
  plain.write(upgradeRequest())
  await plain.untilClosed()
  t.notOk(plain.received.includes('101 Switching'), 'and outside of it nobody answers')
})

t.test('§4.2.2, 4, /origin/: a server that does not accept an origin MUST answer an HTTP error and abort', async (t) => {
  for (const Origin of ['http://evil.example', 'null', 'https://localhost.evil.example']) {
    t.equal((await refusal(t, { headers: { Origin } }, Origin)).statusCode, 403)
  }
})

t.test('§4.2.2, 4, /version/: a version that is not understood MUST be answered with an error and Sec-WebSocket-Version', async (t) => {
  for (const version of ['8', '14']) {
    const response = await refusal(t, { headers: { 'Sec-WebSocket-Version': version } }, version)
    t.equal(response.statusCode, 426)
    t.equal(response.headers['sec-websocket-version'], '13')
  }
})

t.test('§4.2.2, 4, /resource name/: a service that is not available MUST be answered with an HTTP error', async (t) => {
  t.equal((await refusal(t, { path: '/nowhere' }, 'no route')).statusCode, 404)
})

t.test('§4.2.2, 4, /subprotocol/: the value MUST be one of those that the client sent', async (t) => {
  const chosen = async (offer: string | null): Promise<string[]> => linesOf(await agreed({ 'Sec-WebSocket-Protocol': offer }, '/optional'), 'sec-websocket-protocol')
  t.strictSame(await chosen('other, chat.v1'), ['sec-websocket-protocol: chat.v1'])
  t.strictSame(await chosen(null), [], 'nothing is chosen where nothing was offered')
  t.match(await agreed({ 'Sec-WebSocket-Protocol': 'chat.v2, chat.v1' }, '/chat'), /\r\nsec-websocket-protocol: chat\.v2\r\n/i)
  t.equal((await refusal(t, { path: '/chat', headers: { 'Sec-WebSocket-Protocol': 'CHAT.V1' } }, 'another case')).statusCode, 400)
})

t.test('§4.2.2, 4, /subprotocol/: a server that agrees to none MUST NOT send Sec-WebSocket-Protocol', async (t) => {
  t.strictSame(linesOf(await agreed(), 'sec-websocket-protocol'), [])
  for (const path of ['/', '/chat', '/optional']) {
    const { headers } = await refusal(t, { path, headers: { 'Sec-WebSocket-Protocol': 'other' } }, path)
    t.notOk('sec-websocket-protocol' in headers, path)
  }
})

t.test('§4.2.2, 5: a server that accepts MUST reply with a valid HTTP response', async (t) => {
  const head = await agreed({ 'Sec-WebSocket-Protocol': 'chat.v1' }, '/chat')
  const [statusLine, ...rest] = head.split('\r\n')
  t.match(statusLine, /^HTTP\/1\.1 \d{3} [\x20-\x7e]*$/)
  t.strictSame(rest.splice(-2), ['', ''], 'the head ends with an empty line')
  for (const line of rest) t.match(line, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\x20-\x7e]*$/, 'a field')
  for (const name of ['content-length', 'transfer-encoding']) t.strictSame(linesOf(head, name), [], 'RFC 9110 §8.6, RFC 9112 §6.1: none of a body')
})

t.test('§4.2.2, 5.1: its status line MUST have the code 101', async (t) => {
  t.match(await agreed(), /^HTTP\/1\.1 101 Switching Protocols\r\n/)
})

t.test('§4.2.2, 5.2: it MUST have an Upgrade field with the value "websocket"', async (t) => {
  t.match(linesOf(await agreed(), 'upgrade'), [/^upgrade: websocket$/i])
})

t.test('§4.2.2, 5.3: it MUST have a Connection field with the value "Upgrade"', async (t) => {
  t.match(linesOf(await agreed(), 'connection'), [/^connection: upgrade$/i])
})

t.test('§4.2.2, 5.4: it MUST have a Sec-WebSocket-Accept made of the key', async (t) => {
  t.match(linesOf(await agreed(), 'sec-websocket-accept'), [new RegExp(`: ${SAMPLE_ACCEPT.replace('+', '\\+')}$`)])
  for (const octet of [0, 1, 0x7f, 0xff]) {
    const key = Buffer.alloc(16, octet).toString('base64')
    t.equal(linesOf(await agreed({ 'Sec-WebSocket-Key': `  ${key}  ` }), 'sec-websocket-accept')[0]?.split(': ')[1], acceptOf(key))
  }
})

t.test('§4.3 a quoted value in a request MUST be a token once it is unescaped', async (t) => {
  await allRefused(t, each('Sec-WebSocket-Extensions', ['x; a=""', 'x; a="b c"', 'x; a="b,c"', 'x; a="b\\"c"', 'x; a="\\;"', 'x; a="caf\xe9"']), 400)
  for (const value of ['x; a="b"', 'x; a="\\b\\c"']) t.match(await agreed({ 'Sec-WebSocket-Extensions': value }), /^HTTP\/1.1 101 /, value)
})

t.test('§4.4 a server that does not support the version MUST name all versions that it does', async (t) => {
  for (const headers of [{ 'Sec-WebSocket-Version': '25' }, { 'Sec-WebSocket-Version': null }, { 'Sec-WebSocket-Version': '8', 'Sec-WebSocket-Key': null }] satisfies Headers[]) {
    t.equal((await refusal(t, { headers }, JSON.stringify(headers))).headers['sec-websocket-version'], '13')
  }
})

t.test('§7.2.2 a server that aborts the handshake MUST close the connection', async (t) => {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ headers: { 'Sec-WebSocket-Key': 'short' } }))
  await wire.response()
  // The client has not ended its side.
  await wire.untilEnd()
  await wire.untilClosed()
  t.equal(app.websockets.size, 0)
})

t.test('§8.1 octets of a request that are to be UTF-8 and are not MUST fail the handshake', async (t) => {
  for (const octets of ['\x80', '\xc3\x28', '\xff\xfe', 'caf\xe9']) {
    await allRefused(t, each('Sec-WebSocket-Protocol', [octets, `chat.v1, ${octets}`], '/optional'), 400)
    await allRefused(t, each('Sec-WebSocket-Extensions', [octets]), 400)
  }
})

t.test('§9.1 a server that gets a malformed Sec-WebSocket-Extensions MUST fail the connection at once', async (t) => {
  await allRefused(t, each('Sec-WebSocket-Extensions', ['permessage-deflate; =', 'permessage-deflate client_max_window_bits', 'permessage-deflate, ;', '"permessage-deflate"']), 400)
  await allRefused(t, { 'in the second of two fields': { headers: { 'Sec-WebSocket-Extensions': ['x', 'y z'] } } }, 400)
})

t.test('§11.3.1 a request in which Sec-WebSocket-Key appears more than once MUST be refused', async (t) => {
  await allRefused(t, {
    'the same twice': { headers: { 'Sec-WebSocket-Key': [SAMPLE_KEY, SAMPLE_KEY] } },
    'two of them': { headers: { 'Sec-WebSocket-Key': [SAMPLE_KEY, Buffer.alloc(16).toString('base64')] } }
  }, 400)
})

t.test('§11.3.3 Sec-WebSocket-Accept MUST NOT appear more than once in an answer', async (t) => {
  t.equal(linesOf(await agreed({ 'Sec-WebSocket-Protocol': 'chat.v1' }, '/chat'), 'sec-websocket-accept').length, 1)
})

t.test('§11.3.4 Sec-WebSocket-Protocol MUST NOT appear more than once in an answer', async (t) => {
  t.equal(linesOf(await agreed({ 'Sec-WebSocket-Protocol': ['chat.v1', 'chat.v2'] }, '/chat'), 'sec-websocket-protocol').length, 1)
})

t.test('§11.3.5 a request in which Sec-WebSocket-Version appears more than once MUST be refused', async (t) => {
  await allRefused(t, {
    'the same twice': { headers: { 'Sec-WebSocket-Version': ['13', '13'] } },
    'two of them': { headers: { 'Sec-WebSocket-Version': ['13', '8'] } }
  }, 426)
})
