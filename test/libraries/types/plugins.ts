/**
 * The types of Fastify's plugins and ours in one program: what each adds to requests and replies is there on WebSocket routes.
 */
import auth from '@fastify/auth'
import autoload from '@fastify/autoload'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import rateLimit from '@fastify/rate-limit'
import { fastifyRequestContext } from '@fastify/request-context'
import session from '@fastify/session'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import Fastify from 'fastify'
import duplex, { text } from 'fastify-duplex'
import compat from 'fastify-duplex/compat'

declare module '@fastify/session' {
  interface FastifySessionObject { visits: number }
}
declare module '@fastify/request-context' {
  interface RequestContextData { user: string }
}

const app = Fastify()
await app.register(new FastifyOtelInstrumentation().plugin())
await app.register(duplex, { maxConnections: 1_000 })
await app.register(cookie, { secret: 'a secret' })
await app.register(session, { secret: 'a secret with minimum length of 32 characters' })
await app.register(jwt, { secret: 'a secret' })
await app.register(auth)
await app.register(cors)
await app.register(helmet)
await app.register(rateLimit, { max: 10 })
await app.register(fastifyRequestContext)
await app.register(swagger)
await app.register(underPressure)
await app.register(autoload, { dir: 'routes' })

app.get('/chat', {
  websocket: true,
  messages: text(),
  schema: { hide: true },
  config: { rateLimit: { max: 3 } },
  onRequest: app.auth([async (request) => { await request.jwtVerify() }]),
  preHandler: async (request, reply) => {
    request.session.visits++
    reply.setCookie('seen', 'yes')
  }
}, (socket, request) => {
  const user: string | undefined = request.requestContext.get('user')
  socket.on('message', (message) => {
    const given: string = message
    socket.send(`${user ?? request.cookies.user}: ${given}`)
  })
})

const old = Fastify()
await old.register(compat, { options: { maxPayload: 1024 } })
await old.register(cookie)
old.get('/chat', { websocket: true }, (socket, request) => {
  socket.send(String(request.cookies.user))
})
