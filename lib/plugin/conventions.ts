/**
 * What an entry point of this package decides for the routes of its scopes, where RFC and Fastify leave it open: how a
 * route is judged, who answers a plain request, what a Close without a code says. No option sets it. These are those of
 * the plugin itself; `lib/compat` has others.
 */
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { AnySocket } from '../../types/sockets.ts'
import { FST_WS_ERR_INVALID_ROUTE, FST_WS_ERR_SUBPROTOCOL, FST_WS_ERR_UPGRADE_REQUIRED } from '../errors.ts'
import { CloseCode } from '../protocol/constants.ts'

/** A route when it is declared. */
export type DeclaredRoute = RouteOptions & { websocket?: boolean, wsHandler?: unknown }

export interface Conventions {
  /**
   * Judges a route when it is declared; `handler` is what shall get its sockets. Returns whether it takes connections, which
   * a HEAD route does not. Throws if it cannot be a WebSocket route.
   */
  takesConnections (route: DeclaredRoute, handler: unknown): boolean
  /** Answers a plain request on a route that speaks WebSocket only. */
  answerPlainRequest (request: FastifyRequest, reply: FastifyReply): unknown
  /** All hooks have run: calls `accept`, at once or later, or answers itself. */
  admit (request: FastifyRequest, reply: FastifyReply, accept: () => void): unknown
  /** What a raw route without `selectSubprotocol` agrees to; '' is none. Throws FST_WS_ERR_SUBPROTOCOL to refuse. */
  selectSubprotocol (offered: readonly string[], request: FastifyRequest): string
  /** The 101 is about to be sent, with these fields of the handshake; others can still be set on the reply. */
  beforeAnswer (fields: Readonly<Record<string, string>>, request: FastifyRequest, reply: FastifyReply): void
  /** A connection is open, and its handler about to be called. */
  onOpen (socket: AnySocket, request: FastifyRequest): void
  /** It has closed. */
  onClosed (socket: AnySocket): void
  /** Ends a connection whose handler or listener has failed, where no `errorHandler` decides. */
  endAfterFault (socket: AnySocket): void
  /** Whether a handshake without Host is refused, as RFC 6455 §4.2.1 wants it. */
  readonly hostRequired: boolean
  /** What `close()` without a code sends; 1005 is a Close that has none. */
  readonly closeCode: number
  /** Whether messages that arrive between our Close and the peer's are delivered. */
  readonly deliversWhileClosing: boolean
}

export const OWN_CONVENTIONS: Conventions = Object.freeze<Conventions>({
  takesConnections ({ method, url }, handler) {
    if (isMethod(method, 'HEAD')) return false
    if (!isMethod(method, 'GET')) throw new FST_WS_ERR_INVALID_ROUTE(url, `its method must be GET, not ${String(method)}`)
    if (typeof handler !== 'function' && (typeof handler !== 'object' || handler === null)) {
      throw new FST_WS_ERR_INVALID_ROUTE(url, 'its handler must be a function, or a map from subprotocol to functions')
    }
    return true
  },

  answerPlainRequest (request, reply) {
    // RFC 9113 §8.2.2: HTTP/2 knows no Upgrade, so it can neither be asked for nor be required.
    if (request.raw.httpVersionMajor === 2) throw Object.assign(new FST_WS_ERR_UPGRADE_REQUIRED(), { statusCode: 400 })
    // RFC 9110 §15.5.22, §7.8: a 426 MUST name the protocol, and Connection must list the field.
    // RFC 9112 §9.6: a connection that the client wants closed is, which node:http must not overlook.
    reply.headers({ upgrade: 'websocket', connection: reply.raw.shouldKeepAlive ? 'Upgrade' : 'close, Upgrade' })
    throw new FST_WS_ERR_UPGRADE_REQUIRED()
  },

  admit: (_request, _reply, accept) => accept(),

  selectSubprotocol () {
    throw new FST_WS_ERR_SUBPROTOCOL('this route agrees to none of the subprotocols offered')
  },

  beforeAnswer: noop,
  onOpen: noop,
  onClosed: noop,

  endAfterFault: (socket) => socket.close(CloseCode.InternalError, 'internal error'),

  hostRequired: true,
  closeCode: CloseCode.NormalClosure,
  deliversWhileClosing: false
})

function noop (): void {}

function isMethod (method: RouteOptions['method'], wanted: string): boolean {
  const methods = Array.isArray(method) ? method : [method]
  return methods.length === 1 && methods[0]!.toUpperCase() === wanted
}
