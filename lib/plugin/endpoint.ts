/**
 * A WebSocket route, ready to take connections: its options, its handler, and its contracts by subprotocol.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AnySocket } from '../../types/sockets.ts'
import { FST_WS_ERR_INVALID_ROUTE, FST_WS_ERR_SUBPROTOCOL } from '../errors.ts'
import type { OpenLimits } from '../socket/open.ts'
import type { Contract, Contracts } from '../subprotocol/contract.ts'
import { createSubprotocol, selectSubprotocol, Subprotocol, type SubprotocolOptions } from '../subprotocol/subprotocol.ts'
import type { Conventions } from './conventions.ts'
import type { RouteHooks } from './hooks.ts'
import { synchronous, type ResolvedOptions } from './options.ts'
import type { Registry } from './registry.ts'
import type { LogsRequests } from './request-logging.ts'
import type { Counters } from './stats.ts'

export type SocketHandler = (this: FastifyInstance, socket: any, request: FastifyRequest) => unknown

export interface EndpointParts {
  /** The instance that the route was declared on: `this` of its handlers and hooks. */
  readonly scope: FastifyInstance
  readonly url: string
  readonly options: ResolvedOptions
  readonly conventions: Conventions
  readonly messages: Contract | undefined
  readonly subprotocols: Contracts | undefined
  /** One handler, or a map from subprotocol to handlers. */
  readonly handler: SocketHandler | Readonly<Record<string, SocketHandler>>
  readonly logsRequests: LogsRequests
  /** Where its connections are listed. */
  readonly registry: Registry
}

export class Endpoint {
  readonly scope: FastifyInstance
  readonly url: string
  readonly options: ResolvedOptions
  readonly conventions: Conventions
  readonly handler: SocketHandler
  readonly limits: OpenLimits
  /** Whether the lines at open and close are wanted of this request. */
  readonly logsRequests: LogsRequests

  readonly registry: Registry
  readonly counters: Counters
  /** Known when the server starts. */
  hooks: RouteHooks = { onOpen: [], onClose: [] }

  readonly #messages: Contract | undefined
  readonly #contracts: ReadonlyMap<string, Contract>
  /** Compiled when the server starts. */
  readonly #subprotocols = new Map<string, Subprotocol>()
  /** What a connection without subprotocol speaks; undefined if there must be one. */
  #nameless: Subprotocol | undefined
  #newestUrl = ''

  /** Throws FST_WS_ERR_INVALID_ROUTE if handlers and contracts do not fit each other. */
  constructor (parts: EndpointParts) {
    const { url, options, conventions, messages, subprotocols = {} } = parts
    this.scope = parts.scope
    this.url = url
    this.options = options
    this.conventions = conventions
    this.logsRequests = parts.logsRequests
    this.registry = parts.registry
    this.counters = parts.registry.countersOf(url)
    this.#messages = messages
    this.#contracts = new Map(Object.entries(subprotocols))
    this.handler = typeof parts.handler === 'function' ? parts.handler : this.#byProtocol(parts.handler)
    this.limits = Object.freeze({
      maxMessageBytes: options.maxMessageBytes,
      maxUnsentBytes: options.maxUnsentBytes,
      highWaterMarkBytes: options.highWaterMarkBytes,
      closeTimeoutMs: options.closeTimeoutMs,
      closeCode: conventions.closeCode,
      deliversWhileClosing: conventions.deliversWhileClosing,
      messageTimeoutMs: options.messageTimeoutMs,
      heartbeat: options.heartbeat,
      rateLimit: options.rateLimit,
      queueBytes: options.highWaterMarkBytes,
      whenFull: 'pause'
    })
  }

  /** This URL of a connection, as the one before has it if they are alike: one string for all (40 B). A query, which may be a secret, is not kept. */
  sharedUrl (url: string): string {
    if (url.includes('?')) return url
    return (this.#newestUrl = url === this.#newestUrl ? this.#newestUrl : url)
  }

  /** Whether it has no contracts: nothing is parsed. */
  get raw (): boolean {
    return this.#messages === undefined && this.#contracts.size === 0
  }

  /** Compiles the schemas. Throws FST_WS_ERR_INVALID_SCHEMA, which names route and subprotocol. */
  compile (options: Omit<SubprotocolOptions, 'method' | 'url' | 'validateSend' | 'schemaErrorFormatter'>): void {
    const { validateSend, schemaErrorFormatter } = this.options
    const full = { ...options, method: 'GET', url: this.url, validateSend, schemaErrorFormatter: schemaErrorFormatter as SubprotocolOptions['schemaErrorFormatter'] }
    for (const [name, contract] of this.#contracts) this.#subprotocols.set(name, createSubprotocol(name, contract, full))
    if (this.#messages !== undefined) this.#nameless = createSubprotocol('', this.#messages, full)
    else if (this.raw) this.#nameless = new Subprotocol({ name: '', what: `route ${this.url}`, codec: undefined })
  }

  /** What the connection speaks, by what the client offers. Throws FST_WS_ERR_SUBPROTOCOL, whose message lists what is there. */
  select (offered: readonly string[], request: FastifyRequest): Subprotocol {
    if (offered.length === 0) {
      if (this.#nameless === undefined) throw new FST_WS_ERR_SUBPROTOCOL(`offer a subprotocol: ${this.#names()}`)
      return this.#nameless
    }
    if (this.raw) return this.#selectRaw(offered, request)
    const subprotocol = selectSubprotocol(offered, this.#subprotocols)
    // A client that has offered some and is answered none has to fail the connection anyway (§4.1).
    if (subprotocol === undefined) throw new FST_WS_ERR_SUBPROTOCOL(this.#contracts.size === 0 ? 'this route has no subprotocols' : `offer one of these subprotocols: ${this.#names()}`)
    return subprotocol
  }

  #selectRaw (offered: readonly string[], request: FastifyRequest): Subprotocol {
    const { selectSubprotocol } = this.options
    const name = selectSubprotocol === undefined
      ? this.conventions.selectSubprotocol(offered, request)
      : synchronous('selectSubprotocol', selectSubprotocol(offered, request), request.log)
    if (name === '' && selectSubprotocol === undefined) return this.#nameless!
    if (typeof name !== 'string' || !offered.includes(name)) throw new FST_WS_ERR_SUBPROTOCOL('this route agrees to none of the subprotocols offered')
    return new Subprotocol({ name, what: `route ${this.url}, subprotocol '${name}'`, codec: undefined })
  }

  #names (): string {
    return [...this.#contracts.keys()].join(', ')
  }

  /** One handler out of a map of them. */
  #byProtocol (handlers: Readonly<Record<string, SocketHandler>>): SocketHandler {
    const names = new Set(this.#contracts.keys())
    if (names.size === 0) throw new FST_WS_ERR_INVALID_ROUTE(this.url, "a map of handlers needs 'subprotocols'")
    if (this.#messages !== undefined) names.add('')
    const byName = new Map(Object.entries(handlers))
    for (const [name, handler] of byName) {
      if (!names.has(name)) throw new FST_WS_ERR_INVALID_ROUTE(this.url, `there is a handler for '${name}' but no contract`)
      if (typeof handler !== 'function') throw new FST_WS_ERR_INVALID_ROUTE(this.url, `the handler for '${name}' is not a function`)
    }
    for (const name of names) {
      if (byName.has(name)) continue
      throw new FST_WS_ERR_INVALID_ROUTE(this.url, name === '' ? "'messages' needs a handler, whose name in the map is ''" : `there is a contract for '${name}' but no handler`)
    }
    return function (this: FastifyInstance, socket: AnySocket, request: FastifyRequest) {
      return byName.get(socket.protocol)!.call(this, socket, request)
    }
  }
}
