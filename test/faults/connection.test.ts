/**
 * Open connections on a bad network: whatever happens to one, both sides learn that it is over, with a defined code, and
 * nothing of it is left behind. All scenarios run at once, each on a network of its own.
 */
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket as WsWebSocket } from 'ws'
import type { OpenLimits } from '../../lib/socket/open.ts'
import { startApp, type Running } from '../helpers/app.ts'
import { FaultProxy, type Link } from '../helpers/fault-proxy.ts'
import { noise } from '../helpers/frames.ts'
import { Resources } from '../helpers/resources.ts'
import { openTcpClient } from '../helpers/tcp-client.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** Longer than anything here takes; who has not closed by then hangs. */
const PATIENCE_MS = 20_000
const HEARTBEAT = { intervalMs: 100, timeoutMs: 200 }
/** Longer than is waited for timers to be gone: one that is left behind is seen. */
const NEVER_MS = 9_000
const TIMES = { heartbeat: HEARTBEAT, closeTimeoutMs: NEVER_MS }
/** Of the scenarios that end by them. */
const HASTY = { closeTimeoutMs: 200, messageTimeoutMs: 200 }

/** Our client, or another's: what both have. */
interface Client {
  send (data: string | Buffer): void
  close (code: number): void
  terminate (): void
  /** The next messages, as one. */
  received (bytes: number): Promise<Buffer>
  readonly code: Promise<number>
}

interface Ends {
  readonly server: any
  readonly client: Client
  readonly link: Link
  readonly t: Test
}

interface Scenario {
  readonly what: string
  readonly path?: string
  readonly deflate?: boolean
  /** Of our client, other than those of all. */
  readonly limits?: Partial<OpenLimits>
  /** What is wrong with the network from the beginning. */
  readonly network?: (link: Link) => void
  readonly run: (ends: Ends) => unknown
  /** The codes that both are told. */
  readonly server: number
  readonly client: number
  /** Where it ends otherwise for ws, which has neither heartbeat nor limits of time. */
  readonly ws?: { readonly server: number, readonly client: number }
}

/** A frame of a client begins with six octets, of a server with two; so it is cut in its payload. */
const IN_PAYLOAD = 10

function cutUp (link: Link, bytes: number, cut: Link['up']['cut']): void {
  Object.assign(link.up, { cut, cutAfterBytes: link.up.passedBytes + bytes })
}

function cutDown (link: Link, bytes: number, cut: Link['up']['cut']): void {
  Object.assign(link.down, { cut, cutAfterBytes: link.down.passedBytes + bytes })
}

async function echoes ({ client, t }: Ends, data: Buffer): Promise<void> {
  client.send(data)
  t.ok((await client.received(data.length)).equals(data), `${data.length} bytes come back`)
}

const SCENARIOS: readonly Scenario[] = [
  // The network is lost
  { what: 'both are reset', run: ({ link }) => link.reset(), server: 1006, client: 1006 },
  { what: 'the server is reset, the client is told nothing', run: ({ link }) => link.reset('server'), server: 1006, client: 1006 },
  { what: 'the client is reset, the server is told nothing', run: ({ link }) => link.reset('client'), server: 1006, client: 1006 },
  { what: 'a black hole', run: ({ link }) => link.lose(), server: 1006, client: 1006 },
  { what: 'a black hole towards the server', run: ({ link }) => { link.up.lost = true }, server: 1006, client: 1006 },
  { what: 'a black hole towards the client', run: ({ link }) => { link.down.lost = true }, server: 1006, client: 1006 },
  { what: 'the server sees an end', run: ({ link }) => link.up.end(), server: 1006, client: 1006 },
  { what: 'the client sees an end', run: ({ link }) => link.down.end(), server: 1006, client: 1006 },
  { what: 'both see an end', run: ({ link }) => { link.down.end(); link.up.end() }, server: 1006, client: 1006 },
  { what: 'the server drops it', run: ({ server }) => server.terminate(), server: 1006, client: 1006 },
  { what: 'the client drops it', run: ({ client }) => client.terminate(), server: 1006, client: 1006 },

  // Within a frame
  ...(['end', 'reset'] as const).flatMap((cut): Scenario[] => [1, 3, IN_PAYLOAD].flatMap((bytes) => [
    { what: `${cut} after ${bytes} octets of a frame to the server`, run: ({ link, client }) => { cutUp(link, bytes, cut); client.send(noise(100)) }, server: 1006, client: 1006 },
    { what: `${cut} after ${bytes} octets of a frame to the client`, run: ({ link, server }) => { cutDown(link, bytes, cut); server.send(noise(100)) }, server: 1006, client: 1006 }
  ])),
  {
    what: 'the rest of a frame to the server never comes',
    path: '/hasty',
    run: ({ link, client }) => { cutUp(link, IN_PAYLOAD, 'lose'); client.send(noise(100)) },
    server: 1006,
    client: 1008
  },
  {
    what: 'the rest of a frame to the client never comes',
    path: '/hasty',
    limits: HASTY,
    run: ({ link, server }) => { cutDown(link, IN_PAYLOAD, 'lose'); server.send(noise(100)) },
    server: 1008,
    client: 1006,
    ws: { server: 1006, client: 1006 }
  },
  {
    what: 'a damaged frame to the server',
    run: ({ link, client }) => { link.up.damagedOffset = link.up.passedBytes; client.send(noise(100)) },
    server: 1006,
    client: 1002
  },
  {
    what: 'a damaged frame to the client',
    run: ({ link, server }) => { link.down.damagedOffset = link.down.passedBytes; server.send(noise(100)) },
    server: 1002,
    client: 1006
  },

  // A bad network that works
  {
    what: 'octet by octet',
    network: (link) => { link.up.pieceBytes = link.down.pieceBytes = () => 1 },
    run: async (ends) => {
      for (const size of [0, 1, 125, 126, 300]) await echoes(ends, noise(size))
      ends.client.close(4001)
    },
    server: 4001,
    client: 4001
  },
  {
    what: 'in random pieces, latency between them',
    network: (link) => {
      const sizes = noise(1000)
      let i = 0
      link.up.pieceBytes = link.down.pieceBytes = () => 1 + sizes[i++ % sizes.length]! ** 2
      link.up.latencyMs = link.down.latencyMs = 1
    },
    run: async (ends) => {
      for (const size of [70_000, 1, 300_000]) await echoes(ends, noise(size))
      ends.server.close(4002)
    },
    server: 4002,
    client: 4002
  },
  {
    what: 'a slow network, which takes longer for a message than heartbeats wait',
    path: '/patient',
    limits: { heartbeat: false },
    network: (link) => { link.up.bytesPerSecond = link.down.bytesPerSecond = 200_000 },
    run: async (ends) => {
      await echoes(ends, noise(100_000))
      ends.client.close(4003)
    },
    server: 4003,
    client: 4003
  },
  {
    what: 'both close at once',
    network: (link) => { link.up.latencyMs = link.down.latencyMs = 20 },
    run: ({ server, client }) => { server.close(4001); client.close(4002) },
    server: 4002,
    client: 4001
  },
  {
    what: 'the handler throws',
    path: '/throws',
    network: (link) => { link.up.pieceBytes = link.down.pieceBytes = () => 1 },
    run: ({ client }) => client.send('now'),
    server: 1011,
    client: 1011
  },
  {
    what: 'a message above the limit, in pieces',
    path: '/small',
    network: (link) => { link.up.pieceBytes = () => 1000 },
    run: ({ client }) => client.send(noise(5_000)),
    server: 1006,
    client: 1009
  },

  // The closing handshake is lost
  { what: 'the answer to a Close of the server is lost', path: '/hasty', limits: HASTY, run: ({ link, server }) => { link.up.lost = true; server.close(4000) }, server: 1006, client: 4000 },
  { what: 'a Close of the server is lost', path: '/hasty', limits: HASTY, run: ({ link, server }) => { link.down.lost = true; server.close(4000) }, server: 1006, client: 1006 },
  { what: 'the answer to a Close of the client is lost', path: '/hasty', limits: HASTY, run: ({ link, client }) => { link.down.lost = true; client.close(4000) }, server: 4000, client: 1006 },
  { what: 'a Close of the client is lost', path: '/hasty', limits: HASTY, run: ({ link, client }) => { link.up.lost = true; client.close(4000) }, server: 1006, client: 1006 },
  { what: 'reset within a Close of the server', run: ({ link, server }) => { cutDown(link, 3, 'reset'); server.close(4000) }, server: 1006, client: 1006 },
  { what: 'reset within a Close of the client', run: ({ link, client }) => { cutUp(link, 3, 'reset'); client.close(4000) }, server: 1006, client: 1006 },
  { what: 'the answer to a Close of the server is cut', run: ({ link, server }) => { cutUp(link, 3, 'end'); server.close(4000) }, server: 1006, client: 4000 },

  // What waits is lost
  {
    what: 'the client stalls, and more is sent to it than may wait',
    path: '/bounded',
    run: ({ link, server, t }) => {
      link.down.stall()
      let sent = 0
      while (server.readyState === server.OPEN && sent < 1000) {
        server.send(Buffer.alloc(MIB))
        sent++
      }
      t.ok(sent < 100, `${sent} MiB were sent`)
    },
    server: 1006,
    client: 1006
  },
  {
    what: 'the client stalls, and what waits for it is more than the kernel holds',
    run: ({ link, server }) => {
      link.down.stall()
      server.send(Buffer.alloc(12 * MIB))
    },
    server: 1006,
    client: 1006
  },
  {
    what: 'the server stalls, and what waits for it is more than the kernel holds',
    run: ({ link, client }) => {
      link.up.stall()
      client.send(Buffer.alloc(12 * MIB))
    },
    server: 1006,
    client: 1006
  },
  {
    what: 'reset while messages wait, drained() and callbacks too',
    run: async ({ link, server, t }) => {
      link.down.stall()
      let callbacks = 0
      const { signal } = server
      const lost: Error[] = []
      const called = new Promise<void>((resolve) => {
        const onSent = (error?: Error): void => {
          callbacks++
          if (error !== undefined) lost.push(error)
          if (callbacks === 12) resolve()
        }
        for (let i = 0; i < 12; i++) server.send(Buffer.alloc(MIB), onSent)
      })
      const drained = server.drained()
      link.reset()
      await t.rejects(drained, { code: 'FST_WS_ERR_CLOSED', closeCode: 1006 })
      await called
      t.ok(lost.length > 0)
      for (const error of lost) t.match(error, { code: 'FST_WS_ERR_CLOSED' })
      t.match(signal.reason, { code: 'FST_WS_ERR_CLOSED' })
    },
    server: 1006,
    client: 1006
  },
  {
    what: 'reset while a handler waits in for await',
    path: '/iterates',
    run: async ({ link, server, client, t }) => {
      client.send('one')
      await client.received(3)
      link.reset()
      t.equal(await taken.get(server), 1)
    },
    server: 1006,
    client: 1006
  },
  {
    what: 'reset while a handler waits in next()',
    path: '/quiet',
    run: async ({ link, server, t }) => {
      const giveUp = new AbortController()
      const next = server.next({ signal: giveUp.signal })
      link.reset()
      await t.rejects(next, { code: 'FST_WS_ERR_CLOSED', closeCode: 1006 })
      giveUp.abort()
    },
    server: 1006,
    client: 1006
  },
  {
    what: 'reset while a stream is piped',
    path: '/quiet',
    run: async ({ link, server, client, t }) => {
      const stream = server.stream()
      const piped = pipeline(stream, stream)
      client.send('one')
      await client.received(3)
      link.reset()
      await piped
      t.ok(stream.destroyed)
    },
    server: 1006,
    client: 1006
  },
  {
    what: 'reset while large messages are being compressed and inflated',
    path: '/deflate',
    deflate: true,
    run: async (ends) => {
      const { link, server, client, t } = ends
      await echoes(ends, Buffer.alloc(200_000, 'compressed '))
      t.match(server.extensions, /permessage-deflate/)
      for (let i = 0; i < 4; i++) {
        client.send(noise(100_000))
        server.send(noise(100_000))
      }
      await new Promise((resolve) => { setImmediate(resolve) })
      link.reset()
    },
    server: 1006,
    client: 1006
  },
  {
    // While nothing is read nobody is taken for dead; but as soon as somebody takes messages again.
    what: 'the client is lost while its messages fill the queue of a handler that takes none',
    path: '/full',
    run: async ({ link, client, server, t }) => {
      for (let i = 0; i < 20; i++) client.send(noise(10_000))
      await new Promise((resolve) => { setTimeout(resolve, 2 * HEARTBEAT.intervalMs) })
      link.lose()
      let count = 0
      for await (const message of server) count += message.length / 10_000
      t.ok(count > 6, `${count} messages had arrived`)
    },
    server: 1006,
    client: 1006
  }
]

/** The server's socket of each scenario, and how many messages its handler has taken when it has ended. */
const servers = new Map<string, any>()
const taken = new WeakMap<object, Promise<number>>()

function routes (app: FastifyInstance): void {
  const open = (socket: any, request: any): void => { servers.set(request.query.id, socket) }
  const echo = (socket: any, request: any): void => {
    open(socket, request)
    socket.on('message', (data: Buffer, binary: boolean) => { socket.send(data, { binary }) })
  }
  app.addWebSocketHook('onOpen', open)
  app.get('/', { websocket: true }, echo)
  app.get('/hasty', { websocket: true, websocketOptions: HASTY }, echo)
  app.get('/small', { websocket: true, websocketOptions: { maxMessageBytes: 4 * KIB } }, echo)
  app.get('/bounded', { websocket: true, websocketOptions: { maxUnsentBytes: 2 * MIB } }, echo)
  app.get('/deflate', { websocket: true, websocketOptions: { deflate: true } }, echo)
  app.get('/patient', { websocket: true, websocketOptions: { heartbeat: false } }, echo)
  app.get('/quiet', { websocket: true }, open)
  app.get('/throws', { websocket: true }, (socket: any, request: any) => {
    open(socket, request)
    socket.on('message', () => { throw new Error('of the application') })
  })
  app.get('/iterates', { websocket: true }, async (socket: any, request: any) => {
    open(socket, request)
    const counting = (async () => {
      let count = 0
      for await (const message of socket) {
        count++
        socket.send(message)
      }
      return count
    })()
    taken.set(socket, counting)
    await counting
  })
  app.get('/full', { websocket: true }, async (socket: any, request: any) => {
    open(socket, request)
    await socket.closed
  })
}

/** Connects one of ours. */
async function ours (port: number, path: string, { deflate = false, limits = {} }: Scenario): Promise<Client> {
  const { socket } = await openTcpClient(port, { path, deflate, limits: { ...TIMES, ...limits } })
  const received = new Received()
  socket.on('message', (data: Buffer) => received.add(data))
  return {
    send: (data) => { socket.send(data) },
    close: (code) => socket.close(code),
    terminate: () => socket.terminate(),
    received: (bytes) => received.take(bytes),
    code: socket.closed.then(({ code }) => code)
  }
}

/** Connects one that this project has not written. */
async function foreign (port: number, path: string, { deflate = false }: Scenario): Promise<Client> {
  const socket = new WsWebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: deflate, closeTimeout: HASTY.closeTimeoutMs } as object)
  const code = new Promise<number>((resolve) => { socket.on('close', resolve) })
  const received = new Received()
  socket.on('message', (data: Buffer) => received.add(data))
  await once(socket, 'open')
  socket.on('error', () => {})
  return {
    send: (data) => socket.send(data, () => {}),
    close: (code) => socket.close(code),
    terminate: () => socket.terminate(),
    received: (bytes) => received.take(bytes),
    code
  }
}

/** Messages that came, to wait for. */
class Received {
  #bytes = Buffer.alloc(0)
  #messages = 0
  #wake: () => void = () => {}

  add (message: Buffer): void {
    this.#messages++
    this.#bytes = Buffer.concat([this.#bytes, message])
    this.#wake()
  }

  async take (bytes: number): Promise<Buffer> {
    while (this.#messages === 0 || this.#bytes.length < bytes) await new Promise<void>((resolve) => { this.#wake = resolve })
    this.#messages = 0
    const taken = this.#bytes.subarray(0, bytes)
    this.#bytes = this.#bytes.subarray(bytes)
    return taken
  }
}

let ids = 0

async function play (t: Test, { port }: Running, scenario: Scenario, connect: typeof ours): Promise<void> {
  const { what, path = '/', network = () => {} } = scenario
  const expected = connect === foreign && scenario.ws !== undefined ? scenario.ws : scenario
  const proxy = await FaultProxy.start(t, port)
  proxy.onLink = network
  const id = String(++ids)
  const client = await connect(proxy.port, `${path}?id=${id}`, scenario)
  const server = servers.get(id)
  const serverCode = server.closed.then(({ code }: { code: number }) => code)
  await scenario.run({ server, client, link: proxy.link, t })
  t.equal(await serverCode, expected.server, `${what}: the server`)
  // Another's client, which is told nothing, and has no heartbeat.
  const givesUp = connect === foreign ? setTimeout(client.terminate, 2 * HASTY.closeTimeoutMs) : undefined
  t.equal(await client.code, expected.client, `${what}: the client`)
  clearTimeout(givesUp)
  await proxy.close()
  servers.delete(id)
}

for (const [name, connect] of [['our client', ours], ['ws as the client', foreign]] as const) {
  t.test(`${name}: both sides of every connection learn of its end, and nothing is left`, async (t) => {
    const running = await startApp(t, routes, TIMES)
    const resources = new Resources(t, { server: running.app.server })
    await play(t, running, SCENARIOS[0]!, connect)
    const before = await resources.settled()
    const open = new Set(SCENARIOS)
    const all = Promise.all(SCENARIOS.map(async (scenario) => {
      await play(t, running, scenario, connect)
      open.delete(scenario)
    }))
    const late = setTimeout(() => { throw new Error(`not over: ${[...open].map(({ what }) => what).join('; ')}`) }, PATIENCE_MS)
    await all
    clearTimeout(late)
    await resources.assertAre(t, before, 'after all of them')
    t.equal(running.app.websockets.size, 0)
  })
}

/** On a network in memory, which is as bad as a test makes its end. */
const INJECTED: ReadonlyArray<Pick<Scenario, 'what' | 'path' | 'server' | 'client'> & { readonly options?: object, readonly run: (client: any) => unknown }> = [
  { what: 'the client drops it', run: (client) => client.terminate(), server: 1006, client: 1006 },
  { what: 'the network is lost', run: (client) => client.transport.destroy(), server: 1006, client: 1006 },
  { what: 'the network ends', run: (client) => client.transport.end(), server: 1006, client: 1006 },
  { what: 'the rest of a frame never comes', path: '/hasty', run: (client) => client.transport.write(Buffer.from([0x82, 0xff])), server: 1006, client: 1008 },
  { what: 'the client answers no ping', options: { autoPong: false }, run: () => {}, server: 1006, client: 1006 },
  { what: 'the client reads nothing', run: (client) => client.transport.pause(), server: 1006, client: 1006 },
  { what: 'the client reads nothing, and much waits for it', run: (client) => { client.send('x'.repeat(MIB)); client.transport.pause() }, server: 1006, client: 1006 },
  { what: 'the client closes', run: (client) => client.close(4001), server: 4001, client: 4001 },
  { what: 'what it sends breaks the protocol', run: (client) => client.transport.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0])), server: 1006, client: 1002 },
  { what: 'the handler throws', path: '/throws', run: (client) => client.send('now'), server: 1011, client: 1011 }
]

t.test('injected clients: both sides of every connection learn of its end, and nothing is left', async (t) => {
  const { app } = await startApp(t, routes, TIMES)
  const resources = new Resources(t, { server: app.server })
  const play = async ({ what, path = '/', options = {}, run, ...codes }: typeof INJECTED[number]): Promise<void> => {
    const id = String(++ids)
    const client = await app.injectWebSocket(`${path}?id=${id}`, options)
    const serverClosed = servers.get(id).closed
    // From now on it reads.
    await once(client, 'open')
    run(client)
    t.strictSame({ server: (await serverClosed).code, client: (await client.closed).code }, codes, what)
    servers.delete(id)
  }
  await play(INJECTED[0]!)
  const before = await resources.settled()
  await Promise.all(INJECTED.map(play))
  await resources.assertAre(t, before, 'after all of them')
  t.equal(app.websockets.size, 0)
})
