/**
 * fastify-duplex: WebSocket routes for Fastify. This is the plugin, wrapped for Fastify, and every public name.
 */
import fp from 'fastify-plugin'
import type { FastifyInstance } from 'fastify'
import { plugin } from './lib/plugin/plugin.ts'
import type { DuplexOptions } from './types/options.ts'
import './types/fastify.ts'

const duplex = fp<DuplexOptions>(plugin as (instance: FastifyInstance, options: DuplexOptions) => Promise<void>, { fastify: '5.x', name: 'fastify-duplex' })

export default duplex
export { duplex }
export { json, text, bytes, raw, custom, defineWebSocketRoute } from './lib/subprotocol/contract.ts'
export { prepare, type Prepared } from './lib/subprotocol/prepared.ts'
export type { CloseInfo } from './lib/socket/receiver.ts'
export { WebSocket, type SendCallback, type SendOptions, type SocketData } from './lib/socket/websocket.ts'
