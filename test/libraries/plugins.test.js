/**
 * The plugins of Fastify beside ours: what a hook of theirs answers is the answer to the handshake, and what they put
 * on the reply is on the 101.
 */
import assert from 'node:assert/strict'
import { AsyncResource } from 'node:async_hooks'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import auth from '@fastify/auth'
import autoload from '@fastify/autoload'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import { fastifyRequestContext, requestContext } from '@fastify/request-context'
import session from '@fastify/session'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import duplex, { json, text } from 'fastify-duplex'
import { WebSocket } from 'ws'
import { start } from './helpers.js'

const echo = (socket) => { socket.on('message', (message) => { socket.send(message) }) }

/** Resolves with the open socket and the fields of its 101, or with a refusal's status, fields and body. */
function shake (host, path, { headers, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${host}${path}`, { headers, ...options })
    let fields
    socket.on('upgrade', (response) => { fields = response.headers })
    socket.on('open', () => resolve({ status: 101, headers: fields, socket }))
    socket.on('unexpected-response', async (_request, response) => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve({ status: response.statusCode, headers: response.headers, body })
    })
    socket.on('error', reject)
  })
}

async function ask (socket, message) {
  socket.send(message)
  const [answer] = await once(socket, 'message')
  return String(answer)
}

test('@fastify/cookie and @fastify/session: the cookie of the 101 opens the next connection', async (t) => {
  const { host } = await start(t, async (app) => {
    await app.register(duplex)
    await app.register(cookie, { secret: 'a secret' })
    await app.register(session, { secret: 'a secret with minimum length of 32 characters', cookie: { secure: false } })
    app.get('/visits', { websocket: true, messages: text(), preHandler: async (request) => { request.session.visits = (request.session.visits ?? 0) + 1 } },
      (socket, request) => { socket.send(String(request.session.visits)) })
    app.get('/signed', { websocket: true, preHandler: async (request, reply) => { reply.setCookie('user', 'me', { signed: true, path: '/' }) } }, echo)
  })
  const message = (socket) => once(socket, 'message').then(([data]) => String(data))
  const visit = async (cookie) => {
    const socket = new WebSocket(`ws://${host}/visits`, { headers: { cookie } })
    const [[{ headers }], visits] = await Promise.all([once(socket, 'upgrade'), message(socket)])
    socket.close()
    return { visits, cookie: headers['set-cookie']?.[0].split(';')[0] }
  }
  const first = await visit('')
  assert.match(first.cookie, /^sessionId=/)
  assert.equal(first.visits, '1')
  assert.equal((await visit(first.cookie)).visits, '2')
  assert.equal((await visit('')).visits, '1', 'another session')
  const { headers, socket } = await shake(host, '/signed')
  assert.match(headers['set-cookie'][0], /^user=me\./)
  socket.close()
})

test('@fastify/jwt and @fastify/auth: 401 and 403 are answers to the handshake', async (t) => {
  const { app, host } = await start(t, async (app) => {
    await app.register(duplex)
    await app.register(jwt, { secret: 'a secret' })
    await app.register(auth)
    const verify = async (request) => { await request.jwtVerify() }
    const isAdmin = async (request) => { if (!request.user.admin) throw Object.assign(new Error('for admins'), { statusCode: 403 }) }
    app.get('/admin', { websocket: true, messages: text(), onRequest: app.auth([verify, isAdmin], { relation: 'and' }) }, (socket, request) => {
      socket.on('message', (message) => { socket.send(`${request.user.name}: ${message}`) })
    })
  })
  const as = (claims) => shake(host, '/admin', { headers: { authorization: `Bearer ${app.jwt.sign(claims)}` } })
  assert.equal((await shake(host, '/admin')).status, 401)
  assert.equal((await shake(host, '/admin', { headers: { authorization: 'Bearer x.y.z' } })).status, 401)
  const refused = await as({ name: 'you' })
  assert.equal(refused.status, 403)
  assert.equal(JSON.parse(refused.body).message, 'for admins')
  const { socket } = await as({ name: 'me', admin: true })
  assert.equal(await ask(socket, 'hello'), 'me: hello')
  socket.close()
})

test('@fastify/rate-limit: 429 with its fields, also for one route', async (t) => {
  const { host } = await start(t, async (app) => {
    await app.register(duplex)
    await app.register(rateLimit, { max: 1000, timeWindow: 60_000 })
    app.get('/ws', { websocket: true, config: { rateLimit: { max: 2, timeWindow: 60_000 } } }, echo)
  })
  for (const remaining of ['1', '0']) {
    const { status, headers, socket } = await shake(host, '/ws')
    assert.equal(status, 101)
    assert.equal(headers['x-ratelimit-remaining'], remaining)
    socket.close()
  }
  const { status, headers, body } = await shake(host, '/ws')
  assert.equal(status, 429)
  assert.ok(Number(headers['retry-after']) > 0)
  assert.equal(JSON.parse(body).error, 'Too Many Requests')
})

test('@fastify/under-pressure: 503 while the server has too much to do', async (t) => {
  let healthy = true
  const { host } = await start(t, async (app) => {
    await app.register(duplex)
    await app.register(underPressure, { healthCheck: async () => healthy, healthCheckInterval: 10, retryAfter: 7 })
    app.get('/ws', { websocket: true }, echo)
  })
  const { status, socket } = await shake(host, '/ws')
  assert.equal(status, 101)
  healthy = false
  let refused
  do {
    refused = await shake(host, '/ws')
    refused.socket?.close()
  } while (refused.status === 101)
  assert.equal(refused.status, 503)
  assert.equal(refused.headers['retry-after'], '7')
  assert.equal(await ask(socket, 'still there'), 'still there', 'what is open stays open')
  socket.close()
})

test('@fastify/cors and @fastify/helmet: their fields are on the 101, and who may connect is for `origin` to say', async (t) => {
  const { host } = await start(t, async (app) => {
    await app.register(duplex, { origin: ['https://app.example'] })
    await app.register(cors, { origin: 'https://app.example', credentials: true })
    await app.register(helmet)
    app.get('/ws', { websocket: true }, echo)
  })
  const { headers, socket } = await shake(host, '/ws', { origin: 'https://app.example' })
  assert.equal(headers['access-control-allow-origin'], 'https://app.example')
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.equal(headers.connection.toLowerCase(), 'upgrade')
  socket.close()
  assert.equal((await shake(host, '/ws', { origin: 'https://elsewhere.example' })).status, 403)
})

test('@fastify/request-context: the context of the request is there where messages are awaited, and in listeners that are bound', async (t) => {
  const { host } = await start(t, async (app) => {
    await app.register(duplex)
    await app.register(fastifyRequestContext, { defaultStoreValues: () => ({ user: 'nobody' }) })
    app.addHook('onRequest', async (request) => { request.requestContext.set('user', request.query.user) })
    const user = () => String(requestContext.get('user'))
    app.get('/iteration', { websocket: true, messages: text() }, async (socket) => {
      for await (const message of socket) socket.send(`${user()}: ${message}`)
    })
    app.get('/next', { websocket: true, messages: text() }, async (socket) => {
      await socket.next()
      socket.send(`${user()}: hello`)
    })
    app.get('/bound', { websocket: true, messages: text() }, (socket) => {
      socket.on('message', AsyncResource.bind((message) => { socket.send(`${user()}: ${message}`) }))
    })
    app.get('/unbound', { websocket: true, messages: text() }, (socket) => {
      socket.on('message', (message) => { socket.send(`${user()}: ${message}`) })
    })
  })
  for (const path of ['/iteration', '/next', '/bound']) {
    const sockets = await Promise.all(['me', 'you'].map((name) => shake(host, `${path}?user=${name}`)))
    assert.deepEqual(await Promise.all(sockets.map(({ socket }) => ask(socket, 'hello'))), ['me: hello', 'you: hello'], path)
    for (const { socket } of sockets) socket.close()
  }
  const { socket } = await shake(host, '/unbound?user=me')
  assert.equal(await ask(socket, 'hello'), 'undefined: hello', 'a listener has that of the read that brings its message')
  socket.close()
})

test('@fastify/swagger: routes that hide are not in the document, and messages break no other', async (t) => {
  const { app } = await start(t, async (app) => {
    await app.register(swagger, { openapi: { info: { title: 'both', version: '1' } } })
    await app.register(duplex)
    app.get('/ws', { websocket: true, schema: { hide: true }, messages: json({ receive: { type: 'object' } }) }, echo)
    app.get('/page', async () => 'a page')
  })
  assert.deepEqual(Object.keys(app.swagger().paths), ['/page'])
})

test('@fastify/autoload: a route in a file of its own', async (t) => {
  const { app, host } = await start(t, async (app) => {
    await app.register(duplex)
    await app.register(autoload, { dir: fileURLToPath(new URL('autoloaded', import.meta.url)), options: { prefix: '/v1' } })
  })
  const { socket } = await shake(host, '/v1/rooms/lobby')
  assert.equal(await ask(socket, 'hello'), 'lobby: hello')
  socket.close()
  const client = await app.injectWebSocket('/v1/rooms/attic')
  client.send('hi')
  assert.equal(await client.next(), 'attic: hi')
})
