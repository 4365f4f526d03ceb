/**
 * What `onRoute` does with a route that asks for WebSocket: it becomes a GET whose handler accepts the upgrade.
 * Other routes are left alone.
 */
import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_INVALID_ROUTE } from '../errors.ts'
import { validateContracts, type Contract, type Contracts } from '../subprotocol/contract.ts'
import type { SchemaCompiler } from '../subprotocol/validator.ts'
import { acceptUpgrade, isChecked, kEndpoint, refusePlainRequest } from './accept.ts'
import { Endpoint, type SocketHandler } from './endpoint.ts'
import { resolveRouteOptions, type ResolvedOptions } from './options.ts'
import type { Registry } from './registry.ts'

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

/**
 * Turns a route with `websocket` or `wsHandler` into what Fastify registers; returns its endpoint, or undefined for
 * every other route and for the HEAD route beside it. `instance` is the route's own scope.
 *
 * Throws FST_WS_ERR_INVALID_ROUTE, FST_WS_ERR_INVALID_CONTRACT and what the options throw.
 */
export function adoptRoute (instance: FastifyInstance, route: RouteOptions & { routePath?: string }, scope: ResolvedOptions, registry: Registry): Endpoint | undefined {
  const options = route as RouteOptions & WebSocketRouteOptions
  const { websocket, wsHandler, messages, subprotocols } = options
  if (websocket !== true && wsHandler === undefined) {
    if (messages !== undefined || subprotocols !== undefined) throw new FST_WS_ERR_INVALID_ROUTE(route.url, "'messages' and 'subprotocols' need 'websocket: true'")
    return undefined
  }

  const plain = wsHandler === undefined ? undefined : route.handler as PlainHandler
  // Fastify adds a HEAD route to each GET: it answers as the plain GET does.
  if (isMethod(route.method, 'HEAD')) {
    route.handler = plain ?? refusePlainRequest
    return undefined
  }
  if (!isMethod(route.method, 'GET')) throw new FST_WS_ERR_INVALID_ROUTE(route.url, `its method must be GET, not ${String(route.method)}`)
  validateContracts(`route ${route.url}`, messages, subprotocols)

  const endpoint = new Endpoint({
    url: route.url,
    options: withSelection(resolveRouteOptions(instance, scope, options.websocketOptions), options.selectSubprotocol),
    messages,
    subprotocols,
    handler: socketHandler(route.url, wsHandler === undefined ? route.handler : wsHandler),
    logsRequests: requestLogging(instance)
  })
  if (!endpoint.raw && (options.selectSubprotocol ?? options.websocketOptions?.selectSubprotocol) !== undefined) {
    throw new FST_WS_ERR_INVALID_ROUTE(route.url, "'selectSubprotocol' is for routes without contracts; the contracts say which subprotocols there are")
  }

  route.config = { ...route.config, [kEndpoint]: endpoint } as NonNullable<typeof route.config>
  route.handler = function (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    if (isChecked(request)) return acceptUpgrade(instance, endpoint, registry, request, reply)
    return plain === undefined ? refusePlainRequest(request, reply) : plain.call(instance, request, reply)
  } as typeof route.handler
  return endpoint
}

/**
 * The compiler of a route's message schemas: the one given for messages, the route's own, that of its scope, or Ajv.
 * The scope's is looked for before Fastify makes its default, which coerces and removes (see `messageAjv`).
 */
export function schemaCompilerOf (instance: FastifyInstance, route: RouteOptions, endpoint: Endpoint): (scopeCompiler: SchemaCompiler | undefined) => SchemaCompiler {
  const own = endpoint.options.validatorCompiler ?? route.validatorCompiler
  return (scopeCompiler) => (own ?? scopeCompiler ?? messageAjv(instance, endpoint.options.ajv)) as SchemaCompiler
}

const buildAjv = AjvCompiler()

/**
 * Ajv for messages. Unlike Fastify's default it neither coerces (null would become '') nor removes (a branch of a
 * union would lose what the next one has), and it uses the discriminator where a union has one.
 */
function messageAjv (instance: FastifyInstance, ajv: ResolvedOptions['ajv']): SchemaCompiler {
  return buildAjv(instance.getSchemas() as Parameters<typeof buildAjv>[0], {
    plugins: [],
    ...ajv,
    customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, discriminator: true, addUsedSchema: true, ...ajv?.customOptions }
  } as Parameters<typeof buildAjv>[1]) as unknown as SchemaCompiler
}

function socketHandler (url: string, handler: unknown): SocketHandler | Record<string, SocketHandler> {
  if (typeof handler === 'function' || (typeof handler === 'object' && handler !== null)) return handler as SocketHandler
  throw new FST_WS_ERR_INVALID_ROUTE(url, 'its handler must be a function, or a map from subprotocol to functions')
}

function withSelection (options: ResolvedOptions, selectSubprotocol: ResolvedOptions['selectSubprotocol']): ResolvedOptions {
  if (selectSubprotocol === undefined) return options
  if (typeof selectSubprotocol !== 'function') throw new FST_WS_ERR_INVALID_OPTION('selectSubprotocol', 'a function')
  return Object.freeze({ ...options, selectSubprotocol })
}

/** As Fastify decides about its own lines for a request. */
function requestLogging (instance: FastifyInstance): (request: FastifyRequest) => boolean {
  const disabled: unknown = instance.initialConfig.disableRequestLogging
  return typeof disabled === 'function' ? (request) => disabled(request) !== true : () => disabled !== true
}

function isMethod (method: RouteOptions['method'], wanted: string): boolean {
  const methods = Array.isArray(method) ? method : [method]
  return methods.length === 1 && methods[0]!.toUpperCase() === wanted
}
