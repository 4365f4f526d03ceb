import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { WebSocket as WsClient } from 'ws'
import duplex, { json, text, WebSocket } from '../../index.ts'
import { bareApp, deferred, listen, startApp } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { request, upgradeRequest, Wire } from '../helpers/wire.ts'

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

async function connectionsOf (server: { getConnections (callback: (error: Error | null, count: number) => void): unknown }): Promise<number> {
  return await new Promise((resolve, reject) => server.getConnections((error, count) => error === null ? resolve(count) : reject(error)))
}

async function tookMs (run: () => PromiseLike<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return performance.now() - start
}

async function until (isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const start = performance.now()
  while (!await isTrue()) {
    if (performance.now() - start > 15_000) throw new Error('it does not come true')
    await new Promise((resolve) => { setTimeout(resolve, 2) })
  }
}

t.test('app.close sends 1001 to all and resolves when they have answered', async (t) => {
  const { app, port, log } = await startApp(t, async (app) => {
    app.get('/a', { websocket: true }, () => {})
    await app.register(async (scope) => { scope.get('/b', { websocket: true }, () => {}) })
  })
  const wires = await Promise.all(['/a', '/a', '/b'].map((path) => Wire.open(port, { path })))
  const idle = await Wire.connect(port)
  idle.write(request({ path: '/nowhere', headers: { Host: 'localhost' } }))
  t.equal((await idle.response()).statusCode, 404)
  t.equal(app.websockets.size, 3)
  const closing = tookMs(() => app.close())
  for (const wire of wires) {
    t.strictSame(await wire.lines(1), ['close 1001 ""'])
    wire.close(1001)
    await wire.untilClosed()
  }
  t.ok(await closing < 4_000)
  t.equal(app.websockets.size, 0)
  await idle.untilEnd()
  t.equal(log.with('websocket closed').length, 3)
  for (const line of log.with('websocket closed')) t.match(line, { code: 1001, sentCode: 1001 })
})

t.test('closeAll, and so app.close, waits for a socket on which an application keeps something under the name closed', async (t) => {
  const { app, port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { Object.assign(socket, { closed: true }) })
  })
  const wire = await Wire.open(port)
  let isOver = false
  const closing = app.websockets.closeAll().then(() => { isOver = true })
  t.strictSame(await wire.lines(1), ['close 1001 ""'])
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  t.equal(isOver, false, 'the peer has not answered')
  wire.close(1001)
  await wire.untilClosed()
  await closing
})

t.test('app.close does not wait longer than closeTimeoutMs for a dead peer, nor for one that floods', async (t) => {
  const { app, port, log } = await startApp(t, (app) => { app.get('/', { websocket: true }, () => {}) }, { closeTimeoutMs: 100 })
  const dead = await Wire.open(port)
  const flooding = await Wire.open(port)
  const deaf = await Wire.open(port)
  deaf.duplex.pause()
  const flood = setInterval(() => { if (!flooding.closed) flooding.text('x'.repeat(1000)) }, 1)
  const took = await tookMs(() => app.close())
  clearInterval(flood)
  t.ok(took >= 90 && took < 4_000, `${took} ms`)
  for (const line of log.with('websocket closed')) t.match(line, { code: 1006, sentCode: 1001 })
  t.equal(app.websockets.size, 0)
  for (const wire of [dead, flooding, deaf]) wire.destroy()
})

t.test('app.close ends those whose messages nobody takes, and those that the application has paused', async (t) => {
  const { app, port } = await startApp(t, (app) => {
    app.get('/full', { websocket: true }, async (socket) => { await socket.closed })
    app.get('/paused', { websocket: true }, (socket) => { socket.pause() })
  }, { highWaterMarkBytes: 100, closeTimeoutMs: 4_000 })
  const wires = await Promise.all(['/full', '/paused'].map((path) => Wire.open(port, { path })))
  for (const wire of wires) wire.write(Buffer.concat(Array.from({ length: 50 }, () => frame({ opcode: 1, masked: true, payload: 'x'.repeat(50) }))))
  const closing = tookMs(() => app.close())
  for (const wire of wires) {
    t.strictSame(await wire.lines(1), ['close 1001 ""'])
    wire.close(1001)
    await wire.untilClosed()
  }
  t.ok(await closing < 3_000, 'the peers have answered')
})

t.test('app.close during a handshake: it is finished, and closed with 1001', async (t) => {
  const entered = deferred()
  const gate = deferred()
  const { app, port } = await startApp(t, (app) => {
    app.get('/', { websocket: true, onRequest: async () => { entered.resolve(); await gate.promise } }, (socket) => { socket.send('hello') })
  })
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest())
  await entered.promise
  const closing = app.close()
  setTimeout(gate.resolve, 20)
  t.equal((await wire.response()).statusCode, 101)
  t.strictSame(await wire.lines(2), ['text "hello"', 'close 1001 ""'])
  wire.close(1001)
  await wire.untilClosed()
  await closing
  t.equal(app.websockets.size, 0)
})

t.test('an upgrade that comes while the application closes is answered 503', async (t) => {
  const { app, port } = await startApp(t, (app) => { app.get('/', { websocket: true }, () => {}) })
  const open = await Wire.open(port)
  const late = await Wire.connect(port)
  const closing = app.close()
  t.strictSame(await open.lines(1), ['close 1001 ""'])
  late.write(upgradeRequest())
  const { statusCode, headers } = await late.response()
  t.equal(statusCode, 503)
  t.match(headers['connection'], /close/)
  await late.untilClosed()
  open.close(1001)
  await open.untilClosed()
  await closing
})

t.test('with return503OnClosing off a handshake that comes while the application closes is finished, and closed', async (t) => {
  const { app, port } = await startApp(t, (app) => { app.get('/', { websocket: true }, () => {}) }, {}, { return503OnClosing: false })
  const open = await Wire.open(port)
  const late = await Wire.connect(port)
  const closing = app.close()
  t.strictSame(await open.lines(1), ['close 1001 ""'])
  late.write(upgradeRequest())
  t.equal((await late.response()).statusCode, 101)
  t.strictSame(await late.lines(1), ['close 1001 ""'])
  for (const wire of [late, open]) {
    wire.close(1001)
    await wire.untilClosed()
  }
  await closing
})

t.test('app.websockets: size, iteration, closeAll', async (t) => {
  const { app, port } = await startApp(t, async (app) => {
    app.get('/', { websocket: true }, () => {})
    await app.register(async (scope) => {
      scope.get('/scope', { websocket: true }, () => {})
      t.equal(scope.websockets, app.websockets, 'one for the whole server')
    })
  })
  t.equal(app.websockets.size, 0)
  t.strictSame([...app.websockets], [])
  await app.websockets.closeAll()
  const wires = [await Wire.open(port), await Wire.open(port, { path: '/scope' })]
  t.equal(app.websockets.size, 2)
  for (const socket of app.websockets) {
    t.ok(socket instanceof WebSocket)
    socket.sendRaw('to all')
  }
  for (const wire of wires) t.strictSame(await wire.lines(1), ['text "to all"'])
  await t.rejects(app.websockets.closeAll(1006), { code: 'FST_WS_ERR_CLOSE_CODE' })
  t.equal(app.websockets.size, 2)
  let closed = false
  const closing = app.websockets.closeAll(4000, 'maintenance').then(() => { closed = true })
  for (const wire of wires) t.strictSame(await wire.lines(1), ['close 4000 "maintenance"'])
  t.equal(closed, false)
  for (const wire of wires) {
    wire.close(4000)
    await wire.untilClosed()
  }
  await closing
  t.equal(app.websockets.size, 0)
  const again = await Wire.open(port)
  t.equal(app.websockets.size, 1, 'the server goes on')
  const byDefault = app.websockets.closeAll()
  t.strictSame(await again.lines(1), ['close 1001 ""'])
  again.close(1001)
  await again.untilClosed()
  await byDefault
})

t.test('a socket is listed from before its handler runs until it has closed', async (t) => {
  const sizes: number[] = []
  const { app, port, log } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      sizes.push(app.websockets.size)
      socket.on('close', () => { sizes.push(app.websockets.size) })
    })
  })
  const wire = await Wire.open(port)
  wire.close(1000)
  await wire.untilClosed()
  await log.line('websocket closed')
  t.strictSame(sizes, [1, 0])
  t.equal(app.websockets.size, 0)
})

t.test('registering again: twice, nested, in two sibling scopes, under a prefix, with defaults of their own', async (t) => {
  const { app } = bareApp(t)
  const limitOf = (scope: FastifyInstance, path: string): void => { scope.get(path, { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data.length)) }) }) }
  await app.register(duplex, { maxMessageBytes: 1000 })
  limitOf(app, '/first')
  await app.register(duplex, { maxMessageBytes: 2000 })
  limitOf(app, '/second')
  await app.register(async (scope) => {
    limitOf(scope, '/inherited')
    await scope.register(duplex, { maxMessageBytes: 3000, prefix: '/ignored-by-fastify-plugin' })
    limitOf(scope, '/nested')
    await scope.register(async (deeper) => { limitOf(deeper, '/deeper') })
  }, { prefix: '/a' })
  await app.register(async (scope) => {
    await scope.register(duplex, { maxMessageBytes: 4000 })
    limitOf(scope, '/sibling')
  }, { prefix: '/b' })
  limitOf(app, '/after')
  const { port } = await listen(app)
  t.equal(app.server.listenerCount('upgrade'), 1)
  for (const [path, limit] of [['/first', 1000], ['/second', 2000], ['/a/inherited', 2000], ['/a/nested', 3000], ['/a/deeper', 3000], ['/b/sibling', 4000], ['/after', 2000]] as const) {
    const wire = await Wire.open(port, { path })
    wire.text('x'.repeat(limit))
    t.strictSame(await wire.lines(1), [`text "${limit}"`], path)
    wire.text('x'.repeat(limit + 1))
    t.strictSame(await wire.lines(1), ['close 1009 "message above the limit"'])
    await wire.untilClosed()
  }
})

t.test('registered in scopes only, sockets of all of them are closed and listed together', async (t) => {
  const { app } = bareApp(t)
  for (const prefix of ['/a', '/b']) {
    await app.register(async (scope) => {
      await scope.register(duplex)
      scope.get('/', { websocket: true }, () => {})
    }, { prefix })
  }
  app.get('/plain', async () => 'plain')
  const { port } = await listen(app)
  t.equal(app.server.listenerCount('upgrade'), 1)
  const wires = [await Wire.open(port, { path: '/a' }), await Wire.open(port, { path: '/b' })]
  const plain = await Wire.connect(port)
  plain.write(upgradeRequest({ path: '/plain' }))
  t.equal((await plain.response()).body, 'plain', 'the root, which does not know of it, answers as ever')
  await plain.untilClosed()
  const hosts = await Wire.connect(port)
  hosts.write(upgradeRequest({ path: '/plain', headers: { Host: ['localhost', 'elsewhere'] } }))
  t.equal((await hosts.response()).statusCode, 400, 'but for what node:http leaves unchecked in an upgrade')
  await hosts.untilClosed()
  const closing = app.close()
  for (const wire of wires) {
    t.strictSame(await wire.lines(1), ['close 1001 ""'])
    wire.close(1001)
    await wire.untilClosed()
  }
  await closing
})

t.test('in a child scope, and then in the root', async (t) => {
  const { app } = bareApp(t)
  await app.register(async (scope) => {
    await scope.register(duplex, { maxMessageBytes: 100 })
    scope.get('/child', { websocket: true }, (socket) => { socket.send('child') })
  })
  await app.register(duplex)
  app.get('/root', { websocket: true }, (socket) => { socket.send('root') })
  const { port } = await listen(app)
  for (const name of ['child', 'root']) {
    const wire = await Wire.open(port, { path: `/${name}` })
    t.strictSame(await wire.lines(1), [`text "${name}"`])
    wire.destroy()
  }
})

t.test('two applications do not see each other', async (t) => {
  const one = await startApp(t, (app) => { app.get('/', { websocket: true }, (socket) => { socket.send('one') }) })
  const two = await startApp(t, (app) => { app.get('/', { websocket: true }, (socket) => { socket.send('two') }) })
  const first = await Wire.open(one.port)
  const second = await Wire.open(two.port)
  t.strictSame(await first.lines(1), ['text "one"'])
  t.strictSame(await second.lines(1), ['text "two"'])
  t.equal(one.app.websockets.size, 1)
  t.not(one.app.websockets, two.app.websockets)
  const closing = one.app.close()
  t.strictSame(await first.lines(1), ['close 1001 ""'])
  first.close(1001)
  await first.untilClosed()
  await closing
  t.equal(two.app.websockets.size, 1)
  second.destroy()
})

t.test('listen on localhost: both addresses serve, and close', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  app.get('/', { websocket: true }, (socket) => { socket.send('here') })
  app.get('/plain', async () => 'plain')
  await app.listen({ port: 0, host: 'localhost' })
  const addresses = app.addresses()
  const wires: Wire[] = []
  for (const { address, port } of addresses as AddressInfo[]) {
    const wire = await Wire.connect({ host: address, port })
    wire.write(upgradeRequest())
    t.equal((await wire.response()).statusCode, 101, address)
    t.strictSame(await wire.lines(1), ['text "here"'])
    wires.push(wire)
    const plain = await Wire.connect({ host: address, port })
    plain.write(upgradeRequest({ path: '/plain', headers: { Upgrade: 'h2c' } }))
    t.equal((await plain.response()).body, 'plain')
    plain.destroy()
  }
  t.equal(app.websockets.size, addresses.length)
  const closing = app.close()
  for (const wire of wires) {
    t.strictSame(await wire.lines(1), ['close 1001 ""'])
    wire.close(1001)
    await wire.untilClosed()
  }
  await closing
})

t.test('a unix socket', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'fastify-duplex-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const { app, log } = bareApp(t)
  await app.register(duplex)
  app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(`echo ${data}`) }) })
  const path = join(directory, 'app.sock')
  await app.listen({ path })
  const wire = await Wire.connect({ path })
  wire.write(upgradeRequest())
  t.equal((await wire.response()).statusCode, 101)
  wire.text('unix')
  t.strictSame(await wire.lines(1), ['text "echo unix"'])
  wire.close(1000)
  await wire.untilClosed()
  await log.line('websocket closed')
  await app.close()
  t.notOk(existsSync(path))
})

t.test('https', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'fastify-duplex-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = (name: string): string => join(directory, name)
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', file('key'), '-out', file('cert')], { stdio: 'ignore' })
  const { app, port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket, request) => {
      socket.send(JSON.stringify([socket.url, request.protocol]))
      socket.on('message', (data, binary) => { socket.send(data, { binary }) })
    })
    app.get('/plain', async () => 'plain')
  }, {}, { https: { key: readFileSync(file('key')), cert: readFileSync(file('cert')) } })
  const tls = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true } as never)
  await once(tls, 'secureConnect')
  const wire = new Wire(tls)
  wire.write(upgradeRequest({ headers: { Host: 'localhost', Origin: 'https://localhost' } }))
  t.equal((await wire.response()).statusCode, 101)
  t.strictSame(await wire.lines(1), ['text "[\\"wss://localhost/\\",\\"https\\"]"'])
  for (const size of [10, 100_000, 500_000]) {
    wire.binary(Buffer.alloc(size, size % 251))
    const [echoed] = await wire.frames(1)
    t.ok(echoed!.payload.equals(Buffer.alloc(size, size % 251)), `${size} bytes`)
  }
  wire.close(1000)
  t.strictSame(await wire.lines(1), ['close 1000 ""'])
  await wire.untilClosed()

  const refused = new Wire(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }))
  refused.write(upgradeRequest({ headers: { Origin: 'http://localhost' } }))
  t.equal((await refused.response()).statusCode, 403, 'a page of http is not of this origin')
  refused.destroy()
  const plain = new Wire(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }))
  plain.write(upgradeRequest({ path: '/plain', headers: { Upgrade: 'h2c' } }))
  t.equal((await plain.response()).body, 'plain')
  plain.destroy()
  t.equal(app.websockets.size, 0)
})

t.test('the upgrade listener is gone after the close', async (t) => {
  const { app } = await startApp(t, (app) => { app.get('/', { websocket: true }, () => {}) })
  const { server } = app
  t.equal(server.listenerCount('upgrade'), 1)
  await app.close()
  t.equal(server.listenerCount('upgrade'), 0)
})

t.test('an application that is never started closes', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  app.get('/', { websocket: true, messages: json() }, () => {})
  await app.close()
  t.equal(app.server.listenerCount('upgrade'), 0)
})

t.test('a time limit of the HTTP server does not touch an open connection', async (t) => {
  const { port, app } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(data) }) })
  }, {}, { connectionTimeout: 50, keepAliveTimeout: 50, requestTimeout: 50 })
  const wire = await Wire.open(port)
  const [socket] = [...app.websockets]
  await new Promise((resolve) => { setTimeout(resolve, 200) })
  t.equal(socket!.readyState, 1)
  wire.text('still there')
  await wire.frames(1)
  wire.destroy()
})

t.test('a pipelined upgrade whose client has ended meanwhile opens nothing that stays', async (t) => {
  for (const Upgrade of ['websocket', 'h2c']) {
    const gate = deferred()
    const entered = deferred()
    const { app, port } = await startApp(t, (app) => {
      app.get('/slow', async () => { entered.resolve(); await gate.promise; return 'slow' })
      app.get('/', { websocket: true }, () => {})
      app.get('/plain', async () => 'plain')
    })
    const wire = await Wire.connect(port)
    wire.write(request({ path: '/slow', headers: { Host: 'localhost' } }) + upgradeRequest({ path: Upgrade === 'h2c' ? '/plain' : '/', headers: { Upgrade } }))
    wire.end()
    await entered.promise
    await new Promise((resolve) => { setTimeout(resolve, 30) })
    gate.resolve()
    await until(async () => await connectionsOf(app.server) === 0 && app.websockets.size === 0)
    t.pass(Upgrade)
    wire.destroy()
  }
})

t.test('requests with another Upgrade, one after the other on one connection', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const { port, app } = await startApp(t, (app) => {
    app.get('/plain', async () => 'plain')
    app.post('/body', async (request) => request.body)
    app.get('/', { websocket: true }, (socket) => { socket.send('open') })
  })
  const other = { Host: 'localhost', Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAoAAAAAIAAAAA' }
  let wire = await Wire.connect(port)
  for (let i = 0; i < 15; i++) {
    if (wire.ended || wire.closed) wire = await Wire.connect(port)
    wire.write(request({ path: '/plain', headers: other }))
    t.equal((await wire.response()).body, 'plain')
    if (wire.ended || wire.closed) wire = await Wire.connect(port)
    wire.write(request({ method: 'POST', path: '/body', headers: { ...other, 'Content-Type': 'application/json', 'Content-Length': '7' }, body: '{"a":1}' }))
    const { statusCode, body } = await wire.response()
    t.equal(statusCode, 200)
    t.equal(body, '{"a":1}')
    if (wire.ended || wire.closed) wire = await Wire.connect(port)
    wire.write(request({ method: 'POST', path: '/body', headers: { ...other, 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' }, body: '7\r\n{"b":2}\r\n0\r\n\r\n' }))
    t.equal((await wire.response()).body, '{"b":2}')
  }
  if (wire.ended || wire.closed) wire = await Wire.connect(port)
  wire.write(upgradeRequest())
  t.equal((await wire.response()).statusCode, 101)
  t.strictSame(await wire.lines(1), ['text "open"'])
  wire.destroy()
  await until(async () => await connectionsOf(app.server) === 0)
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(warnings.map(({ message }) => message), [])
})

t.test('no field of such a request is lost: what hides behind too many of them is no request of its own', async (t) => {
  const routed: string[] = []
  const { port } = await startApp(t, (app) => {
    app.addHook('onRequest', async (request) => { routed.push(request.url) })
    app.post('/body', async () => 'body')
    app.get('/smuggled', async () => 'smuggled')
  })
  const smuggled = request({ path: '/smuggled', headers: { Host: 'localhost' } })
  const many = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`a${i}`, '']))
  for (const last of [{ 'Content-Length': String(smuggled.length) }, { 'Transfer-Encoding': 'chunked' }]) {
    const wire = await Wire.connect(port)
    wire.write(request({ method: 'POST', path: '/body', headers: { Host: 'localhost', Connection: 'Upgrade', Upgrade: 'h2c', 'Content-Type': 'text/plain', ...many, ...last }, body: smuggled }))
    const { statusCode } = await wire.response()
    t.not(statusCode, 0)
    await new Promise((resolve) => { setTimeout(resolve, 50) })
    t.notMatch(wire.received.toString(), /smuggled/)
    wire.destroy()
  }
  t.notOk(routed.includes('/smuggled'))
})

t.test('after many connections that ended in every way nothing is left', async (t) => {
  const gone = deferred()
  const { app, port, log } = await startApp(t, (app) => {
    app.addHook('onRequest', async (request, reply) => { if (request.headers['x-refuse'] !== undefined) return await reply.code(401).send('no') })
    app.get('/', { websocket: true }, () => {})
    app.get('/throws', { websocket: true }, () => { throw new Error('boom') })
    app.get('/iterates', { websocket: true }, async (socket) => { for await (const message of socket) socket.send(message) })
    app.get('/typed', { websocket: true, messages: json({ receive: { type: 'object' } }) }, (socket) => { socket.on('message', () => {}) })
    app.get('/closes', { websocket: true }, (socket) => { socket.close(4000) })
    app.get('/terminates', { websocket: true }, (socket) => { socket.terminate() })
    app.get('/named', { websocket: true, subprotocols: { a: text() } }, () => {})
  }, { maxMessageBytes: 1000, closeTimeoutMs: 50 })
  const ways: Array<() => Promise<unknown>> = [
    async () => { const wire = await Wire.open(port); wire.close(1000); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port); wire.end(); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port); wire.destroy() },
    async () => { const wire = await Wire.open(port); (wire.duplex as Socket).resetAndDestroy() },
    async () => { const wire = await Wire.open(port); wire.write(Buffer.from([0xff, 0xff, 0xff])); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port); wire.text('x'.repeat(1001)); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port); wire.write(frame({ opcode: 1, masked: true, payload: 'half a frame' }).subarray(0, 8)); wire.end(); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port, { path: '/throws' }); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port, { path: '/iterates' }); wire.text('x'); await wire.frames(1); wire.close(); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port, { path: '/typed' }); wire.text('not json'); await wire.untilClosed() },
    async () => { const wire = await Wire.open(port, { path: '/closes' }); wire.destroy() },
    async () => { const wire = await Wire.open(port, { path: '/closes' }); await wire.untilEnd(); wire.destroy() },
    async () => { const wire = await Wire.connect(port); wire.write(upgradeRequest({ path: '/terminates' })); await wire.untilClosed() },
    async () => { const wire = await Wire.connect(port); wire.write(upgradeRequest({ path: '/named' })); await wire.untilClosed() },
    async () => { const wire = await Wire.connect(port); wire.write(upgradeRequest({ headers: { 'X-Refuse': '1' } })); await wire.untilClosed() },
    async () => { const wire = await Wire.connect(port); wire.write(upgradeRequest({ path: '/nowhere' })); wire.destroy() },
    async () => { const wire = await Wire.connect(port); wire.write(upgradeRequest({ headers: { 'Sec-WebSocket-Key': null } })); await wire.untilClosed() },
    async () => { const client = new WsClient(`ws://127.0.0.1:${port}/`); await once(client, 'open'); client.terminate() },
    async () => { const client = new WsClient(`ws://127.0.0.1:${port}/iterates`); await once(client, 'open'); client.send('x'); await once(client, 'message'); client.close(); await once(client, 'close') }
  ]
  for (let i = 0; i < 12; i++) await Promise.all(ways.map(async (way) => await way()))
  await until(() => app.websockets.size === 0)
  await until(async () => await connectionsOf(app.server) === 0)
  t.equal(log.with('websocket closed').length, log.with('websocket open').length)
  t.ok(log.with('websocket open').length >= 12 * 12)
  gone.resolve()
})

t.test('requests and sockets of connections that are gone, and requests of those that are open, are collected', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const collected: Record<string, number> = {}
  const registry = new FinalizationRegistry<string>((name) => { collected[name] = (collected[name] ?? 0) + 1 })
  const handlers = {
    nothing: () => {},
    listener: (socket: WebSocket<string, any, any>) => { socket.on('message', () => {}) }
  }
  const watch = (name: string, handler: (socket: never) => void) => (socket: unknown, request: unknown): void => {
    registry.register(socket as object, `${name} socket`)
    registry.register(request as object, `${name} request`)
    registry.register((request as { raw: object }).raw, `${name} raw request`)
    handler(socket as never)
  }
  const { app, port } = await startApp(t, (app) => {
    for (const [name, handler] of Object.entries(handlers)) app.get(`/${name}`, { websocket: true }, watch(name, handler as never))
    app.get('/refused', { websocket: true, preHandler: async (request, reply) => { registry.register(request, 'refused request'); return await reply.code(401).send('no') } }, () => {})
  }, {}, { logger: false })
  const count = 30
  const wires: Wire[] = []
  for (let i = 0; i < count; i++) {
    for (const name of Object.keys(handlers)) wires.push(await Wire.open(port, { path: `/${name}` }))
    const refused = await Wire.connect(port)
    refused.write(upgradeRequest({ path: '/refused' }))
    await refused.untilClosed()
  }
  const enough = (names: string[]): boolean => names.every((name) => (collected[name] ?? 0) >= count - 2)
  const collect = async (names: string[]): Promise<boolean> => {
    for (let i = 0; i < 50 && !enough(names); i++) {
      gc()
      await new Promise((resolve) => { setTimeout(resolve, 10) })
    }
    return enough(names)
  }
  t.ok(await collect(['nothing request', 'nothing raw request', 'listener request', 'listener raw request', 'refused request']), `while open: ${JSON.stringify(collected)}`)
  t.equal(app.websockets.size, 2 * count)
  t.notOk('nothing socket' in collected)
  for (const wire of wires.splice(0)) wire.destroy()
  await until(async () => await connectionsOf(app.server) === 0)
  t.ok(await collect(['nothing socket', 'listener socket']), `after the close: ${JSON.stringify(collected)}`)
})

t.test('an error handler keeps its request, and a closed connection nothing', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  let collected = 0
  const registry = new FinalizationRegistry(() => { collected++ })
  const { app, port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (_socket, request) => { registry.register(request, '') })
  }, { errorHandler () {} }, { logger: false })
  for (let i = 0; i < 20; i++) (await Wire.open(port)).destroy()
  await until(async () => await connectionsOf(app.server) === 0)
  await until(() => {
    gc()
    return collected >= 18
  }).catch(() => {})
  t.ok(collected >= 18, `${collected} of 20`)
})

t.test('a flood that nobody takes stays with the sender', async (t) => {
  const entered = deferred<WebSocket<string, any, any>>()
  const gate = deferred()
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, async (socket) => {
      entered.resolve(socket)
      await gate.promise
      let bytes = 0
      for await (const message of socket) {
        bytes += message.length
        if (bytes === 50_000_000) socket.send(`${bytes}`)
      }
    })
  })
  const wire = await Wire.open(port)
  await entered.promise
  const before = process.memoryUsage().rss
  let written = 0
  const one = frame({ opcode: 2, masked: true, payload: Buffer.alloc(100_000) })
  const socket = wire.duplex as Socket
  const write = async (): Promise<void> => {
    for (; written < 500; written++) if (!socket.write(one)) await once(socket, 'drain')
  }
  const writing = write()
  await new Promise((resolve) => { setTimeout(resolve, 200) })
  t.ok(written < 200, `${written} of 500 messages left the sender`)
  t.ok(process.memoryUsage().rss - before < 60_000_000, 'and the server holds none of them')
  gate.resolve()
  await writing
  t.strictSame(await wire.lines(1), ['text "50000000"'])
  wire.destroy()
})

t.test('nothing in all this was left unhandled', async (t) => {
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})
