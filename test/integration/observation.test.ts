import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import { json } from '../../index.ts'
import { deferred, LEVEL, startApp } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { upgradeRequest, Wire, type RequestOptions } from '../helpers/wire.ts'

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

async function close (wire: Wire, code = 1000): Promise<void> {
  wire.close(code)
  await wire.untilClosed()
}

async function statusOf (port: number, options: RequestOptions): Promise<number> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest(options))
  const { statusCode } = await wire.response()
  await wire.untilClosed()
  return statusCode
}

// Hooks

t.test('onOpen: before the handler, which waits; one after the other; with the scope, the socket and the request', async (t) => {
  const order: string[] = []
  const { app, port, log } = await startApp(t, (app) => {
    app.decorate('mine', 'yes')
    app.addWebSocketHook('onOpen', async function (socket, request) {
      t.equal((this as any).mine, 'yes')
      t.equal(request.url, '/')
      t.equal(socket.readyState, 1)
      t.equal(app.websockets.size, 1)
      order.push('first')
      await new Promise((resolve) => { setTimeout(resolve, 20) })
      order.push('first ends')
    })
    app.addWebSocketHook('onOpen', () => { order.push('second') })
    app.get('/', { websocket: true }, (socket) => {
      order.push('handler')
      socket.on('open', () => { order.push('open') })
      socket.send('ready')
    })
  })
  const wire = await Wire.open(port)
  t.strictSame(await wire.lines(1), ['text "ready"'])
  await close(wire)
  await log.line('websocket closed')
  t.strictSame(order, ['first', 'first ends', 'second', 'handler', 'open'])
  t.equal(app.websockets.size, 0)
})

t.test('onOpen: what an eager client sends meanwhile is not lost, nor its order', async (t) => {
  const gate = deferred()
  const got: string[] = []
  const { port } = await startApp(t, (app) => {
    app.addWebSocketHook('onOpen', () => gate.promise)
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (data) => {
        got.push(String(data).slice(0, 10))
        if (String(data) === 'last') socket.send('done')
      })
    })
  })
  const wire = await Wire.open(port, {}, frame({ opcode: 1, masked: true, payload: 'with it' }))
  for (let i = 0; i < 50; i++) wire.text(`${String(i).padEnd(10)}${'x'.repeat(20_000)}`)
  wire.text('last')
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  t.strictSame(got, [])
  gate.resolve()
  t.strictSame(await wire.lines(1), ['text "done"'])
  t.strictSame(got, ['with it', ...Array.from({ length: 50 }, (_, i) => String(i).padEnd(10)), 'last'])
  await close(wire)
})

t.test('onOpen: a rejection is an error of the handler and closes with 1011; neither the next hook nor the handler runs', async (t) => {
  const failures: Array<() => unknown> = [
    () => { throw new Error('sync') },
    async () => { throw new Error('async') },
    () => Promise.reject(undefined), // eslint-disable-line prefer-promise-reject-errors
    async () => { await new Promise((resolve) => { setTimeout(resolve, 10) }); throw new Error('later') }
  ]
  for (const handled of [false, true]) {
    for (const failure of failures) {
      const kinds: string[] = []
      let closes = 0
      const { port, log } = await startApp(t, (app) => {
        app.addWebSocketHook('onOpen', failure)
        app.addWebSocketHook('onOpen', () => { t.fail('the next hook runs') })
        app.addWebSocketHook('onClose', () => { closes++ })
        app.get('/', { websocket: true }, () => { t.fail('the handler runs') })
      }, handled ? { errorHandler: ({ kind }) => { kinds.push(kind) } } : {})
      const wire = await Wire.open(port)
      wire.text('eager')
      t.strictSame(await wire.lines(1), ['close 1011 "internal error"'])
      await close(wire, 1011)
      await log.line('websocket closed')
      t.equal(closes, 1)
      if (handled) t.strictSame(kinds, ['handler'])
      else t.match(log.with('websocket handler error'), [{ level: LEVEL.error, kind: 'handler' }])
      t.equal(log.atLevel(LEVEL.error).length, handled ? 0 : 1)
    }
  }
  t.strictSame(unhandled, [])
})

t.test('onOpen: when it closes, or the client leaves meanwhile, the handler does not run', async (t) => {
  let gate = deferred()
  let entered = deferred()
  const closes: unknown[] = []
  const { app, port, log } = await startApp(t, (app) => {
    app.addWebSocketHook('onOpen', async (socket, request) => {
      if (request.url === '/?closes') socket.close(4001, 'not you')
      entered.resolve()
      await gate.promise
    })
    app.addWebSocketHook('onClose', (_socket, code, reason) => { closes.push([code, reason]) })
    app.get('/', { websocket: true }, () => { t.fail('the handler runs') })
  }, { heartbeat: { intervalMs: 100, timeoutMs: 100 } })

  const closed = await Wire.open(port, { path: '/?closes' })
  t.strictSame(await closed.lines(1), ['close 4001 "not you"'])
  closed.close(4001, 'all right')
  gate.resolve()
  await closed.untilClosed()
  t.match(await log.line('websocket closed', 1), { code: 4001, sentCode: 4001 })

  gate = deferred()
  entered = deferred()
  const gone = await Wire.open(port)
  await entered.promise
  gone.text('unread')
  gone.destroy()
  t.match(await log.line('websocket closed', 2), { code: 1006 }, 'the heartbeat finds out, although the hook still runs')
  t.equal(app.websockets.size, 0)
  gate.resolve()
  await new Promise((resolve) => { setTimeout(resolve, 20) })
  t.strictSame(closes, [[4001, 'all right'], [1006, '']])
  t.equal(log.atLevel(LEVEL.warn).length, 0)
})

t.test('onClose: with the code and the reason, before the event, when the socket is no longer listed; what it throws is logged', async (t) => {
  const seen: unknown[] = []
  const { port, log } = await startApp(t, (app) => {
    app.addWebSocketHook('onClose', (socket, code, reason) => {
      seen.push([code, reason, socket.readyState, app.websockets.size])
      throw new Error('sync')
    })
    app.addWebSocketHook('onClose', async () => {
      seen.push('second')
      throw new Error('async')
    })
    app.get('/', { websocket: true }, (socket) => { socket.on('close', () => { seen.push('event') }) })
  })
  await close(await Wire.open(port), 4000)
  await log.line('websocket closed')
  t.strictSame(seen, [[4000, '', 3, 0], 'second', 'event'])
  t.match(await log.line('websocket handler error'), { level: LEVEL.error, err: { message: 'sync' } })
  t.strictSame(unhandled, [])
})

// Counters

t.test('stats: what happened on each route adds up', async (t) => {
  const { app, port, log } = await startApp(t, async (app) => {
    app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (data) => socket.send(String(data))) })
    app.get('/json', { websocket: true, messages: json({ receive: { type: 'string' } }) }, (socket) => { socket.on('message', () => {}) })
    app.get('/plain', () => 'plain')
    await app.register(async (scope) => {
      scope.get('/deep', { websocket: true, constraints: { host: 'a.example' } }, () => {})
      scope.get('/deep', { websocket: true, constraints: { host: 'b.example' } }, () => {})
    }, { prefix: '/v1' })
  }, { maxConnections: 2, origin: ['http://friend.example'] })
  t.strictSame(Object.keys(app.websockets.stats()).sort(), ['/echo', '/json', '/v1/deep'])

  const first = await Wire.open(port, { path: '/echo' })
  const second = await Wire.open(port, { path: '/echo' })
  for (const wire of [first, second]) {
    wire.text('hello')
    t.strictSame(await wire.lines(1), ['text "hello"'])
  }
  t.match(app.websockets.stats()['/echo'], {
    open: 2, opened: 2, closed: {}, invalidMessages: 0, messagesReceived: 2, messagesSent: 2, bytesReceived: 22, bytesSent: 14, bufferedBytes: 0
  })
  t.equal(await statusOf(port, { path: '/echo' }), 503)
  t.equal(await statusOf(port, { path: '/echo', headers: { Origin: 'http://enemy.example' } }), 403)
  t.equal(await statusOf(port, { path: '/echo', headers: { 'Sec-WebSocket-Version': '8' } }), 426)
  await close(first, 4000)
  second.destroy()
  await log.line('websocket closed', 2)
  t.strictSame({ ...app.websockets.stats()['/echo'] }, {
    opened: 2,
    refused: { 503: 1, 403: 1, 426: 1 },
    closed: { 4000: 1, 1006: 1 },
    invalidMessages: 0,
    messagesReceived: 2,
    messagesSent: 2,
    // The Close of the one and its answer, 8 and 4 octets.
    bytesReceived: 30,
    bytesSent: 18,
    open: 0,
    bufferedBytes: 0
  })

  const invalid = await Wire.open(port, { path: '/json' })
  invalid.text('1')
  t.strictSame(await invalid.lines(1), ['close 1008 "invalid message"'])
  await close(invalid, 1008)
  for (const Host of ['a.example', 'b.example']) await close(await Wire.open(port, { path: '/v1/deep', headers: { Host } }))
  await log.line('websocket closed', 5)
  const stats = app.websockets.stats()
  t.match(stats['/json'], { opened: 1, open: 0, invalidMessages: 1, closed: { 1008: 1 } })
  t.match(stats['/v1/deep'], { opened: 2, open: 0, closed: { 1000: 2 }, refused: {} })
})

t.test('stats: what waits is counted, and a client that gave up is no refusal', async (t) => {
  const entered = deferred()
  const { app, port, log } = await startApp(t, (app) => {
    app.get('/much', { websocket: true }, (socket) => {
      socket.send('first')
      setImmediate(() => { socket.send(Buffer.alloc(48 * 2 ** 20)) })
    })
    app.get('/slow', { websocket: true, preHandler: async () => { entered.resolve(); await new Promise((resolve) => { setTimeout(resolve, 100) }) } }, () => {})
  })
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path: '/much' }))
  await wire.response()
  wire.duplex.pause()
  await new Promise((resolve) => { setTimeout(resolve, 20) })
  const { bufferedBytes, bytesSent } = app.websockets.stats()['/much']!
  t.ok(bufferedBytes > 0 && bufferedBytes <= 48 * 2 ** 20)
  t.equal(bytesSent, 7, 'what waits is not sent yet')
  wire.destroy()
  t.match(await log.line('websocket closed'), { bytesSent: 7, messagesSent: 2 }, 'nor what was lost')
  t.match(app.websockets.stats()['/much'], { bytesSent: 7, bufferedBytes: 0 })

  const given = await Wire.connect(port)
  given.write(upgradeRequest({ path: '/slow' }))
  await entered.promise
  given.destroy()
  await new Promise((resolve) => { setTimeout(resolve, 150) })
  t.match(app.websockets.stats()['/slow'], { opened: 0, open: 0 })
  t.strictSame(app.websockets.stats()['/slow']!.refused, {})
})

// Diagnostics channels

const CHANNELS = ['open', 'close', 'message.received', 'message.sent', 'error', 'limit'].map((name) => `fastify.websocket.${name}`)

function listen (t: Test): Array<[string, any]> {
  const published: Array<[string, any]> = []
  const onMessage = (message: unknown, name: string | symbol): void => { published.push([String(name).replace('fastify.websocket.', ''), message]) }
  for (const name of CHANNELS) subscribe(name, onMessage)
  t.teardown(() => { for (const name of CHANNELS) unsubscribe(name, onMessage) })
  return published
}

t.test('channels: what happens to a connection, in order', async (t) => {
  const published = listen(t)
  const { port, log } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket, request) => {
      t.strictSame(published.map(([name]) => name), ['open'], 'the handler is about to run')
      t.equal(published[0]![1].socket, socket)
      t.equal(published[0]![1].request, request)
      socket.on('message', (data) => {
        socket.send('answer')
        throw new Error(String(data))
      })
    })
  }, { maxConnections: 1 })
  const wire = await Wire.open(port)
  t.equal(await statusOf(port, {}), 503)
  wire.text('hello')
  t.strictSame(await wire.lines(2), ['text "answer"', 'close 1011 "internal error"'])
  await close(wire, 1011)
  await log.line('websocket closed')
  t.strictSame(published.map(([name]) => name), ['open', 'limit', 'message.received', 'message.sent', 'error', 'close'])
  const [, limit, received, sent, error, closed] = published.map(([, message]) => message)
  t.equal(limit.limit, 'maxConnections')
  t.equal(limit.request.url, '/')
  t.equal(String(received.data), 'hello')
  t.equal(received.isBinary, false)
  t.equal(sent.message, 'answer')
  t.match(error, { kind: 'listener', error: { message: 'hello' } })
  t.match(closed, { code: 1011, reason: '', wasClean: true })
  for (const message of [received, sent, error, closed]) t.equal(message.socket, published[0]![1].socket)
})

t.test('channels: nothing is published without subscribers, and nothing to those of another', async (t) => {
  const made: unknown[] = []
  for (const name of CHANNELS) {
    const one = channel(name)
    t.intercept(one, 'publish', { value: (message: unknown) => { made.push([name, message]) } })
  }
  const { port, log } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', () => {
        socket.send('answer')
        throw new Error('a fault')
      })
    })
  }, { maxConnections: 1 })
  const wire = await Wire.open(port)
  await statusOf(port, {})
  wire.text('hello')
  await wire.lines(2)
  await close(wire, 1011)
  await log.line('websocket closed')
  t.strictSame(made, [])
})
