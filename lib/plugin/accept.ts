/**
 * From a request that has passed every hook to an open connection: the handshake is checked before the hooks, the
 * handler at their end answers 101, and the socket opens when that has been written.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_WS_ERR_CONNECTIONS, FST_WS_ERR_HANDSHAKE, FST_WS_ERR_HOST, FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_ORIGIN } from '../errors.ts'
import { negotiateDeflate } from '../handshake/deflate-params.ts'
import { acceptHandshake, checkPlainUpgrade, readHandshake } from '../handshake/server-handshake.ts'
import { HandshakeError } from '../protocol/errors.ts'
import { limited } from '../socket/channels.ts'
import { openWebSocket } from '../socket/open.ts'
import { EXPIRED, timeOf } from '../socket/watch.ts'
import { ignoreRejection, isThenable } from '../subprotocol/validator.ts'
import { MemoryDuplex } from '../transport/memory.ts'
import { prepareSocket } from '../transport/tcp.ts'
import type { Conventions } from './conventions.ts'
import type { Endpoint } from './endpoint.ts'
import { isOriginAllowed } from './origin.ts'
import { Session, shown } from './session.ts'
import { upgradeOf } from './upgrade.ts'

/** When a refused client may try again. */
const RETRY_AFTER_SECONDS = 10

/** In 1973. A number below it is one of seconds, which would end every session at once. */
const LEAST_EXPIRY_MS = 1e11

/** Where a route keeps its endpoint, in `config`. */
export const kEndpoint = Symbol('fastify-duplex.endpoint')

/** Filled when the route is adopted, which may be later than its declaration. */
export interface EndpointSlot {
  endpoint: Endpoint | undefined
  /** Of the scope that has adopted it. */
  conventions: Conventions | undefined
}

/** The endpoint that a request was routed to; undefined on plain routes, and where there is no route. */
export function endpointOf (request: FastifyRequest): Endpoint | undefined {
  return (request.routeOptions.config as { [kEndpoint]?: EndpointSlot } | undefined)?.[kEndpoint]?.endpoint
}

/**
 * The `onRequest` hook before all others: from here on what becomes of an upgrade is counted, and the hooks of a WebSocket
 * route have their time. A plain route gets no request that node:http has left unchecked.
 */
export function beginUpgrade (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
  const upgrade = upgradeOf(request.raw)
  if (upgrade === undefined) return done()
  const endpoint = endpointOf(request)
  if (endpoint === undefined) return done(faultIn(() => checkPlainUpgrade(request.raw), reply))
  upgrade.onRefused = (statusCode) => endpoint.counters.onRefused(statusCode)
  upgrade.limit(endpoint.options.handshakeTimeoutMs, reply, (err) => request.log.warn({ err }, 'websocket handshake timed out'))
  done()
}

/** The `onRequest` hook where the plugin is registered: checks handshake and Origin of requests for WebSocket routes, and takes their place. */
export function checkUpgrade (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
  const upgrade = upgradeOf(request.raw)
  const endpoint = endpointOf(request)
  // A client that has left while a hook before this one ran must not take a place, which nobody would give back. Who has
  // one already comes through here twice: this hook is in a scope and, registered later, in the one above.
  if (upgrade === undefined || endpoint === undefined || upgrade.isOver || upgrade.place !== undefined) return done()
  const fault = faultIn(() => { upgrade.handshake = readHandshake(request.raw, endpoint.conventions.hostRequired) }, reply)
  if (fault !== undefined) return done(fault)

  const { allowedHosts } = endpoint.options
  if (allowedHosts !== undefined && !isHostAllowed(allowedHosts, request)) {
    request.log.warn({ host: shown(request.host) }, "websocket host refused: the option 'allowedHosts' says which are served")
    return done(new FST_WS_ERR_HOST())
  }
  const { origin } = upgrade.handshake!
  if (!isOriginAllowed(endpoint.options.origin, origin, request)) {
    request.log.warn({ origin: shown(origin!), host: shown(request.host) }, "websocket origin refused: the option 'origin' says which pages may connect")
    return done(new FST_WS_ERR_ORIGIN())
  }
  const place = endpoint.registry.places.admit(endpoint.options, request)
  if (typeof place === 'string') {
    if (limited.hasSubscribers) limited.publish({ request, limit: place })
    reply.header('retry-after', RETRY_AFTER_SECONDS)
    return done(new FST_WS_ERR_CONNECTIONS())
  }
  upgrade.place = place
  done()
}

/** What is wrong with the head of a request, as the answer to it. */
function faultIn (check: () => void, reply: FastifyReply): Error | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error
    reply.headers(error.headers)
    return Object.assign(new FST_WS_ERR_HANDSHAKE(error.message), { statusCode: error.statusCode })
  }
}

function isHostAllowed (allowed: readonly string[], request: FastifyRequest): boolean {
  const host = request.host.toLowerCase()
  return allowed.includes(host) || allowed.includes(host.replace(/:\d*$/, ''))
}

/** Answers 101, and opens the connection when that has been written. Throws FST_WS_ERR_SUBPROTOCOL. */
export function acceptUpgrade (endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): void {
  const upgrade = upgradeOf(request.raw)!
  const handshake = upgrade.handshake!
  const expiresAt = expiryOf(endpoint, request)
  const subprotocol = endpoint.select(handshake.subprotocols, request)
  const { deflate } = endpoint.options
  const agreed = deflate === undefined ? undefined : negotiateDeflate(handshake.extensions, deflate)
  const extensions = agreed?.answer ?? ''
  const fields = acceptHandshake(handshake, { subprotocol: subprotocol.name, extensions })
  upgrade.accept(
    fields,
    (socket, head) => {
      prepareSocket(socket)
      // The client of a test speaks what was agreed, without a copy of the contract.
      if (socket instanceof MemoryDuplex) socket.agreement = subprotocol
      const session = new Session(endpoint, request, upgrade.place!)
      const open = openWebSocket(socket, {
        role: 'server',
        subprotocol,
        extensions,
        deflate: agreed === undefined ? undefined : { ...deflate!, ...agreed.params },
        url: endpoint.sharedUrl(urlOf(request)),
        limits: endpoint.limits,
        ticker: endpoint.registry.ticker,
        faults: session
      })
      if (expiresAt !== undefined) open.watch.closeAt(expiresAt, EXPIRED.code, EXPIRED.reason)
      if (endpoint.options.maxLifetimeMs !== undefined) open.watch.endAt(Date.now() + endpoint.options.maxLifetimeMs)
      // Hooks may take their time, and the peer may leave meanwhile.
      open.watch.start()
      // When the handler has attached its listeners, what comes can be read.
      session.begin(open, request, () => process.nextTick(open.start, head))
    },
    (names) => request.log.warn({ headers: names }, 'header fields that belong to the handshake were left out of the 101')
  )
  endpoint.conventions.beforeAnswer(fields, request, reply)
  reply.code(101).send()
}

/** When the session of a request ends, in milliseconds since 1970. Throws for what is no time: better no connection than one for ever. */
function expiryOf ({ options }: Endpoint, request: FastifyRequest): number | undefined {
  const when: unknown = options.expiresAt?.(request)
  if (when === undefined) return undefined
  const at = timeOf(when)
  if (isThenable(when)) ignoreRejection(when)
  if (at === undefined || (at > 0 && at < LEAST_EXPIRY_MS)) {
    throw new FST_WS_ERR_INVALID_OPTION('expiresAt', 'a function that returns a Date, a number of milliseconds since 1970 (not of seconds, as the exp of a JWT), or undefined')
  }
  return at
}

/** Whether a request that reached a WebSocket route asks to be upgraded, has passed the checks and has its place. */
export function isAdmitted (request: FastifyRequest): boolean {
  return upgradeOf(request.raw)?.place !== undefined
}

function urlOf ({ protocol, host, url }: FastifyRequest): string {
  // RFC 9112 §3.2.2: a request may name its target whole.
  const target = url.startsWith('/') || !URL.canParse(url) ? url : new URL(url).pathname + new URL(url).search
  // Joined it is one string; a template keeps its three parts (80 B).
  return [protocol === 'https' ? 'wss' : 'ws', '://', host, target].join('')
}
