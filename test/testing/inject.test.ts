import { Buffer } from 'node:buffer'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once, type EventEmitter } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createSecureServer, createServer as createH2cServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { mock } from 'node:test'
import type { Duplex } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import duplex, { defineWebSocketRoute, json, prepare, WebSocket } from '../../index.ts'
import { acceptHandshake, readHandshake } from '../../lib/handshake/server-handshake.ts'
import { openWebSocket, type OpenConnection } from '../../lib/socket/open.ts'
import { Ticker } from '../../lib/socket/ticker.ts'
import { Subprotocol } from '../../lib/subprotocol/subprotocol.ts'
import { injectWebSocket, type AnyInjectOptions, type InjectApp, type InjectedClient } from '../../lib/testing/inject.ts'
import { MemoryDuplex } from '../../lib/transport/memory.ts'
import type { DuplexOptions } from '../../types/options.ts'
import { frame, readFrames, type WireFrame } from '../helpers/frames.ts'

// Without the plugin: a server that does with an upgrade what a test wants.

type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

function appOf (server: EventEmitter, onUpgrade?: OnUpgrade): InjectApp {
  if (onUpgrade !== undefined) {
    server.on('upgrade', (request, socket: Duplex, head) => {
      socket.on('error', () => {})
      onUpgrade(request, socket, head)
    })
  }
  return { server, ready: () => Promise.resolve() }
}

function agree (request: IncomingMessage, subprotocol = '', more: Record<string, string> = {}): string {
  const fields = Object.entries({ ...acceptHandshake(readHandshake(request), { subprotocol }), ...more })
  return `HTTP/1.1 101 Switching Protocols\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

const LIMITS = {
  maxMessageBytes: 2 ** 25, closeTimeoutMs: 5_000, highWaterMarkBytes: 65_536, maxUnsentBytes: 2 ** 27, queueBytes: 65_536, whenFull: 'pause', heartbeat: false, messageTimeoutMs: 0
} as const

/** Answers 101 and opens a server's end on which `handler` acts. */
function accepting (handler: (open: OpenConnection, request: IncomingMessage, socket: Duplex) => void): OnUpgrade {
  return (request, socket, head) => {
    socket.write(agree(request))
    const faults = { onFault () {}, onInvalidMessage () {}, onMessagesDiscarded () {}, onClosed () {} }
    const subprotocol = new Subprotocol({ name: '', what: 'a test', codec: undefined })
    const open = openWebSocket(socket, { role: 'server', subprotocol, extensions: '', deflate: undefined, url: '', limits: LIMITS, ticker: new Ticker(), faults })
    handler(open, request, socket)
    process.nextTick(open.start, head)
  }
}

const echo: OnUpgrade = accepting(({ socket }) => { socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })) })
const inject = (app: InjectApp, options?: AnyInjectOptions): Promise<InjectedClient> => injectWebSocket(app, { path: '/' }, options)
const closed = (end: Duplex): Promise<void> => new Promise((resolve) => {
  if (end.closed) resolve()
  else end.once('close', resolve)
})

t.test('http, https and http2 with HTTP/1.1 are served, each as what it is', async (t) => {
  const servers = { http: createServer(), https: createHttpsServer(), http2: createSecureServer({ allowHTTP1: true }) }
  for (const [name, server] of Object.entries(servers)) {
    let seen: MemoryDuplex | undefined
    const client = await inject(appOf(server, (request, socket, head) => {
      seen = socket as MemoryDuplex
      echo(request, socket, head)
    }))
    t.equal(client.url, name === 'http' ? 'ws://localhost/' : 'wss://localhost/')
    t.equal(seen!.encrypted, name !== 'http', name)
    t.equal(seen!.remoteAddress, '127.0.0.1')
    client.send('text')
    client.send(Buffer.from('binary'))
    t.equal(await client.next(), 'text', name)
    t.ok(Buffer.from('binary').equals(await client.next()), name)
    client.close()
    t.equal((await client.closed).code, 1000, name)
  }
})

t.test('a server of HTTP/2 alone is refused by name', async (t) => {
  await t.rejects(inject(appOf(createH2cServer())), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'http2'/ })
  await t.rejects(inject(appOf(createSecureServer())), { code: 'FST_WS_ERR_INVALID_OPTION', message: /allowHTTP1/ })
})

t.test('the request has a Host, no Origin, and what the options say', async (t) => {
  let seen: IncomingMessage
  const app = appOf(createServer(), accepting((_open, request) => { seen = request }))
  await inject(app)
  t.equal(seen!.headers.host, 'localhost')
  t.equal(seen!.headers.origin, undefined)

  const client = await injectWebSocket(app, { path: '/chat?a=1' }, {
    headers: { Host: 'example.com', Cookie: 'sid=1', 'x-list': ['a', 'b'] },
    query: { b: [2, 'x y'] },
    subprotocols: ['one', 'two'],
    remoteAddress: '10.1.2.3'
  }).catch((error: unknown) => error as Error)
  t.equal(seen!.url, '/chat?a=1&b=2&b=x+y')
  t.match(seen!.headers, { host: 'example.com', cookie: 'sid=1', 'x-list': 'a, b', 'sec-websocket-protocol': 'one, two' })
  t.equal(seen!.socket.remoteAddress, '10.1.2.3')
  t.match(client, { url: 'ws://example.com/chat?a=1&b=2&b=x+y' })
})

t.test('a registered path is filled with parameters', async (t) => {
  let url: string | undefined
  const app = appOf(createServer(), accepting((_open, request) => { url = request.url }))
  await injectWebSocket(app, { pattern: '/chat/:room' }, { params: { room: 'a b' }, query: { x: 1 } })
  t.equal(url, '/chat/a%20b?x=1')
  await t.rejects(injectWebSocket(app, { pattern: '/chat/:room' }), { code: 'FST_WS_ERR_INVALID_OPTION' })
  await t.rejects(injectWebSocket(app, { path: '/chat/:room' }, { params: { room: 'x' } }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /route object/ })
})

t.test('the application is made ready first', async (t) => {
  const order: string[] = []
  const app = appOf(createServer(), accepting(() => { order.push('upgrade') }))
  await inject({ server: app.server, ready: async () => { order.push('ready') } })
  t.strictSame(order, ['ready', 'upgrade'])
  await t.rejects(inject({ server: app.server, ready: async () => { throw new Error('not ready') } }), { message: 'not ready' })
})

t.test('wrong options are TypeErrors that say what is right', async (t) => {
  const app = appOf(createServer(), echo)
  const wrong: Array<[options: object, message: RegExp]> = [
    [{ protocols: ['a'] }, /'protocols' must be one of those of injectWebSocket: headers, query, .*autoPong/],
    [{ subprotocols: 'chat' }, /'subprotocols' must be an array/],
    [{ timeoutMs: 0 }, /'timeoutMs' must be a number/],
    [{ timeoutMs: Infinity }, /'timeoutMs'/],
    [{ headers: [] }, /'headers'/],
    [{ signal: {} }, /'signal'/],
    [{ remoteAddress: 1 }, /'remoteAddress'/],
    [{ deflate: 'yes' }, /'deflate' must be true or false/],
    [{ deflate: {} }, /'deflate'/],
    [{ autoPong: 'no' }, /'autoPong'/],
    [{ toString: 1 }, /'toString'/]
  ]
  for (const [options, message] of wrong) {
    const error = await inject(app, options).then(() => undefined, (error: unknown) => error)
    t.type(error, TypeError)
    t.match(error, { code: 'FST_WS_ERR_INVALID_OPTION', message })
  }
  await t.rejects(inject(app, null as never), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'options' must be an object/ })
  await t.rejects(injectWebSocket(app, { path: 'chat' }), { message: /'path' must be a path that begins with/ })
  await t.rejects(injectWebSocket(app, { path: '/a b' }), TypeError)
  // As if they were not there.
  t.ok(await inject(app, { timeoutMs: undefined, signal: undefined } as unknown as AnyInjectOptions))
})

t.test('everything is queued from the first byte, what came with the 101 too', async (t) => {
  const app = appOf(createServer(), (request, socket) => {
    const first = frame({ opcode: 0x1, payload: 'with the 101' })
    socket.write(Buffer.concat([Buffer.from(agree(request)), first]))
    socket.write(frame({ opcode: 0x1, payload: 'right behind' }))
  })
  const client = await inject(app)
  await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(await client.next(), 'with the 101')
  t.equal(await client.next(), 'right behind')
})

t.test('listeners that are added to the awaited client hear of everything', async (t) => {
  const app = appOf(createServer(), accepting(({ socket }) => {
    socket.ping('early')
    socket.send('hello')
    socket.close(4000)
  }))
  const client = await inject(app)
  const heard: string[] = []
  for (const event of ['open', 'ping', 'message', 'close'] as const) client.on(event, () => { heard.push(event) })
  await client.closed
  t.strictSame(heard, ['open', 'ping', 'message', 'close'])
})

t.test('the client is a WebSocket, open, with its end of the connection', async (t) => {
  let server: OpenConnection
  const app = appOf(createServer(), accepting((open) => { server = open }))
  const client = await inject(app)
  t.ok(client instanceof WebSocket)
  t.equal(client.readyState, 1)
  t.type(client.transport, MemoryDuplex)

  const message = frame({ opcode: 0x1, payload: 'in halves', masked: true })
  const received = server!.socket.next()
  client.transport.write(message.subarray(0, 5))
  client.transport.write(message.subarray(5))
  t.equal(await received, 'in halves')
})

t.test('pings are answered, unless they shall not be', async (t) => {
  let server: OpenConnection
  const app = appOf(createServer(), accepting((open) => { server = open }))
  await inject(app)
  const pong = once(server!.socket, 'pong')
  server!.socket.ping('one')
  t.equal(String((await pong)[0]), 'one')

  const client = await inject(app, { autoPong: false })
  server!.socket.on('pong', () => t.fail('answered'))
  const ping = once(client, 'ping')
  server!.socket.ping('two')
  await ping
  client.close()
  await client.closed
})

t.test('a refusal has status, fields and body', async (t) => {
  const body = JSON.stringify({ message: 'who are you' })
  const app = appOf(createServer(), (_request, socket) => {
    socket.end(`HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nWWW-Authenticate: Basic\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  })
  const error = await inject(app).catch((error: unknown) => error) as Error & { response: any }
  t.match(error, {
    code: 'FST_WS_ERR_INJECT_REFUSED',
    statusCode: 401,
    message: 'The server refused the WebSocket handshake with 401: {"message":"who are you"}',
    response: { statusCode: 401, headers: { 'www-authenticate': 'Basic' }, body }
  })
  t.strictSame(error.response.json(), { message: 'who are you' })
})

t.test('a long or an empty body does not make a long or a strange message', async (t) => {
  const refusing = (body: string): InjectApp => appOf(createServer(), (_request, socket) => {
    socket.end(`HTTP/1.1 500 Oh No\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  })
  const long = await inject(refusing('x'.repeat(10_000))).catch((error: unknown) => error) as Error
  t.ok(long.message.length < 400)
  await t.rejects(inject(refusing('')), { message: 'The server refused the WebSocket handshake with 500' })
})

t.test('a server without upgrades refuses with its plain answer', async (t) => {
  const app = appOf(createServer((_request, response) => { response.writeHead(404).end('nothing here') }))
  await t.rejects(inject(app), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 404, response: { body: 'nothing here' } })
})

t.test('a server that never answers is given up in time, and nothing is left of the connection', async (t) => {
  let end: Duplex
  const app = appOf(createServer(), (_request, socket) => { end = socket })
  await t.rejects(inject(app, { timeoutMs: 200 }), { code: 'FST_WS_ERR_INJECT_TIMEOUT', message: /200 ms \(readyState CONNECTING, 0 bytes received\)/ })
  await closed(end!)
})

t.test('a server that does not finish its answer is given up in time', async (t) => {
  const app = appOf(createServer(), (_request, socket) => { socket.write('HTTP/1.1 500 Slow\r\nContent-Length: 5\r\n\r\nab') })
  await t.rejects(inject(app, { timeoutMs: 200 }), { code: 'FST_WS_ERR_INJECT_TIMEOUT', message: /CONNECTING, 42 bytes received/ })
})

t.test('a server that drops the connection, or breaks the rules of the handshake, is an error with its cause', async (t) => {
  const dropping = appOf(createServer(), (_request, socket) => socket.destroy())
  await t.rejects(inject(dropping), { code: 'FST_WS_ERR_SOCKET', cause: { code: 'ECONNRESET' } })
  const breaking = appOf(createServer(), (request, socket) => { socket.write(agree(request).replace(/accept: .*/, 'accept: x')) })
  await t.rejects(inject(breaking), { code: 'FST_WS_ERR_PROTOCOL', cause: { name: 'HandshakeError' } })
})

t.test('the signal ends the handshake, and later the connection', async (t) => {
  const reason = new Error('over')
  const silent = appOf(createServer(), () => {})
  const early = new AbortController()
  const pending = inject(silent, { signal: early.signal })
  early.abort(reason)
  await t.rejects(pending, reason)
  await t.rejects(inject(silent, { signal: AbortSignal.abort(reason) }), reason)

  const later = new AbortController()
  let server: OpenConnection
  const client = await inject(appOf(createServer(), accepting((open) => { server = open })), { signal: later.signal })
  later.abort(reason)
  t.equal((await client.closed).code, 1006)
  t.equal((await server!.socket.closed).code, 1006)
})

t.test('a signal that outlives the client is left without listeners', async (t) => {
  const controller = new AbortController()
  const client = await inject(appOf(createServer(), echo), { signal: controller.signal })
  client.close()
  await client.closed
  const removed: unknown[] = []
  const terminate = client.terminate
  client.terminate = () => { removed.push(1); terminate.call(client) }
  controller.abort()
  t.strictSame(removed, [])
})

t.test('next gives up in time and says how far it came; messages that come later are not lost', async (t) => {
  let server: OpenConnection
  const app = appOf(createServer(), accepting((open) => { server = open }))
  const client = await inject(app, { timeoutMs: 30 })
  const [first, second] = [client.next(), client.next()]
  server!.socket.send('one')
  t.equal(await first, 'one')
  await t.rejects(second, { code: 'FST_WS_ERR_INJECT_TIMEOUT', message: /No message came within 30 ms \(readyState OPEN, 1 messages and 5 bytes received\)/ })
  server!.socket.send('two')
  t.equal(await client.next(), 'two')
})

t.test('next ends with its own signal, and when the connection closes', async (t) => {
  let server: OpenConnection
  const app = appOf(createServer(), accepting((open) => { server = open }))
  const client = await inject(app)
  const reason = new Error('no more')
  const controller = new AbortController()
  const given = client.next({ signal: controller.signal })
  controller.abort(reason)
  await t.rejects(given, reason)

  const waiting = client.next()
  server!.socket.close(4001, 'bye')
  await t.rejects(waiting, { code: 'FST_WS_ERR_CLOSED', closeCode: 4001, reason: 'bye' })
  await t.rejects(client.next(), { code: 'FST_WS_ERR_CLOSED' })
})

t.test('one way of taking messages at a time, as on any socket', async (t) => {
  const client = await inject(appOf(createServer(), echo))
  client.on('message', () => {})
  await t.rejects(client.next(), { code: 'FST_WS_ERR_TAKEN' })
})

t.test('messages can be iterated over', async (t) => {
  const client = await inject(appOf(createServer(), accepting(({ socket }) => {
    for (let i = 0; i < 500; i++) socket.send(String(i))
    socket.close()
  })))
  const received: unknown[] = []
  for await (const message of client) received.push(message)
  t.equal(received.length, 500)
})

t.test('await using closes', async (t) => {
  let server: OpenConnection
  const app = appOf(createServer(), accepting((open) => { server = open }))
  {
    await using client = await inject(app)
    t.equal(client.readyState, 1)
  }
  t.match(await server!.socket.closed, { code: 1000, wasClean: true })
})

t.test('terminate is a lost network to the server', async (t) => {
  let server: OpenConnection
  const client = await inject(appOf(createServer(), accepting((open) => { server = open })))
  client.terminate()
  t.match(await server!.socket.closed, { code: 1006, wasClean: false })
  t.match(await client.closed, { code: 1006, wasClean: false })
})

t.test('a server that is lost at once is a closed client, not an error', async (t) => {
  const app = appOf(createServer(), (request, socket) => {
    socket.write(agree(request))
    socket.destroy()
  })
  const client = await inject(app)
  t.match(await client.closed, { code: 1006, wasClean: false })
})

t.test('large messages come through, and a queue that grows too large fails', async (t) => {
  const app = appOf(createServer(), accepting(({ socket }) => { socket.on('message', (data) => socket.send(data)) }))
  const client = await inject(app)
  const large = Buffer.alloc(2 ** 24, 'large')
  client.send(large)
  t.ok(large.equals(await client.next()))

  const flood = await inject(appOf(createServer(), accepting(({ socket }) => {
    for (let i = 0; i < 5; i++) socket.send(large)
  })))
  t.equal((await once(flood, 'error'))[0].code, 'FST_WS_ERR_LIMIT')
  t.equal((await flood.closed).code, 1006)
})

t.test('what the client cannot decode closes it', async (t) => {
  let server: OpenConnection
  const codec = { name: 'strict', wire: 'text' as const, encode: String, decode: (): never => { throw new Error('never') } }
  const app = appOf(createServer(), accepting((open, _request, socket) => {
    server = open
    if (socket instanceof MemoryDuplex) socket.agreement = new Subprotocol({ name: '', what: 'a test', codec })
  }))
  const client = await inject(app)
  server!.socket.send('x')
  await t.rejects(client.next(), { code: 'FST_WS_ERR_CLOSED' })
  t.match(await server!.socket.closed, { code: 1007, reason: 'invalid message' })
})

t.test('what a listener of the client throws is not swallowed', async (t) => {
  const client = await inject(appOf(createServer(), echo))
  const uncaught = new Promise((resolve) => {
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => {
      for (const listener of listeners) process.on('uncaughtException', listener)
      resolve(error)
    })
  })
  client.on('message', () => { throw new Error('an assertion') })
  client.send('x')
  t.match(await uncaught, { message: 'an assertion' })
})

t.test('fake timers touch neither the connection nor its patience', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const client = await inject(appOf(createServer(), echo))
  client.send('still')
  t.equal(await client.next(), 'still')
  client.close()
  t.equal((await client.closed).code, 1000)

  const late = await inject(appOf(createServer(), echo), { timeoutMs: 20 })
  await t.rejects(late.next(), { code: 'FST_WS_ERR_INJECT_TIMEOUT' })
  await t.rejects(inject(appOf(createServer(), () => {}), { timeoutMs: 20 }), { code: 'FST_WS_ERR_INJECT_TIMEOUT' })
})

// With the plugin.

async function appWith (t: Test, register: (app: FastifyInstance) => void | Promise<void>, options: DuplexOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(duplex, options)
  await register(app)
  return app
}

t.test('plugin: routes with contracts talk in messages, the client by the same codec', async (t) => {
  const Chat = json({ receive: { type: 'object', required: ['say'], properties: { say: { type: 'string' } } } })
  const app = await appWith(t, (app) => {
    app.get('/chat/:room', { websocket: true, messages: Chat, subprotocols: { 'chat.v2': Chat } }, (socket, request: any) => {
      socket.on('message', (message: any) => (socket as any).send({ room: request.params.room, said: message.say, by: socket.protocol }))
    })
  })
  const client = await app.injectWebSocket('/chat/lobby')
  client.send({ say: 'hi' })
  t.strictSame(await client.next(), { room: 'lobby', said: 'hi', by: '' })
  t.equal(client.protocol, '')

  const named = await app.injectWebSocket('/chat/lobby', { subprotocols: ['chat.v9', 'chat.v2'] })
  named.send({ say: 'hi' })
  t.strictSame(await named.next(), { room: 'lobby', said: 'hi', by: 'chat.v2' })
  t.equal(named.protocol, 'chat.v2')

  named.send({ wrong: true })
  t.equal((await named.closed).code, 1008, 'the schemas are left to the server')
  client.sendRaw('{')
  t.equal((await client.closed).code, 1007)
})

t.test('plugin: a route object is found under its prefix', async (t) => {
  const chat = defineWebSocketRoute({ url: '/chat/:room', messages: json() })
  const app = await appWith(t, async (app) => {
    await app.register(async (scope) => {
      scope.get(chat.url, chat, (socket, request: any) => { socket.send(request.url) })
    }, { prefix: '/v1' })
  })
  const client = await app.injectWebSocket(chat, { params: { room: 'a/b' } })
  t.equal(await client.next(), '/v1/chat/a%2Fb')
})

t.test('plugin: hooks and 404 refuse as in HTTP', async (t) => {
  const app = await appWith(t, (app) => {
    app.get('/secret', { websocket: true, onRequest: async (_request, reply) => reply.code(401).send({ who: 'you' }) }, () => {})
  })
  const error = await app.injectWebSocket('/secret').catch((error: unknown) => error) as Error & { response: any }
  t.match(error, { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 401 })
  t.strictSame(error.response.json(), { who: 'you' })
  await t.rejects(app.injectWebSocket('/nowhere'), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 404 })
  await t.rejects(app.injectWebSocket('/secret', { headers: { 'sec-websocket-version': '8' } }), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 426 })
  await t.rejects(app.injectWebSocket('/secret', { headers: { origin: 'http://elsewhere' } }), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 403 })
})

t.test('plugin: a socket that is left open does not keep the application from closing', async (t) => {
  const app = await appWith(t, (app) => { app.get('/', { websocket: true }, () => {}) })
  const client = await app.injectWebSocket('/')
  await app.close()
  t.match(await client.closed, { code: 1001, wasClean: true })
  await t.rejects(app.injectWebSocket('/'))
})

t.test('plugin: neither an application nor a client that is left open keeps the process alive', async (t) => {
  const program = `
    import Fastify from 'fastify'
    import duplex from '${new URL('../../index.js', import.meta.url).href}'
    const app = Fastify()
    app.register(duplex, { heartbeat: { intervalMs: 10_000, timeoutMs: 30_000 }, messageTimeoutMs: 60_000 })
    app.get('/', { websocket: true }, (socket) => socket.on('message', (data) => socket.send(data)))
    const client = await app.injectWebSocket('/')
    client.send('echo')
    console.log(String(await client.next()), client.readyState)`
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: import.meta.dirname, encoding: 'utf8', timeout: 20_000, env: { ...process.env, NODE_OPTIONS: '' }
  })
  t.strictSame({ status, signal, stdout }, { status: 0, signal: null, stdout: 'echo 1\n' }, stderr)
})

t.test('plugin: it works under fake timers', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const app = await appWith(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data: Buffer, isBinary: boolean) => socket.send(data, { binary: isBinary })) })
  })
  const client = await app.injectWebSocket('/')
  client.send('real')
  t.equal(await client.next(), 'real')
  await app.close()
  t.equal((await client.closed).code, 1001)
})

// permessage-deflate

const OFFER = 'permessage-deflate; client_max_window_bits'
const NO_TAKEOVER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'

t.test('deflate: it is offered when told so', async (t) => {
  const offers: unknown[] = []
  const app = appOf(createServer(), accepting((_open, request) => { offers.push(request.headers['sec-websocket-extensions']) }))
  for (const options of [{}, { deflate: false }, { deflate: undefined }, { deflate: true }]) {
    const client = await inject(app, options as AnyInjectOptions)
    t.equal(client.extensions, '', 'a server that does not answer it')
  }
  t.strictSame(offers, [undefined, undefined, undefined, OFFER])
})

t.test('deflate: an answer that the offer allows', async (t) => {
  for (const extensions of [
    'permessage-deflate', NO_TAKEOVER, 'permessage-deflate; server_max_window_bits=8', 'permessage-deflate;client_max_window_bits="10"',
    'permessage-deflate; client_max_window_bits=9; server_max_window_bits=15'
  ]) {
    const client = await inject(appOf(createServer(), (request, socket) => { socket.write(agree(request, '', { 'Sec-WebSocket-Extensions': extensions })) }), { deflate: true })
    t.equal(client.extensions, extensions)
  }
})

t.test('deflate: an answer that breaks the rules of the offer is an error, and the connection is gone', async (t) => {
  const answers: Array<[extensions: string, deflate?: boolean]> = [
    ['permessage-deflate', false],
    ['x-webkit-deflate-frame'],
    ['permessage-deflate, permessage-deflate'],
    ['permessage-deflate, x-own'],
    ['permessage-deflate; x'],
    ['Permessage-Deflate'],
    ['permessage-deflate; server_no_context_takeover; server_no_context_takeover'],
    ['permessage-deflate; server_no_context_takeover=1'],
    ['permessage-deflate; client_no_context_takeover=true'],
    ['permessage-deflate; server_max_window_bits'],
    ['permessage-deflate; server_max_window_bits=7'],
    ['permessage-deflate; server_max_window_bits=16'],
    ['permessage-deflate; server_max_window_bits=010'],
    ['permessage-deflate; client_max_window_bits'],
    ['permessage-deflate; client_max_window_bits=8'],
    ['permessage-deflate; client_max_window_bits=16'],
    ['permessage-deflate;'],
    ['']
  ]
  for (const [extensions, deflate = true] of answers) {
    let server: Duplex
    const app = appOf(createServer(), (request, socket) => {
      server = socket
      socket.write(agree(request, '', { 'Sec-WebSocket-Extensions': extensions }))
    })
    const error = await inject(app, { deflate }).then(() => undefined, (error: unknown) => error) as Error
    t.match(error, { code: 'FST_WS_ERR_PROTOCOL', cause: { statusCode: 101 } }, `'${extensions}'`)
    await closed(server!)
    t.ok(server!.destroyed)
  }
})

/** What comes to an end, as frames. Each chunk is copied before the end itself has it, and unmasks it where it lies. */
function listenAt (end: Duplex): () => WireFrame[] {
  const chunks: Buffer[] = []
  end.prependListener('data', (chunk: Buffer) => { chunks.push(Buffer.from(chunk)) })
  return () => readFrames(Buffer.concat(chunks.splice(0)))
}

/** Text in words, as it is compressed well. */
const words = (length: number): string => 'the quick brown fox jumps over the lazy dog, '.repeat(Math.ceil(length / 45)).slice(0, length)

interface Deflating {
  readonly client: InjectedClient
  readonly server: WebSocket<string, any, any>
  readonly atClient: () => WireFrame[]
  readonly atServer: () => WireFrame[]
}

async function deflating (t: Test, deflate: NonNullable<DuplexOptions['deflate']>, options: AnyInjectOptions = { deflate: true }): Promise<Deflating> {
  let server: WebSocket<string, any, any>
  let atServer: () => WireFrame[]
  const app = await appWith(t, (app) => {
    app.get('/', { websocket: true }, (socket, request) => {
      server = socket
      atServer = listenAt(request.raw.socket)
    })
  }, { deflate, maxMessageBytes: 2 ** 24 })
  const client = await app.injectWebSocket('/', options as object)
  return { client, server: server!, atClient: listenAt(client.transport), atServer: atServer! }
}

t.test('deflate: both sides agree on what the server wants', async (t) => {
  const servers: Array<[deflate: NonNullable<DuplexOptions['deflate']>, agreed: string]> = [
    [false, ''],
    [true, `${NO_TAKEOVER}; server_max_window_bits=12`],
    [{ serverMaxWindowBits: 15 }, NO_TAKEOVER],
    [{ contextTakeover: true }, 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12'],
    [{ contextTakeover: true, serverMaxWindowBits: 15 }, 'permessage-deflate'],
    [{ contextTakeover: true, serverMaxWindowBits: 9 }, 'permessage-deflate; server_max_window_bits=9; client_max_window_bits=9']
  ]
  for (const [deflate, agreed] of servers) {
    const { client, server } = await deflating(t, deflate)
    t.equal(client.extensions, agreed)
    t.equal(server.extensions, agreed)
    const without = await deflating(t, deflate, {})
    t.equal(without.client.extensions, '')
    t.equal(without.server.extensions, '')
  }
})

t.test('deflate: from the threshold on messages are compressed, in both directions', async (t) => {
  for (const deflate of [true, { contextTakeover: true }, { serverMaxWindowBits: 9 }]) {
    const { client, server, atClient, atServer } = await deflating(t, deflate)
    for (const [from, to, arrived] of [[client, server, atServer], [server, client, atClient]] as const) {
      for (const [length, compressed] of [[0, false], [1023, false], [1024, true], [100_000, true], [1023, false], [1024, true]] as const) {
        for (const message of [words(length), Buffer.from(words(length))]) {
          from.send(message)
          t.same(await to.next(), message)
          const [frame, another] = arrived()
          t.equal(another, undefined)
          t.equal(frame!.rsv, compressed ? 4 : 0, `${length}: RSV1`)
          t.ok(compressed ? frame!.payload.length < length / 5 : frame!.payload.length === length, `${length}: ${frame!.payload.length} octets`)
        }
      }
    }
  }
})

t.test('deflate: the threshold is the server\'s own', async (t) => {
  const { client, server, atClient } = await deflating(t, { thresholdBytes: 10 })
  for (const [message, rsv] of [['aaaaaaaaa', 0], ['aaaaaaaaaa', 4]] as const) {
    server.send(message)
    t.equal(await client.next(), message)
    t.equal(atClient()[0]!.rsv, rsv)
  }
})

t.test('deflate: what does not get smaller, and what shall not be compressed, goes as it is', async (t) => {
  const { client, server, atClient, atServer } = await deflating(t, { contextTakeover: true })
  for (const [from, to, arrived] of [[client, server, atServer], [server, client, atClient]] as const) {
    for (const size of [2000, 50_000]) {
      const random = randomBytes(size)
      from.send(random)
      t.ok(random.equals(await to.next()))
      t.match(arrived(), [{ rsv: 0, fin: true }])

      from.send(words(size), { compress: false })
      from.send(words(size), { compress: true })
      from.send(words(size), { compress: false })
      t.strictSame([await to.next(), await to.next(), await to.next()], Array(3).fill(words(size)), 'the window is not confused by it')
      t.match(arrived(), [{ rsv: 0 }, { rsv: 4 }, { rsv: 0 }])
    }
    from.send(words(2000), { fin: false })
    from.send(words(2000))
    t.equal(await to.next(), words(2000).repeat(2), 'fragments')
    t.match(arrived(), [{ rsv: 0, fin: false }, { rsv: 0, opcode: 0 }])
    from.sendRaw(words(2000))
    t.equal(await to.next(), words(2000), 'sendRaw')
    t.match(arrived(), [{ rsv: 4 }])
  }
})

t.test('deflate: { compress: false } on a typed route', async (t) => {
  const Secret = json<{ secret: string }, { secret: string }>()
  const app = await appWith(t, (app) => {
    app.get('/', { websocket: true, messages: Secret }, (socket) => {
      socket.on('message', (message: any) => {
        (socket as any).send(message, { compress: false });
        (socket as any).send(message)
      })
    })
  }, { deflate: true })
  const client = await app.injectWebSocket('/', { deflate: true })
  const atClient = listenAt(client.transport)
  const message = { secret: words(4000) }
  client.send(message)
  t.strictSame([await client.next(), await client.next()], [message, message])
  t.match(atClient(), [{ rsv: 0 }, { rsv: 4 }])
})

t.test('deflate: a prepared message to clients of every kind', async (t) => {
  const sockets: Array<WebSocket<string, any, any>> = []
  const define = (app: FastifyInstance, url: string, deflate: NonNullable<DuplexOptions['deflate']>): void => {
    app.get(url, { websocket: true, websocketOptions: { deflate }, messages: json() }, (socket) => { sockets.push(socket as never) })
  }
  const app = await appWith(t, (app) => {
    define(app, '/default', true)
    define(app, '/small', { serverMaxWindowBits: 9 })
    define(app, '/takeover', { contextTakeover: true })
    define(app, '/off', false)
  })
  const paths = ['/default', '/default', '/default', '/small', '/small', '/takeover', '/takeover', '/off', '/default']
  const clients: InjectedClient[] = []
  const arrived: Array<() => WireFrame[]> = []
  for (const path of paths) {
    const client = await app.injectWebSocket(path, { deflate: clients.length < paths.length - 1 })
    clients.push(client)
    arrived.push(listenAt(client.transport))
  }
  for (const length of [100, 10_000, 200_000]) {
    const message = { text: words(length), numbers: Array.from({ length: 100 }, (_, i) => i * i) }
    const prepared = prepare(message)
    for (const socket of sockets) {
      socket.send('before')
      socket.send(prepared)
      socket.send(prepared, { compress: false })
      socket.send('after')
    }
    const octets: string[] = []
    for (const [i, client] of clients.entries()) {
      t.strictSame([await client.next(), await client.next(), await client.next(), await client.next()], ['before', message, message, 'after'], `${length} to ${paths[i]}`)
      const frames = arrived[i]!()
      const compressed = length > 100 && client.extensions !== ''
      t.strictSame(frames.map(({ rsv }) => rsv), [0, compressed ? 4 : 0, 0, 0])
      octets.push(frames[1]!.payload.toString('hex'))
    }
    t.equal(new Set(octets.slice(0, 3)).size, 1, 'the same octets to those with the same parameters')
    t.equal(octets[3], octets[4])
    t.equal(octets[7], octets[8], 'and to those without the extension')
  }
})

t.test('deflate: an offer in the words of the test, as when headers of a browser are copied', async (t) => {
  const offers: Array<[offer: string, agreed: string]> = [
    ['permessage-deflate; server_max_window_bits=10', `${NO_TAKEOVER}; server_max_window_bits=10`],
    ['permessage-deflate; server_max_window_bits=8, permessage-deflate', `${NO_TAKEOVER}; server_max_window_bits=12`],
    ['permessage-deflate; wrong', ''],
    ['x-own', '']
  ]
  for (const deflate of [true, false]) {
    for (const [offer, agreed] of offers) {
      const { client, server } = await deflating(t, true, { deflate, headers: { 'Sec-WebSocket-Extensions': offer } })
      t.equal(client.extensions, agreed, offer)
      t.equal(server.extensions, agreed)
      client.send(words(5000))
      t.equal(await server.next(), words(5000))
      server.send(words(5000))
      t.equal(await client.next(), words(5000))
    }
  }
})
