import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import t from 'tap'
import duplex, { json } from '../../index.ts'
import { bareApp, deferred, LEVEL, listen, startApp } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { request, SAMPLE_ACCEPT, upgradeRequest, Wire, type RequestOptions, type WireResponse } from '../helpers/wire.ts'

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

/** What is answered to a handshake; a refusal must be whole, say close, and close within about a second. */
async function shake (port: number, options: RequestOptions = {}): Promise<WireResponse & { wire: Wire, json?: any }> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest(options))
  const response = await wire.response().catch((error: unknown) => {
    wire.destroy()
    throw error
  })
  if (response.statusCode === 101) return { ...response, wire }
  const start = performance.now()
  await wire.untilClosed()
  if (performance.now() - start > 3_000) throw new Error('it did not close')
  if (!/\bclose\b/i.test(response.headers['connection'] ?? '')) throw new Error(`Connection: ${response.headers['connection']}`)
  if (response.headers['content-length'] === undefined) throw new Error('no Content-Length')
  return { ...response, wire, ...response.body.startsWith('{') && { json: JSON.parse(response.body) } }
}

/** No descriptor is left. */
async function untilNoConnection (app: FastifyInstance): Promise<void> {
  for (;;) {
    const count = await new Promise<number>((resolve, reject) => app.server.getConnections((error, count) => error === null ? resolve(count) : reject(error)))
    if (count === 0) return
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}

t.test('the hooks run once each, in order, around the 101', async (t) => {
  const order: string[] = []
  const finished = deferred()
  const { port, log } = await startApp(t, (app) => {
    app.addHook('onRequest', async () => { order.push('onRequest') })
    app.addHook('preParsing', async (_request, _reply, payload) => { order.push('preParsing'); return payload })
    app.addHook('preValidation', async () => { order.push('preValidation') })
    app.addHook('preHandler', async () => { order.push('preHandler') })
    app.addHook('preSerialization', async (_request, _reply, payload) => { order.push('preSerialization'); return payload })
    app.addHook('onSend', async (_request, reply, payload) => { order.push(`onSend ${reply.statusCode}`); return payload })
    app.addHook('onResponse', async (_request, reply) => { order.push(`onResponse ${reply.statusCode}`); finished.resolve() })
    app.addHook('onError', async () => { order.push('onError') })
    app.addHook('onRequestAbort', async (_request) => { order.push('onRequestAbort') })
    app.get('/', {
      websocket: true,
      onRequest: async () => { order.push('onRequest of the route') },
      preHandler: [async () => { order.push('preHandler 1 of the route') }, (_request: FastifyRequest, _reply: FastifyReply, done: () => void) => { order.push('preHandler 2 of the route'); done() }]
    }, (socket) => {
      order.push('handler')
      socket.on('close', () => { order.push('close') })
    })
  })
  const { statusCode, headers, wire } = await shake(port)
  t.equal(statusCode, 101)
  t.equal(headers['upgrade']?.toLowerCase(), 'websocket')
  t.equal(headers['connection']?.toLowerCase(), 'upgrade')
  t.equal(headers['sec-websocket-accept'], SAMPLE_ACCEPT)
  t.notOk('content-length' in headers)
  t.notOk('transfer-encoding' in headers)
  t.notOk('sec-websocket-protocol' in headers)
  t.notOk('sec-websocket-extensions' in headers)
  await finished.promise
  wire.close(1000)
  await wire.untilClosed()
  await log.line('websocket closed')
  t.strictSame(order, [
    'onRequest', 'onRequest of the route', 'preParsing', 'preValidation', 'preHandler', 'preHandler 1 of the route', 'preHandler 2 of the route',
    'onSend 101', 'handler', 'onResponse 101', 'close'
  ])
  t.match(log.with('request completed'), [{ res: { statusCode: 101 } }])
})

t.test('headers and cookies set on the way are on the 101', async (t) => {
  const { port } = await startApp(t, async (app) => {
    await app.register(cookie)
    app.addHook('onRequest', async (_request, reply) => { reply.header('X-Request-Id', 'abc').setCookie('early', '1', { httpOnly: true }) })
    app.addHook('preHandler', async (_request, reply) => { reply.raw.setHeader('X-Raw', 'raw'); reply.header('X-Many', ['a', 'b']) })
    app.addHook('onSend', async (_request, reply) => { reply.setCookie('late', '2').header('X-Late', 'late') })
    app.get('/', { websocket: true }, (socket, request) => { socket.send(JSON.stringify(request.cookies)) })
  })
  const { headers, setCookie, wire } = await shake(port, { headers: { Cookie: 'session=s3cret' } })
  t.equal(headers['x-request-id'], 'abc')
  t.equal(headers['x-raw'], 'raw')
  t.equal(headers['x-many'], 'a, b')
  t.equal(headers['x-late'], 'late')
  t.strictSame([...setCookie].sort(), ['early=1; HttpOnly; SameSite=Lax', 'late=2; SameSite=Lax'])
  const [message] = await wire.frames(1)
  t.match(JSON.parse(String(message!.payload)), { session: 's3cret' })
  wire.destroy()
})

t.test('what belongs to the handshake or to one hop is left out, with a warning', async (t) => {
  const ours = {
    Connection: 'close',
    Upgrade: 'h2c',
    'Keep-Alive': 'timeout=5',
    'Proxy-Connection': 'close',
    TE: 'trailers',
    Trailer: 'X-Trailer',
    'Transfer-Encoding': 'chunked',
    'Content-Length': '5',
    'Sec-WebSocket-Accept': 'wrong',
    'Sec-WebSocket-Protocol': 'none-of-yours',
    'Sec-WebSocket-Extensions': 'permessage-deflate',
    'sec-websocket-version': '13'
  }
  for (const where of ['reply', 'raw']) {
    const { port, log } = await startApp(t, (app) => {
      app.addHook('onSend', async (_request, reply, payload) => {
        if (where === 'reply') reply.headers(ours)
        else for (const [name, value] of Object.entries(ours)) reply.raw.setHeader(name, value)
        reply.header('X-Kept', 'kept')
        return payload
      })
      app.get('/', { websocket: true }, (socket) => { socket.send('open') })
    })
    const { statusCode, headers, wire } = await shake(port)
    t.equal(statusCode, 101)
    t.match(headers, { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-accept': SAMPLE_ACCEPT, 'x-kept': 'kept' })
    for (const name of Object.keys(ours)) {
      const lowerCase = name.toLowerCase()
      if (!['connection', 'upgrade', 'sec-websocket-accept'].includes(lowerCase)) t.notOk(lowerCase in headers, name)
    }
    t.strictSame(await wire.lines(1), ['text "open"'])
    const line = await log.line(/left out of the 101/)
    t.equal(line.level, LEVEL.warn)
    t.strictSame([...line['headers']].sort(), Object.keys(ours).map((name) => name.toLowerCase()).sort())
    wire.destroy()
  }
})

t.test('an onSend hook that makes a payload puts nothing behind the 101', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.addHook('onSend', async () => 'a payload for everything')
    app.get('/', { websocket: true }, (socket) => { socket.send('first') })
  })
  const { statusCode, headers, wire } = await shake(port)
  t.equal(statusCode, 101)
  t.notOk('content-type' in headers)
  t.strictSame(await wire.lines(1), ['text "first"'])
  wire.destroy()
})

t.test('a hook that answers refuses with exactly that answer', async (t) => {
  const hooks = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
  for (const hook of hooks) {
    let opened = 0
    const { port, log } = await startApp(t, (app) => {
      app.addHook(hook as 'preHandler', async (_request: FastifyRequest, reply: FastifyReply) => {
        return await reply.code(401).header('WWW-Authenticate', 'Bearer').header('X-Hook', hook).send({ who: 'are you' })
      })
      app.get('/', { websocket: true }, () => { opened++ })
    })
    const { statusCode, headers, json } = await shake(port)
    t.equal(statusCode, 401, hook)
    t.match(headers, { 'www-authenticate': 'Bearer', 'x-hook': hook })
    t.notOk('sec-websocket-accept' in headers)
    t.notOk('upgrade' in headers)
    t.strictSame(json, { who: 'are you' })
    t.equal(opened, 0)
    t.match(await log.line('request completed'), { res: { statusCode: 401 } })
    t.strictSame(log.with('websocket open'), [])
  }
})

t.test('a hook that fails refuses: by the error handler, with its status', async (t) => {
  const hooks = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onSend'] as const
  for (const hook of hooks) {
    let opened = 0
    const { port } = await startApp(t, (app) => {
      let calls = 0
      app.addHook(hook as 'preHandler', async () => { if (calls++ === 0) throw Object.assign(new Error('not you'), { statusCode: 403 }) })
      app.get('/', { websocket: true }, () => { opened++ })
    })
    const { statusCode, json } = await shake(port)
    t.equal(statusCode, hook === 'onSend' ? 403 : 403, hook)
    t.match(json, { message: 'not you' })
    t.equal(opened, 0)
  }
})

t.test('a reply that an onSend hook turns into another one refuses', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.addHook('onSend', async (_request, reply) => { reply.code(503); return 'too late' })
    app.get('/', { websocket: true }, () => t.fail('not opened'))
  })
  const { statusCode, body } = await shake(port)
  t.equal(statusCode, 503)
  t.equal(body, 'too late')
  t.equal(app.websockets.size, 0)
})

t.test('a hook that hijacks the reply answers by itself', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.addHook('preHandler', async (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(418, { 'Content-Length': '6' })
      reply.raw.end('teapot')
    })
    app.get('/', { websocket: true }, () => t.fail('not opened'))
  })
  const { statusCode, body } = await shake(port)
  t.equal(statusCode, 418)
  t.equal(body, 'teapot')
  t.equal(app.websockets.size, 0)
})

t.test('404: the default, one of the application, and one of a scope', async (t) => {
  const { port } = await startApp(t, async (app) => {
    app.get('/ws', { websocket: true }, () => {})
    await app.register(async (scope) => {
      scope.get('/ws', { websocket: true }, () => {})
      scope.setNotFoundHandler((request, reply) => { reply.code(404).send(`scope has no ${request.url}`) })
    }, { prefix: '/scope' })
  })
  t.match((await shake(port, { path: '/nowhere' })).json, { statusCode: 404, message: /GET:\/nowhere/ })
  const { statusCode, body } = await shake(port, { path: '/scope/nowhere' })
  t.equal(statusCode, 404)
  t.equal(body, 'scope has no /scope/nowhere')
  t.equal((await shake(port, { path: '/%c0' })).statusCode, 400, 'a bad URL')
})

t.test('schemas of params, querystring and headers: 400, or the coerced values', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/:id', {
      websocket: true,
      schema: {
        params: { type: 'object', properties: { id: { type: 'integer' } } },
        querystring: { type: 'object', properties: { q: { type: 'boolean' } } },
        headers: { type: 'object', required: ['x-needed'], properties: { 'x-needed': { type: 'integer' } } }
      }
    }, (socket, request) => { socket.send(JSON.stringify([request.params, request.query, request.headers['x-needed']])) })
  })
  const headers = { 'X-Needed': '5' }
  const { wire } = await shake(port, { path: '/7?q=true', headers })
  const [message] = await wire.frames(1)
  t.strictSame(JSON.parse(String(message!.payload)), [{ id: 7 }, { q: true }, 5])
  wire.destroy()
  for (const [options, context] of [[{ path: '/x?q=true', headers }, 'params'], [{ path: '/7?q=maybe', headers }, 'querystring'], [{ path: '/7' }, 'headers']] as const) {
    const { statusCode, json } = await shake(port, options)
    t.equal(statusCode, 400)
    t.match(json, { code: 'FST_ERR_VALIDATION', message: new RegExp(context) })
  }
})

t.test('error handlers, of the application, of a scope and of a route, see every refusal', async (t) => {
  const answer = (name: string) => (error: unknown, _request: FastifyRequest, reply: FastifyReply): void => {
    const { code, statusCode = 500 } = error as { code: string, statusCode?: number }
    reply.code(statusCode).header('X-By', name).send({ by: name, code })
  }
  const { port } = await startApp(t, async (app) => {
    app.setErrorHandler(answer('application'))
    app.get('/', { websocket: true, messages: json() }, () => {})
    await app.register(async (scope) => {
      scope.setErrorHandler(answer('scope'))
      scope.get('/', { websocket: true, subprotocols: { a: json() } }, () => {})
      scope.get('/route', { websocket: true, errorHandler: answer('route') }, () => {})
      scope.get('/hook', { websocket: true, preHandler: async () => { throw Object.assign(new Error('x'), { code: 'MINE', statusCode: 418 }) } }, () => {})
    }, { prefix: '/scope' })
  })
  const seen = async (options: RequestOptions): Promise<unknown[]> => {
    const { statusCode, headers, json } = await shake(port, options)
    return [statusCode, headers['x-by'], json.by, json.code]
  }
  t.strictSame(await seen({ headers: { 'Sec-WebSocket-Version': '12' } }), [426, 'application', 'application', 'FST_WS_ERR_HANDSHAKE'])
  t.strictSame(await seen({ headers: { Origin: 'http://evil.example' } }), [403, 'application', 'application', 'FST_WS_ERR_ORIGIN'])
  t.strictSame(await seen({ headers: { 'Sec-WebSocket-Protocol': 'x' } }), [400, 'application', 'application', 'FST_WS_ERR_SUBPROTOCOL'])
  t.strictSame(await seen({ path: '/scope' }), [400, 'scope', 'scope', 'FST_WS_ERR_SUBPROTOCOL'])
  t.strictSame(await seen({ path: '/scope/route', headers: { 'Sec-WebSocket-Key': 'short' } }), [400, 'route', 'route', 'FST_WS_ERR_HANDSHAKE'])
  t.strictSame(await seen({ path: '/scope/hook' }), [418, 'scope', 'scope', 'MINE'])
  const plain = await Wire.connect(port)
  plain.write(request({ path: '/', headers: { Host: 'localhost' } }))
  t.match(JSON.parse((await plain.response()).body), { by: 'application', code: 'FST_WS_ERR_UPGRADE_REQUIRED' })
  plain.destroy()
})

t.test('hooks and decorators of a scope stay in it', async (t) => {
  const { port } = await startApp(t, async (app) => {
    app.decorateRequest('user', '')
    await app.register(async (scope) => {
      scope.addHook('onRequest', async (request, reply) => {
        if (request.headers.authorization === undefined) return await reply.code(401).send('no')
        ;(request as never as { user: string }).user = request.headers.authorization
      })
      scope.get('/', { websocket: true }, (socket, request) => { socket.send((request as never as { user: string }).user) })
    }, { prefix: '/private' })
    app.get('/public', { websocket: true }, (socket, request) => { socket.send(`user: ${(request as never as { user: string }).user}`) })
  })
  t.equal((await shake(port, { path: '/private' })).statusCode, 401)
  const inside = await shake(port, { path: '/private', headers: { Authorization: 'me' } })
  t.strictSame(await inside.wire.lines(1), ['text "me"'])
  const outside = await shake(port, { path: '/public' })
  t.strictSame(await outside.wire.lines(1), ['text "user: "'])
  inside.wire.destroy()
  outside.wire.destroy()
})

t.test('the request is the handler\'s: its hooks\' data, its id, its log, its ip', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.decorateRequest('token', '')
    app.addHook('preHandler', async (request) => { (request as never as { token: string }).token = 't' })
    app.get('/a', { websocket: true, config: { mine: 7 } as never }, (socket, request) => {
      socket.send(JSON.stringify([(request as never as { token: string }).token, typeof request.id, request.ip, request.url, (request.routeOptions.config as never as { mine: number }).mine, request.routeOptions.url]))
    })
  })
  const { wire } = await shake(port, { path: '/a?b' })
  const [message] = await wire.frames(1)
  t.strictSame(JSON.parse(String(message!.payload)), ['t', 'string', '127.0.0.1', '/a?b', 7, '/a'])
  wire.destroy()
})

t.test('what arrives behind the head while hooks still run is not lost', async (t) => {
  for (const size of [10, 200_000]) {
    const gate = deferred()
    const got: string[] = []
    const done = deferred()
    const entered = deferred()
    const { port } = await startApp(t, (app) => {
      app.addHook('onRequest', async () => {
        entered.resolve()
        await gate.promise
      })
      app.get('/', { websocket: true }, (socket) => {
        socket.on('message', (data) => {
          got.push(String(data).slice(0, 10))
          if (got.length === 3) done.resolve()
        })
      })
    })
    const payload = (name: string) => name.padEnd(size, '.')
    const wire = await Wire.connect(port)
    wire.write(Buffer.concat([Buffer.from(upgradeRequest()), frame({ opcode: 1, masked: true, payload: payload('in-packet.') })]))
    await entered.promise
    wire.text(payload('in-hook...'))
    await new Promise((resolve) => { setTimeout(resolve, 20) })
    t.equal(got.length, 0)
    gate.resolve()
    t.equal((await wire.response()).statusCode, 101)
    wire.text(payload('after-101.'))
    await done.promise
    t.strictSame(got, ['in-packet.', 'in-hook...', 'after-101.'])
    wire.destroy()
  }
})

t.test('a client that leaves while a hook runs: the request is aborted, and nothing is opened', async (t) => {
  const leaving: Array<[string, (wire: Wire) => void]> = [
    ['end', (wire) => wire.end()],
    ['reset', (wire) => { (wire.duplex as Socket).resetAndDestroy() }],
    ['end behind a frame', (wire) => { wire.text('last words'); wire.end() }],
    ['reset behind a frame', (wire) => { wire.text('last words'); setImmediate(() => (wire.duplex as Socket).resetAndDestroy()) }]
  ]
  for (const [name, leave] of leaving) {
    const entered = deferred()
    const aborted = deferred<string>()
    const signalled = deferred()
    const gate = deferred()
    let opened = 0
    const { port, app } = await startApp(t, (app) => {
      app.addHook('onRequestAbort', async (_request) => { aborted.resolve('aborted') })
      app.addHook('onRequest', async (request) => {
        request.signal.addEventListener('abort', () => signalled.resolve())
        entered.resolve()
        await gate.promise
      })
      app.get('/', { websocket: true }, (socket) => {
        opened++
        socket.on('close', () => aborted.resolve('opened and closed'))
      })
    })
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest())
    await entered.promise
    leave(wire)
    if (name.includes('behind')) {
      // What waits unread hides the end, and on Linux a reset too: the connection may open, and closes at once.
      setTimeout(gate.resolve, 50)
      t.match(await aborted.promise, /./, name)
    } else {
      t.equal(await aborted.promise, 'aborted', name)
      await signalled.promise
      gate.resolve()
      await new Promise((resolve) => { setTimeout(resolve, 20) })
      t.equal(opened, 0)
    }
    t.equal(app.websockets.size, 0)
    await untilNoConnection(app)
    wire.destroy()
  }
})

t.test('the end of a connection that was open is no abort of its request', async (t) => {
  let aborts = 0
  const { port, log } = await startApp(t, (app) => {
    app.addHook('onRequestAbort', async (_request) => { aborts++ })
    app.get('/', { websocket: true }, (_socket, request) => { request.signal.addEventListener('abort', () => { aborts++ }) })
  })
  const { wire } = await shake(port)
  wire.destroy()
  await log.line('websocket closed')
  await new Promise((resolve) => { setImmediate(resolve) })
  t.equal(aborts, 0)
})

t.test('handshakeTimeoutMs is over all hooks: 503, and a hook that ends later does no harm', async (t) => {
  for (const where of ['register', 'route']) {
    const gate = deferred()
    const ended = deferred()
    const { port, log } = await startApp(t, (app) => {
      app.addHook('preHandler', async () => {
        await gate.promise
        setImmediate(ended.resolve)
      })
      app.get('/', { websocket: true, ...where === 'route' && { websocketOptions: { handshakeTimeoutMs: 30 } } }, () => t.fail('not opened'))
    }, where === 'register' ? { handshakeTimeoutMs: 30 } : {})
    const { statusCode, json, headers } = await shake(port)
    t.equal(statusCode, 503)
    t.match(json, { statusCode: 503, code: 'FST_WS_ERR_HANDSHAKE_TIMEOUT', error: 'Service Unavailable' })
    t.match(headers['content-type'], /application\/json/)
    t.match(log.with(/timed out/), [{ level: LEVEL.warn, err: { code: 'FST_WS_ERR_HANDSHAKE_TIMEOUT' } }])
    gate.resolve()
    await ended.promise
    t.strictSame(log.atLevel(LEVEL.error), [])
  }
})

t.test('hooks that were added before the plugin: under handshakeTimeoutMs, and in the counters', async (t) => {
  const { app, log } = bareApp(t)
  const gate = deferred()
  app.addHook('onRequest', async (request, reply) => {
    if (request.url === '/?hangs') await gate.promise
    if (request.url === '/?refuses') return reply.code(401).send('no')
  })
  await app.register(duplex, { handshakeTimeoutMs: 30, maxConnections: 1 })
  app.get('/', { websocket: true }, () => {})
  const { port } = await listen(app)
  const { statusCode, json } = await shake(port, { path: '/?hangs' })
  t.equal(statusCode, 503)
  t.match(json, { code: 'FST_WS_ERR_HANDSHAKE_TIMEOUT' })
  t.equal((await shake(port, { path: '/?refuses' })).statusCode, 401)
  t.strictSame(app.websockets.stats()['/']?.refused, { 401: 1, 503: 1 })
  gate.resolve()
  await new Promise((resolve) => { setImmediate(resolve) })
  const { statusCode: accepted, wire } = await shake(port)
  t.equal(accepted, 101, 'the hook that ended late has taken no place')
  wire.destroy()
  t.strictSame(log.atLevel(LEVEL.error), [])
})

t.test('a client that leaves while a hook runs that was added before the plugin: it takes no place', async (t) => {
  const { app } = bareApp(t)
  let entered = deferred()
  let gate = deferred()
  app.addHook('onRequest', async (request) => {
    if (request.url !== '/?slow') return
    entered.resolve()
    await gate.promise
  })
  await app.register(duplex, { maxConnections: 1 })
  app.get('/', { websocket: true }, () => {})
  const { port } = await listen(app)
  for (const leave of [(wire: Wire) => wire.destroy(), (wire: Wire) => wire.end(), (wire: Wire) => { (wire.duplex as Socket).resetAndDestroy() }]) {
    entered = deferred()
    gate = deferred()
    const leaving = await Wire.connect(port)
    leaving.write(upgradeRequest({ path: '/?slow' }))
    await entered.promise
    leave(leaving)
    await untilNoConnection(app)
    gate.resolve()
    await new Promise((resolve) => { setImmediate(resolve) })
    const { statusCode, wire } = await shake(port)
    t.equal(statusCode, 101)
    wire.destroy()
    await untilNoConnection(app)
  }
})

t.test('request.signal aborts at handshakeTimeoutMs, so that a hook can give up; it is no abort by the client', async (t) => {
  let aborts = 0
  const gaveUp = deferred<boolean>()
  const { port, log } = await startApp(t, (app) => {
    app.addHook('onRequestAbort', async (_request) => { aborts++ })
    app.addHook('preHandler', async ({ signal }, reply) => {
      await new Promise((resolve) => { signal.addEventListener('abort', resolve) })
      gaveUp.resolve(reply.sent)
    })
    app.get('/', { websocket: true }, () => t.fail('not opened'))
  }, { handshakeTimeoutMs: 30 })
  const { statusCode, json } = await shake(port)
  t.equal(statusCode, 503)
  t.equal(json.code, 'FST_WS_ERR_HANDSHAKE_TIMEOUT')
  t.equal(await gaveUp.promise, true, 'when it is answered already')
  t.equal(aborts, 0)
  t.strictSame(log.atLevel(LEVEL.error), [])
})

t.test('a route may take longer for its handshake than the plugin allows', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.addHook('preHandler', async () => { await new Promise((resolve) => { setTimeout(resolve, 60) }) })
    app.get('/', { websocket: true, websocketOptions: { handshakeTimeoutMs: 5_000 } }, () => {})
  }, { handshakeTimeoutMs: 20 })
  const { statusCode, wire } = await shake(port)
  t.equal(statusCode, 101)
  wire.destroy()
})

t.test('Expect: 100-continue is answered before the 101, also in front of a refusal', async (t) => {
  const { port } = await startApp(t, (app) => { app.get('/', { websocket: true }, () => {}) })
  for (const [path, status] of [['/', 101], ['/nowhere', 404]] as const) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ path, headers: { Expect: '100-continue' } }))
    t.equal((await wire.response()).statusCode, 100)
    t.equal((await wire.response()).statusCode, status)
    wire.destroy()
  }
})

t.test('a pipelined upgrade waits for the answers to the requests before it', async (t) => {
  const gate = deferred()
  const { port } = await startApp(t, (app) => {
    app.get('/plain', async () => 'plain')
    app.get('/slow', async () => { await gate.promise; return 'slow' })
    app.get('/ws', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(`echo ${data}`) }) })
  })
  const wire = await Wire.connect(port)
  const get = (path: string) => request({ path, headers: { Host: 'localhost' } })
  wire.write(Buffer.concat([Buffer.from(get('/plain') + get('/slow') + get('/plain') + upgradeRequest({ path: '/ws' })), frame({ opcode: 1, masked: true, payload: 'early' })]))
  t.equal((await wire.response()).body, 'plain')
  gate.resolve()
  t.equal((await wire.response()).body, 'slow')
  t.equal((await wire.response()).body, 'plain')
  t.equal((await wire.response()).statusCode, 101)
  t.strictSame(await wire.lines(1), ['text "echo early"'])
  wire.destroy()
})

t.test('a pipelined upgrade behind an answer that never comes is dropped when its time is up', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.get('/never', (_request, reply) => { reply.hijack() })
    app.get('/ws', { websocket: true }, () => t.fail('not opened'))
  }, { handshakeTimeoutMs: 30 })
  const wire = await Wire.connect(port)
  wire.write(request({ path: '/never', headers: { Host: 'localhost' } }) + upgradeRequest({ path: '/ws' }))
  await wire.untilEnd()
  t.equal(wire.received.length, 0)
  t.equal(app.websockets.size, 0)
})

t.test('a pipelined upgrade behind an answer that closes is not answered', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.get('/last', async (_request, reply) => { reply.header('Connection', 'close'); return 'last' })
    app.get('/ws', { websocket: true }, () => t.fail('not opened'))
  })
  const wire = await Wire.connect(port)
  wire.write(request({ path: '/last', headers: { Host: 'localhost' } }) + upgradeRequest({ path: '/ws' }))
  t.equal((await wire.response()).body, 'last')
  await wire.untilClosed()
  t.equal(wire.received.length, 0)
  t.equal(app.websockets.size, 0)
})

t.test('a socket that is destroyed while the 101 is written opens nothing', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.get('/', { websocket: true, preHandler: async (request, reply) => { reply.raw.once('prefinish', () => request.raw.socket.destroy()) } }, () => t.fail('not opened'))
  })
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest())
  await wire.untilClosed()
  t.equal(app.websockets.size, 0)
  await untilNoConnection(app)
})

t.test('several requests on one connection, then an upgrade', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/plain', async () => 'plain')
    app.get('/ws', { websocket: true }, (socket) => { socket.send('open') })
  })
  const wire = await Wire.connect(port)
  for (let i = 0; i < 3; i++) {
    wire.write(request({ path: '/plain', headers: { Host: 'localhost' } }))
    t.equal((await wire.response()).body, 'plain')
  }
  wire.write(upgradeRequest({ path: '/ws' }))
  t.equal((await wire.response()).statusCode, 101)
  t.strictSame(await wire.lines(1), ['text "open"'])
  wire.destroy()
})

t.test('a server that can be told which requests to upgrade is told, and told otherwise after the close', async (t) => {
  const { app } = bareApp(t)
  const server = app.server as typeof app.server & { shouldUpgradeCallback: (request: object) => boolean }
  const own = (): boolean => true
  server.shouldUpgradeCallback = own
  await app.register(duplex)
  const asks = (upgrade: string) => server.shouldUpgradeCallback({ headers: { upgrade }, rawHeaders: ['Upgrade', upgrade], method: 'GET', httpVersion: '1.1' })
  t.equal(asks('websocket'), true)
  t.equal(asks('WebSocket'), true)
  t.equal(asks('h2c'), false)
  const other = (): void => {}
  app.server.on('upgrade', other)
  t.equal(asks('h2c'), true, 'somebody else may want it')
  app.server.off('upgrade', other)
  await app.close()
  t.equal(server.shouldUpgradeCallback, own)
})

t.test('other upgrade listeners get what no route of the application answers, and nothing else', async (t) => {
  const { app, log } = bareApp(t)
  await app.register(duplex)
  app.get('/ws', { websocket: true }, (socket, request) => { socket.send(request.url) })
  app.get('/rooms/:id', { websocket: true }, (socket, request) => { socket.send(request.url) })
  app.get('/plain', async () => 'plain')
  const { port } = await listen(app)
  const seen: string[] = []
  app.server.on('upgrade', (upgraded, socket) => {
    seen.push(upgraded.url!)
    if (upgraded.url === '/theirs') socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-By: them\r\n\r\n')
  })
  for (const path of ['/ws', '/ws?a=b', '/rooms/7?x', '/rooms/%C3%A4']) {
    const ours = await shake(port, { path, headers: { Host: 'a.example' } })
    t.strictSame(await ours.wire.lines(1), [`text "${path}"`])
    ours.wire.destroy()
  }
  t.equal((await shake(port, { path: '/plain' })).body, 'plain')
  const theirs = await Wire.connect(port)
  theirs.write(upgradeRequest({ path: '/theirs' }))
  const { statusCode, headers } = await theirs.response()
  t.equal(statusCode, 101)
  t.equal(headers['x-by'], 'them')
  theirs.destroy()
  t.notOk(log.with('incoming request').some((line) => line['req'].url === '/theirs'))
  t.ok(seen.includes('/theirs'))
})

t.test('a route with constraints is not left to other upgrade listeners', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  app.get('/hosted', { websocket: true, constraints: { host: 'a.example' } }, (socket) => { socket.send('hosted') })
  app.get('/versioned', { websocket: true, constraints: { version: '1.2.0' } }, (socket) => { socket.send('versioned') })
  const { port } = await listen(app)
  const sockets: Socket[] = []
  app.server.on('connection', (socket: Socket) => { sockets.push(socket) })
  app.server.on('upgrade', () => {})
  for (const [path, headers] of [['/hosted', { Host: 'a.example' }], ['/versioned', { 'Accept-Version': '1.x' }]] as const) {
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ path, headers }))
    const answer = await Promise.race([wire.until(() => wire.received.length > 0).then(() => 'answered', () => 'lost'), new Promise((resolve) => { setTimeout(resolve, 1_000, 'nobody answers') })])
    t.equal(answer, 'answered', path)
    wire.destroy()
  }
  // What nobody has taken would keep the server from closing.
  for (const socket of sockets) socket.destroy()
})

t.test('a path that another listener takes is left to it, though a route would answer it too', async (t) => {
  for (const order of ['before', 'after']) {
    const { app, log } = bareApp(t)
    const taken: Duplex[] = []
    const attach = (): void => {
      app.server.on('upgrade', (upgraded, socket) => {
        taken.push(socket)
        if (upgraded.url === '/read') socket.on('data', () => {}).write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: theirs\r\nConnection: Upgrade\r\n\r\n')
        if (upgraded.url === '/answered') {
          const response = new ServerResponse(upgraded)
          response.assignSocket(socket as Socket)
          setTimeout(() => response.writeHead(418, { 'content-length': 4 }).end('them'), 20)
        }
        if (upgraded.url === '/ended') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
      })
    }
    if (order === 'before') attach()
    await app.register(duplex)
    if (order === 'after') attach()
    app.get('/*', async () => 'ours')
    app.get('/ws', { websocket: true }, (socket) => { socket.send('ours') })
    const { port } = await listen(app)
    for (const [path, status] of [['/read', 101], ['/answered', 418], ['/ended', 403]] as const) {
      const wire = await Wire.connect(port)
      wire.write(upgradeRequest({ path }))
      t.equal((await wire.response()).statusCode, status, `${path}, attached ${order}`)
      wire.destroy()
    }
    const { wire } = await shake(port, { path: '/ws' })
    t.strictSame(await wire.lines(1), ['text "ours"'])
    wire.destroy()
    t.equal((await shake(port, { path: '/page' })).body, 'ours')
    t.strictSame(log.with('incoming request').map((line) => line['req'].url), ['/ws', '/page'])
    // What another has taken would keep the server from closing.
    for (const socket of taken) socket.destroy()
  }
})

t.test('what none of several listeners takes is refused, and may be lost before', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex, { handshakeTimeoutMs: 200 })
  app.server.on('upgrade', () => {})
  const { port } = await listen(app)
  const lost = connect(port, '127.0.0.1')
  lost.write(upgradeRequest({ path: '/nothing' }))
  await once(app.server, 'upgrade')
  lost.resetAndDestroy()
  t.equal((await shake(port, { path: '/nothing' })).statusCode, 404)
})

t.test('nothing in all this was left unhandled', async (t) => {
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})
