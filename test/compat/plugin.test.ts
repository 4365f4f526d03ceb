/**
 * `fastify-duplex/compat`, as applications of @fastify/websocket use it; the client is that of `ws`.
 */
import { on, once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import cookie from '@fastify/cookie'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket as WsClient } from 'ws'
import websocket, { fastifyWebsocket, type WebSocket, type WebsocketPluginOptions } from '../../lib/compat/plugin.ts'
import { json } from '../../index.ts'
import { bareApp, deferred, LEVEL, listen, thrown, type Running } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { request, upgradeRequest, Wire } from '../helpers/wire.ts'

const echo = (socket: WebSocket): void => {
  socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
}

/** Listens, with the plugin, an echo on `/`, and what `define` adds. */
async function start (t: Test, options: WebsocketPluginOptions = {}, define: (app: FastifyInstance) => unknown = () => {}): Promise<Running> {
  const bare = bareApp(t)
  await bare.app.register(websocket, options)
  await define(bare.app)
  if (!bare.app.hasRoute({ method: 'GET', url: '/' })) bare.app.get('/', { websocket: true }, echo)
  return { ...bare, ...await listen(bare.app) }
}

/** A client that is open, and the messages that it has got from its beginning on. */
async function connect (t: Test, url: string, ...rest: any[]): Promise<WsClient & { next (): Promise<string> }> {
  const client = new WsClient(url, ...rest)
  t.teardown(() => client.terminate())
  const messages = on(client, 'message')
  await once(client, 'open')
  return Object.assign(client, { next: async () => (await messages.next()).value[0].toString() })
}

/** The header fields of the 101. */
async function upgradeHeaders (t: Test, url: string): Promise<Record<string, unknown>> {
  const client = new WsClient(url)
  t.teardown(() => client.terminate())
  const [response] = await once(client, 'upgrade')
  return response.headers
}

/** What a client that asks for this gets for an answer. */
async function refusal (url: string, ...rest: any[]): Promise<{ statusCode: number, headers: Record<string, string>, body: string }> {
  const client = new WsClient(url, ...rest)
  const [, response] = await once(client, 'unexpected-response')
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  client.on('error', () => {})
  client.terminate()
  return { statusCode: response.statusCode, headers: response.headers, body }
}

const closeOf = async (client: WsClient): Promise<[number, string]> => {
  const [code, reason] = await once(client, 'close')
  return [code, reason.toString()]
}

t.test('the plugin has the names of the original, for import and for require', async (t) => {
  t.equal(websocket, fastifyWebsocket)
  const { app } = bareApp(t)
  app.register(websocket)
  await app.ready()
  t.ok(app.hasPlugin('@fastify/websocket'))
  for (const name of ['websocketServer', 'injectWS', 'websockets', 'injectWebSocket']) t.ok(app.hasDecorator(name), name)
  t.ok(app.hasRequestDecorator('ws'))
})

t.test('a route, its params, its scope, and one that serves plain requests too', async (t) => {
  const { app, url } = await start(t, {}, (app) => {
    app.register(async (scope) => {
      scope.decorate('name', 'scope')
      scope.get('/:id', { websocket: true }, function (socket, request) {
        socket.send(JSON.stringify([request.params, request.ws, (this as unknown as { name: string }).name]))
      })
      scope.route({ method: 'GET', url: '/both', handler: async (request) => ({ ws: request.ws }), wsHandler: (socket) => { socket.send('socket') } })
    }, { prefix: '/in' })
  })
  t.equal(await (await connect(t, `${url}/in/7`)).next(), '[{"id":"7"},true,"scope"]')
  t.equal(await (await connect(t, `${url}/in/both`)).next(), 'socket')
  t.strictSame((await app.inject('/in/both')).json(), { ws: false })
  const client = await connect(t, url)
  client.send(Buffer.from([1, 2]))
  t.strictSame(await once(client, 'message'), [Buffer.from([1, 2]), true])
  client.send('text')
  t.strictSame(await once(client, 'message'), [Buffer.from('text'), false])
})

t.test('a plain request to a route of sockets is 404 with no body, also by HEAD', async (t) => {
  const { app } = await start(t, {}, (app) => {
    app.route({ method: ['GET', 'HEAD'] as never, url: '/list', websocket: true, handler: echo })
    app.route({ method: 'HEAD' as never, url: '/head', websocket: true, handler: echo })
    app.route({ method: 'GET', url: '/both', handler: (_request, reply) => { reply.header('x-plain', '1').send('plain') }, wsHandler: echo })
  })
  for (const [method, url] of [['GET', '/'], ['HEAD', '/'], ['GET', '/list'], ['HEAD', '/list'], ['HEAD', '/head']] as const) {
    const { statusCode, payload } = await app.inject({ method, url })
    t.strictSame([statusCode, payload], [404, ''], `${method} ${url}`)
  }
  const { statusCode, headers } = await app.inject({ method: 'HEAD', url: '/both' })
  t.strictSame([statusCode, headers['x-plain']], [200, '1'])
  const client = await app.injectWS('/list')
  client.send('hi')
  t.equal((await once(client, 'message'))[0].toString(), 'hi')
})

t.test('routes that are none, by the texts of the original', async (t) => {
  const { app } = bareApp(t)
  await app.register(websocket)
  const add = (route: object): any => thrown(() => app.route({ method: 'GET', handler: () => {}, ...route } as never))
  for (const method of ['POST', ['GET', 'POST']]) {
    t.match(add({ url: '/method', method, websocket: true }), { message: 'websocket handler can only be declared in GET method', code: 'FST_WS_ERR_INVALID_ROUTE' })
  }
  for (const wsHandler of ['hello', {}, null]) {
    const error = add({ url: '/handler', wsHandler })
    t.match(error, { message: 'invalid wsHandler function', code: 'FST_WS_ERR_INVALID_ROUTE' })
    t.ok(error instanceof TypeError)
  }
})

t.test('options that are wrong stop the start', async (t) => {
  for (const [options, error] of [
    [{ errorHandler: {} }, { message: 'invalid errorHandler function', code: 'FST_WS_ERR_INVALID_OPTION' }],
    [{ preClose: 'soon' }, { message: 'invalid preClose function', code: 'FST_WS_ERR_INVALID_OPTION' }],
    [{ options: { noServer: true } }, { code: 'FST_WS_ERR_FOREIGN_OPTION', message: /options\.noServer.*use ws itself/ }]
  ] as Array<[any, object]>) {
    const { app } = bareApp(t)
    await t.rejects(async () => await app.register(websocket, options), error as Error)
  }
  const { app, log } = await start(t, { options: { path: '/here' } as never, handle: () => {} } as never, (app) => { app.get('/here', { websocket: true }, echo) })
  t.match(log.atLevel(LEVEL.warn), [{ msg: "ws server path option shouldn't be provided, use a route instead" }])
  t.equal(app.websocketServer.path, '/here')
})

t.test('path lets only handshakes of that path pass', async (t) => {
  const { url } = await start(t, { options: { path: '/here' } as never }, (app) => { app.get('/here', { websocket: true }, echo) })
  await connect(t, `${url}/here?query`)
  t.equal((await refusal(url)).statusCode, 400)
})

t.test('documentation of HTTP routes leaves routes of sockets out', async (t) => {
  const seen: unknown[] = []
  const schema = { querystring: { type: 'object', properties: { a: { type: 'string' } } } }
  const { url } = await start(t, {}, (app) => {
    app.addHook('onRequest', async (request) => { seen.push(request.routeOptions.schema) })
    app.get('/', { websocket: true }, echo)
    app.get('/schema', { websocket: true, schema }, echo)
  })
  await connect(t, url)
  await connect(t, `${url}/schema`)
  t.match(seen, [{ hide: true }, { hide: true, querystring: schema.querystring }])
  t.notOk('hide' in schema, 'what was given is left as it is')
})

t.test('routes may follow register on the same tick', async (t) => {
  const { app } = bareApp(t)
  app.register(websocket)
  app.get('/', { websocket: true }, echo)
  await app.ready()
  const client = await app.injectWS()
  client.send('hi')
  t.equal((await once(client, 'message'))[0].toString(), 'hi')
})

t.test('headers and cookies of hooks are on the 101', async (t) => {
  const { url } = await start(t, {}, async (app) => {
    await app.register(cookie)
    app.addHook('preHandler', async (_request, reply) => { reply.header('x-hook', 'yes').setCookie('session', 'a') })
    app.get('/', { websocket: true }, echo)
  })
  t.match(await upgradeHeaders(t, url), { 'x-hook': 'yes', 'set-cookie': ['session=a'] })
})

t.test('an upgrade request for a plain route is answered by that route, and never opened', async (t) => {
  const { url } = await start(t, {}, (app) => { app.get('/plain', async () => 'plain') })
  t.match(await refusal(`${url}/plain`), { statusCode: 200, body: 'plain' })
  t.equal((await refusal(`${url}/nowhere`)).statusCode, 404)
})

t.test('websocketServer.options has the options that are honoured, by default as in ws', async (t) => {
  const { app } = await start(t, { options: { clientTracking: false, maxPayload: 10 } })
  t.strictSame(app.websocketServer.options, { maxPayload: 10, perMessageDeflate: false, handleProtocols: null, verifyClient: null, clientTracking: false })
})

t.test('verifyClient with one parameter: its result, or what its promise resolves with', async (t) => {
  const infos: any[] = []
  const { app, url } = await start(t, { options: { verifyClient: (info) => { infos.push(info); return info.req.headers['x-key'] === 'right' } } })
  const client = await connect(t, url, { headers: { 'x-key': 'right' }, origin: 'https://elsewhere.example' })
  t.match(infos, [{ origin: 'https://elsewhere.example', secure: false, req: { url: '/' } }], 'any Origin reaches it')
  client.send('hi')
  t.equal(await client.next(), 'hi')
  t.match(await refusal(url), { statusCode: 401, headers: { 'content-type': /^text\/html/ }, body: 'Unauthorized' })

  app.websocketServer.options.verifyClient = async ({ origin }) => origin === undefined
  await connect(t, url)
  t.equal((await refusal(url, { origin: 'https://elsewhere.example' })).statusCode, 401, 'a promise is waited for')
  app.websocketServer.options.verifyClient = () => { throw new Error('no database') }
  t.match(await refusal(url), { statusCode: 500, body: /no database/ })
  app.websocketServer.options.verifyClient = undefined
  await connect(t, url)
})

t.test('verifyClient with two parameters: status, text and header fields of the refusal', async (t) => {
  const { url } = await start(t, {
    options: {
      verifyClient ({ req }, next) {
        const { key } = req.headers
        if (key === 'teapot') setImmediate(next, false, 418, '<b>no</b>', { 'x-why': 'teapot', 'set-cookie': ['a=1', 'b=2'] })
        else next(key === 'right')
      }
    }
  })
  await connect(t, url, { headers: { key: 'right' } })
  t.match(await refusal(url, { headers: { key: 'teapot' } }), { statusCode: 418, headers: { 'x-why': 'teapot', 'set-cookie': ['a=1', 'b=2'] }, body: '<b>no</b>' })
  t.match(await refusal(url, { headers: { key: 'wrong' } }), { statusCode: 401, body: 'Unauthorized' })
})

t.test('verifyClient runs after all hooks, and a client that has left or waited too long is not answered by it', async (t) => {
  const order: string[] = []
  const verdicts: Array<(verified: boolean) => void> = []
  const asked = [deferred(), deferred()]
  const { port, log } = await start(t, {
    options: {
      verifyClient: (_info, next) => {
        order.push('verifyClient')
        verdicts.push(next)
        asked[verdicts.length - 1]!.resolve()
      }
    }
  }, (app) => {
    app.addHook('preHandler', async () => { order.push('preHandler') })
    app.get('/', { websocket: true, websocketOptions: { handshakeTimeoutMs: 100 } }, () => { t.fail('it is not open') })
  })
  const gone = await Wire.connect(port)
  gone.write(upgradeRequest())
  await asked[0]!.promise
  t.strictSame(order, ['preHandler', 'verifyClient'])
  gone.destroy()
  const late = await Wire.connect(port)
  late.write(upgradeRequest())
  await asked[1]!.promise
  t.equal((await late.response()).statusCode, 503)
  for (const next of verdicts) next(true)
  await late.untilClosed()
  t.strictSame(log.atLevel(LEVEL.error), [])
})

t.test('handleProtocols gets a Set and the raw request, and is read at every handshake', async (t) => {
  const { app, url, log } = await start(t)
  const { options } = app.websocketServer
  const protocolOf = async (...protocols: string[]): Promise<string> => (await connect(t, url, protocols)).protocol
  t.equal(await protocolOf('b', 'a'), 'b', 'the first that is offered')
  options.handleProtocols = (protocols, { url }) => {
    t.strictSame([protocols instanceof Set, [...protocols], url], [true, ['b', 'a'], '/'])
    return 'a'
  }
  t.equal(await protocolOf('b', 'a'), 'a')
  for (const chosen of [false, '', 'c', undefined] as Array<string | false>) {
    options.handleProtocols = () => chosen
    await t.rejects(connect(t, url, ['a']), /no subprotocol/, String(chosen))
  }
  t.equal(log.with(/not offered/).length, 1)
})

t.test('perMessageDeflate and maxPayload', async (t) => {
  const { url } = await start(t, { options: { perMessageDeflate: { threshold: 10 }, maxPayload: 1_000 } })
  const client = await connect(t, url)
  t.match(client.extensions, 'permessage-deflate')
  client.send('x'.repeat(1_000))
  t.equal((await client.next()).length, 1_000)
  client.send('x'.repeat(1_001))
  t.strictSame(await closeOf(client), [1009, 'message above the limit'])
  const plain = await start(t)
  t.equal((await connect(t, plain.url)).extensions, '')
})

t.test('clients, and the events of the server', async (t) => {
  const events: unknown[] = []
  const { app, url } = await start(t, {}, (app) => {
    const server = app.websocketServer
    server.on('headers', (headers, { url }) => {
      events.push(['headers', url, headers[0], headers.some((line) => line.startsWith('Sec-WebSocket-Accept: '))])
      headers.push('X-Added: yes', 'Set-Cookie: a=1', 'Set-Cookie: b=2', 'no field')
    })
    server.on('connection', (socket, { url }) => { events.push(['connection', url, server.clients.has(socket), socket.readyState]) })
    app.get('/', { websocket: true }, (socket) => {
      events.push(['handler'])
      socket.on('close', () => { events.push(['close', server.clients.has(socket)]) })
    })
  })
  const { websocketServer } = app
  t.ok(websocketServer.clients instanceof Set)
  t.strictSame(websocketServer.address(), app.server.address())
  const client = await connect(t, url)
  t.equal(websocketServer.clients.size, 1)
  for (const socket of websocketServer.clients) socket.send('to all')
  t.equal(await client.next(), 'to all')
  client.close()
  await once(client, 'close')
  t.strictSame(events, [['headers', '/', 'HTTP/1.1 101 Switching Protocols', true], ['connection', '/', true, 1], ['handler'], ['close', false]])
  t.equal(websocketServer.clients.size, 0)
  t.match(await upgradeHeaders(t, url), { 'x-added': 'yes', 'set-cookie': ['a=1', 'b=2'] })
  t.throws(() => websocketServer.handleUpgrade({} as never, {} as never, Buffer.alloc(0), () => {}), { code: 'FST_WS_ERR_UNSUPPORTED' })
})

t.test('what a listener of connection throws ends that connection alone', async (t) => {
  const { app, url, log } = await start(t)
  app.websocketServer.once('connection', () => { throw new Error('of a listener') })
  t.equal((await closeOf(await connect(t, url)))[0], 1006)
  t.match(log.atLevel(LEVEL.error), [{ err: { message: 'of a listener' } }])
  await connect(t, url)
})

t.test('without clientTracking there are no clients', async (t) => {
  const { app, url } = await start(t, { options: { clientTracking: false } })
  await connect(t, url)
  t.equal(app.websocketServer.clients, undefined)
  t.equal(app.websockets.size, 1)
  const closed = once(app.websocketServer, 'close')
  app.websocketServer.close()
  await closed
})

t.test('close of the server refuses what comes, and tells when the last client has gone', async (t) => {
  const { app, url } = await start(t)
  const { websocketServer } = app
  const client = await connect(t, url)
  const told: string[] = []
  websocketServer.on('close', () => { told.push('close') })
  websocketServer.close(() => { told.push('callback') })
  websocketServer.close()
  t.match(await refusal(url), { statusCode: 503, body: /the WebSocket server is closed/ })
  t.strictSame(told, [], 'it closes nobody')
  const closed = once(websocketServer, 'close')
  client.close()
  await closed
  t.strictSame(told, ['close', 'callback'])
  const again = deferred<Error | undefined>()
  websocketServer.close(again.resolve)
  t.match(await again.promise, { message: 'The server is not running' })
})

t.test('what a handler throws or rejects with is logged, and the connection dropped', async (t) => {
  const { url, log } = await start(t, {}, (app) => {
    app.get('/throws', { websocket: true }, () => { throw new Error('thrown') })
    app.get('/rejects', { websocket: true }, async () => { throw new Error('rejected') })
    app.get('/listener', { websocket: true }, (socket) => { socket.on('message', async () => { throw new Error('of a listener') }) })
  })
  for (const path of ['/throws', '/rejects', '/listener']) {
    const client = await connect(t, `${url}${path}`)
    client.send('')
    t.equal((await closeOf(client))[0], 1006, path)
  }
  t.strictSame(log.atLevel(LEVEL.error).map(({ err }) => err.message), ['thrown', 'rejected', 'of a listener'])
})

t.test('errorHandler gets the error, the socket, the request and the reply, in the scope of the route', async (t) => {
  const calls: unknown[][] = []
  let called = deferred()
  const errorHandler: NonNullable<WebsocketPluginOptions['errorHandler']> = function (error, socket, request, reply) {
    calls.push([this.prefix, error.message, socket.readyState, request.ws, reply.statusCode, reply.request === request])
    socket.close(4000, 'handled')
    called.resolve()
  }
  const { url } = await start(t, { errorHandler }, (app) => {
    app.register(async (scope) => {
      scope.get('/throws', { websocket: true }, () => { throw new Error('thrown') })
      scope.get('/listener', { websocket: true }, (socket) => { socket.on('message', async () => { throw new Error('of a listener') }) })
    }, { prefix: '/in' })
  })
  t.strictSame(await closeOf(await connect(t, `${url}/in/throws`)), [4000, 'handled'])
  const client = await connect(t, `${url}/in/listener`)
  client.send('')
  t.strictSame(await closeOf(client), [4000, 'handled'])
  t.strictSame(calls, [['/in', 'thrown', 1, true, 101, true], ['/in', 'of a listener', 1, true, 101, true]])

  called = deferred()
  const lost = await connect(t, url)
  ;(lost as unknown as { _socket: { resetAndDestroy (): void } })._socket.resetAndDestroy()
  await called.promise
  t.match(calls.at(-1)![1], /ECONNRESET|EPIPE/, 'a lost connection too')
})

t.test('faults of a peer have the codes of ws, for listeners and for errorHandler', async (t) => {
  const codes: unknown[] = []
  const { port } = await start(t, { errorHandler: (error) => { codes.push((error as { code?: string }).code) } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('error', (error) => { codes.push((error as { code?: string }).code) }) })
  })
  for (const [bytes, code, closed] of [
    [Buffer.from([0xa2, 0x00]), 'WS_ERR_UNEXPECTED_RSV_2_3', 'close 1002 "RSV2 or RSV3 set without an extension"'],
    [frame({ opcode: 1, payload: new Uint8Array([0xff]), masked: true }), 'WS_ERR_INVALID_UTF8', 'close 1007 "text that is not UTF-8"'],
    [frame({ opcode: 1, payload: 'a' }), 'WS_ERR_EXPECTED_MASK', 'close 1002 "frame of a client without a mask"']
  ] as const) {
    const wire = await Wire.open(port)
    wire.write(bytes)
    t.strictSame(await wire.linesUntilEnd(), [closed])
    t.strictSame(codes.splice(0), [code, code])
    await wire.untilClosed()
  }
})

t.test('close() sends a Close without a code, and messages come until the peer has closed', async (t) => {
  const heard: string[] = []
  const { port } = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (data) => { heard.push(data.toString()) })
      socket.close()
    })
  })
  const wire = await Wire.open(port)
  t.strictSame(await wire.lines(1), ['close'])
  wire.text('still under way')
  wire.close()
  await wire.untilClosed()
  t.strictSame(heard, ['still under way'])
})

t.test('what was sent before terminate arrives, and a client that closes is told its own words', async (t) => {
  const ends: unknown[] = []
  const all = deferred<undefined>()
  const { port } = await start(t, {}, (app) => {
    app.get('/last', { websocket: true }, (socket) => {
      socket.on('drain', () => { ends.push('drain') })
      socket.send('a'.repeat(100_000))
      socket.send('last words', (error) => { ends.push(error) })
      socket.terminate()
      socket.send('too late', (error) => { ends.push((error as { code?: string } | undefined)?.code) })
    })
    // Its peer reads nothing: the message waits behind what the kernel did not take.
    app.get('/stuck', { websocket: true }, (socket) => {
      const large = Buffer.alloc(2 ** 20)
      const told = (error?: Error): void => {
        ends.push((error as { code?: string } | undefined)?.code)
        if (ends.length === 13) all.resolve(undefined)
      }
      for (let i = 0; i < 12; i++) socket.send(large, told)
      setImmediate(() => {
        socket.send('last words', told)
        socket.terminate()
      })
    })
  })
  const url = `ws://127.0.0.1:${port}`
  const client = new WsClient(`${url}/last`)
  const heard: string[] = []
  client.on('message', (data) => { heard.push(String(data).slice(0, 10)) })
  t.strictSame(await closeOf(client), [1006, ''])
  t.strictSame(heard, ['aaaaaaaaaa', 'last words'])
  await new Promise((resolve) => { setTimeout(resolve, 20) })
  t.strictSame(ends.splice(0).toSorted(), ['FST_WS_ERR_CLOSED', undefined])

  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path: '/stuck' }))
  wire.duplex.pause()
  await all.promise
  t.strictSame(ends, Array(13).fill('FST_WS_ERR_CLOSED'), 'each callback once')
  wire.destroy()

  const leaving = await connect(t, url)
  leaving.close(4002, 'logged out')
  t.strictSame(await closeOf(leaving), [4002, 'logged out'])
})

t.test('messages that come before the first listener are kept', async (t) => {
  const { port } = await start(t, {}, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      await new Promise((resolve) => { setTimeout(resolve, 20) })
      echo(socket)
    })
  })
  const wire = await Wire.open(port, {}, Buffer.concat(['a', 'b'].map((payload) => frame({ opcode: 1, payload, masked: true }))))
  t.strictSame(await wire.lines(2), ['text "a"', 'text "b"'])
  wire.destroy()
})

t.test('a handshake without Host is taken, one with a wrong Host is not', async (t) => {
  const { port } = await start(t)
  const wire = await Wire.open(port, { headers: { Host: null } })
  wire.text('hi')
  t.strictSame(await wire.lines(1), ['text "hi"'])
  wire.destroy()
  const wrong = await Wire.connect(port)
  wrong.write(upgradeRequest({ headers: { Host: 'a b' } }))
  t.equal((await wrong.response()).statusCode, 400)
  wrong.destroy()
})

t.test('at shutdown peers get 1001, and preClose comes first', async (t) => {
  const { app, url } = await start(t)
  const client = await connect(t, url)
  const closed = closeOf(client)
  const serverClosed = once(app.websocketServer, 'close')
  await app.close()
  t.strictSame(await closed, [1001, ''])
  await serverClosed
  t.equal(app.server.listenerCount('upgrade'), 0)

  for (const preClose of [
    async function (this: FastifyInstance) { [...this.websocketServer.clients][0]!.close(4001, 'own') },
    function (this: FastifyInstance, done: () => void) {
      [...this.websocketServer.clients][0]!.close(4001, 'own')
      this.websocketServer.close(done)
    }
  ]) {
    const own = await start(t, { preClose: preClose as never })
    const closes: Array<Promise<[number, string]>> = []
    closes.push(closeOf(await connect(t, own.url)))
    await own.app.close()
    t.strictSame(await Promise.all(closes), [[4001, 'own']])
  }

  const lazy = await start(t, { preClose: async () => {} })
  const left = closeOf(await connect(t, lazy.url))
  await lazy.app.close()
  t.strictSame(await left, [1001, ''], 'what it leaves open is closed')
})

t.test('a peer that does not answer does not hold up the shutdown', async (t) => {
  const { app, port } = await start(t, { options: { closeTimeout: 20 } })
  const wire = await Wire.open(port)
  await app.close()
  await wire.untilClosed()
  t.strictSame(await wire.linesUntilEnd(), ['close 1001 ""'])
})

t.test('a server of its own', async (t) => {
  const server: Server = createServer((_request, response) => { response.end('own') })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { app } = bareApp(t)
  await app.register(websocket, { options: { server } })
  app.get('/', { websocket: true }, echo)
  await app.ready()
  t.equal(server.listenerCount('upgrade'), 1)
  t.equal(app.server.listenerCount('upgrade'), 0)
  const { port } = server.address() as AddressInfo
  const client = await connect(t, `ws://127.0.0.1:${port}`)
  client.send('hi')
  t.equal(await client.next(), 'hi')
  const injected = await app.injectWS('/')
  injected.send('in memory')
  t.equal((await once(injected, 'message'))[0].toString(), 'in memory')
  const closed = closeOf(client)
  await app.close()
  t.strictSame(await closed, [1001, ''])
  t.equal(server.listenerCount('upgrade'), 0)
  const wire = await Wire.connect(port)
  wire.write(request({ headers: { Host: 'localhost', Connection: 'close' } }))
  t.equal((await wire.response()).body, 'own')
})

t.test('a route with a contract in the same scope speaks it', async (t) => {
  const { app } = await start(t, {}, (app) => {
    app.get('/typed', { websocket: true, messages: json({ receive: { type: 'object', properties: { a: { type: 'string' } } } }) }, (socket) => {
      socket.on('message', (message) => { socket.send({ got: message } as never) })
    })
    app.get('/named', { websocket: true, subprotocols: { v1: json() } }, { v1: (socket) => { socket.send({ hello: 'v1' } as never) } })
  })
  const client = await app.injectWebSocket('/typed')
  client.send({ a: 'b' })
  t.strictSame(await client.next(), { got: { a: 'b' } })
  client.send({ a: {} })
  t.equal((await client.closed).code, 1008)
  const named = await app.injectWebSocket('/named', { subprotocols: ['v1'] })
  t.strictSame(await named.next(), { hello: 'v1' })
})

t.test('beside the plugin itself, in a scope of its own', async (t) => {
  const duplex = (await import('../../index.ts')).default
  const { app } = await start(t, {}, (app) => {
    app.register(async (scope) => {
      await scope.register(duplex, { origin: ['https://app.example'] })
      scope.get('/own', { websocket: true }, echo)
    })
  })
  t.equal((await app.inject('/own')).statusCode, 426)
  t.equal((await app.inject('/')).statusCode, 404)
  await t.rejects(app.injectWebSocket('/own', { headers: { origin: 'https://elsewhere.example' } }), { statusCode: 403 } as never)
  await app.injectWebSocket('/own')
  t.equal(app.websocketServer.clients.size, 0, 'its sockets are not among the clients')
  t.equal(app.websockets.size, 1)
})

t.test('require gives the function', async (t) => {
  t.match(Object.keys(await import('../../lib/compat/plugin.ts')).sort(), ['default', 'fastifyWebsocket', 'module.exports'])
  const names = websocket as unknown as Record<string, unknown>
  t.equal(names.default, websocket)
  t.equal(names.fastifyWebsocket, websocket)
})
