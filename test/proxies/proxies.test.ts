/**
 * A server behind nginx and behind HAProxy, which end TLS, with the configuration of docs/security.md: what its clients
 * must notice of the proxy, and what they must not.
 */
import type { FastifyInstance } from 'fastify'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { WebSocket as WsClient } from 'ws'
import type { DuplexOptions } from '../../types/options.ts'
import { listen, startApp, type Running } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { ROOT } from '../helpers/root.ts'
import { request, upgradeRequest, Wire, type RequestOptions, type WireResponse } from '../helpers/wire.ts'
import { haproxy, HOST, nginx, shownBlock, startProxy, type Proxy, type ProxyOptions } from './proxy.ts'

/** As docs/security.md has it. */
const SERVER = { trustProxy: '127.0.0.1', forceCloseConnections: true }

interface Setup {
  readonly options?: DuplexOptions
  readonly server?: object
  readonly settings?: ProxyOptions['settings']
}

interface Behind extends Running {
  readonly proxy: Proxy
  /** What the application has seen of each connection that it opened. */
  readonly seen: Array<{ ip: string, url: string, closed: Promise<{ code: number, reason: string }> }>
}

const routes = (seen: Behind['seen']) => (app: FastifyInstance): void => {
  app.get('/echo', { websocket: true }, (socket, request) => {
    seen.push({ ip: request.ip, url: socket.url, closed: socket.closed })
    socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
  })
  app.get('/closes', { websocket: true }, (socket) => { socket.close(4002, 'from the server') })
  app.get('/throws', { websocket: true }, () => { throw new Error('boom') })
  app.get('/plain', async (request) => ({ ip: request.ip, protocol: request.protocol, host: request.host }))
}

for (const kind of [nginx, haproxy]) {
  const start = async (t: Test, { options = {}, server = {}, settings = {} }: Setup = {}): Promise<Behind> => {
    const seen: Behind['seen'] = []
    const running = await startApp(t, routes(seen), options, { ...SERVER, ...server } as never)
    const proxy = await startProxy(kind, { appPort: running.port, settings })
    t.teardown(() => proxy.stop())
    return { ...running, proxy, seen }
  }
  const test = (name: string, run: (t: Test) => Promise<void>): void => { t.test(`${kind.name}: ${name}`, run) }

  test('text and binary of every size, fragments, pings, and permessage-deflate', async (t) => {
    const { proxy, seen } = await start(t, { options: { deflate: true } })
    for (const perMessageDeflate of [false, true]) {
      const client = await open(t, proxy, { perMessageDeflate })
      for (const size of [0, 1, 126, 65_536, 1_048_576]) {
        const text = 'ä'.repeat(size / 2)
        client.send(text)
        t.equal(String(await messageOf(client)), text, `text of ${size} octets`)
        client.send(Buffer.alloc(size, 7))
        t.ok((await messageOf(client)).equals(Buffer.alloc(size, 7)), `binary of ${size} octets`)
      }
      const pong = once(client, 'pong')
      const echo = messageOf(client)
      client.send('in ', { fin: false })
      client.ping('between')
      client.send('parts')
      t.equal(String((await pong)[0]), 'between')
      t.equal(String(await echo), 'in parts')
      t.equal(client.extensions, perMessageDeflate ? 'permessage-deflate' : '')
      client.close()
      await once(client, 'close')
    }
    t.match(seen[0], { ip: '127.0.0.1', url: `wss://${HOST}:${proxy.port}/echo` })
  })

  test('a page of the same origin may connect, of any other it may not: 403', async (t) => {
    const { proxy, log } = await start(t)
    const origin = `https://${HOST}:${proxy.port}`
    t.equal((await shake(proxy, { headers: { Origin: origin } })).statusCode, 101)
    t.equal((await shake(proxy)).statusCode, 101, 'who sends no Origin is no browser')
    for (const other of ['https://evil.example', `https://${HOST}`, `https://${HOST}:1`, origin.replace('https', 'http'), 'null']) {
      const { statusCode, body } = await shake(proxy, { headers: { Origin: other } })
      t.equal(statusCode, 403, other)
      t.match(JSON.parse(body), { code: 'FST_WS_ERR_ORIGIN' })
    }
    t.equal(log.with(/origin refused/).length, 5)
    t.equal(log.with(/origin refused/)[0]!['host'], `${HOST}:${proxy.port}`, 'Host came with its port')
  })

  test('X-Forwarded-*: what the proxy says is believed, and nothing that a client says', async (t) => {
    const { proxy, seen, port } = await start(t)
    const lies = { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': 'evil.example', Forwarded: 'for=192.0.2.1' }
    const wire = await connected(proxy, { from: '127.0.0.3' })
    wire.write(request({ path: '/plain', headers: { Host: `${HOST}:${proxy.port}`, ...lies } }))
    t.strictSame(JSON.parse((await wire.response()).body), { ip: '127.0.0.3', protocol: 'https', host: `${HOST}:${proxy.port}` })
    wire.write(handshake(proxy, { headers: lies }))
    t.equal((await wire.response()).statusCode, 101, 'on the same connection, behind a plain request')
    t.match(seen[0], { ip: '127.0.0.3', url: `wss://${HOST}:${proxy.port}/echo` })
    wire.destroy()

    const direct = await Wire.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.4' })
    direct.write(upgradeRequest({ path: '/echo', headers: { Host: HOST, ...lies } }))
    t.equal((await direct.response()).statusCode, 101)
    t.match(seen[1], { ip: '127.0.0.4', url: `ws://${HOST}/echo` }, 'past the proxy they are not believed either')
    direct.destroy()
  })

  test('limits for each address count the clients, not the proxy: 503 with Retry-After', async (t) => {
    const { proxy } = await start(t, { options: { maxConnectionsPerAddress: 2 } })
    const opened = [await shake(proxy, { from: '127.0.0.2' }), await shake(proxy, { from: '127.0.0.2' })]
    t.strictSame(opened.map(({ statusCode }) => statusCode), [101, 101])
    for (const lie of ['192.0.2.1', '192.0.2.2']) {
      const { statusCode, headers, body } = await shake(proxy, { from: '127.0.0.2', headers: { 'X-Forwarded-For': lie } })
      t.equal(statusCode, 503)
      t.match(headers['retry-after'], /^\d+$/)
      t.match(JSON.parse(body), { code: 'FST_WS_ERR_CONNECTIONS' })
    }
    t.equal((await shake(proxy, { from: '127.0.0.3' })).statusCode, 101)
    for (const { wire } of opened) wire.destroy()
    t.equal(await untilAdmitted(proxy, { from: '127.0.0.2' }), 101, 'a place is free again when a client has left')
  })

  test('the proxy itself counts connections for as long as they live', async (t) => {
    const { proxy, app } = await start(t, { settings: { address: kind.settings.address.replace('100', '3') } })
    const opened = [await shake(proxy), await shake(proxy), await shake(proxy)]
    t.strictSame(opened.map(({ statusCode }) => statusCode), [101, 101, 101])
    const refused = await shake(proxy)
    t.equal(refused.statusCode, 503)
    t.notMatch(refused.body, /FST_WS/, 'which the application has not seen')
    t.equal(app.websockets.size, 3)
    t.equal((await shake(proxy, { from: '127.0.0.2' })).statusCode, 101)
    opened[0]!.wire.destroy()
    t.equal(await untilAdmitted(proxy), 101)
  })

  test('the heartbeat keeps an idle connection open, which the proxy would cut', async (t) => {
    const settings = { idle: kind.settings.idle.replace('75s', '1s') }
    const cut = await start(t, { settings, options: { heartbeat: false } })
    const silent = await open(t, cut.proxy)
    const opened = performance.now()
    const [code] = await once(silent, 'close')
    t.equal(code, 1006, 'without it the proxy cuts')
    t.ok(performance.now() - opened >= 900)
    t.match(await cut.seen[0]!.closed, { code: 1006 })

    const kept = await start(t, { settings, options: { heartbeat: { intervalMs: 300, timeoutMs: 600 } } })
    const idle = await open(t, kept.proxy)
    let pings = 0
    idle.on('ping', () => { pings++ })
    await pause(3_500)
    t.equal(idle.readyState, WsClient.OPEN)
    t.ok(pings >= 3, `${pings} pings`)
    idle.send('still here')
    t.equal(String(await messageOf(idle)), 'still here')
  })

  test('close codes and reasons, both ways', async (t) => {
    const { proxy, seen } = await start(t, { options: { maxMessageBytes: 1_000 } })
    const client = await open(t, proxy)
    client.close(4001, 'from the client')
    t.strictSame(await closeOf(client), [4001, 'from the client'])
    t.match(await seen[0]!.closed, { code: 4001, reason: 'from the client', wasClean: true })

    t.strictSame(await closeOf(await open(t, proxy, { path: '/closes' })), [4002, 'from the server'])
    t.strictSame(await closeOf(await open(t, proxy, { path: '/throws' })), [1011, 'internal error'])
    const large = await open(t, proxy)
    large.send('x'.repeat(1_001))
    t.strictSame(await closeOf(large), [1009, 'message above the limit'])
    const { wire } = await shake(proxy)
    wire.write(frame({ opcode: 1, payload: 'without a mask' }))
    t.strictSame(await wire.lines(1), ['close 1002 "frame of a client without a mask"'])
    await wire.untilClosed()
  })

  test('a client that vanishes is noticed, and a server that does so too', async (t) => {
    const { proxy, seen, app } = await start(t, { options: { closeTimeoutMs: 200 } })
    const { wire } = await shake(proxy)
    wire.destroy()
    t.match(await seen[0]!.closed, { code: 1006 })
    const client = await open(t, proxy)
    for (const socket of app.websockets) socket.terminate()
    t.equal((await closeOf(client))[0], 1006)
  })

  test('refusals arrive as the answers that they are', async (t) => {
    const { proxy } = await start(t)
    for (const [options, status, field] of [
      [{ path: '/nowhere' }, 404],
      [{ headers: { 'Sec-WebSocket-Version': '8' } }, 426, 'sec-websocket-version'],
      [{ headers: { 'Sec-WebSocket-Protocol': 'unknown' } }, 400],
      [{ path: '/plain' }, 200]
    ] as Array<[RequestOptions, number, string?]>) {
      const { statusCode, headers } = await shake(proxy, options)
      t.equal(statusCode, status, JSON.stringify(options))
      if (field !== undefined) t.ok(field in headers, field)
    }
    const plain = await connected(proxy)
    plain.write(request({ path: '/echo', headers: { Host: HOST } }))
    t.equal((await plain.response()).statusCode, 426, 'a plain request')
    plain.destroy()
  })

  test('the head of a request has its time at the proxy too', async (t) => {
    const { proxy, log } = await start(t, { settings: { head: kind.settings.head.replace('10s', '1s') } })
    const wire = await connected(proxy)
    const whole = handshake(proxy)
    wire.write(whole.slice(0, -4))
    await wire.untilEnd()
    const status = wire.received.length === 0 ? undefined : Number(wire.received.toString('latin1', 9, 12))
    t.equal(status, kind.slowStatus)
    t.strictSame(log.with('incoming request'), [], 'the application has seen nothing of it')
    wire.destroy()
  })

  test('a reload leaves open connections alone', async (t) => {
    const { proxy } = await start(t)
    const before = await open(t, proxy)
    await proxy.reload()
    before.send('before')
    t.equal(String(await messageOf(before)), 'before')
    const after = await open(t, proxy)
    after.send('after')
    t.equal(String(await messageOf(after)), 'after')
  })

  test('the server shuts down: 1001 to everyone, and then the proxy answers by itself', async (t) => {
    const { proxy, app } = await start(t)
    const clients = [await open(t, proxy), await open(t, proxy), await open(t, proxy)]
    const closes = clients.map(closeOf)
    await app.close()
    t.strictSame(await Promise.all(closes), [[1001, ''], [1001, ''], [1001, '']])
    const { statusCode } = await shake(proxy)
    t.ok([502, 503].includes(statusCode), String(statusCode))
  })
}

t.test('nginx: the example, whose configuration is that of the page', async (t) => {
  const folder = join(ROOT, 'examples/behind-nginx')
  t.equal(readFileSync(join(folder, 'nginx.conf'), 'utf8').replace(/^#.*\n\n/, ''), shownBlock('nginx'))

  const { build } = await import(pathToFileURL(join(folder, 'server.js')).href)
  const app: FastifyInstance = build()
  t.teardown(() => app.close())
  const { port } = await listen(app)
  const proxy = await startProxy(nginx, { appPort: port })
  t.teardown(() => proxy.stop())
  const from = '127.0.0.3'
  const headers = { Origin: `https://${HOST}:${proxy.port}`, 'X-Forwarded-For': '192.0.2.1' }
  const opened = await shake(proxy, { path: '/whoami', from, headers })
  t.equal(opened.statusCode, 101)
  const [line] = await opened.wire.lines(1)
  t.strictSame(JSON.parse(JSON.parse(line!.replace('text ', ''))), { address: from, url: `wss://${HOST}:${proxy.port}/whoami` })
  t.equal((await shake(proxy, { path: '/whoami', headers: { Origin: 'https://evil.example' } })).statusCode, 403)

  // The server's own limit, below that of nginx.
  const others = await Promise.all(Array.from({ length: 49 }, () => shake(proxy, { path: '/whoami', from })))
  t.ok(others.every(({ statusCode }) => statusCode === 101))
  const { statusCode, headers: fields, body } = await shake(proxy, { path: '/whoami', from })
  t.match({ statusCode, fields, body: JSON.parse(body) }, { statusCode: 503, fields: { 'retry-after': /\d/ }, body: { code: 'FST_WS_ERR_CONNECTIONS' } })
  for (const { wire } of [opened, ...others]) wire.destroy()
})

t.test('nginx: without the port in Host, which $host drops, a page of a server on another port is refused', async (t) => {
  const { port } = await startApp(t, routes([]), {}, SERVER as never)
  const proxy = await startProxy(nginx, { appPort: port, settings: { server: 'proxy_set_header Host $host;' } })
  t.teardown(() => proxy.stop())
  t.equal((await shake(proxy, { headers: { Origin: `https://${HOST}:${proxy.port}` } })).statusCode, 403)
})

t.test('HAProxy: the PROXY protocol is not understood, and 400', async (t) => {
  const { port } = await startApp(t, routes([]), {}, SERVER as never)
  const proxy = await startProxy(haproxy, { appPort: port, settings: { server: 'server app1 127.0.0.1:3000 send-proxy' } })
  t.teardown(() => proxy.stop())
  t.equal((await shake(proxy)).statusCode, 400)
})

t.test('HAProxy: WebSocket over HTTP/2 becomes one over HTTP/1.1', async (t) => {
  const { port } = await startApp(t, routes([]), {}, SERVER as never)
  const proxy = await startProxy(haproxy, { appPort: port, settings: { client: 'alpn h2' } })
  t.teardown(() => proxy.stop())
  const session = connectHttp2(`https://${HOST}:${proxy.port}`, { createConnection: () => connectTls({ port: proxy.port, host: '127.0.0.1', ca: proxy.ca, servername: HOST, ALPNProtocols: ['h2'] }) })
  await once(session, 'remoteSettings')
  const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'https', ':authority': `${HOST}:${proxy.port}`, ':path': '/echo', 'sec-websocket-version': '13', origin: `https://${HOST}:${proxy.port}` }, { endStream: false })
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 200)
  const wire = new Wire(stream)
  wire.text('over HTTP/2')
  t.strictSame(await wire.lines(1), ['text "over HTTP/2"'])
  session.destroy()
})

// Clients

interface From {
  /** An address of loopback that the client connects from. */
  readonly from?: string
}

async function connected ({ port, ca }: Proxy, { from = '127.0.0.1' }: From = {}): Promise<Wire> {
  const socket: TLSSocket = connectTls({ socket: connect({ port, host: '127.0.0.1', localAddress: from }), ca, servername: HOST })
  await once(socket, 'secureConnect')
  return new Wire(socket)
}

function handshake ({ port }: Proxy, options: RequestOptions = {}): string {
  return upgradeRequest({ path: '/echo', ...options, headers: { Host: `${HOST}:${port}`, ...options.headers } })
}

/** What is answered to a handshake; a refused client leaves. */
async function shake (proxy: Proxy, options: RequestOptions & From = {}): Promise<WireResponse & { wire: Wire }> {
  const wire = await connected(proxy, options)
  wire.write(handshake(proxy, options))
  const response = await wire.response()
  if (response.statusCode !== 101) wire.destroy()
  return { ...response, wire }
}

/** As soon as server and proxy have noticed that somebody has left. */
async function untilAdmitted (proxy: Proxy, from: From = {}): Promise<number> {
  const start = performance.now()
  for (;;) {
    const { statusCode, wire } = await shake(proxy, from)
    if (statusCode === 101 || performance.now() - start > 10_000) return statusCode
    wire.destroy()
    await pause(20)
  }
}

/** A client that knows the protocol, and answers pings and Closes. */
async function open (t: Test, { port, ca }: Proxy, { path = '/echo', perMessageDeflate = false } = {}): Promise<WsClient> {
  const client = new WsClient(`wss://${HOST}:${port}${path}`, {
    perMessageDeflate, ca, servername: HOST, lookup: (_name: string, _options: object, done: (error: null, addresses: object) => void) => done(null, [{ address: '127.0.0.1', family: 4 }])
  } as never)
  t.teardown(() => client.terminate())
  await once(client, 'open')
  return client
}

async function messageOf (client: WsClient): Promise<Buffer> {
  const [data] = await once(client, 'message')
  return data
}

async function closeOf (client: WsClient): Promise<[code: number, reason: string]> {
  const [code, reason] = await once(client, 'close')
  return [code, String(reason)]
}

async function pause (ms: number): Promise<void> {
  await new Promise((resolve) => { setTimeout(resolve, ms) })
}
