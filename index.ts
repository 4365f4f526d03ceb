/**
 * fastify-duplex: WebSocket routes for Fastify. This is the plugin, wrapped for Fastify, and every public name.
 */
import fp from 'fastify-plugin'
import { enter } from './lib/entry.ts'
import * as errors from './lib/errors.ts'
import type { DuplexOptions } from './types/options.ts'
import './types/fastify.ts'

/**
 * The plugin. Register it before the hooks that authenticate, so that handshake and Origin are checked first, and
 * before the routes. Registered again in a child scope it sets the defaults of that scope.
 */
const duplex = fp<DuplexOptions>(async (instance, options) => {
  await enter(instance, options)
}, { fastify: '5.x', name: 'fastify-duplex' })

export default duplex
export { duplex }
/** The constructors of all errors, by code. */
export const errorCodes = Object.freeze({ ...errors })
export { bytes, custom, defineWebSocketRoute, json, raw, text } from './lib/subprotocol/contract.ts'
export type { Codec, Contract, Contracts, WebSocketRoute } from './lib/subprotocol/contract.ts'
export { prepare, type Prepared } from './lib/subprotocol/prepared.ts'
export type { InvalidMessageError } from './lib/subprotocol/subprotocol.ts'
export type { BroadcastOptions, BroadcastResult } from './lib/socket/broadcast.ts'
export type { CloseInfo } from './lib/socket/endings.ts'
export { WebSocket, type SendCallback, type SendOptions, type SocketData } from './lib/socket/websocket.ts'
export type { InjectedSocket, InjectOptions } from './types/inject.ts'
export type { ConnectionError, DeflateOptions, DuplexOptions, ErrorKind, OriginOption, RouteWebSocketOptions } from './types/options.ts'
export type { OpenSockets, RouteStats, WebSocketHooks } from './types/fastify.ts'
export type { AnySocket, ClientOf, HandlerOf, RawData, RawSocket, SocketOf } from './types/sockets.ts'
