import { createRequire } from 'node:module'
import { Type, TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { text as readText } from 'node:stream/consumers'
import Fastify, { type FastifyInstance } from 'fastify'
import { validatorCompiler as zodCompiler } from 'fastify-type-provider-zod'
import t, { type Test } from 'tap'
import { z } from 'zod'
import duplex, { bytes, custom, defineWebSocketRoute, json, raw, text } from '../../index.ts'
import { bareApp, LEVEL, listen, startApp, thrown, type Running } from '../helpers/app.ts'
import { request, upgradeRequest, Wire, type RequestOptions, type WireResponse } from '../helpers/wire.ts'

// Its types add to Fastify what ours do, so it has none here.
const fastifyWebsocket: unknown = createRequire(import.meta.url)('@fastify/websocket')

const Say = { type: 'object', required: ['text'], properties: { text: { type: 'string' } } }

/** What the server answers to a handshake that offers these subprotocols. */
async function offer (port: number, path: string, offered?: string, more: RequestOptions['headers'] = {}): Promise<WireResponse & { json?: any, wire: Wire }> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path, headers: { ...offered !== undefined && { 'Sec-WebSocket-Protocol': offered }, ...more } }))
  const response = await wire.response()
  if (response.statusCode !== 101) wire.destroy()
  return { ...response, wire, ...response.body.startsWith('{') && { json: JSON.parse(response.body) } }
}

async function plain (port: number, options: RequestOptions): Promise<WireResponse> {
  const wire = await Wire.connect(port)
  wire.write(request({ ...options, headers: { Host: 'localhost', ...options.headers } }))
  const response = options.method === 'HEAD' ? await head(wire) : await wire.response()
  wire.destroy()
  return response
}

async function head (wire: Wire): Promise<WireResponse> {
  await wire.until(() => wire.received.includes('\r\n\r\n'))
  // A HEAD says how long the body would be.
  wire.received = Buffer.from(wire.received.toString('latin1').replace(/content-length: \d+/i, 'content-length: 0'))
  return await wire.response()
}

/** The server says over the socket what its handler has seen. */
async function said (wire: Wire): Promise<string> {
  const [frame] = await wire.frames(1)
  wire.destroy()
  return frame!.payload.toString()
}

t.test('app.get, app.route, wsHandler beside handler, and a map of handlers', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/get', { websocket: true }, (socket) => { socket.send('get') })
    app.route({ method: 'GET', url: '/route', websocket: true, handler: (socket) => { socket.send('route') } })
    app.route({ method: 'get' as 'GET', url: '/lower', websocket: true, handler: (socket) => { socket.send('lower') } })
    app.route({ method: ['GET'] as never, url: '/array', websocket: true, handler: (socket) => { socket.send('array') } })
    app.route({ method: 'GET', url: '/both', handler: async () => 'plain', wsHandler: (socket) => { socket.send('both') } })
    app.get('/map', { websocket: true, messages: text(), subprotocols: { a: text(), b: text() } }, {
      '': (socket) => { socket.send('nameless') },
      a: (socket) => { socket.send(`map ${socket.protocol}`) },
      b: (socket) => { socket.send(`map ${socket.protocol}`) }
    })
    app.route({
      method: 'GET',
      url: '/both-map',
      subprotocols: { a: text(), b: text() },
      handler: async () => 'plain',
      wsHandler: {
        a: (socket) => { socket.send('both a') },
        b: (socket) => { socket.send('both b') }
      }
    })
    app.get('/one', { websocket: true, subprotocols: { a: text(), b: text() } }, (socket) => { socket.send(`one ${socket.protocol}`) })
  })
  for (const [path, offered, expected] of [
    ['/get', undefined, 'get'], ['/route', undefined, 'route'], ['/lower', undefined, 'lower'], ['/array', undefined, 'array'], ['/both', undefined, 'both'],
    ['/map', undefined, 'nameless'], ['/map', 'a', 'map a'], ['/map', 'b', 'map b'], ['/both-map', 'b', 'both b'], ['/one', 'b', 'one b']
  ] as const) {
    const { statusCode, headers, wire } = await offer(port, path, offered)
    t.equal(statusCode, 101, path)
    t.equal(headers['sec-websocket-protocol'], offered)
    t.equal(await said(wire), expected)
  }
  t.equal((await plain(port, { path: '/both' })).body, 'plain')
  t.equal((await plain(port, { path: '/both-map' })).body, 'plain')
})

t.test('this is the instance of the route\'s scope, for all kinds of handlers', async (t) => {
  const { port } = await startApp(t, async (app) => {
    await app.register(async (child) => {
      child.decorate('who', 'child')
      const who = (instance: FastifyInstance): string => (instance as never as { who: string }).who
      child.get('/one', { websocket: true }, function (socket) { socket.send(who(this as never)) })
      child.get('/map', { websocket: true, subprotocols: { a: text() } }, { a: function (socket) { socket.send(who(this as never)) } })
      child.route({
        method: 'GET',
        url: '/both',
        handler: async function () { return who(this as never) },
        wsHandler: function (socket) { socket.send(who(this as never)) }
      })
    }, { prefix: '/scope' })
  })
  t.equal(await said((await offer(port, '/scope/one')).wire), 'child')
  t.equal(await said((await offer(port, '/scope/map', 'a')).wire), 'child')
  t.equal(await said((await offer(port, '/scope/both')).wire), 'child')
  t.equal((await plain(port, { path: '/scope/both' })).body, 'child')
})

t.test('any other method throws when the route is declared', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  const handler = (): void => {}
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', ['GET', 'POST'], ['GET', 'HEAD'], []]) {
    const error = thrown(() => app.route({ method, url: '/x', websocket: true, handler } as never))
    t.match(error, { code: 'FST_WS_ERR_INVALID_ROUTE', message: /'\/x'.*GET/ }, String(method))
    t.match(thrown(() => app.route({ method, url: '/x', handler, wsHandler: handler } as never)), { code: 'FST_WS_ERR_INVALID_ROUTE' })
  }
  t.match(thrown(() => app.post('/x', { websocket: true } as never, handler)), { code: 'FST_WS_ERR_INVALID_ROUTE' })
  t.match(thrown(() => app.all('/x', { websocket: true } as never, handler)), { code: 'FST_WS_ERR_INVALID_ROUTE' })
})

t.test('beside @fastify/websocket, before or after it, nothing starts: both would serve the route', async (t) => {
  for (const order of [[fastifyWebsocket, duplex], [duplex, fastifyWebsocket]]) {
    const { app } = bareApp(t)
    for (const plugin of order) await app.register(plugin as never)
    app.get('/', { websocket: true }, () => {})
    await t.rejects(async () => { await app.ready() }, { code: 'FST_WS_ERR_INVALID_ROUTE', message: /@fastify\/websocket is registered beside/ })
  }
})

t.test('a route that makes no sense throws when it is declared', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  const handler = (): void => {}
  const declare = (options: object, given: unknown = handler): any => thrown(() => app.get('/x', options as never, given as never))
  const invalid = (message: RegExp) => ({ code: 'FST_WS_ERR_INVALID_ROUTE', message })
  t.match(declare({ messages: json() }), invalid(/'messages' and 'subprotocols' need 'websocket: true'/))
  t.match(declare({ subprotocols: { a: json() } }), invalid(/'websocket: true'/))
  t.match(declare({ websocket: false, messages: json() }), invalid(/'websocket: true'/))
  for (const websocket of ['true', 1, {}]) t.match(declare({ websocket }), invalid(/'websocket' must be true or false/))
  for (const option of ['maxMessageBytes', 'origin', 'heartbeat', 'onInvalidMessage', 'expiresAt', 'maxConnections']) {
    t.match(declare({ websocket: true, [option]: 1 }), { code: 'FST_WS_ERR_INVALID_OPTION', message: `the option '${option}' must be given in the route's 'websocketOptions'` })
  }
  for (const option of ['errorHandler', 'validatorCompiler', 'schemaErrorFormatter']) {
    t.equal(thrown(() => app.get(`/${option}`, { websocket: true, [option]: () => {} } as never, handler)), undefined, 'which Fastify has as well')
  }
  t.match(declare({ websocket: true }, { a: handler }), invalid(/a map of handlers needs 'subprotocols'/))
  t.match(declare({ websocket: true, messages: text() }, { '': handler }), invalid(/a map of handlers needs 'subprotocols'/))
  t.match(declare({ websocket: true, subprotocols: { a: text() } }, { a: handler, b: handler }), invalid(/handler for 'b' but no contract/))
  t.match(declare({ websocket: true, subprotocols: { a: text() } }, { a: handler, '': handler }), invalid(/handler for '' but no contract/))
  t.match(declare({ websocket: true, subprotocols: { a: text(), b: text() } }, { a: handler }), invalid(/contract for 'b' but no handler/))
  t.match(declare({ websocket: true, subprotocols: { a: text() }, messages: text() }, { a: handler }), invalid(/'messages' needs a handler, whose name in the map is ''/))
  t.match(declare({ websocket: true, subprotocols: { a: text() } }, { a: 'x' }), invalid(/handler for 'a' is not a function/))
  t.match(declare({ websocket: true, subprotocols: { constructor: text() } }, {}), invalid(/contract for 'constructor' but no handler/))
  t.match(declare({ websocket: true, subprotocols: { a: text() }, selectSubprotocol: () => 'a' }), invalid(/'selectSubprotocol' is for routes without contracts/))
  t.match(declare({ websocket: true, messages: text(), websocketOptions: { selectSubprotocol: () => 'a' } }), invalid(/'selectSubprotocol'/))
  t.match(thrown(() => app.route({ method: 'GET', url: '/x', handler, wsHandler: 'x' } as never)), invalid(/must be a function, or a map/))
  t.match(thrown(() => app.route({ method: 'GET', url: '/x', handler, wsHandler: null } as never)), invalid(/must be a function, or a map/))

  const contract = (where: RegExp) => ({ code: 'FST_WS_ERR_INVALID_CONTRACT', message: where })
  t.match(declare({ websocket: true, messages: { receive: Say } }), contract(/route \/x, 'messages'/))
  t.match(declare({ websocket: true, messages: null }), contract(/route \/x, 'messages'/))
  t.match(declare({ websocket: true, subprotocols: {} }), contract(/'subprotocols'.*names no subprotocol/))
  t.match(declare({ websocket: true, subprotocols: { '': text() } }), contract(/is 'messages', not ''/))
  t.match(declare({ websocket: true, subprotocols: { 'a b': text() } }), contract(/'a b' is not a token/))
  t.match(declare({ websocket: true, subprotocols: { a: 'text' } }), contract(/subprotocol 'a'/))
})

t.test('a wsHandler route whose plain handler is missing says so', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  t.ok(thrown(() => app.route({ method: 'GET', url: '/x', wsHandler () {} } as never)))
})

t.test('a plain GET on a WebSocket route is 426 and names the protocol; HEAD answers alike', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/ws', { websocket: true }, () => {})
    app.get('/map', { websocket: true, subprotocols: { a: text() } }, { a: () => {} })
    app.route({ method: 'GET', url: '/both', handler: async (_request, reply) => { reply.header('x-plain', '1'); return 'plain' }, wsHandler: () => {} })
  })
  for (const path of ['/ws', '/map']) {
    const { statusCode, headers, body } = await plain(port, { path })
    t.equal(statusCode, 426)
    t.equal(headers['upgrade'], 'websocket')
    t.match(headers['connection']!.toLowerCase().split(/, */), ['upgrade'])
    t.match(JSON.parse(body), { code: 'FST_WS_ERR_UPGRADE_REQUIRED', statusCode: 426 })
    const asHead = await plain(port, { path, method: 'HEAD' })
    t.equal(asHead.statusCode, 426)
    t.equal(asHead.headers['upgrade'], 'websocket')
  }
  t.equal((await plain(port, { path: '/both', method: 'HEAD' })).headers['x-plain'], '1')
  t.equal((await plain(port, { path: '/ws', method: 'POST' })).statusCode, 404)
})

t.test('over HTTP/2, which knows no Upgrade, a plain GET on a WebSocket route is 400', async (t) => {
  const { port } = await startApp(t, (app) => { app.get('/ws', { websocket: true }, () => {}) }, {}, { http2: true } as object)
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const stream = session.request({ ':path': '/ws' })
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 400)
  t.notOk('upgrade' in headers)
  t.match(JSON.parse(await readText(stream)), { code: 'FST_WS_ERR_UPGRADE_REQUIRED' })
  session.close()
  await once(session, 'close')
})

t.test('HEAD and POST with the fields of a handshake open nothing', async (t) => {
  let opened = 0
  const { port } = await startApp(t, (app) => {
    app.get('/ws', { websocket: true }, () => { opened++ })
  })
  for (const method of ['HEAD', 'POST', 'PUT', 'OPTIONS']) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ method, path: '/ws' }))
    const { statusCode, headers } = method === 'HEAD' ? await head(wire) : await wire.response()
    t.ok(statusCode >= 400 && statusCode < 500, `${method} ${statusCode}`)
    t.notOk('sec-websocket-accept' in headers)
    wire.end()
    await wire.untilClosed()
  }
  t.equal(opened, 0)
})

t.test('an upgrade request to a plain route is answered as plain HTTP, and the connection closes', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.get('/plain', async () => 'plain')
    app.get('/slow', async () => { await new Promise((resolve) => { setTimeout(resolve, 50) }); return 'slow' })
  }, { handshakeTimeoutMs: 10 })
  for (const path of ['/plain', '/slow']) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ path }) + request({ path: '/plain', headers: { Host: 'localhost' } }))
    const response = await wire.response()
    t.equal(response.statusCode, 200)
    t.equal(response.body, path.slice(1))
    t.match(response.headers['connection'], /close/)
    await wire.untilEnd()
    t.equal(wire.received.length, 0, 'nothing behind it is parsed')
  }
  t.equal(app.websockets.size, 0)
})

t.test('an upgrade to something else on a WebSocket route is a plain request', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/ws', { websocket: true }, () => t.fail('not opened'))
    app.route({ method: 'GET', url: '/both', handler: async () => 'plain', wsHandler: () => t.fail('not opened') })
  })
  for (const Upgrade of ['h2c', 'h2c, TLS/1.3', 'web socket']) {
    const refused = await Wire.connect(port)
    refused.write(upgradeRequest({ path: '/ws', headers: { Upgrade } }))
    const { statusCode, headers } = await refused.response()
    t.equal(statusCode, 426, Upgrade)
    t.match(headers['connection'], /upgrade/i)
    refused.end()
    await refused.untilClosed()
    const served = await Wire.connect(port)
    served.write(upgradeRequest({ path: '/both', headers: { Upgrade } }))
    t.equal((await served.response()).body, 'plain')
    served.end()
    await served.untilClosed()
  }
  const several = await offer(port, '/nothing', undefined, { Upgrade: 'h2c, websocket' })
  t.equal(several.statusCode, 404)
})

t.test('the subprotocol: what is offered and what the route has', async (t) => {
  const { port } = await startApp(t, (app) => {
    const handler = (socket: { protocol: string, sendRaw (data: string): unknown }): void => { socket.sendRaw(`:${socket.protocol}`) }
    app.get('/raw', { websocket: true }, handler)
    app.get('/messages', { websocket: true, messages: json() }, handler)
    app.get('/named', { websocket: true, subprotocols: { 'chat.v2': json(), 'chat.v1': json() } }, handler)
    app.get('/both', { websocket: true, messages: json(), subprotocols: { 'chat.v2': json() } }, handler)
    app.get('/raw-contract', { websocket: true, subprotocols: { 'graphql-transport-ws': raw() } }, handler)
    app.get('/odd', { websocket: true, subprotocols: { constructor: text(), toString: bytes() } }, handler)
  })
  const accepted: Array<[path: string, offered: string | undefined, protocol: string]> = [
    ['/raw', undefined, ''],
    ['/messages', undefined, ''],
    ['/named', 'chat.v1', 'chat.v1'],
    ['/named', 'chat.v1, chat.v2', 'chat.v1'],
    ['/named', 'chat.v2,chat.v1', 'chat.v2'],
    ['/named', 'chat.v9, chat.v1', 'chat.v1'],
    ['/both', undefined, ''],
    ['/both', 'chat.v2', 'chat.v2'],
    ['/both', 'x, chat.v2', 'chat.v2'],
    ['/raw-contract', 'graphql-transport-ws', 'graphql-transport-ws'],
    ['/odd', 'constructor', 'constructor']
  ]
  for (const [path, offered, protocol] of accepted) {
    const { statusCode, headers, wire } = await offer(port, path, offered)
    t.equal(statusCode, 101, `${path} ${offered}`)
    t.equal(headers['sec-websocket-protocol'], protocol === '' ? undefined : protocol)
    t.equal(await said(wire), `:${protocol}`)
  }
  const refused: Array<[path: string, offered: string | undefined, message: RegExp]> = [
    ['/named', undefined, /chat\.v2, chat\.v1/],
    ['/named', 'chat.v9', /chat\.v2, chat\.v1/],
    ['/named', 'Chat.V1', /chat\.v2, chat\.v1/],
    ['/named', 'constructor', /chat\.v2, chat\.v1/],
    ['/named', '__proto__', /chat\.v2, chat\.v1/],
    ['/both', 'chat.v1', /chat\.v2/],
    ['/messages', 'chat.v1', /no subprotocols/],
    ['/raw', 'chat.v1', /agrees to none/],
    ['/odd', 'hasOwnProperty', /constructor, toString/]
  ]
  for (const [path, offered, message] of refused) {
    const { statusCode, json } = await offer(port, path, offered)
    t.equal(statusCode, 400, `${path} ${offered}`)
    t.match(json, { code: 'FST_WS_ERR_SUBPROTOCOL', message })
    if (offered !== undefined) t.notOk(json.message.includes(offered), 'and does not echo what came')
  }
})

t.test('selectSubprotocol picks one of those offered, on raw routes: plugin, websocketOptions, route', async (t) => {
  const asked: Array<readonly string[]> = []
  const { port } = await startApp(t, async (app) => {
    const handler = (socket: { protocol: string, sendRaw (data: string): unknown }): void => { socket.sendRaw(`:${socket.protocol}`) }
    app.get('/plugin', { websocket: true }, handler)
    app.get('/options', { websocket: true, websocketOptions: { selectSubprotocol: () => 'b' } }, handler)
    app.get('/route', { websocket: true, selectSubprotocol: (_offered, request) => request.headers['x-want'] as string }, handler)
    app.get('/both', { websocket: true, websocketOptions: { selectSubprotocol: () => 'b' }, selectSubprotocol: () => 'c' }, handler)
    app.get('/not-offered', { websocket: true, selectSubprotocol: () => 'other' }, handler)
    app.get('/none', { websocket: true, selectSubprotocol: () => false }, handler)
    app.get('/later', { websocket: true, selectSubprotocol: (async () => 'a') as never }, handler)
    app.get('/throws', { websocket: true, selectSubprotocol: () => { throw new Error('broken') } }, handler)
    app.get('/contract', { websocket: true, messages: json() }, handler)
  }, { selectSubprotocol: (offered) => { asked.push(offered); return offered[1] ?? false } })
  for (const [path, want, protocol] of [['/plugin', '', 'b'], ['/options', '', 'b'], ['/route', 'c', 'c'], ['/both', '', 'c']] as const) {
    const { statusCode, headers, wire } = await offer(port, path, 'a, b, c', { 'X-Want': want })
    t.equal(statusCode, 101, path)
    t.equal(headers['sec-websocket-protocol'], protocol)
    t.equal(await said(wire), `:${protocol}`)
  }
  t.strictSame(asked, [['a', 'b', 'c']])
  t.equal((await offer(port, '/plugin', 'a')).statusCode, 400)
  t.equal((await offer(port, '/route', 'a', { 'X-Want': 'constructor' })).statusCode, 400)
  for (const path of ['/not-offered', '/none', '/contract']) t.equal((await offer(port, path, 'a, b')).statusCode, 400, path)
  t.equal((await offer(port, '/throws', 'a')).statusCode, 500)
  const { statusCode: later } = await offer(port, '/later', 'a')
  t.ok(later === 400 || later === 500, `a promise decides nothing: ${later}`)
  const nothing = await offer(port, '/none')
  t.equal(nothing.statusCode, 101, 'a client that offers nothing is not asked about')
  nothing.wire.destroy()
  const unasked = await offer(port, '/contract')
  t.equal(unasked.statusCode, 101)
  unasked.wire.destroy()
})

t.test('a selectSubprotocol that rejects ends nothing', async (t) => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => { unhandled.push(error) }
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true, selectSubprotocol: (async () => { throw new Error('late') }) as never }, () => {})
  })
  t.ok((await offer(port, '/', 'a')).statusCode >= 400)
  t.strictSame(unhandled, [])
})

t.test('prefix, host constraints, ignoreTrailingSlash, and the two paths of a prefixed "/"', async (t) => {
  const { port } = await startApp(t, async (app) => {
    await app.register(async (scope) => {
      scope.get('/', { websocket: true }, (socket, request) => { socket.send(`root ${request.url}`) })
      scope.get('/room/:id', { websocket: true }, (socket, request) => { socket.send((request.params as { id: string }).id) })
    }, { prefix: '/chat' })
    app.get('/where', { websocket: true, constraints: { host: 'a.example' } }, (socket) => { socket.send('a') })
    app.get('/where', { websocket: true, constraints: { host: 'b.example' } }, (socket) => { socket.send('b') })
  }, {}, { routerOptions: { ignoreTrailingSlash: false } })
  t.equal(await said((await offer(port, '/chat')).wire), 'root /chat')
  t.equal(await said((await offer(port, '/chat/')).wire), 'root /chat/')
  t.equal(await said((await offer(port, '/chat/room/7')).wire), '7')
  t.equal((await offer(port, '/chat/room/7/')).statusCode, 404)
  t.equal(await said((await offer(port, '/where', undefined, { Host: 'a.example' })).wire), 'a')
  t.equal(await said((await offer(port, '/where', undefined, { Host: 'b.example' })).wire), 'b')
  t.equal((await offer(port, '/where', undefined, { Host: 'c.example' })).statusCode, 404)

  const lenient = await startApp(t, (app) => app.get('/x', { websocket: true }, (socket) => { socket.send('x') }), {}, { routerOptions: { ignoreTrailingSlash: true } })
  t.equal(await said((await offer(lenient.port, '/x/')).wire), 'x')
})

t.test('url is that of the request, with the scheme of a WebSocket', async (t) => {
  const { port } = await startApp(t, (app) => app.get('/a/:b', { websocket: true }, (socket) => { socket.send(socket.url) }))
  t.equal(await said((await offer(port, '/a/b?c=d', undefined, { Host: 'example.com:81' })).wire), 'ws://example.com:81/a/b?c=d')
  t.equal(await said((await offer(port, 'http://example.com:81/a/b?c=d', undefined, { Host: 'example.com:81' })).wire), 'ws://example.com:81/a/b?c=d', 'also when the request gives it whole')
})

t.test('each connection of a route has the url of its own request, whatever the one before had', async (t) => {
  const { port } = await startApp(t, (app) => app.get('/a/:b', { websocket: true }, (socket) => { socket.send(socket.url) }))
  for (const [path, host] of [['/a/1', 'one.example'], ['/a/1', 'one.example'], ['/a/2', 'one.example'], ['/a/2', 'two.example'], ['/a/2?c', 'two.example'], ['/a/2', 'two.example'], ['/a/1', 'one.example']] as const) {
    t.equal(await said((await offer(port, path, undefined, { Host: host })).wire), `ws://${host}${path}`)
  }
})

t.test('a route object of defineWebSocketRoute registers as it is, alone, spread and under a prefix', async (t) => {
  const chat = defineWebSocketRoute({ url: '/chat/:room', schema: { params: { type: 'object', properties: { room: { type: 'string', maxLength: 3 } } } }, messages: text() })
  const { port } = await startApp(t, async (app) => {
    app.get(chat.url, chat, (socket) => { socket.send('alone') })
    await app.register(async (scope) => {
      scope.get(chat.url, { ...chat, config: { a: 1 } }, (socket, request) => { socket.send(`spread ${(request.routeOptions.config as { a?: number }).a}`) })
    }, { prefix: '/v1' })
  })
  t.equal(await said((await offer(port, '/chat/abc')).wire), 'alone')
  t.equal(await said((await offer(port, '/v1/chat/abc')).wire), 'spread 1')
  t.equal((await offer(port, '/chat/abcd')).statusCode, 400)
})

// Message schemas.

/** Sends one message to an echoing route: the echo, or the Close that came instead. */
async function echo (port: number, path: string, message: unknown, offered?: string): Promise<string> {
  const { wire, statusCode } = await offer(port, path, offered)
  if (statusCode !== 101) throw new Error(String(statusCode))
  wire.text(JSON.stringify(message))
  const [line] = await wire.lines(1)
  wire.destroy()
  return line!
}

const echoing = (socket: { on (event: 'message', listener: (message: any) => void): unknown, send (message: any): unknown }): void => { socket.on('message', (message) => { socket.send(message) }) }
const text1 = (value: unknown): string => `text ${JSON.stringify(JSON.stringify(value))}`

async function startEcho (t: Test, define: (app: FastifyInstance) => unknown, options: object = {}): Promise<Running> {
  return await startApp(t, define, options)
}

t.test('Ajv neither coerces nor removes, and fills in defaults', async (t) => {
  const { port } = await startEcho(t, (app) => {
    app.get('/', { websocket: true, messages: json({ receive: { type: 'object', properties: { n: { type: 'number' }, s: { type: ['string', 'null'] }, d: { default: 7 } }, required: ['n'] } }) }, echoing)
    app.get('/union', {
      websocket: true,
      messages: json({
        receive: {
          anyOf: [
            { type: 'object', properties: { type: { const: 'say' }, text: { type: 'string' } }, required: ['type', 'text'], additionalProperties: false },
            { type: 'object', properties: { type: { const: 'edit' }, text: { type: 'string' }, id: { type: 'number' } }, required: ['type', 'text', 'id'], additionalProperties: false }
          ]
        }
      })
    }, echoing)
    app.get('/discriminator', {
      websocket: true,
      messages: json({
        receive: {
          type: 'object',
          discriminator: { propertyName: 'type' },
          required: ['type'],
          oneOf: [
            { properties: { type: { const: 'a' }, a: { type: 'number' } }, required: ['a'] },
            { properties: { type: { const: 'b' }, b: { type: 'number' } }, required: ['b'] }
          ]
        }
      })
    }, echoing)
  })
  t.equal(await echo(port, '/', { n: 1, s: null, extra: true }), text1({ n: 1, s: null, extra: true, d: 7 }))
  t.equal(await echo(port, '/', { n: '1' }), 'close 1008 "invalid message"')
  t.equal(await echo(port, '/union', { type: 'edit', text: 'x', id: 1 }), text1({ type: 'edit', text: 'x', id: 1 }))
  t.equal(await echo(port, '/discriminator', { type: 'b', b: 1 }), text1({ type: 'b', b: 1 }))
  t.equal(await echo(port, '/discriminator', { type: 'b', a: 1 }), 'close 1008 "invalid message"')
})

t.test('$ref to a schema of addSchema, also in a child scope', async (t) => {
  const { port } = await startEcho(t, async (app) => {
    app.get('/root', { websocket: true, messages: json({ receive: { $ref: 'say#' } }) }, echoing)
    app.addSchema({ $id: 'say', ...Say })
    await app.register(async (child) => {
      child.addSchema({ $id: 'shout', type: 'object', required: ['loud'], properties: { loud: { const: true }, say: { $ref: 'say#' } } })
      child.get('/child', { websocket: true, subprotocols: { v1: json({ receive: { $ref: 'shout#' } }), v2: json({ receive: { $ref: 'say#' } }) } }, echoing)
    })
  })
  t.equal(await echo(port, '/root', { text: 'x' }), text1({ text: 'x' }))
  t.equal(await echo(port, '/root', { text: 1 }), 'close 1008 "invalid message"')
  t.equal(await echo(port, '/child', { loud: true, say: { text: 'x' } }, 'v1'), text1({ loud: true, say: { text: 'x' } }))
  t.equal(await echo(port, '/child', { loud: true, say: { text: 1 } }, 'v1'), 'close 1008 "invalid message"')
  t.equal(await echo(port, '/child', { text: 'x' }, 'v2'), text1({ text: 'x' }))
})

t.test('a scope that has request schemas too validates its messages as without them', async (t) => {
  const { port } = await startEcho(t, async (app) => {
    app.get('/', { websocket: true, schema: { querystring: { type: 'object', properties: { n: { type: 'number' } } } }, messages: json({ receive: { type: 'object', properties: { n: { type: 'number' } } } }) }, echoing)
    app.post('/other', { schema: { body: Say } }, async () => 'x')
  })
  t.equal(await echo(port, '/?n=1', { n: 1 }), text1({ n: 1 }))
  t.equal(await echo(port, '/?n=1', { n: '1' }), 'close 1008 "invalid message"', 'Fastify\'s own Ajv would coerce it')
})

t.test('the ajv option of the plugin', async (t) => {
  const { port } = await startEcho(t, (app) => {
    app.get('/', { websocket: true, messages: json({ receive: { type: 'object', properties: { n: { type: 'number', even: true } } } }) }, echoing)
  }, { ajv: { customOptions: { coerceTypes: true }, plugins: [(ajv: any) => ajv.addKeyword({ keyword: 'even', validate: (_: unknown, n: number) => n % 2 === 0 })] } })
  t.equal(await echo(port, '/', { n: '2' }), text1({ n: 2 }))
  t.equal(await echo(port, '/', { n: 3 }), 'close 1008 "invalid message"')
})

t.test('compilers: of the context, set after the route too, of the route, of the options', async (t) => {
  const refuseAll = () => () => ({ error: new Error('refused') })
  const replaceBy = (value: unknown) => () => () => ({ value })
  const { port } = await startEcho(t, async (app) => {
    await app.register(async (scope) => {
      scope.get('/typebox', { websocket: true, messages: json({ receive: Type.Object({ n: Type.Number() }) }) }, echoing)
      scope.setValidatorCompiler(TypeBoxValidatorCompiler)
    })
    await app.register(async (scope) => {
      scope.setValidatorCompiler(zodCompiler)
      scope.get('/zod', { websocket: true, messages: json({ receive: z.object({ n: z.string().transform(Number) }) }) }, echoing)
    })
    await app.register(async (scope) => {
      scope.setValidatorCompiler(refuseAll)
      scope.get('/context', { websocket: true, messages: json({ receive: {} }) }, echoing)
      scope.get('/route', { websocket: true, messages: json({ receive: {} }), validatorCompiler: replaceBy('of the route') }, echoing)
      scope.get('/options', { websocket: true, messages: json({ receive: {} }), validatorCompiler: replaceBy('of the route'), websocketOptions: { validatorCompiler: replaceBy('of the options') } }, echoing)
    })
    app.get('/ajv', { websocket: true, messages: json({ receive: Say }) }, echoing)
  })
  t.equal(await echo(port, '/typebox', { n: 1 }), text1({ n: 1 }))
  t.equal(await echo(port, '/typebox', { n: 'x' }), 'close 1008 "invalid message"')
  t.equal(await echo(port, '/zod', { n: '42' }), text1({ n: 42 }), 'what zod made of it is delivered')
  t.equal(await echo(port, '/zod', { n: 42 }), 'close 1008 "invalid message"')
  t.equal(await echo(port, '/context', 1), 'close 1008 "invalid message"')
  t.equal(await echo(port, '/route', 1), text1('of the route'))
  t.equal(await echo(port, '/options', 1), text1('of the options'))
  t.equal(await echo(port, '/ajv', { text: 'x' }), text1({ text: 'x' }))
})

t.test('a validatorCompiler given at register is that of all routes in its scope', async (t) => {
  const { port } = await startEcho(t, (app) => {
    app.get('/', { websocket: true, messages: json({ receive: {} }) }, echoing)
  }, { validatorCompiler: () => () => ({ value: 'of the plugin' }) })
  t.equal(await echo(port, '/', 1), text1('of the plugin'))
})

t.test('TypeBox by its type provider, as in the documentation', async (t) => {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  t.teardown(() => app.close())
  await app.register(duplex)
  app.get('/echo', { websocket: true, messages: json({ receive: Type.Object({ text: Type.String() }), send: Type.Object({ echo: Type.String() }) }) }, async (socket) => {
    for await (const message of socket) socket.send({ echo: message.text })
  })
  const { port } = await listen(app as never)
  t.equal(await echo(port, '/echo', { text: 'x' }), text1({ echo: 'x' }))
})

t.test('a broken schema stops the start, and says which route and subprotocol', async (t) => {
  for (const direction of ['receive', 'send']) {
    const { app } = bareApp(t)
    await app.register(duplex)
    await app.register(async (scope) => {
      scope.get('/room/:id', { websocket: true, subprotocols: { good: json({ receive: Say }), 'bad.v1': json({ [direction]: { type: 'no such type' } }) } }, () => {})
    }, { prefix: '/chat' })
    const error = await app.ready().then(() => undefined, (error: unknown) => error) as any
    t.match(error, { code: 'FST_WS_ERR_INVALID_SCHEMA', message: new RegExp(`${direction}.*/chat/room/:id.*'bad.v1'`) })
    t.ok(error.cause)
  }
  const nameless = bareApp(t).app
  await nameless.register(duplex)
  nameless.get('/x', { websocket: true, messages: json({ receive: { $ref: 'nowhere#' } }) }, () => {})
  await t.rejects(Promise.resolve(nameless.ready()), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /route \/x/ })

  const later = bareApp(t).app
  await later.register(duplex)
  later.get('/x', { websocket: true, messages: json({ receive: {} }), validatorCompiler: () => (async () => true) as never }, () => {})
  await later.ready()
  const async = bareApp(t).app
  await async.register(duplex)
  async.get('/x', { websocket: true, messages: json({ receive: { $async: true, type: 'object' } }) }, () => {})
  await t.rejects(Promise.resolve(async.ready()), { code: 'FST_WS_ERR_ASYNC_VALIDATOR' })
})

t.test('validateSend, at register and on a route', async (t) => {
  const { port, log } = await startApp(t, (app) => {
    const handler = (socket: { send (message: any): unknown }): void => {
      try {
        socket.send({ text: 1 })
      } catch (error) {
        socket.send({ text: (error as { code: string }).code })
      }
    }
    app.get('/on', { websocket: true, messages: json({ send: Say }) }, handler)
    app.get('/off', { websocket: true, messages: json({ send: Say }), websocketOptions: { validateSend: false } }, handler)
    app.get('/thrown', { websocket: true, messages: json({ send: Say }) }, (socket) => { socket.send({} as never) })
  }, { validateSend: true })
  t.equal(await said((await offer(port, '/on')).wire), '{"text":"FST_WS_ERR_INVALID_SEND"}')
  t.equal(await said((await offer(port, '/off')).wire), '{"text":1}')
  const { wire } = await offer(port, '/thrown')
  t.strictSame(await wire.lines(1), ['close 1011 "internal error"'])
  t.match(log.atLevel(LEVEL.error)[0], { err: { code: 'FST_WS_ERR_INVALID_SEND', validationContext: 'message' } })
  wire.destroy()
})

t.test('a custom codec, with and without schema', async (t) => {
  const swap = { name: 'swap', wire: 'text', encode: (message: { v: string }) => message.v, decode: (data: string | Uint8Array) => ({ v: String(data) }) } as const
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true, messages: custom({ codec: swap, receive: { type: 'object', properties: { v: { maxLength: 3 } } } }) }, (socket) => { socket.on('message', (message: any) => { socket.send(message) }) })
  })
  const { wire } = await offer(port, '/')
  wire.text('abc')
  t.strictSame(await wire.lines(1), ['text "abc"'])
  wire.text('abcd')
  t.strictSame(await wire.lines(1), ['close 1008 "invalid message"'])
  wire.destroy()
})
