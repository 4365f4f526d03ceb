/**
 * The server of the soak: a route for each kind of traffic.
 */
import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import duplex, { json, prepare } from '../../dist/index.js'
import { answer, collectGarbage, held } from './child.js'

const TIMES = JSON.parse(process.argv[2])
const FEED = randomBytes(16 * 1024)

const app = Fastify()
await app.register(duplex, { ...TIMES, deflate: true, highWaterMarkBytes: 64 * 1024, maxUnsentBytes: 4 * 1024 * 1024 })

const echo = (socket) => { socket.on('message', (data, binary) => { socket.send(data, { binary }) }) }
app.get('/echo', { websocket: true, websocketOptions: { deflate: false } }, echo)
app.get('/binary', { websocket: true, websocketOptions: { deflate: false } }, echo)
app.get('/deflate', { websocket: true }, echo)

app.get('/typed', {
  websocket: true,
  messages: json({
    receive: Type.Object({ id: Type.Integer(), text: Type.String() }),
    send: Type.Object({ id: Type.Integer(), length: Type.Integer() })
  })
}, async (socket) => {
  for await (const { id, text } of socket) socket.send({ id, length: text.length })
})

const watchers = new Set()
app.get('/broadcast', { websocket: true, messages: json() }, (socket) => {
  watchers.add(socket)
  socket.on('close', () => watchers.delete(socket))
})
let tick = 0
setInterval(() => {
  const message = prepare({ tick: ++tick, text: 'to everybody who watches' })
  for (const socket of watchers) socket.send(message)
}, 1000).unref()

// Its readers are slow: before a ping of ours come megabytes that the kernel holds.
app.get('/feed', { websocket: true, websocketOptions: { heartbeat: { intervalMs: 60_000, timeoutMs: 60_000 } } }, async (socket) => {
  while (socket.readyState === socket.OPEN) {
    if (!socket.send(FEED)) await socket.drained()
    await setTimeout(100, undefined, { signal: socket.signal })
  }
})

app.get('/refused', { websocket: true, onRequest: async (_request, reply) => reply.code(401).send({ message: 'no' }) }, () => {})
app.get('/hook', { websocket: true, preHandler: async () => { await setTimeout(500) } }, () => {})

await app.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })

const delay = monitorEventLoopDelay()
delay.enable()

answer({
  port: () => app.server.address().port,
  async sample () {
    const delayMs = delay.percentile(99) / 1e6
    await collectGarbage()
    delay.reset()
    return { ...held(), open: app.websockets.size, delayMs }
  },
  stats: () => app.websockets.stats(),
  close: () => app.close()
})
