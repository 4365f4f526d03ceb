/**
 * Opening handshakes on a bad network: the client is told that it has failed, the application that its request was
 * aborted or its connection lost, and nothing of it is left behind; and applications that close meanwhile.
 */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket as WsWebSocket } from 'ws'
import { deferred, startApp } from '../helpers/app.ts'
import { FaultProxy, type Link } from '../helpers/fault-proxy.ts'
import { Resources } from '../helpers/resources.ts'
import { openTcpClient } from '../helpers/tcp-client.ts'
import { upgradeRequest, Wire } from '../helpers/wire.ts'

/** Longer than is waited for timers to be gone: one that is left behind is seen. */
const NEVER_MS = 9_000
/** How long a client waits that is told nothing, and a server of the scenarios that end by it. */
const HASTY_MS = 200
const PATIENCE_MS = 20_000

interface Scenario {
  readonly what: string
  readonly path?: string
  readonly network: (link: Link) => void
  /** While a hook of the request waits. */
  readonly meanwhile?: (link: Link) => void
  /** The client is told by the network; else it has to give up by itself. */
  readonly told: boolean
  /** The status of the answer, if one comes. */
  readonly answer?: number
  /** What the application sees of it: a connection that is lost, a request that is aborted, or nothing. */
  readonly server: 1006 | 'aborted' | 'nothing'
}

/** Within the request, the answer of a 101, and the value of Sec-WebSocket-Accept there; the last is found out. */
const IN_HEAD = 40
let inAccept = 0

const cutUp = (cut: Link['up']['cut']) => (link: Link): void => { Object.assign(link.up, { cut, cutAfterBytes: IN_HEAD }) }
const cutDown = (cut: Link['up']['cut']) => (link: Link): void => { Object.assign(link.down, { cut, cutAfterBytes: IN_HEAD }) }
const well = (): void => {}

const SCENARIOS: readonly Scenario[] = [
  { what: 'the request is cut by a reset', network: cutUp('reset'), told: true, server: 'nothing' },
  { what: 'the request is cut by an end', network: cutUp('end'), told: true, answer: 400, server: 'nothing' },
  { what: 'the rest of the request never comes', network: cutUp('lose'), told: true, answer: 408, server: 'nothing' },
  { what: 'the 101 is cut by a reset', network: cutDown('reset'), told: true, server: 1006 },
  { what: 'the 101 is cut by an end', network: cutDown('end'), told: true, server: 1006 },
  { what: 'the rest of the 101 never comes', network: cutDown('lose'), told: false, server: 1006 },
  { what: 'the 101 is lost', network: (link) => { link.down.lost = true }, told: false, server: 1006 },
  { what: 'the 101 is damaged', network: (link) => { link.down.damagedOffset = inAccept }, told: true, server: 1006 },
  { what: 'reset while a hook waits', path: '/hook', network: well, meanwhile: (link) => link.reset(), told: true, server: 'aborted' },
  { what: 'the server sees an end while a hook waits', path: '/hook', network: well, meanwhile: (link) => link.up.end(), told: true, server: 'aborted' },
  { what: 'the client sees an end while a hook waits', path: '/hook', network: well, meanwhile: (link) => link.down.end(), told: true, server: 'aborted' },
  { what: 'a black hole while a hook waits', path: '/hook/hasty', network: well, meanwhile: (link) => link.lose(), told: false, server: 'aborted' },
  { what: 'the hook does not end', path: '/hook/hasty', network: well, meanwhile: well, told: true, answer: 503, server: 'aborted' },
  { what: 'a refusal is cut by a reset', path: '/refused', network: cutDown('reset'), told: true, server: 'nothing' },
  { what: 'a refusal is lost', path: '/refused', network: (link) => { link.down.lost = true }, told: false, server: 'nothing' },
  { what: 'a refusal is lost, and its client too', path: '/refused', network: (link) => { link.down.lost = true; Object.assign(link.up, { cutAfterBytes: 1000 }) }, told: false, server: 'nothing' },
  { what: 'a refusal comes octet by octet', path: '/refused', network: (link) => { link.down.pieceBytes = () => 1 }, told: true, answer: 401, server: 'nothing' }
]

interface Seen {
  readonly entered: ReturnType<typeof deferred<unknown>>
  /** A code, or 'aborted'. */
  readonly end: ReturnType<typeof deferred<unknown>>
  touched: boolean
}

const seen = new Map<string, Seen>()

function routes (app: FastifyInstance): void {
  const hook = async (request: any): Promise<void> => {
    const { entered, end } = seen.get(request.query.id)!
    const { signal } = request
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        end.resolve('aborted')
        resolve()
      })
      entered.resolve(undefined)
    })
  }
  const open = (socket: any, request: any): void => {
    const one = seen.get(request.query.id)
    if (one === undefined) return
    one.touched = true
    socket.closed.then(({ code }: { code: number }) => one.end.resolve(code))
  }
  app.get('/', { websocket: true }, open)
  app.get('/hook', { websocket: true, preHandler: hook }, open)
  app.get('/hook/hasty', { websocket: true, preHandler: hook, websocketOptions: { handshakeTimeoutMs: HASTY_MS } }, open)
  app.get('/refused', { websocket: true, onRequest: async (_request, reply) => reply.code(401).send('no') }, open)
}

/** Rejects when the handshake fails, with `statusCode` if it is refused. */
type Connect = (port: number, path: string, timeoutMs: number | undefined) => Promise<{ terminate (): void }>

const ours: Connect = async (port, path, timeoutMs) => {
  const { socket } = await openTcpClient(port, { path, signal: timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs) })
  return socket
}

const foreign: Connect = async (port, path, timeoutMs) => {
  const socket = new WsWebSocket(`ws://127.0.0.1:${port}${path}`, timeoutMs === undefined ? {} : { handshakeTimeout: timeoutMs })
  socket.on('unexpected-response', (request, response) => {
    request.destroy()
    socket.emit('error', Object.assign(new Error('refused'), { statusCode: response.statusCode }))
  })
  await once(socket, 'open')
  return socket
}

const CLIENTS: Readonly<Record<string, Connect>> = { 'our client': ours, ws: foreign }
/** So many handshakes at once. */
const PLACES = SCENARIOS.length * Object.keys(CLIENTS).length

let ids = 0

async function play (t: Test, port: number, connect: Connect, { what, path = '/', network, meanwhile, told, answer, server }: Scenario): Promise<void> {
  const proxy = await FaultProxy.start(t, port)
  proxy.onLink = network
  const id = String(++ids)
  const one: Seen = { entered: deferred<unknown>(), end: deferred<unknown>(), touched: false }
  seen.set(id, one)
  const connecting = connect(proxy.port, `${path}?id=${id}`, told ? undefined : HASTY_MS)
  if (meanwhile !== undefined) one.entered.promise.then(() => meanwhile(proxy.link))
  const error: any = await connecting.then(() => 'it is open', (error) => error)
  t.ok(error instanceof Error, `${what}: the client is not connected`, { error })
  if (answer !== undefined) t.equal(error.statusCode, answer, `${what}: the answer`)
  if (server !== 'nothing') t.equal(await one.end.promise, server, `${what}: the server`)
  else t.notOk(one.touched, `${what}: the server`)
  // With what is still to be seen by a server that waits for its client to read.
  await proxy.close()
  seen.delete(id)
}

/** Fails if it takes for ever. */
async function inTime (names: Set<string>, all: Promise<unknown>): Promise<void> {
  let late: NodeJS.Timeout | undefined
  await Promise.race([all, new Promise((_resolve, reject) => {
    late = setTimeout(() => reject(new Error(`not over: ${[...names].join('; ')}`)), PATIENCE_MS)
  })])
  clearTimeout(late)
}

/** Until its head has come, a request is node:http's business. */
const SERVER_OPTIONS: object = { http: { headersTimeout: 5 * HASTY_MS, requestTimeout: 10 * HASTY_MS, connectionsCheckingInterval: 50 } }

t.test('whatever becomes of a handshake, both sides learn of it, and nothing is left', async (t) => {
  const { app, port } = await startApp(t, routes, {
    handshakeTimeoutMs: NEVER_MS, closeTimeoutMs: NEVER_MS, maxConnections: PLACES
  }, SERVER_OPTIONS)
  const resources = new Resources(t, { server: app.server })
  inAccept = await offsetInAccept(port)
  t.ok(inAccept > IN_HEAD)
  for (const connect of Object.values(CLIENTS)) await play(t, port, connect, SCENARIOS[0]!)
  const before = await resources.settled()

  const open = new Set<string>()
  await inTime(open, Promise.all(Object.entries(CLIENTS).flatMap(([name, connect]) => SCENARIOS.map(async (scenario) => {
    const what = `${name}: ${scenario.what}`
    open.add(what)
    await play(t, port, connect, { ...scenario, what })
    open.delete(what)
  }))))
  await resources.assertAre(t, before, 'after all of them')
  t.equal(app.websockets.size, 0)

  const wires = await Promise.all(Array.from({ length: PLACES }, () => Wire.open(port)))
  t.equal(app.websockets.size, PLACES, 'every place that was taken has been given back')
  for (const wire of wires) wire.destroy()
})

/** Where a bit may be damaged in the proof that the server has read the key. */
async function offsetInAccept (port: number): Promise<number> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest())
  await wire.until(() => wire.received.includes('\r\n\r\n'))
  wire.destroy()
  return wire.received.toString().toLowerCase().indexOf('sec-websocket-accept: ') + 30
}

t.test('an application that closes leaves nothing behind, whatever its connections are at', async (t) => {
  const resources = new Resources(t)
  const before = await resources.settled()
  const { app, port } = await startApp(t, routes, { closeTimeoutMs: HASTY_MS, handshakeTimeoutMs: HASTY_MS }, { forceCloseConnections: true })
  const proxy = await FaultProxy.start(t, port)
  const links: Link[] = []
  const open = async (): Promise<any> => {
    const { socket } = await openTcpClient(proxy.port, { limits: { closeTimeoutMs: NEVER_MS } })
    links.push(proxy.link)
    return socket
  }
  const answering = await open()
  const lost = await open()
  const halfLost = await open()
  const sliced = await open()
  const closing = await open()
  links[1]!.lose()
  links[2]!.up.lost = true
  links[3]!.up.pieceBytes = links[3]!.down.pieceBytes = () => 1
  links[4]!.up.lost = true
  closing.close(4000)
  // In the middle of a handshake: a hook that waits, a request that was begun, and a connection that has said nothing.
  const id = String(++ids)
  const one: Seen = { entered: deferred<unknown>(), end: deferred<unknown>(), touched: false }
  seen.set(id, one)
  const hooked = openTcpClient(proxy.port, { path: `/hook?id=${id}` }).catch((error: unknown) => error)
  await one.entered.promise
  proxy.link.lose()
  const [begun, silent] = [connectTcp(port, '127.0.0.1'), connectTcp(port, '127.0.0.1')]
  for (const socket of [begun, silent]) socket.on('error', () => {})
  await Promise.all([once(begun, 'connect'), once(silent, 'connect')])
  begun.write(upgradeRequest().slice(0, IN_HEAD))

  await app.close()
  t.equal(app.websockets.size, 0)
  t.equal(await one.end.promise, 'aborted')
  t.equal((await answering.closed).code, 1001)
  t.equal((await sliced.closed).code, 1001)
  t.equal((await halfLost.closed).code, 1001)
  t.equal((await closing.closed).code, 1001, 'the Close of the server, since its own was lost')
  lost.terminate()
  t.equal((await lost.closed).code, 1006)
  await proxy.close()
  t.ok(await hooked instanceof Error)
  begun.destroy()
  silent.destroy()
  seen.delete(id)
  await resources.assertAre(t, before, 'after the application')
})
