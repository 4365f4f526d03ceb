/** @fastify/websocket. */
import Fastify from 'fastify'
import websocket from '@fastify/websocket'
import { handlersOf, perMessageDeflate } from './by-hand.js'
import { ready, task } from './ready.js'

const app = Fastify(task.tls === undefined ? {} : { https: task.tls })
await app.register(websocket, { options: { perMessageDeflate: perMessageDeflate[task.work] ?? false } })
const handler = handlersOf(() => app.websocketServer.clients)[task.work]
app.get('/', { websocket: true }, (socket) => { handler(socket) })
for (let i = 1; i < task.routes; i++) app.get(`/route/${i}`, { websocket: true }, handler)
await app.listen({ host: '127.0.0.1', port: 0 })
ready(app.server.address().port)
