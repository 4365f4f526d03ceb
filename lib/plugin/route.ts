/**
 * What becomes of a route that asks for WebSocket: it is found when it is declared, and adopted when the plugin has run
 * in its scope. Other routes are left alone.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_INVALID_ROUTE } from '../errors.ts'
import { validateContracts, type Contract, type Contracts } from '../subprotocol/contract.ts'
import type { SchemaCompiler } from '../subprotocol/validator.ts'
import { acceptUpgrade, isAdmitted, kEndpoint, type EndpointSlot } from './accept.ts'
import type { Conventions } from './conventions.ts'
import { Endpoint, type SocketHandler } from './endpoint.ts'
import type { MessageAjv } from './message-ajv.ts'
import { checkRoute, resolveRouteOptions, type ResolvedOptions } from './options.ts'
import type { Registry } from './registry.ts'
import type { LogsRequests } from './request-logging.ts'

/** Route options as they reach `onRoute`, ours among them. */
export interface WebSocketRouteOptions {
  websocket?: boolean
  wsHandler?: SocketHandler | Record<string, SocketHandler>
  messages?: Contract
  subprotocols?: Contracts
  websocketOptions?: Parameters<typeof resolveRouteOptions>[2]
  selectSubprotocol?: ResolvedOptions['selectSubprotocol']
}

type PlainHandler = (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply) => unknown

/** What all routes of an application share. */
export interface Shared {
  readonly registry: Registry
  readonly logsRequests: LogsRequests
}

/** A route that may be one of ours, as `onRoute` found it. */
export interface FoundRoute {
  /** The route's own scope. */
  readonly scope: FastifyInstance
  readonly route: RouteOptions & WebSocketRouteOptions
  /** What stood in `handler`. */
  readonly handler: unknown
  readonly slot: EndpointSlot
}

/**
 * Looks at a route when it is declared; undefined if nothing in it is ours. A route may be declared before the plugin
 * has run, on the tick that registers it: so its handler is replaced by one that asks, at each request, whether the
 * route was adopted meanwhile. If it never is, everything is as it was.
 */
export function findRoute (scope: FastifyInstance, route: RouteOptions & WebSocketRouteOptions): FoundRoute | undefined {
  const { websocket, wsHandler, messages, subprotocols } = route
  // Whatever is no boolean is ours to complain of.
  if (!websocket && wsHandler === undefined && messages === undefined && subprotocols === undefined) return undefined

  const handler: unknown = route.handler
  const plain = wsHandler === undefined ? undefined : handler as PlainHandler
  const slot: EndpointSlot = { endpoint: undefined, conventions: undefined }
  route.config = { ...route.config, [kEndpoint]: slot } as NonNullable<typeof route.config>
  route.handler = function (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    const { endpoint, conventions } = slot
    if (conventions === undefined) return notAdopted(route.url, handler).call(this, request, reply)
    if (endpoint !== undefined && isAdmitted(request)) return conventions.admit(request, reply, () => acceptUpgrade(endpoint, request, reply))
    return plain === undefined ? conventions.answerPlainRequest(request, reply) : plain.call(this, request, reply)
  } as typeof route.handler
  return { scope, route, handler, slot }
}

/**
 * Makes a found route ours, with the options and conventions of its scope: a GET whose handler accepts upgrades. Returns
 * its endpoint; undefined for the HEAD route that Fastify adds to each GET, which answers as the plain GET does.
 *
 * Throws FST_WS_ERR_INVALID_ROUTE, FST_WS_ERR_INVALID_CONTRACT and what the options throw.
 */
export function adoptRoute ({ scope, route, handler: plainHandler, slot }: FoundRoute, options: ResolvedOptions, conventions: Conventions, { registry, logsRequests }: Shared): Endpoint | undefined {
  const { websocket, wsHandler, messages, subprotocols, websocketOptions, selectSubprotocol } = route
  if (websocket !== undefined && typeof websocket !== 'boolean') throw new FST_WS_ERR_INVALID_ROUTE(route.url, "'websocket' must be true or false")
  if (websocket !== true && wsHandler === undefined) throw new FST_WS_ERR_INVALID_ROUTE(route.url, "'messages' and 'subprotocols' need 'websocket: true'")
  const handler = (wsHandler === undefined ? plainHandler : wsHandler) as SocketHandler
  if (!conventions.takesConnections(route, handler)) {
    slot.conventions = conventions
    return undefined
  }
  checkRoute(route)
  validateContracts(`route ${route.url}`, messages, subprotocols)

  const endpoint = new Endpoint({
    scope,
    url: route.url,
    options: withSelection(resolveRouteOptions(scope, options, websocketOptions), selectSubprotocol),
    messages,
    subprotocols,
    handler,
    conventions,
    logsRequests,
    registry
  })
  if (!endpoint.raw && (selectSubprotocol ?? websocketOptions?.selectSubprotocol) !== undefined) {
    throw new FST_WS_ERR_INVALID_ROUTE(route.url, "'selectSubprotocol' is for routes without contracts; the contracts say which subprotocols there are")
  }
  slot.endpoint = endpoint
  slot.conventions = conventions
  return endpoint
}

/** The handler of a route that another plugin serves, or nobody. */
function notAdopted (url: string, handler: unknown): PlainHandler {
  if (typeof handler === 'function') return handler as PlainHandler
  throw new FST_WS_ERR_INVALID_ROUTE(url, 'fastify-duplex is not registered in its scope')
}

/**
 * The compiler of a route's message schemas: the one given for messages, the route's own, that of its scope, or Ajv.
 * The scope's is looked for before Fastify makes its default, which coerces and removes.
 */
export function schemaCompilerOf (scope: FastifyInstance, route: RouteOptions, endpoint: Endpoint, ajv: MessageAjv): (scopeCompiler: SchemaCompiler | undefined) => SchemaCompiler {
  const own = endpoint.options.validatorCompiler ?? route.validatorCompiler
  return (scopeCompiler) => (own ?? scopeCompiler ?? ajv.compilerOf(scope)) as SchemaCompiler
}

function withSelection (options: ResolvedOptions, selectSubprotocol: ResolvedOptions['selectSubprotocol']): ResolvedOptions {
  if (selectSubprotocol === undefined) return options
  if (typeof selectSubprotocol !== 'function') throw new FST_WS_ERR_INVALID_OPTION('selectSubprotocol', 'a function')
  return Object.freeze({ ...options, selectSubprotocol })
}
