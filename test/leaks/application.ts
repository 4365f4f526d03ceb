/**
 * The server of the leak proof: a route for each way in which a connection can go, and watched is whatever belongs to one.
 */
import { EventEmitter } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import duplex, { json, prepare } from '../../index.ts'
import type { Collected } from './collected.ts'

const MIB = 1024 * 1024
const BYTES = Buffer.alloc(MIB)

/** The server's side of each way tells when it has come so far: `hook NAME`, `socket NAME`. */
export const opened = new EventEmitter().setMaxListeners(0)
/** Never aborts: who listens to it and does not stop is never forgotten. */
export const forever = new AbortController().signal
const message = prepare('to everybody')

const N = Type.Object({ n: Type.Number() })

/** Listens, with a route for each way; what belongs to its connections is watched. */
export async function startApplication (collected: Collected, name?: string): Promise<{ app: FastifyInstance, port: number }> {
  const app = Fastify({ forceCloseConnections: true }) as unknown as FastifyInstance
  if (name !== undefined) collected.watch(`${name}: the application`, app)
  const watch = (request: any, what: string, object: object): void => collected.watch(`${request.query.way}: ${what}`, object)
  app.server.on('connection', (socket) => collected.watch("the server's ends", socket))
  app.addHook('onRequest', async (request, reply) => {
    watch(request, 'the request', request)
    watch(request, 'the reply', reply)
    watch(request, 'the IncomingMessage', request.raw)
    watch(request, 'the ServerResponse', reply.raw)
  })
  await app.register(duplex, { closeTimeoutMs: 1_000, maxConnectionsPerAddress: 100_000 })
  app.addWebSocketHook('onOpen', (socket, request) => watch(request, 'the WebSocket', socket))
  app.addWebSocketHook('onClose', () => {})
  defineRoutes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as { port: number }).port }
}

function defineRoutes (app: FastifyInstance): void {
  const route = (path: string, handler: (socket: any, request: any) => unknown, websocketOptions: object = {}, rest: object = {}): void => {
    app.route({ method: 'GET', url: path, websocket: true, websocketOptions, handler, ...rest } as never)
  }
  const echo = (socket: any): void => { socket.on('message', (data: Buffer, binary: boolean) => { socket.send(data, { binary }) }) }
  const nothing = (): void => {}
  const never = (): Promise<never> => new Promise(() => {})

  app.get('/plain', async () => 'plain')
  route('/echo', echo)
  route('/close', (socket) => { socket.close(1000, 'done') })
  route('/close/hasty', (socket) => { socket.close(1000, 'done') }, { closeTimeoutMs: 20 })
  route('/terminate', (socket) => { setImmediate(() => socket.terminate()) })
  route('/reset', (_socket, request) => { setImmediate(() => request.raw.socket.resetAndDestroy()) })
  route('/small', echo, { maxMessageBytes: 1000 })
  route('/typed', (socket) => { socket.on('message', nothing) }, {}, { messages: json({ receive: N, send: N }) })
  route('/hasty', nothing, { heartbeat: { intervalMs: 20, timeoutMs: 40 }, messageTimeoutMs: 40 })
  route('/rated', nothing, { rateLimit: { messagesPerSecond: 1 } })
  route('/expires', nothing, { expiresAt: () => new Date(), heartbeat: { intervalMs: 40, timeoutMs: 1000 } })
  route('/short', nothing, { maxLifetimeMs: 1, heartbeat: { intervalMs: 40, timeoutMs: 1000 } })

  route('/throws', () => { throw new Error('of the application') })
  route('/rejects', async () => { throw new Error('of the application') })
  route('/never', never)
  route('/listener', (socket) => {
    socket.on('message', (data: Buffer) => {
      if (String(data) === 'throw') throw new Error('of the application')
      return Promise.reject(new Error('of the application'))
    })
  })
  route('/handled', (socket) => { socket.on('message', () => {}) }, {
    onInvalidMessage: () => { throw new Error('of the application') },
    errorHandler: (_error: unknown, socket: any) => socket.close(1011)
  }, { messages: json({ receive: N }) })
  app.register(async (scope) => {
    scope.addWebSocketHook('onOpen', async () => { throw new Error('of the application') })
    scope.get('/hooks/rejects', { websocket: true }, nothing)
  })
  app.register(async (scope) => {
    scope.addWebSocketHook('onOpen', never)
    scope.get('/hooks/waits', { websocket: true, websocketOptions: { heartbeat: { intervalMs: 20, timeoutMs: 1000 } } }, nothing)
  })
  route('/401', nothing, {}, { onRequest: async (_request: unknown, reply: any) => reply.code(401).send('no') })
  route('/500', nothing, {}, { preHandler: async () => { throw new Error('of the application') } })
  route('/503', nothing, { handshakeTimeoutMs: 20 }, { preHandler: never })
  route('/waits', nothing, {}, {
    preHandler: async (request: any) => {
      opened.emit(`hook ${request.query.way}`)
      await new Promise((resolve) => { request.signal.addEventListener('abort', resolve) })
    }
  })

  route('/iterates', async (socket) => { for await (const message of socket) socket.send(message) })
  route('/breaks', async (socket) => {
    // eslint-disable-next-line no-unreachable-loop
    for await (const message of socket) {
      socket.send(message)
      break
    }
  })
  route('/next', async (socket) => { await socket.next({ signal: forever }) })
  route('/full', (socket) => socket.closed, { highWaterMarkBytes: 3000 })
  // What is not read tells nothing of its end: a write does.
  route('/paused', (socket) => { socket.pause() }, { heartbeat: { intervalMs: 20, timeoutMs: 1000 } })
  route('/stream', async (socket) => {
    const stream = socket.stream()
    await pipeline(stream, stream)
  })
  route('/stream/destroyed', (socket) => { socket.stream().destroy() }, {}, { messages: json() })
  route('/much', async (socket, request) => {
    for (let i = 0; i < 8; i++) socket.send(BYTES, () => {})
    opened.emit(`socket ${request.query.way}`)
    await socket.drained()
  })
  route('/toomuch', (socket) => { for (let i = 0; i < 100 && socket.send(BYTES) !== undefined && socket.readyState === 1; i++); }, { maxUnsentBytes: 2 * MIB })
  route('/prepared', (socket) => { socket.send(message) })
  route('/everything', (socket) => {
    const { signal, closed } = socket
    signal.addEventListener('abort', () => socket.readyState)
    closed.then(() => socket.readyState)
    socket.data.user = 'somebody'
    socket.onmessage = () => socket.readyState
    socket.onclose = () => socket.readyState
    socket.addEventListener('message', () => socket.readyState)
    socket.on('close', () => socket.readyState)
    socket.closeAt(Date.now() + 3_600_000)
    socket.ping()
    AbortSignal.any([signal, forever])
  }, { maxLifetimeMs: 3_600_000 })

  route('/deflate', echo, { deflate: true })
  route('/deflate/takeover', echo, { deflate: { contextTakeover: true } })
}
