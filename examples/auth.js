/**
 * Who is logged in may connect, from our own pages, and for as long as the session lasts.
 *
 *   node examples/auth.js
 *
 * A login over HTTP sets a signed cookie, which the browser sends with the handshake too: a hook reads it, and whoever has
 * none gets a 401 and no connection. The connection ends with its session: at its time, unless `/renew` has moved that, or at
 * once by `/logout`.
 */
import { randomBytes, randomUUID, scrypt as scryptWithCallback, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import cookie from '@fastify/cookie'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import duplex, { defineWebSocketRoute, json } from 'fastify-duplex'

export const notes = defineWebSocketRoute({
  url: '/notes',
  messages: json({
    receive: Type.Object({ text: Type.String({ maxLength: 500 }) }),
    send: Type.Union([
      Type.Object({ type: Type.Literal('session'), user: Type.String(), expires: Type.Integer() }),
      Type.Object({ type: Type.Literal('note'), from: Type.String(), text: Type.String() })
    ])
  })
})

/**
 * @typedef {import('fastify-duplex').SocketOf<typeof notes, import('@fastify/type-provider-typebox').TypeBoxTypeProvider>} Socket
 * @typedef {{ user: string, expires: number, sockets: Set<Socket> }} Session `expires` in milliseconds since 1970
 * @typedef {Map<string, { salt: Buffer, hash: Buffer }>} Users
 * @typedef {import('fastify').FastifyRequest<any, any, any, any, any>} Request
 */

const LOGGED_OUT = /** @type {const} */ ([4001, 'logged out'])

/** @type {import('@fastify/type-provider-typebox').FastifyPluginAsyncTypebox<{ users: Users, sessionMs: number }>} */
async function routes (app, { users, sessionMs }) {
  // In the memory of this process: several of them share a store.
  /** @type {Map<string, Session>} */
  const sessions = new Map()

  /** The id of the session, if the cookie is one that we have signed. @param {Request} request */
  function sessionIdOf (request) {
    const { session } = request.cookies
    return (session !== undefined && request.unsignCookie(session).value) || ''
  }

  /** The session of a request, while it lasts. @param {Request} request */
  function sessionOf (request) {
    const session = sessions.get(sessionIdOf(request))
    return session !== undefined && session.expires > Date.now() ? session : undefined
  }

  const LoginBody = Type.Object({ user: Type.String({ maxLength: 64 }), password: Type.String({ maxLength: 256 }) })

  app.post('/login', { schema: { body: LoginBody } }, async (request, reply) => {
    const { user, password } = request.body
    if (!await isRight(users, user, password)) return reply.code(401).send({ message: 'wrong user or password' })
    for (const [id, { expires }] of sessions) if (expires <= Date.now()) sessions.delete(id)
    const id = randomUUID()
    const expires = Date.now() + sessionMs
    sessions.set(id, { user, expires, sockets: new Set() })
    // No script can read it, and no page of another site has it sent. `auto`: over HTTPS only, where there is HTTPS.
    reply.setCookie('session', id, { signed: true, path: '/', httpOnly: true, sameSite: 'strict', secure: 'auto' })
    return { user, expires }
  })

  app.post('/renew', async (request, reply) => {
    const session = sessionOf(request)
    if (session === undefined) return reply.code(401).send({ message: 'log in first' })
    session.expires = Date.now() + sessionMs
    // What is open lives on: the end that `expiresAt` has set is moved.
    for (const socket of session.sockets) socket.closeAt(session.expires)
    const { user, expires } = session
    app.websockets.broadcast(session.sockets, { type: 'session', user, expires })
    return { user, expires }
  })

  app.post('/logout', async (request, reply) => {
    const id = sessionIdOf(request)
    const session = sessions.get(id)
    sessions.delete(id)
    for (const socket of session?.sockets ?? []) socket.close(...LOGGED_OUT)
    return reply.clearCookie('session', { path: '/' }).code(204).send()
  })

  app.get(notes.url, {
    ...notes,
    // What a hook answers is the answer to the handshake.
    onRequest: async (request, reply) => {
      if (sessionOf(request) === undefined) return reply.code(401).send({ message: 'log in first' })
    },
    // Asked when the connection is accepted; at that time it is closed with 3000.
    websocketOptions: { expiresAt: (request) => sessionOf(request)?.expires }
  }, async (socket, request) => {
    const session = sessionOf(request)
    // Between the hook and here somebody else's `/logout` may have come.
    if (session === undefined) return socket.close(...LOGGED_OUT)
    const { user, expires, sockets } = session
    sockets.add(socket)
    socket.once('close', () => { sockets.delete(socket) })
    socket.send({ type: 'session', user, expires })
    // Who it is stands in the session. What a message says about that would be worth nothing.
    for await (const { text } of socket) app.websockets.broadcast(sockets, { type: 'note', from: user, text })
  })
}

/** @type {(password: string, salt: Buffer, length: number) => Promise<Buffer>} */
const scrypt = promisify(scryptWithCallback)

/** What is kept of a password. @param {string} password */
export async function hashed (password) {
  const salt = randomBytes(16)
  return { salt, hash: await scrypt(password, salt, 32) }
}

const NOBODY = { salt: Buffer.alloc(16), hash: Buffer.alloc(32) }

/** It takes as long for a user who does not exist. @param {Users} users @param {string} user @param {string} password */
async function isRight (users, user, password) {
  const { salt, hash } = users.get(user) ?? NOBODY
  return timingSafeEqual(await scrypt(password, salt, 32), hash)
}

/**
 * @param {{ users: Users, secret: string, origins?: string[], sessionMs?: number } & import('fastify').FastifyServerOptions} options
 * `secret` signs the cookies; `origins` are those of the pages that may connect
 */
export function build ({ users, secret, origins = ['https://app.example.com'], sessionMs = 15 * 60_000, ...options }) {
  const app = Fastify(options)
  // Before whatever authenticates: handshake and Origin are checked first. A cookie comes with a request of any page, and so
  // the list of origins is what keeps the pages of others out.
  app.register(duplex, { origin: origins })
  app.register(cookie, { secret })
  app.register(routes, { users, sessionMs })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const port = Number(process.env.PORT ?? 3000)
  const app = build({
    users: new Map([['ada', await hashed('countess')]]),
    // With one of its own sessions would outlive a restart.
    secret: process.env.COOKIE_SECRET ?? randomBytes(32).toString('hex'),
    origins: [`http://localhost:${port}`],
    logger: true
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
  await app.listen({ host: '127.0.0.1', port })
}
