/** Collaborative editing: binary updates that the server hands on, beside protocols with a parser of their own. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import Fastify from 'fastify'
import duplex, { bytes, raw, type WebSocket } from '../../index.ts'

declare module '../../index.ts' {
  interface SocketData { userId: string }
}

interface Claims { sub: string, exp: number }

const SECRET = 'of the example'

const macOf = (payload: string) => createHmac('sha256', SECRET).update(payload).digest('base64url')

/** A token as `verify` takes it. */
export function sign (claims: Claims): string {
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${payload}.${macOf(payload)}`
}

function verify (token: string): Claims {
  const [payload = '', mac = ''] = token.split('.')
  const given = Buffer.from(mac)
  const wanted = Buffer.from(macOf(payload))
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw unauthorized('the token is not ours')
  const claims: Claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  if (claims.exp * 1000 <= Date.now()) throw unauthorized('the token has expired')
  return claims
}

function unauthorized (message: string): Error {
  return Object.assign(new Error(message), { statusCode: 401 })
}

/** In the place of a Y.Doc: it keeps the updates. */
class Doc {
  readonly updates: Uint8Array[] = []
  readonly peers = new Set<WebSocket<string, Buffer, ArrayBufferView>>()

  apply (update: Uint8Array) {
    this.updates.push(update)
  }
}

const docs = new Map<string, Doc>()

export function doc (name: string): Doc {
  let found = docs.get(name)
  if (found === undefined) docs.set(name, found = new Doc())
  return found
}

export function build () {
  const app = Fastify()
  app.register(duplex)
  app.decorateRequest('claims', null as any)

  app.get<{ Params: { doc: string }, Querystring: { token: string }, Receive: Buffer, Send: ArrayBufferView }>('/doc/:doc', {
    websocket: true,
    messages: bytes(),
    preValidation: async (request) => { (request as any).claims = verify(request.query.token) }
  }, async (socket, request) => {
    const claims = (request as any).claims as Claims
    const d = doc(request.params.doc)
    socket.data.userId = claims.sub
    // `socket.closeAt(claims.exp * 1000)` comes with the hardening: until then a connection outlives its token.
    d.peers.add(socket)
    for await (const update of socket) {
      d.apply(update)
      for (const peer of d.peers) if (peer !== socket) peer.send(update)
    }
    d.peers.delete(socket)
  })

  app.get('/graphql', { websocket: true, subprotocols: { 'graphql-transport-ws': raw() } }, (socket) => {
    socket.on('message', (data, isBinary) => { socket.send(JSON.stringify({ type: isBinary ? 'error' : 'connection_ack', length: data.length })) })
  })

  app.get('/raw', { websocket: true }, (socket) => {
    socket.on('message', (data) => socket.send(data))
  })

  return app
}
