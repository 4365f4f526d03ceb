import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { connect, type ConnectOptions, type Connected, type Refused } from '../../lib/client/connect.ts'
import { HandshakeError } from '../../lib/protocol/errors.ts'
import { memoryPair, type MemoryDuplex } from '../../lib/transport/memory.ts'

/** A server that answers the head of a request with what `answer` returns, octet for octet. */
function serve (answer: (head: string, end: MemoryDuplex) => string | undefined): MemoryDuplex {
  const [client, end] = memoryPair()
  let head = ''
  end.on('error', () => {})
  end.on('data', (piece) => {
    if (head.endsWith('\r\n\r\n')) return
    head += piece
    if (!head.endsWith('\r\n\r\n')) return
    const bytes = answer(head, end)
    if (bytes !== undefined) end.write(bytes, 'latin1')
  })
  return client
}

function field (head: string, name: string): string | undefined {
  return head.split('\r\n').find((line) => line.toLowerCase().startsWith(`${name}: `))?.slice(name.length + 2)
}

/** RFC 6455 §4.2.2, 5.4. */
function accept (head: string): string {
  return createHash('sha1').update(`${field(head, 'sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

function agree (head: string, ...fields: string[]): string {
  return ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept(head)}`, ...fields, '', ''].join('\r\n')
}

async function accepted (answer: Promise<Connected | Refused>): Promise<Connected> {
  const result = await answer
  if (!result.accepted) throw new Error(`refused with ${result.statusCode}`)
  return result
}

async function refused (answer: Promise<Connected | Refused>): Promise<Refused> {
  const result = await answer
  if (result.accepted) throw new Error('accepted')
  return result
}

/** It rejects, and of the connection nothing is left. */
async function fails (t: Test, client: MemoryDuplex, options: ConnectOptions, error: Partial<Record<keyof any, any>>): Promise<void> {
  await t.rejects(connect(client, options), error as Error)
  t.ok(client.destroyed)
}

t.test('the request is that of RFC 6455, and the answer says what was agreed', async (t) => {
  let request = ''
  const client = serve((head) => {
    request = head
    return agree(head, 'Sec-WebSocket-Protocol: b', 'X-Own: yes')
  })
  const answer = await accepted(connect(client, { path: '/chat?room=1', headers: { host: 'localhost' }, subprotocols: ['a', 'b'] }))
  t.match(answer, { accepted: true, subprotocol: 'b', extensions: '', headers: { 'x-own': 'yes' } })
  t.equal(answer.head.length, 0)

  t.ok(request.startsWith('GET /chat?room=1 HTTP/1.1\r\n'))
  t.equal(field(request, 'host'), 'localhost')
  t.equal(field(request, 'upgrade'), 'websocket')
  t.equal(field(request, 'connection'), 'Upgrade')
  t.equal(field(request, 'sec-websocket-version'), '13')
  t.equal(field(request, 'sec-websocket-protocol'), 'a, b')
  t.equal(field(request, 'origin'), undefined)
})

t.test('what comes behind the answer is handed over, and what comes later stays in the stream', async (t) => {
  const client = serve((head, end) => {
    setImmediate(() => end.write('later'))
    return `${agree(head)}behind`
  })
  const { head } = await accepted(connect(client, { path: '/' }))
  t.equal(head.toString(), 'behind')
  t.equal(client.listenerCount('data'), 0)
  t.equal(client.listenerCount('end'), 0)
  t.ok(client.listenerCount('error') > 0)
  t.equal(String((await once(client, 'data'))[0]), 'later')
})

t.test('fields of the caller are sent as they are, and replace those of the handshake', async (t) => {
  let request = ''
  const client = serve((head) => {
    request = head
    return agree(head, 'Sec-WebSocket-Protocol: own')
  })
  const headers = { Host: 'example.com:8080', 'X-List': ['one', 'two'], 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol': 'own, other' }
  const { subprotocol } = await accepted(connect(client, { path: '/', headers, subprotocols: ['mine'] }))
  t.equal(subprotocol, 'own')
  t.equal(field(request, 'host'), 'example.com:8080')
  t.equal(request.match(/^x-list: (one|two)\r$/gim)?.length, 2)
  t.equal(request.match(/^sec-websocket-key: /gim)?.length, 1)
  t.equal(field(request, 'sec-websocket-key'), 'dGhlIHNhbXBsZSBub25jZQ==')
  t.equal(field(request, 'sec-websocket-protocol'), 'own, other')
})

t.test('extensions are offered and agreed to as they are', async (t) => {
  const client = serve((head) => agree(head, `Sec-WebSocket-Extensions: ${field(head, 'sec-websocket-extensions')}`))
  const { extensions } = await accepted(connect(client, { path: '/', extensions: 'x-own; level=2' }))
  t.equal(extensions, 'x-own; level=2')
})

t.test('an answer is judged by the extensions that were sent, the caller\'s own among them', async (t) => {
  const agreeing = () => serve((head) => agree(head, 'Sec-WebSocket-Extensions: x-own'))
  const headers = { 'Sec-WebSocket-Extensions': ['x-other', 'x-own'] }
  t.equal((await accepted(connect(agreeing(), { path: '/', headers }))).extensions, 'x-own')
  t.equal((await accepted(connect(agreeing(), { path: '/', headers, extensions: 'x-offered' }))).extensions, 'x-own')
  for (const value of ['x-other', '=', '']) {
    await t.rejects(connect(agreeing(), { path: '/', headers: { 'sec-websocket-extensions': value }, extensions: 'x-own' }), { name: 'HandshakeError' }, `'${value}'`)
  }
})

t.test('informational answers before the 101 are passed over', async (t) => {
  const client = serve((head) => `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${agree(head)}`)
  t.ok(await accepted(connect(client, { path: '/' })))
})

t.test('any other status is a refusal, its body read to the end', async (t) => {
  const body = 'x'.repeat(300_000)
  const client = serve(() => `HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
  const answer = await refused(connect(client, { path: '/' }))
  t.match(answer, { statusCode: 401, headers: { 'www-authenticate': 'Basic' } })
  t.equal(answer.body.toString(), body)
})

t.test('a redirect is a refusal', async (t) => {
  const client = serve(() => 'HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n')
  t.match(await refused(connect(client, { path: '/' })), { statusCode: 302, headers: { location: '/there' } })
})

t.test('a server that knows no upgrade answers as to any request, and the connection ends', async (t) => {
  const server = createServer((request: IncomingMessage, response) => { response.end(`plain ${request.url}`) })
  const [client, end] = memoryPair()
  server.emit('connection', end)
  const answer = await refused(connect(client, { path: '/page' }))
  t.equal(answer.statusCode, 200)
  t.equal(answer.body.toString(), 'plain /page')
  await Promise.all([client, end].map((end) => end.closed || once(end, 'close')))
})

t.test('a 101 that breaks a rule is an error', async (t) => {
  const wrong = (change: (answer: string) => string): MemoryDuplex => serve((head) => change(agree(head)))
  await fails(t, wrong((answer) => answer.replace('Upgrade: websocket\r\n', '')), { path: '/' }, HandshakeError)
  await fails(t, wrong((answer) => answer.replace('websocket', 'h2c')), { path: '/' }, HandshakeError)
  await fails(t, wrong((answer) => answer.replace(/Accept: .*/, 'Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')), { path: '/' }, { statusCode: 101, message: /key/ })
  await fails(t, wrong((answer) => answer.replace('Connection', 'Sec-WebSocket-Protocol: x\r\nConnection')), { path: '/' }, { message: /not offered/ })
})

t.test('a malformed list in place of the subprotocols offers none', async (t) => {
  const client = serve((head) => agree(head, 'Sec-WebSocket-Protocol: a'))
  await fails(t, client, { path: '/', headers: { 'sec-websocket-protocol': 'a b' } }, { message: /not offered/ })
})

t.test('what is no HTTP is an error', async (t) => {
  await fails(t, serve(() => 'SSH-2.0-OpenSSH\r\n\r\n'), { path: '/' }, { code: /^HPE_/ })
})

t.test('a connection that is lost is an error, whenever it is lost', async (t) => {
  await fails(t, serve((_head, end) => { end.destroy(); return undefined }), { path: '/' }, { code: 'ECONNRESET' })
  await fails(t, serve((_head, end) => { end.end(); return undefined }), { path: '/' }, { code: 'ECONNRESET' })
  const halfABody = serve((_head, end) => {
    end.end('HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nhalf')
    return undefined
  })
  await fails(t, halfABody, { path: '/' }, { code: 'ECONNRESET' })
})

t.test('the signal ends it with its reason, before, during and in the middle of an answer', async (t) => {
  const reason = new Error('enough')
  await fails(t, serve((head) => agree(head)), { path: '/', signal: AbortSignal.abort(reason) }, reason)

  const silent = new AbortController()
  await fails(t, serve(() => { silent.abort(reason); return undefined }), { path: '/', signal: silent.signal }, reason)

  const slow = new AbortController()
  const halfABody = serve(() => {
    setImmediate(() => setImmediate(() => slow.abort(reason)))
    return 'HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nhalf'
  })
  await fails(t, halfABody, { path: '/', signal: slow.signal }, reason)
})

t.test('the signal does nothing to a connection that is established', async (t) => {
  const controller = new AbortController()
  const client = serve((head) => agree(head))
  await accepted(connect(client, { path: '/', signal: controller.signal }))
  controller.abort()
  await new Promise((resolve) => { setImmediate(resolve) })
  t.notOk(client.destroyed)
})

t.test('an error right behind the answer ends nothing but the connection', async (t) => {
  const client = serve((head, end) => {
    setImmediate(() => end.destroy())
    return agree(head)
  })
  await accepted(connect(client, { path: '/' }))
  if (!client.closed) await new Promise((resolve) => { client.once('close', resolve) })
  t.match(client.errored, { code: 'ECONNRESET' })
})

t.test('what cannot be sent is a TypeError', async (t) => {
  await fails(t, serve((head) => agree(head)), { path: '/a b' }, TypeError)
  await fails(t, serve((head) => agree(head)), { path: '/', subprotocols: ['a b'] }, TypeError)
  await fails(t, serve((head) => agree(head)), { path: '/', headers: { 'x-line': 'one\r\ntwo' } }, TypeError)
})
