/**
 * How routes of @fastify/websocket behave where they differ from ours, with the hooks of `ws` in their place: a route is
 * judged by its rules, `verifyClient` decides after all hooks, `handleProtocols` picks, and the server tells of it.
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { VerifyClient, VerifyClientInfo, WebSocket } from '../../types/compat.ts'
import type { AnySocket } from '../../types/sockets.ts'
import { FST_WS_ERR_HANDSHAKE, FST_WS_ERR_INVALID_ROUTE } from '../errors.ts'
import type { Conventions } from '../plugin/conventions.ts'
import { CloseCode } from '../protocol/constants.ts'
import { useWsCode } from './error-codes.ts'
import { addHeaderLines, headerLines } from './header-lines.ts'
import type { WebSocketServer } from './server.ts'

interface Verdict {
  readonly verified: boolean
  readonly statusCode?: number | undefined
  readonly message?: string | undefined
  readonly headers?: Record<string, any> | undefined
}

const VERIFIED: Verdict = { verified: true }

/** `onAdmit` hears of every reply to an upgrade that is about to become a connection. */
export function conventionsOf (server: WebSocketServer, onAdmit?: (request: FastifyRequest, reply: FastifyReply) => unknown): Conventions {
  return {
    takesConnections (route, handler) {
      const methods = [route.method].flat().map((method) => method.toUpperCase())
      if (methods.every((method) => method === 'HEAD')) return false
      if (methods.some((method) => method !== 'GET' && method !== 'HEAD')) throw invalidRoute(route.url, 'websocket handler can only be declared in GET method')
      const isMap = 'subprotocols' in route && typeof handler === 'object' && handler !== null
      if (typeof handler !== 'function' && !isMap) throw invalidRoute(route.url, 'invalid wsHandler function')
      return true
    },

    answerPlainRequest: (_request, reply) => reply.code(404).send(),

    async admit (request, reply, accept) {
      if (!server.shouldHandle(request.raw)) throw Object.assign(new FST_WS_ERR_HANDSHAKE("the option 'path' names another one"), { statusCode: 400 })
      if (!server.running) throw Object.assign(new FST_WS_ERR_HANDSHAKE('the WebSocket server is closed'), { statusCode: 503 })
      const { verifyClient } = server.options
      const verdict = typeof verifyClient === 'function' ? await verify(verifyClient, request) : VERIFIED
      // The client may have left meanwhile, or have been told that it took too long.
      if (request.raw.destroyed || reply.raw.writableEnded) return reply
      if (!verdict.verified) return refuse(reply, verdict)
      onAdmit?.(request, reply)
      accept()
      return reply
    },

    selectSubprotocol (offered, request) {
      const { handleProtocols } = server.options
      if (typeof handleProtocols !== 'function') return offered[0]!
      const chosen = handleProtocols(new Set(offered), request.raw)
      if (typeof chosen !== 'string' || chosen === '') return ''
      if (offered.includes(chosen)) return chosen
      // RFC 6455 §4.2.2: a name that was not offered makes the client fail the connection.
      request.log.warn("the option 'handleProtocols' has picked a subprotocol that was not offered: none is agreed on")
      return ''
    },

    beforeAnswer (fields, request, reply) {
      if (server.listenerCount('headers') === 0) return
      const own = headerLines(fields)
      const lines = [...own]
      server.emit('headers', lines, request.raw)
      addHeaderLines(reply, lines.filter((line) => !own.includes(line)))
    },

    onOpen (socket, request) {
      // Before the listeners of the application, which compare the code.
      socket.on('error', useWsCode)
      server.add(asWs(socket), request.raw)
    },

    onClosed: (socket) => server.delete(asWs(socket)),

    endAfterFault: (socket) => socket.terminate(),

    hostRequired: false,
    closeCode: CloseCode.NoStatusReceived,
    deliversWhileClosing: true
  }
}

/** Asks `verifyClient`; rejects with what it throws. */
function verify (verifyClient: VerifyClient, { raw, headers }: FastifyRequest): Promise<Verdict> {
  const { authorized, encrypted } = raw.socket as { authorized?: boolean, encrypted?: boolean }
  const info: VerifyClientInfo = { origin: headers.origin as string, secure: authorized === true || encrypted === true, req: raw }
  return new Promise((resolve, reject) => {
    if (verifyClient.length === 2) {
      verifyClient(info, (verified, statusCode, message, headers) => resolve({ verified: Boolean(verified), statusCode, message, headers }))
      return
    }
    // A promise is waited for: as it stands it would let everybody in.
    const result = (verifyClient as (info: VerifyClientInfo) => ReturnType<VerifyClient>)(info)
    Promise.resolve(result).then((verified) => resolve({ verified: Boolean(verified) }), reject)
  })
}

function refuse (reply: FastifyReply, { statusCode = 401, message, headers = {} }: Verdict): FastifyReply {
  return reply.code(statusCode).type('text/html').headers(headers).send(message ?? STATUS_CODES[statusCode] ?? '')
}

/** Errors of the original by their text, which applications compare. */
function invalidRoute (url: string, text: string): Error {
  return Object.assign(new FST_WS_ERR_INVALID_ROUTE(url, text), { message: text })
}

/** A socket that is listed has lost its type; what `ws` has of it is there. */
function asWs (socket: AnySocket): WebSocket {
  return socket as unknown as WebSocket
}
