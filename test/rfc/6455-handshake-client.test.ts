/**
 * RFC 6455 §3, §4.1, §4.3, §9.1 and §11.3: what binds a client before the connection is open. The server is written by
 * hand, and answers right or wrong.
 */
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { connect, type Connected, type ConnectOptions, type Refused } from '../../lib/client/connect.ts'
import { HandshakeError } from '../../lib/protocol/errors.ts'
import { bareApp } from '../helpers/app.ts'
import { SAMPLE_ACCEPT, type Wire } from '../helpers/wire.ts'
import duplexPlugin from '../../index.ts'
import { accepted, agreement, closeCleanly, fieldsOf, Listener, openClient, requestHead } from './endpoints.ts'

const listener = await Listener.start(t)

interface Asked {
  readonly duplex: Socket
  readonly wire: Wire
  readonly answer: Promise<Connected | Refused>
  /** The request, octet for octet. */
  readonly head: string
}

async function ask (options: Partial<ConnectOptions> = {}): Promise<Asked> {
  const { duplex, wire } = await listener.connect()
  const answer = connect(duplex, { path: '/chat', headers: { host: 'example.com:8080' }, ...options })
  answer.catch(() => {})
  return { duplex, wire, answer, head: await requestHead(wire) }
}

/** The head of a request; its connection is dropped. */
async function requested (options: Partial<ConnectOptions> = {}): Promise<string> {
  const { duplex, wire, head } = await ask(options)
  duplex.destroy()
  wire.destroy()
  return head
}

/** It must fail the connection: it rejects, nothing but the request was sent, and the TCP connection is gone. */
async function fails (t: Test, answer: (head: string) => string, what: string, options: Partial<ConnectOptions> = {}): Promise<void> {
  const asked = await ask(options)
  asked.wire.write(Buffer.from(answer(asked.head), 'latin1'))
  await t.rejects(asked.answer, HandshakeError, what)
  t.ok(asked.duplex.destroyed, what)
  await asked.wire.untilEnd()
  t.equal(asked.wire.received.length, 0, `${what}: nothing was sent`)
  asked.wire.destroy()
}

/** A right answer in which one field has another value, or is missing, or stands twice. */
function withField (name: string, ...values: string[]): (head: string) => string {
  return (head) => {
    const lines = agreement(head).split('\r\n').filter((line) => !line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    lines.splice(1, 0, ...values.map((value) => `${name}: ${value}`))
    return lines.join('\r\n')
  }
}

async function allFail (t: Test, name: string, values: ReadonlyArray<readonly string[]>, options: Partial<ConnectOptions> = {}): Promise<void> {
  for (const list of values) await fails(t, withField(name, ...list), `${name}: ${JSON.stringify(list)}`, options)
}

/** It must go on: the counterpart of a test of what fails. */
async function agrees (t: Test, answer: (head: string) => string, what: string, options: Partial<ConnectOptions> = {}): Promise<void> {
  const asked = await ask(options)
  asked.wire.write(answer(asked.head))
  t.ok((await asked.answer).accepted, what)
  asked.duplex.destroy()
  asked.wire.destroy()
}

/** The request targets that arrive at an application with these paths and options of its test client. */
async function injected (t: Test, path: string, options: { query?: Record<string, string> } = {}): Promise<string> {
  const { app } = bareApp(t)
  let target = ''
  await app.register(duplexPlugin)
  app.get('/*', { websocket: true }, (_socket, request) => { target = request.raw.url! })
  const socket = await app.injectWebSocket(path, options)
  socket.terminate()
  return target
}

t.test('§3 a fragment identifier MUST NOT be used', async (t) => {
  const target = await injected(t, '/chat#part').catch(() => 'refused')
  t.notMatch(target, /#/)
  const { duplex } = await listener.connect()
  const answer = connect(duplex, { path: '/chat#part', headers: { host: 'localhost' } })
  setImmediate(() => duplex.destroy())
  await t.rejects(answer, TypeError)
})

t.test('§3 a "#" that begins no fragment MUST be escaped as %23', async (t) => {
  t.equal(await injected(t, '/chat', { query: { 'a#b': 'c#d' } }), '/chat?a%23b=c%23d')
})

t.test('§4.1 a client MUST send an opening handshake and read the answer', async (t) => {
  const { head, wire, answer, duplex } = await ask({ subprotocols: ['chat'] })
  t.match(head, /^GET /)
  wire.write(agreement(head, ['Sec-WebSocket-Protocol: chat', 'X-Own: yes']))
  t.match(await answer, { accepted: true, subprotocol: 'chat', headers: { 'x-own': 'yes' } })
  duplex.destroy()
})

t.test('§4.1, 1: the components of the URI MUST be valid, or the connection MUST fail', async (t) => {
  for (const path of ['/a b', '/a\tb', '/a\r\nX: y', '/\u{1f600}', '/caf\xe9', '/a\x7f']) {
    const { duplex, wire } = await listener.connect()
    const answer = connect(duplex, { path, headers: { host: 'localhost' } })
    // A client that sends it waits for an answer.
    wire.until(() => wire.received.length > 0).then(() => duplex.destroy(), () => {})
    await t.rejects(answer, TypeError, JSON.stringify(path))
    t.ok(duplex.destroyed, JSON.stringify(path))
    await wire.untilEnd()
    t.equal(wire.received.length, 0, `${JSON.stringify(path)}: nothing was sent`)
    wire.destroy()
  }
})

t.test('§4.1, 4: a client whose connection could not be opened MUST fail', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const duplex = connectTcp({ port, host: '127.0.0.1' })
  await t.rejects(connect(duplex, { path: '/', headers: { host: 'localhost' } }), { code: 'ECONNREFUSED' })
  t.ok(duplex.destroyed)
})

t.test('§4.1 once there is a connection, the client MUST send its handshake', async (t) => {
  // The server has said nothing.
  const head = await requested()
  t.match(head, /^GET \/chat HTTP\/1\.1\r\n(?:[\w-]+: [\x20-\x7e]+\r\n)+\r\n$/)
})

t.test('§4.1, 1: the handshake MUST be a valid HTTP request', async (t) => {
  const server = createHttpServer({ insecureHTTPParser: false, requireHostHeader: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const duplex = connectTcp((server.address() as AddressInfo).port, '127.0.0.1')
  const answer = connect(duplex, { path: '/chat?room=1', headers: { host: 'localhost' }, subprotocols: ['a', 'b'], extensions: 'x; y=1' })
  const [request, socket] = await once(server, 'upgrade') as [IncomingMessage, Socket]
  t.match(request, {
    method: 'GET',
    url: '/chat?room=1',
    httpVersion: '1.1',
    headers: { host: 'localhost', upgrade: 'websocket', 'sec-websocket-protocol': 'a, b', 'sec-websocket-extensions': 'x; y=1' }
  })
  for (const name of ['content-length', 'transfer-encoding']) t.notOk(name in request.headers, 'no body')
  socket.destroy()
  await t.rejects(answer)
})

t.test('§4.1, 2: the method MUST be GET, and the version of HTTP at least 1.1', async (t) => {
  t.match(await requested(), /^GET [^ ]+ HTTP\/1\.1\r\n/)
})

t.test('§4.1, 3: the request target MUST match the resource name', async (t) => {
  for (const path of ['/', '/chat', '/chat?room=1&x=%23', '/a/b/c%20d?', '/%C3%A9']) t.equal((await requested({ path })).split(' ')[1], path)
})

t.test('§4.1, 4: the request MUST contain Host', async (t) => {
  t.strictSame(fieldsOf(await requested(), 'Host'), ['example.com:8080'])
  t.equal(fieldsOf(await requested({ headers: {} }), 'Host').length, 1, 'even where none is given')
})

t.test('§4.1, 5: the request MUST contain Upgrade with "websocket"', async (t) => {
  t.strictSame(fieldsOf(await requested(), 'Upgrade'), ['websocket'])
})

t.test('§4.1, 6: the request MUST contain Connection with "Upgrade"', async (t) => {
  t.strictSame(fieldsOf(await requested(), 'Connection'), ['Upgrade'])
})

t.test('§4.1, 7: the request MUST include Sec-WebSocket-Key', async (t) => {
  t.equal(fieldsOf(await requested(), 'Sec-WebSocket-Key').length, 1)
})

t.test('§4.1, 7: the key MUST be 16 bytes in base64', async (t) => {
  const [key] = fieldsOf(await requested(), 'Sec-WebSocket-Key')
  t.match(key, /^[A-Za-z0-9+/]{22}==$/)
  t.equal(Buffer.from(key!, 'base64').length, 16)
  t.equal(Buffer.from(key!, 'base64').toString('base64'), key)
})

t.test('§4.1, 7: the key MUST be selected randomly for each connection', async (t) => {
  const keys: Buffer[] = []
  for (let i = 0; i < 32; i++) keys.push(Buffer.from(fieldsOf(await requested(), 'Sec-WebSocket-Key')[0]!, 'base64'))
  // At no place do all keys have the same octet: by chance that happens once in 2^248 times.
  for (let i = 0; i < 16; i++) t.ok(new Set(keys.map((key) => key[i])).size > 1, `octet ${i}`)
  t.equal(new Set(keys.map((key) => key.toString('hex'))).size, keys.length)
})

t.test('§4.1, 9: the request MUST include Sec-WebSocket-Version', async (t) => {
  t.equal(fieldsOf(await requested(), 'Sec-WebSocket-Version').length, 1)
})

t.test('§4.1, 9: the version MUST be 13', async (t) => {
  t.strictSame(fieldsOf(await requested(), 'Sec-WebSocket-Version'), ['13'])
})

t.test('§4.1, 10: subprotocols MUST be tokens, and all unique', async (t) => {
  t.strictSame(fieldsOf(await requested({ subprotocols: ['b', 'a', "!#$%&'*+-.^_`|~09"] }), 'Sec-WebSocket-Protocol'), ["b, a, !#$%&'*+-.^_`|~09"])
  t.strictSame(fieldsOf(await requested({ subprotocols: [] }), 'Sec-WebSocket-Protocol'), [])
  for (const subprotocols of [[''], ['a', ''], ['a b'], ['a,b'], ['caf\xe9'], ['a\x00'], ['a\r\nX: y'], ...[...'()<>@,;:\\"/[]?={} \t\x7f'].map((separator) => [`a${separator}b`]), ['a', 'b', 'a']]) {
    const { duplex, wire } = await listener.connect()
    await t.rejects(connect(duplex, { path: '/', subprotocols }), TypeError, JSON.stringify(subprotocols))
    await wire.untilEnd()
    t.equal(wire.received.length, 0, 'nothing was sent')
    wire.destroy()
  }
})

t.test('§4.1 a client MUST wait for the answer before it sends further data', async (t) => {
  const { head, wire, answer, duplex } = await ask()
  // Half of the answer is not the answer.
  const whole = agreement(head)
  for (const part of [whole.slice(0, 40), whole.slice(40, -1)]) {
    wire.write(part)
    while (duplex.bytesRead < whole.indexOf(part) + part.length) await once(duplex, 'data')
    await new Promise((resolve) => { setImmediate(resolve) })
    t.equal(wire.received.length, 0)
  }
  wire.write(whole.slice(-1))
  await accepted(answer)
  duplex.destroy()

  const endpoint = await openClient(listener)
  endpoint.socket.send('first')
  t.strictSame(await endpoint.wire.lines(1), ['text "first"'])
  await closeCleanly(endpoint)
})

t.test('§4.1 a client MUST validate the answer', async (t) => {
  await agrees(t, agreement, 'a right one')
  for (const status of ['200 OK', '400 Bad Request', '426 Upgrade Required', '500 Oops']) {
    const { head, wire, answer, duplex } = await ask()
    wire.write(agreement(head).replace('101 Switching Protocols', status).replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n'))
    t.match(await answer, { accepted: false, statusCode: Number(status.slice(0, 3)) }, `${status}: it is HTTP's`)
    duplex.destroy()
    wire.destroy()
  }
})

t.test('§4.1, 2: an answer without Upgrade, or with another value than "websocket", MUST fail the connection', async (t) => {
  await allFail(t, 'Upgrade', [[], [''], ['h2c'], ['websocket, h2c'], ['websocket/13'], ['websockets'], ['web socket'], ['websocket', 'websocket']])
  for (const value of ['websocket', 'WebSocket', 'WEBSOCKET']) await agrees(t, withField('Upgrade', value), value)
})

t.test('§4.1, 3: an answer without Connection, or without "Upgrade" in it, MUST fail the connection', async (t) => {
  await allFail(t, 'Connection', [[], [''], ['keep-alive'], ['close'], ['Upgraded'], ['Upgrade;x'], ['"Upgrade"']])
  for (const value of ['Upgrade', 'upgrade', 'UPGRADE', 'keep-alive, Upgrade']) await agrees(t, withField('Connection', value), value)
})

t.test('§4.1, 4: an answer without Sec-WebSocket-Accept, or with another one, MUST fail the connection', async (t) => {
  await allFail(t, 'Sec-WebSocket-Accept', [[], [''], [SAMPLE_ACCEPT], ['x']])
  const right = (head: string): string => agreement(head).match(/Accept: (.*)\r\n/)![1]!
  for (const change of [(accept: string) => accept.slice(0, -1), (accept: string) => `${accept}=`, (accept: string) => `"${accept}"`, (accept: string) => `${accept}, ${accept}`, (accept: string) => Buffer.from(accept, 'base64').toString('hex')]) {
    await fails(t, (head) => withField('Sec-WebSocket-Accept', change(right(head)))(head), String(change))
  }
  await fails(t, (head) => withField('Sec-WebSocket-Accept', fieldsOf(head, 'Sec-WebSocket-Key')[0]!)(head), 'the key itself')
  await agrees(t, (head) => withField('Sec-WebSocket-Accept', ` \t ${right(head)} \t `)(head), 'whitespace around it is ignored')
})

t.test('§4.1, 5: an answer with an extension that was not requested MUST fail the connection', async (t) => {
  await allFail(t, 'Sec-WebSocket-Extensions', [['permessage-deflate'], ['x']])
  await allFail(t, 'Sec-WebSocket-Extensions', [['permessage-deflate'], ['x, y'], ['X']], { extensions: 'x' })
  await agrees(t, withField('Sec-WebSocket-Extensions', 'x'), 'one that was', { extensions: 'x, y' })
})

t.test('§4.1, 6: an answer with a subprotocol that was not requested MUST fail the connection', async (t) => {
  await allFail(t, 'Sec-WebSocket-Protocol', [['chat'], ['']])
  await allFail(t, 'Sec-WebSocket-Protocol', [['chat'], ['A'], ['a, b'], ['a,'], ['"a"'], ['']], { subprotocols: ['a', 'b'] })
  await agrees(t, withField('Sec-WebSocket-Protocol', 'b'), 'one that was', { subprotocols: ['a', 'b'] })
})

t.test('§4.1 an answer that does not conform to §4.2.2 MUST fail the connection', async (t) => {
  const wrong: Record<string, (head: string) => string> = {
    'an empty list of extensions': withField('Sec-WebSocket-Extensions', ''),
    'a list of subprotocols': withField('Sec-WebSocket-Protocol', 'a, b'),
    'an empty subprotocol': withField('Sec-WebSocket-Protocol', ''),
    'two Accept fields': (head) => agreement(head).replace(/Sec-WebSocket-Accept: .*\r\n/, '$&$&')
  }
  for (const [what, answer] of Object.entries(wrong)) await fails(t, answer, what, { extensions: 'x', subprotocols: ['a', 'b'] })
  for (const garbage of ['SSH-2.0-OpenSSH_9.6\r\n', '220 mail.example ESMTP\r\n', 'HTTP/1.1 101\r\nUpgrade websocket\r\n\r\n', '\x81\x05Hello']) {
    const { wire, answer, duplex } = await ask()
    wire.write(Buffer.from(garbage, 'latin1'))
    await t.rejects(answer, { code: /^HPE_/ }, JSON.stringify(garbage))
    t.ok(duplex.destroyed)
    wire.destroy()
  }
})

t.test('§4.3 a quoted value in an answer MUST be a token once it is unescaped', async (t) => {
  await allFail(t, 'Sec-WebSocket-Extensions', [['x; a=""'], ['x; a="b c"'], ['x; a="b,c"'], ['x; a="b\\"c"'], ['x; a="b']], { extensions: 'x' })
  await agrees(t, withField('Sec-WebSocket-Extensions', 'x; a="b"'), 'a token in quotes', { extensions: 'x' })
  for (const extensions of ['x; a=""', 'x; a="b c"']) {
    const { duplex, wire } = await listener.connect()
    await t.rejects(connect(duplex, { path: '/', extensions }), TypeError, 'nor is it sent')
    wire.destroy()
  }
})

t.test('§7.2.1 a client that is to fail the connection during the handshake MUST close it', async (t) => {
  const { head, wire, answer, duplex } = await ask()
  wire.write(withField('Upgrade', 'h2c')(head))
  await t.rejects(answer, HandshakeError)
  t.ok(duplex.destroyed)
  await wire.untilEnd()
  wire.destroy()
})

t.test('§7.2.1 a client that loses the connection during the handshake MUST fail it', async (t) => {
  for (const lose of [(wire: Wire) => wire.end(), (wire: Wire) => (wire.duplex as Socket).resetAndDestroy()]) {
    const { wire, answer, duplex } = await ask()
    lose(wire)
    await t.rejects(answer, { code: 'ECONNRESET' })
    t.ok(duplex.destroyed)
    wire.destroy()
  }
})

t.test('§9.1 a client that gets a malformed Sec-WebSocket-Extensions MUST fail the connection at once', async (t) => {
  await allFail(t, 'Sec-WebSocket-Extensions', [[''], [','], ['x y'], ['x;'], ['x; =1'], ['x; a='], ['; a'], ['x/1'], ['x, y z'], ['caf\xe9']], { extensions: 'x, y' })
})

t.test('§11.1 what the URI excludes MUST be percent-encoded as UTF-8', async (t) => {
  t.equal(await injected(t, '/chat', { query: { café: 'é€ \u{1f600}' } }), '/chat?caf%C3%A9=%C3%A9%E2%82%AC+%F0%9F%98%80')
  const { app } = bareApp(t)
  let target = ''
  await app.register(duplexPlugin)
  const { defineWebSocketRoute, text } = await import('../../index.ts')
  const route = defineWebSocketRoute({ url: '/rooms/:name', messages: text() })
  app.get(route.url, route, (_socket, request) => { target = request.raw.url! })
  const socket = await app.injectWebSocket(route, { params: { name: 'caf\xe9 #1/\u{1f600}' } })
  socket.terminate()
  t.equal(target, '/rooms/caf%C3%A9%20%231%2F%F0%9F%98%80')
})

t.test('§11.3.1 Sec-WebSocket-Key MUST NOT appear more than once in a request', async (t) => {
  t.equal(fieldsOf(await requested({ headers: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', host: 'localhost' } }), 'Sec-WebSocket-Key').length, 1)
})

t.test('§11.3.2 an answer in which Sec-WebSocket-Extensions appears more than once MUST fail the connection', async (t) => {
  await allFail(t, 'Sec-WebSocket-Extensions', [['x', 'y'], ['x', 'x']], { extensions: 'x, y' })
})

t.test('§11.3.3 an answer in which Sec-WebSocket-Accept appears more than once MUST fail the connection', async (t) => {
  await fails(t, (head) => agreement(head).replace(/Sec-WebSocket-Accept: .*\r\n/, '$&$&'), 'the same twice')
  await fails(t, (head) => agreement(head).replace(/Sec-WebSocket-Accept: .*\r\n/, `$&Sec-WebSocket-Accept: ${SAMPLE_ACCEPT}\r\n`), 'the right one first')
})

t.test('§11.3.4 an answer in which Sec-WebSocket-Protocol appears more than once MUST fail the connection', async (t) => {
  await allFail(t, 'Sec-WebSocket-Protocol', [['a', 'a'], ['a', 'b']], { subprotocols: ['a', 'b'] })
})

t.test('§11.3.5 Sec-WebSocket-Version MUST NOT appear more than once in a request', async (t) => {
  t.equal(fieldsOf(await requested({ headers: { 'sec-websocket-version': '13', host: 'localhost' } }), 'Sec-WebSocket-Version').length, 1)
})
