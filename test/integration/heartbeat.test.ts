import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { deferred, startApp, type Running } from '../helpers/app.ts'
import { upgradeRequest, Wire } from '../helpers/wire.ts'

const MIB = 2 ** 20
const HEARTBEAT = { intervalMs: 100, timeoutMs: 200 }
const TICK = 25
/** One more for where between two ticks it began, one for the first, which counts nothing; and a machine that does other things. */
const DEAD_AFTER = HEARTBEAT.intervalMs + HEARTBEAT.timeoutMs
const AT_MOST = 1_500

interface Opened extends Running {
  /** Of the one connection: the server's socket, and how long it lasted. */
  readonly socket: Promise<any>
  readonly lasted: Promise<number>
}

/** An application whose handler gets one connection. */
async function start (t: Test, handler: (socket: any) => unknown, heartbeat: object | false = HEARTBEAT, serverOptions = {}): Promise<Opened> {
  const socketHere = deferred<any>()
  const lasted = deferred<number>()
  const running = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket: any) => {
      const start = performance.now()
      socket.on('close', () => lasted.resolve(performance.now() - start))
      socketHere.resolve(socket)
      return handler(socket)
    })
  }, { heartbeat } as never, serverOptions)
  return { ...running, socket: socketHere.promise, lasted: lasted.promise }
}

/** A client that reads only when it is told. */
async function deaf (t: Test, socket: Socket): Promise<Socket> {
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.pause()
  socket.write(upgradeRequest())
  return socket
}

async function isDropped (t: Test, { socket, lasted, log }: Opened): Promise<void> {
  const { code, wasClean } = await (await socket).closed
  t.strictSame({ code, wasClean }, { code: 1006, wasClean: false })
  const milliseconds = await lasted
  t.ok(milliseconds > DEAD_AFTER - 2 * TICK && milliseconds < AT_MOST, `${milliseconds} ms`)
  t.match(await log.line('websocket closed'), { code: 1006, sentCode: 1006 })
  t.match(log.with('websocket socket error')[0]?.['err'], { code: 'FST_WS_ERR_SOCKET' })
}

t.test('a peer that never answers is dropped', async (t) => {
  const opened = await start(t, () => {})
  const wire = await Wire.open(opened.port)
  await isDropped(t, opened)
  await wire.untilEnd()
  t.strictSame(await wire.linesUntilEnd(), ['ping "1"'])
})

for (const [what, bytes] of [['4 MiB wait', 4 * MIB], ['more waits than kernels hold', 48 * MIB]] as const) {
  t.test(`a peer that never reads, while ${what}, is dropped as soon`, async (t) => {
    const opened = await start(t, (socket) => socket.send(Buffer.alloc(bytes)))
    await deaf(t, connect(opened.port, '127.0.0.1'))
    await isDropped(t, opened)
  })
}

t.test('a peer that answers, or says anything at all, lives; its latency is known', async (t) => {
  const opened = await start(t, () => {})
  const answering = await Wire.open(opened.port)
  const socket = await opened.socket
  t.ok(Number.isNaN(socket.latencyMs))
  for (let i = 1; i <= 5; i++) {
    t.strictSame(await answering.lines(1), [`ping "${i}"`])
    if (i % 2 === 1) answering.pong(String(i))
    else answering.text('not a pong')
  }
  t.equal(socket.readyState, 1)
  t.ok(socket.latencyMs >= 0 && socket.latencyMs < 1_000, `${socket.latencyMs} ms`)
  answering.destroy()
})

t.test('without heartbeat nobody is asked', async (t) => {
  const opened = await start(t, () => {}, false)
  const wire = await Wire.open(opened.port)
  await new Promise((resolve) => { setTimeout(resolve, 400) })
  t.equal(wire.received.length, 0)
  t.equal((await opened.socket).readyState, 1)
  wire.destroy()
})

/** Reads so much each time, until stopped. */
function slowly (socket: Socket, bytes: number, everyMs: number): () => void {
  const timer = setInterval(() => {
    for (let got = 0; got < bytes;) {
      const chunk = socket.read(Math.min(bytes - got, socket.readableLength || 1)) as Buffer | null
      if (chunk === null) break
      got += chunk.length
    }
  }, everyMs)
  return () => clearInterval(timer)
}

const keys = mkdtempSync(join(tmpdir(), 'duplex-'))
const file = (name: string): string => join(keys, name)
t.teardown(() => rmSync(keys, { recursive: true }))
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', file('key'), '-out', file('cert')], { stdio: 'ignore' })
const https = { key: readFileSync(file('key')), cert: readFileSync(file('cert')) }

const networks: Record<string, { serverOptions: object, connectTo: (port: number) => Promise<Socket> }> = {
  TCP: { serverOptions: {}, connectTo: async (port) => connect(port, '127.0.0.1') },
  TLS: {
    serverOptions: { https },
    connectTo: async (port) => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      return socket
    }
  }
}

for (const [network, { serverOptions, connectTo }] of Object.entries(networks)) {
  // The kernel of a fast network takes octets by the megabyte, so the peer must not be too slow for what can be seen of it.
  t.test(`a slow reader is not taken for dead, over ${network}, but for as long as it reads`, async (t) => {
    const opened = await start(t, (socket) => socket.send(Buffer.alloc(64 * MIB)), { intervalMs: 100, timeoutMs: 300 }, serverOptions)
    const client = await deaf(t, await connectTo(opened.port))
    const socket = await opened.socket
    const stop = slowly(client, 256 * 1024, 10)
    t.teardown(stop)
    const end = performance.now() + 1_000
    while (performance.now() < end) {
      if (socket.readyState !== 1) break
      await new Promise((resolve) => { setTimeout(resolve, 50) })
    }
    t.equal(socket.readyState, 1)
    t.ok(socket.bufferedAmount > 0, 'much waits still')
    stop()
    t.equal((await socket.closed).code, 1006)
  })
}

t.test('a peer that never reads, while much waits, is dropped over TLS too', async (t) => {
  const { serverOptions, connectTo } = networks['TLS']!
  const opened = await start(t, (socket) => socket.send(Buffer.alloc(48 * MIB)), HEARTBEAT, serverOptions)
  await deaf(t, await connectTo(opened.port))
  await isDropped(t, opened)
})

t.test('while the application has paused nobody is taken for dead, and what was said meanwhile is read', async (t) => {
  const opened = await start(t, (socket) => socket.pause())
  const wire = await Wire.open(opened.port)
  const socket = await opened.socket
  wire.text('meanwhile')
  t.strictSame(await wire.lines(6), Array(6).fill('ping ""'), 'twice as long as a silent peer may be')
  t.equal(socket.readyState, 1)
  socket.resume()
  t.equal(await socket.next(), 'meanwhile')
  t.strictSame(await wire.lines(1), ['ping "1"'])
  wire.destroy()
})

t.test('while a full queue waits to be taken nobody is taken for dead', async (t) => {
  const opened = await start(t, async (socket) => { await socket.closed })
  const wire = await Wire.open(opened.port)
  const socket = await opened.socket
  wire.binary(Buffer.alloc(64 * 1024))
  t.strictSame(await wire.lines(6), Array(6).fill('ping ""'))
  t.equal(socket.readyState, 1)
  t.equal((await socket.next()).length, 64 * 1024)
  wire.destroy()
})

t.test('a peer that leaves while the application has paused is noticed', async (t) => {
  const opened = await start(t, (socket) => socket.pause())
  const wire = await Wire.open(opened.port)
  const socket = await opened.socket
  wire.text('not read')
  await wire.lines(1)
  const start_ = performance.now()
  wire.destroy()
  t.equal((await socket.closed).code, 1006)
  t.ok(performance.now() - start_ < 1_500)
  await opened.lasted
})
