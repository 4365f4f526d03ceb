/**
 * `app.websocketServer`: the server of `ws` as far as it means something where an application does the routing. It lists
 * the open sockets and tells of them; it accepts none itself.
 */
import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { WebSocket, WebSocketServerOptions } from '../../types/compat.ts'
import { FST_WS_ERR_UNSUPPORTED } from '../errors.ts'

export class WebSocketServer extends EventEmitter {
  readonly options: WebSocketServerOptions & { path?: string }
  /** Undefined if `clientTracking` is false. */
  readonly clients: Set<WebSocket> | undefined
  readonly #listener: Server
  #state: 'running' | 'closing' | 'closed' = 'running'

  constructor (options: WebSocketServerOptions, listener: Server) {
    super()
    this.options = options
    this.#listener = listener
    this.clients = options.clientTracking === false ? undefined : new Set()
  }

  get running (): boolean { return this.#state === 'running' }

  address (): ReturnType<Server['address']> {
    return this.#listener.address()
  }

  get path (): string { return this.options.path ?? '' }

  shouldHandle (request: IncomingMessage): boolean {
    return this.path === '' || request.url!.replace(/\?.*/s, '') === this.path
  }

  handleUpgrade (): never {
    throw new FST_WS_ERR_UNSUPPORTED('handleUpgrade of the websocketServer', "add a route with 'websocket: true', which gets the upgrades of its path")
  }

  close (callback?: (error?: Error) => void): void {
    if (this.#state === 'closed') {
      if (callback !== undefined) process.nextTick(callback, new Error('The server is not running'))
      return
    }
    if (callback !== undefined) this.once('close', callback)
    if (this.#state === 'closing') return
    this.#state = 'closing'
    this.#closeIfEmpty()
  }

  /** A connection is open. */
  add (socket: WebSocket, request: IncomingMessage): void {
    this.clients?.add(socket)
    this.emit('connection', socket, request)
  }

  /** It has closed. */
  delete (socket: WebSocket): void {
    this.clients?.delete(socket)
    this.#closeIfEmpty()
  }

  #closeIfEmpty (): void {
    if (this.#state !== 'closing' || (this.clients !== undefined && this.clients.size > 0)) return
    this.#state = 'closed'
    process.nextTick(() => this.emit('close'))
  }
}
