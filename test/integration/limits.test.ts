import type { FastifyInstance } from 'fastify'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { bareApp, deferred, LEVEL, listen, startApp } from '../helpers/app.ts'
import duplex from '../../index.ts'
import { upgradeRequest, Wire, type RequestOptions, type WireResponse } from '../helpers/wire.ts'

/** What is answered to a handshake; a refused one is over. */
async function shake (port: number, options: RequestOptions = {}): Promise<WireResponse & { wire: Wire }> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest(options))
  const response = await wire.response()
  if (response.statusCode !== 101) await wire.untilClosed()
  return { ...response, wire }
}

async function close (wire: Wire): Promise<void> {
  wire.close(1000)
  await wire.untilClosed()
}

const statusOf = async (port: number, options: RequestOptions = {}): Promise<number> => {
  const { statusCode, wire } = await shake(port, options)
  if (statusCode === 101) await close(wire)
  return statusCode
}

const from = (address: string): RequestOptions => ({ headers: { 'X-Forwarded-For': address } })
const route = (app: FastifyInstance): unknown => app.get('/', { websocket: true }, () => {})

/** As soon as a place is free, which is when the server has noticed. */
async function untilAdmitted (port: number, options: RequestOptions = {}): Promise<Wire> {
  const start = performance.now()
  for (;;) {
    const { statusCode, wire } = await shake(port, options)
    if (statusCode === 101) return wire
    if (performance.now() - start > 10_000) throw new Error(`still ${statusCode}`)
  }
}

t.test('maxConnections: one more is answered 503 with Retry-After, until one has closed', async (t) => {
  const { app, port } = await startApp(t, route, { maxConnections: 2 })
  const first = await Wire.open(port)
  const second = await Wire.open(port)
  const { statusCode, headers, body } = await shake(port)
  t.equal(statusCode, 503)
  t.match(headers['retry-after'], /^\d+$/)
  t.match(headers['connection'], /close/)
  t.match(JSON.parse(body), { code: 'FST_WS_ERR_CONNECTIONS', statusCode: 503 })
  t.equal(app.websockets.size, 2)
  await close(first)
  const third = await untilAdmitted(port)
  t.equal(await statusOf(port), 503)
  second.destroy()
  const fourth = await untilAdmitted(port)
  for (const wire of [third, fourth]) await close(wire)
  for (let i = 0; i < 10; i++) await close(await untilAdmitted(port))
})

t.test('maxConnections: of the whole server, and plain requests are none', async (t) => {
  const { app, port } = await startApp(t, async (app) => {
    route(app)
    app.get('/plain', () => 'plain')
    await app.register(async (scope) => { scope.get('/scope', { websocket: true }, () => {}) })
  }, { maxConnections: 1 })
  const only = await Wire.open(port)
  t.equal(await statusOf(port, { path: '/scope' }), 503)
  t.equal((await app.inject('/plain')).statusCode, 200)
  await close(only)
  await close(await untilAdmitted(port, { path: '/scope' }))
})

t.test('maxConnections: each connection takes one place where a scope is registered before the one above it', async (t) => {
  const { app } = bareApp(t)
  await app.register(async (scope) => {
    await scope.register(duplex, { maxConnections: 2 })
    scope.get('/scope', { websocket: true }, () => {})
  })
  await app.register(duplex, { maxConnections: 2 })
  route(app)
  const { port } = await listen(app)
  for (let i = 0; i < 5; i++) {
    const first = await Wire.open(port, { path: '/scope' })
    const second = await Wire.open(port)
    t.equal(await statusOf(port, { path: '/scope' }), 503)
    await close(first)
    await close(second)
    while (app.websockets.size > 0) await new Promise((resolve) => { setTimeout(resolve, 1) })
  }
})

t.test('maxConnections: handshakes count while their hooks run, and no longer when they are refused, given up or too slow', async (t) => {
  let entered = deferred()
  let gate = deferred()
  const { port } = await startApp(t, (app) => {
    app.addHook('preHandler', async (request, reply) => {
      const { how } = request.query as { how?: string }
      if (how === undefined) return
      entered.resolve()
      await gate.promise
      if (how === 'refused') return reply.code(401).send()
      if (how === 'throws') throw new Error('in a hook')
    })
    route(app)
  }, { maxConnections: 1, handshakeTimeoutMs: 300 })

  for (const how of ['accepted', 'refused', 'throws', 'gone', 'ended', 'late']) {
    entered = deferred()
    gate = deferred()
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest({ path: `/?how=${how}` }))
    await entered.promise
    t.equal(await statusOf(port), 503, `${how}: while its hook runs`)
    if (how === 'gone') wire.destroy()
    else if (how === 'ended') wire.end()
    else if (how !== 'late') gate.resolve()
    if (how === 'accepted') {
      t.equal((await wire.response()).statusCode, 101)
      t.equal(await statusOf(port), 503, `${how}: while it is open`)
      await close(wire)
    } else if (how !== 'gone' && how !== 'ended') {
      t.equal((await wire.response()).statusCode, { refused: 401, throws: 500, late: 503 }[how])
      await wire.untilClosed()
    }
    const next = await untilAdmitted(port)
    t.equal(await statusOf(port), 503, `${how}: its place was one`)
    await close(next)
    gate.resolve()
  }
})

t.test('maxConnectionsPerAddress: by IPv4 address, by the /64 of IPv6, as the proxy that is trusted says', async (t) => {
  const { port } = await startApp(t, route, { maxConnectionsPerAddress: 2 }, { trustProxy: true })
  const wires = [await Wire.open(port, from('192.0.2.1')), await Wire.open(port, from('::ffff:192.0.2.1'))]
  const { statusCode, headers } = await shake(port, from('192.0.2.1'))
  t.equal(statusCode, 503)
  t.match(headers['retry-after'], /^\d+$/)
  t.equal(await statusOf(port, from('192.0.2.2')), 101)
  t.equal(await statusOf(port), 101, 'the proxy itself')

  wires.push(await Wire.open(port, from('2001:db8:1:2::1')), await Wire.open(port, from('2001:db8:1:2:ffff::1')))
  t.equal(await statusOf(port, from('2001:db8:1:2:3:4:5:6')), 503)
  t.equal(await statusOf(port, from('2001:db8:1:3::1')), 101)
  await close(wires.shift()!)
  await close(await untilAdmitted(port, from('::ffff:192.0.2.1')))
  for (const wire of wires) await close(wire)
})

t.test('maxConnectionsPerAddress: a header is not believed where no proxy is trusted', async (t) => {
  const { port } = await startApp(t, route, { maxConnectionsPerAddress: 1 })
  const only = await Wire.open(port, from('192.0.2.1'))
  t.equal(await statusOf(port, from('192.0.2.2')), 503)
  await close(only)
})

t.test('maxConnectionsPerAddress: unix sockets have no address', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'duplex-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { app } = bareApp(t)
  await app.register(duplex, { maxConnectionsPerAddress: 1, maxConnections: 3 })
  route(app)
  const path = join(folder, 'socket')
  await app.listen({ path })
  const shakeThere = async (): Promise<{ statusCode: number, wire: Wire }> => {
    const wire = await Wire.connect({ path })
    wire.write(upgradeRequest())
    return { statusCode: (await wire.response()).statusCode, wire }
  }
  const opened = [await shakeThere(), await shakeThere(), await shakeThere()]
  t.strictSame(opened.map(({ statusCode }) => statusCode), [101, 101, 101])
  const refused = await shakeThere()
  t.equal(refused.statusCode, 503)
  for (const { wire } of [...opened, refused]) wire.destroy()
})

t.test('a refusal before the limits takes no place', async (t) => {
  const { port } = await startApp(t, route, { maxConnections: 1, allowedHosts: ['localhost'] })
  for (let i = 0; i < 3; i++) {
    t.equal(await statusOf(port, { headers: { Origin: 'http://elsewhere' } }), 403)
    t.equal(await statusOf(port, { headers: { Host: 'elsewhere' } }), 403)
    t.equal(await statusOf(port, { headers: { 'Sec-WebSocket-Version': '8' } }), 426)
    t.equal(await statusOf(port, { path: '/nowhere' }), 404)
  }
  t.equal(await statusOf(port), 101)
})

t.test('one that fails between the hooks and the 101 gives its place back', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true, websocketOptions: { expiresAt: ({ query }) => (query as { never?: string }).never === undefined ? undefined : 'never' as never } }, () => {})
  }, { maxConnections: 1 })
  for (let i = 0; i < 3; i++) {
    t.equal(await statusOf(port, { path: '/?never=1' }), 500)
    t.equal(await statusOf(port, { headers: { 'Sec-WebSocket-Protocol': 'unknown' } }), 400)
  }
  t.equal(await statusOf(port), 101)
})

t.test('allowedHosts: with a port or for every port, in any case; another is answered 403', async (t) => {
  const { port, log } = await startApp(t, route, { allowedHosts: ['Example.com', 'other.example:8443', '[::1]'] })
  for (const Host of ['example.com', 'EXAMPLE.COM:3000', 'example.com:80', 'other.example:8443', '[::1]', '[::1]:3000']) t.equal(await statusOf(port, { headers: { Host } }), 101, Host)
  for (const Host of ['localhost', 'example.com.evil.example', 'evil-example.com', 'sub.example.com', 'other.example', 'other.example:80', '127.0.0.1', '[::2]', 'x'.repeat(1_000)]) {
    const { statusCode, body } = await shake(port, { headers: { Host } })
    t.equal(statusCode, 403, Host)
    t.match(JSON.parse(body), { code: 'FST_WS_ERR_HOST' })
  }
  const lines = log.with(/allowedHosts/)
  t.equal(lines.length, 9)
  t.ok(lines.every(({ level, host }) => level === LEVEL.warn && host.length <= 256))
})

t.test('rateLimit: of messages, of bytes, and of control frames without being asked', async (t) => {
  const { port, log } = await startApp(t, (app) => {
    app.get('/messages', { websocket: true, websocketOptions: { rateLimit: { messagesPerSecond: 5, burst: 2 } } }, (socket) => { socket.on('message', (data) => socket.send(String(data))) })
    app.get('/bytes', { websocket: true, websocketOptions: { rateLimit: { bytesPerSecond: 10_000 } } }, (socket) => { socket.on('message', () => {}) })
    app.get('/control', { websocket: true }, () => {})
  })
  const messages = await Wire.open(port, { path: '/messages' })
  for (let i = 0; i < 20; i++) messages.text(String(i))
  const lines = await messages.linesUntilEnd()
  t.equal(lines.at(-1), 'close 1008 "too many messages a second"')
  t.ok(lines.length >= 11 && lines.length < 20, `${lines.length - 1} messages`)
  t.equal(lines[9], 'text "9"')
  messages.end()

  const bytes = await Wire.open(port, { path: '/bytes' })
  bytes.binary(Buffer.alloc(9_000))
  bytes.binary(Buffer.alloc(9_000))
  bytes.text('above')
  bytes.binary(Buffer.alloc(100_000))
  t.strictSame(await bytes.linesUntilEnd(), ['close 1008 "too many bytes a second"'])
  bytes.end()

  const control = await Wire.open(port, { path: '/control' })
  for (let i = 0; i < 300; i++) control.ping(String(i))
  const pongs = await control.linesUntilEnd()
  t.equal(pongs.at(-1), 'close 1008 "too many control frames"')
  t.ok(pongs.length > 100 && pongs.length < 250)
  control.end()
  await log.line('websocket closed', 3)
  for (const line of log.with('websocket limit error')) t.match(line, { level: LEVEL.info, kind: 'limit', err: { code: 'FST_WS_ERR_LIMIT' } })
})
