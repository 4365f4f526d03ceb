/**
 * `fastify-duplex/compat`: the interface of @fastify/websocket 11 on this package, for applications that change an import
 * and nothing else. What it does better, and where it differs on purpose: docs/migrating.md.
 */
import type { Server } from 'node:http'
import fp from 'fastify-plugin'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import type {
  InjectWSOption, WebSocket as WsSocket, WebSocketServerOptions, WebsocketHandler as Handler, WebsocketPluginOptions as Options
} from '../../types/compat.ts'
import type { DuplexOptions } from '../../types/options.ts'
import '../../types/fastify.ts'
import { enter } from '../entry.ts'
import { FST_WS_ERR_INVALID_OPTION } from '../errors.ts'
import { upgradeOf } from '../plugin/upgrade.ts'
import { conventionsOf } from './conventions.ts'
import { applyContext } from './injected-context.ts'
import { DEFAULTS, translateOptions } from './options.ts'
import { WebSocketServer } from './server.ts'

/** The plugin. Register it before the routes. */
async function fastifyWebsocket (instance: FastifyInstance, { errorHandler, preClose, options: given }: Options): Promise<void> {
  checkFunction('errorHandler', errorHandler)
  checkFunction('preClose', preClose)
  const options: WebSocketServerOptions & { path?: string } = { ...DEFAULTS, ...given }
  const translated = translateOptions(options)
  if (options.path) instance.log.warn("ws server path option shouldn't be provided, use a route instead")

  const listener = options.server ?? instance.server as Server
  const server = new WebSocketServer(options, listener)
  instance.decorate('websocketServer', server as never)
  const app = { ready: () => instance.ready(), server: listener }
  instance.decorate('injectWS', async (path = '/', context = {}, hooks: InjectWSOption = {}) => {
    // A service in production never needs it.
    const { injectWS } = await import('./inject.ts')
    return await injectWS(app, path, context, hooks)
  })
  // Documentation of HTTP routes leaves it out.
  instance.addHook('onRoute', (route) => { if ('websocket' in route && route.websocket === true) route.schema = { ...route.schema, hide: true } as FastifySchema })
  instance.decorateRequest('ws', null as never)
  instance.addHook('onRequest', (request, _reply, done) => {
    request.ws = upgradeOf(request.raw) !== undefined
    if (request.ws) applyContext(request.raw)
    done()
  })

  // Runs before the connections that it leaves open are closed.
  if (preClose) instance.addHook('preClose', preClose as never)
  if (errorHandler) {
    const { handler, keep } = withReply(errorHandler)
    await enter(instance, { ...translated, errorHandler: handler }, conventionsOf(server, keep), listener)
  } else {
    await enter(instance, translated, conventionsOf(server), listener)
  }
  instance.addHook('preClose', async () => server.close())
}

// Gives it the names `default` and `fastifyWebsocket` too.
fp(fastifyWebsocket, { fastify: '5.x', name: '@fastify/websocket' })

/** What `import websocket = require('fastify-duplex/compat')` has as properties. */
declare namespace fastifyWebsocket {
  export type WebSocket = WsSocket
  export type WebsocketHandler = Handler
  export type WebsocketPluginOptions = Options
  const fastifyWebsocket: FastifyPluginAsync<Options>
  export { fastifyWebsocket, fastifyWebsocket as default }
}

function checkFunction (name: string, value: unknown): void {
  // The text of the original, which applications compare.
  if (value && typeof value !== 'function') throw Object.assign(new FST_WS_ERR_INVALID_OPTION(name, 'a function'), { message: `invalid ${name} function` })
}

interface HandlerWithReply {
  readonly handler: NonNullable<DuplexOptions['errorHandler']>
  /** To be called with each reply that the handler may want. */
  readonly keep: (request: FastifyRequest, reply: FastifyReply) => void
}

/** An error handler that gets the reply of the handshake too, as long as its request lives. */
function withReply (errorHandler: NonNullable<Options['errorHandler']>): HandlerWithReply {
  const replies = new WeakMap<FastifyRequest, FastifyReply>()
  return {
    handler: (error, socket, request) => errorHandler.call(request.server, error, socket as unknown as WsSocket, request, replies.get(request)!),
    keep: (request, reply) => replies.set(request, reply)
  }
}

// `require` gives the function itself.
export { fastifyWebsocket, fastifyWebsocket as default, fastifyWebsocket as 'module.exports' }
export type {
  HandleProtocols, InjectWSOption, PerMessageDeflateOptions, RouteOptions, VerifyClient, VerifyClientCallback, VerifyClientInfo,
  WebSocket, WebsocketHandler, WebsocketPluginOptions, WebSocketServer, WebSocketServerOptions
} from '../../types/compat.ts'
