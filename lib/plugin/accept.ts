/**
 * From a request that has passed every hook to an open connection: the handshake is checked before the hooks, the
 * handler at their end answers 101, and the socket opens when that has been written.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { FST_WS_ERR_HANDSHAKE, FST_WS_ERR_ORIGIN, FST_WS_ERR_UPGRADE_REQUIRED } from '../errors.ts'
import { negotiateDeflate } from '../handshake/deflate-params.ts'
import { acceptHandshake, checkPlainUpgrade, readHandshake } from '../handshake/server-handshake.ts'
import { HandshakeError } from '../protocol/errors.ts'
import { openWebSocket } from '../socket/open.ts'
import { MemoryDuplex } from '../transport/memory.ts'
import { prepareSocket } from '../transport/tcp.ts'
import type { Endpoint } from './endpoint.ts'
import { isOriginAllowed } from './origin.ts'
import { Session } from './session.ts'
import { upgradeOf } from './upgrade.ts'

/** Where a route keeps its endpoint, in `config`. */
export const kEndpoint = Symbol('fastify-duplex.endpoint')

/** Filled when the route is adopted, which may be later than its declaration. */
export interface EndpointSlot {
  endpoint: Endpoint | undefined
  adopted: boolean
}

/** The endpoint that a request was routed to; undefined on plain routes, and where there is no route. */
export function endpointOf (request: FastifyRequest): Endpoint | undefined {
  return (request.routeOptions.config as { [kEndpoint]?: EndpointSlot } | undefined)?.[kEndpoint]?.endpoint
}

/** The `onRequest` hook that comes before all others: checks handshake and Origin of requests for WebSocket routes. */
export function checkUpgrade (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
  const upgrade = upgradeOf(request.raw)
  if (upgrade === undefined) return done()
  const endpoint = endpointOf(request)
  try {
    if (endpoint === undefined) {
      checkPlainUpgrade(request.raw)
      return done()
    }
    upgrade.handshake = readHandshake(request.raw)
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error
    reply.headers(error.headers)
    return done(Object.assign(new FST_WS_ERR_HANDSHAKE(error.message), { statusCode: error.statusCode }))
  }

  const { origin } = upgrade.handshake
  if (!isOriginAllowed(endpoint.options.origin, origin, request)) {
    request.log.warn({ origin: shown(origin!), host: shown(request.host) }, "websocket origin refused: the option 'origin' says which pages may connect")
    return done(new FST_WS_ERR_ORIGIN())
  }
  upgrade.limit(endpoint.options.handshakeTimeoutMs, reply, (err) => request.log.warn({ err }, 'websocket handshake timed out'))
  done()
}

/** Of what a peer sends a log line holds so much. */
function shown (text: string): string {
  return text.slice(0, 256)
}

/** Answers 101, and opens the connection when that has been written. Throws FST_WS_ERR_SUBPROTOCOL. */
export function acceptUpgrade (instance: FastifyInstance, endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): void {
  const upgrade = upgradeOf(request.raw)!
  const handshake = upgrade.handshake!
  const subprotocol = endpoint.select(handshake.subprotocols, request)
  const { deflate } = endpoint.options
  const agreed = deflate === undefined ? undefined : negotiateDeflate(handshake.extensions, deflate)
  const extensions = agreed?.answer ?? ''
  upgrade.accept(
    acceptHandshake(handshake, { subprotocol: subprotocol.name, extensions }),
    (socket, head) => {
      prepareSocket(socket)
      // The client of a test speaks what was agreed, without a copy of the contract.
      if (socket instanceof MemoryDuplex) socket.agreement = subprotocol
      const session = new Session(endpoint, request)
      const open = openWebSocket(socket, {
        role: 'server',
        subprotocol,
        extensions,
        deflate: agreed === undefined ? undefined : { ...deflate!, ...agreed.params },
        url: urlOf(request),
        limits: endpoint.limits,
        faults: session
      })
      session.begin(open, instance, request)
      // The handler has attached its listeners: now what comes can be read.
      process.nextTick(open.start, head)
    },
    (names) => request.log.warn({ headers: names }, 'header fields that belong to the handshake were left out of the 101')
  )
  reply.code(101).send()
}

/** Whether a request that reached a WebSocket route asks to be upgraded, its handshake checked. */
export function isChecked (request: FastifyRequest): boolean {
  return upgradeOf(request.raw)?.handshake !== undefined
}

/** A plain request on a route that speaks WebSocket only. */
export function refusePlainRequest (request: FastifyRequest, reply: FastifyReply): never {
  // RFC 9113 §8.2.2: HTTP/2 knows no Upgrade, so it can neither be asked for nor be required.
  if (request.raw.httpVersionMajor === 2) throw Object.assign(new FST_WS_ERR_UPGRADE_REQUIRED(), { statusCode: 400 })
  // RFC 9110 §15.5.22, §7.8: a 426 MUST name the protocol, and Connection must list the field.
  // RFC 9112 §9.6: a connection that the client wants closed is, which node:http must not overlook.
  reply.headers({ upgrade: 'websocket', connection: reply.raw.shouldKeepAlive ? 'Upgrade' : 'close, Upgrade' })
  throw new FST_WS_ERR_UPGRADE_REQUIRED()
}

function urlOf ({ protocol, host, url }: FastifyRequest): string {
  // RFC 9112 §3.2.2: a request may name its target whole.
  const target = url.startsWith('/') || !URL.canParse(url) ? url : new URL(url).pathname + new URL(url).search
  return `${protocol === 'https' ? 'wss' : 'ws'}://${host}${target}`
}
