/** Fastify alone: a POST route with a schema for its body in the place of each WebSocket route. For the time of the start. */
import Fastify from 'fastify'
import { ready, task } from './ready.js'
import { receiveOf, reply, send } from './typed.js'

const app = Fastify()
for (let i = 0; i < task.routes; i++) {
  app.post(`/route/${i}`, { schema: { body: receiveOf(i), response: { 200: send } } }, async ({ body }) => reply(body))
}
await app.listen({ host: '127.0.0.1', port: 0 })
ready(app.server.address().port)
