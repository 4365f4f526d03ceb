/**
 * fastify-duplex: WebSocket routes for Fastify. This is the plugin, wrapped for Fastify, and every public name.
 */
import { subscribe } from 'node:diagnostics_channel'
import fp from 'fastify-plugin'
import type { FastifyInstance } from 'fastify'
import { FST_WS_ERR_INJECT_ROUTE } from './lib/errors.ts'
import { plugin, serverStateOf, type ServerState } from './lib/plugin/plugin.ts'
import { routeIdentity } from './lib/subprotocol/contract.ts'
import type { InjectTarget } from './lib/testing/inject.ts'
import type { DuplexOptions } from './types/options.ts'
import './types/fastify.ts'

/**
 * The plugin. Register it before the hooks that authenticate, so that handshake and Origin are checked first, and
 * before the routes. Registered again in a child scope it sets the defaults of that scope.
 */
const duplex = fp<DuplexOptions>(async (instance, options) => {
  await plugin(instance, options)
  decorate(instance)
}, { fastify: '5.x', name: 'fastify-duplex' })

// A test injects before the application is ready, which is when its plugins run.
subscribe('fastify.initialization', (message) => decorate((message as { fastify: FastifyInstance }).fastify))

function decorate (instance: FastifyInstance): void {
  if (!instance.hasDecorator('injectWebSocket')) instance.decorate('injectWebSocket', inject as FastifyInstance['injectWebSocket'])
}

/** The test client is loaded at its first call: a service in production never needs it. */
async function inject (this: FastifyInstance, target: string | object, options?: object): Promise<unknown> {
  const { injectWebSocket } = await import('./lib/testing/inject.ts')
  // Routes register while the application gets ready.
  await this.ready()
  const state = serverStateOf(this)
  if (state === undefined) throw new FST_WS_ERR_INJECT_ROUTE('fastify-duplex is not registered in this application')
  return injectWebSocket(this, injectTarget(state, target), options)
}

function injectTarget (state: ServerState, target: string | object): InjectTarget {
  if (typeof target === 'string') return { path: target }
  const identity = routeIdentity(target)
  if (identity === undefined) throw new FST_WS_ERR_INJECT_ROUTE('injectWebSocket takes a path, or a route object made by defineWebSocketRoute')
  const paths = state.paths.get(identity) ?? []
  if (paths.length === 1) return { pattern: paths[0]! }
  throw new FST_WS_ERR_INJECT_ROUTE(paths.length === 0
    ? 'This route object is not registered in this application'
    : `This route object is registered more than once (${paths.join(', ')}): inject by path`)
}

export default duplex
export { duplex }
/** The constructors of all errors, by code. */
export * as errorCodes from './lib/errors.ts'
export { bytes, custom, defineWebSocketRoute, json, raw, text } from './lib/subprotocol/contract.ts'
export type { Codec, Contract, Contracts, WebSocketRoute } from './lib/subprotocol/contract.ts'
export { prepare, type Prepared } from './lib/subprotocol/prepared.ts'
export type { InvalidMessageError } from './lib/subprotocol/subprotocol.ts'
export type { BroadcastOptions, BroadcastResult } from './lib/socket/broadcast.ts'
export type { CloseInfo } from './lib/socket/receiver.ts'
export { WebSocket, type SendCallback, type SendOptions, type SocketData } from './lib/socket/websocket.ts'
export type { InjectedSocket, InjectOptions } from './types/inject.ts'
export type { ConnectionError, DeflateOptions, DuplexOptions, ErrorKind, OriginOption, RouteWebSocketOptions } from './types/options.ts'
export type { OpenSockets, RouteStats, WebSocketHooks } from './types/fastify.ts'
export type { AnySocket, ClientOf, HandlerOf, RawData, RawSocket, SocketOf } from './types/sockets.ts'
