/**
 * All that the plugin adds to Fastify, in order. It may be registered again, in any scope: the server gets one
 * listener and one registry, each scope its own defaults.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:http'
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { DuplexOptions } from '../../types/options.ts'
import { FST_WS_ERR_INVALID_ROUTE } from '../errors.ts'
import { routeIdentity } from '../subprotocol/contract.ts'
import type { SchemaCompiler } from '../subprotocol/validator.ts'
import { beginUpgrade, checkUpgrade } from './accept.ts'
import { OWN_CONVENTIONS, type Conventions } from './conventions.ts'
import { addWebSocketHook, hooksOf, inheritHooks } from './hooks.ts'
import { MessageAjv } from './message-ajv.ts'
import { resolvePluginOptions, type ResolvedOptions } from './options.ts'
import { Registry } from './registry.ts'
import { requestLogging } from './request-logging.ts'
import { adoptRoute, findRoute, schemaCompilerOf, type FoundRoute, type Shared } from './route.ts'
import type { Router } from './upgrade.ts'
import { listenForUpgrades } from './upgrade-listener.ts'

/** What is one for each server, whatever is registered in which scope. */
export interface ServerState extends Shared {
  /** The paths under which the route objects of `defineWebSocketRoute` are registered, prefix included. */
  readonly paths: Map<object, string[]>
  /** Whether `@fastify/websocket` is the name of a plugin of ours. */
  compat: boolean
  /** Servers whose upgrades come to the application. */
  readonly listening: Set<Server>
}

/** What holds for the routes of a scope; child scopes inherit it by their prototype. */
interface ScopeState {
  readonly options: ResolvedOptions
  readonly conventions: Conventions
  readonly ajv: MessageAjv
}

const kScope = Symbol('fastify-duplex.scope')
type Scope = FastifyInstance & { [kScope]?: ScopeState }

/** By `fastify.routing`, which is the same function in all scopes of one application. */
const states = new WeakMap<FastifyInstance['routing'], ServerState>()

/** What belongs to the server of this instance; undefined where the plugin is not registered. */
export function serverStateOf (instance: FastifyInstance): ServerState | undefined {
  return states.get(instance.routing)
}

/** Routes that were declared before the plugin had run in their scope, by `fastify.routing`. */
const waiting = new WeakMap<FastifyInstance['routing'], FoundRoute[]>()

// A plugin runs later than it is registered: what is declared on the same tick would never be seen. So every application
// that is made after this module was imported is watched from its beginning, for the routes that may become ours; and
// their upgrades, for hooks that are added before the plugin may take as long as others.
subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { fastify: FastifyInstance }
  waiting.set(fastify.routing, [])
  fastify.addHook('onRoute', onRoute)
  fastify.addHook('onRequest', beginUpgrade)
})

/**
 * Runs in a scope. `server` is the one whose upgrades come to the application, if it is not the application's own; the
 * conventions are those of the entry point, and hold for this scope and below, until another one is registered there.
 */
export async function plugin (instance: FastifyInstance, given: DuplexOptions, conventions: Conventions = OWN_CONVENTIONS, server: Server = instance.server as Server): Promise<void> {
  const scope: Scope = instance
  const outer = scope[kScope]
  const options = resolvePluginOptions(instance, outer?.options, given)
  scope[kScope] = { options, conventions, ajv: new MessageAjv(options.ajv) }
  const state = serverStateOf(instance) ?? attach(instance, options)
  if (conventions !== OWN_CONVENTIONS) state.compat = true
  if (!state.listening.has(server)) listen(instance, server, options, state)

  const routes = waiting.get(instance.routing)
  if (routes === undefined) {
    // Made before this module was imported: its routes, and their upgrades, are seen from here on.
    if (outer === undefined) {
      instance.addHook('onRoute', onRoute)
      instance.addHook('onRequest', beginUpgrade)
    }
  } else {
    for (const found of routes.splice(0)) {
      if ((found.scope as Scope)[kScope] === undefined) routes.push(found)
      else adopt(found, state)
    }
  }

  // Hooks and decorations reach down to child scopes: there they are already.
  if (outer !== undefined) return
  instance.decorate('websockets', { getter: () => state.registry } as never)
  instance.decorate('addWebSocketHook', addWebSocketHook as never)
  instance.addHook('onRegister', inheritHooks)
  instance.addHook('onRequest', checkUpgrade)
}

function onRoute (this: FastifyInstance, route: RouteOptions): void {
  const found = findRoute(this, route as Parameters<typeof findRoute>[1])
  if (found === undefined) return
  if ((this as Scope)[kScope] === undefined) waiting.get(this.routing)!.push(found)
  else adopt(found, serverStateOf(this)!)
}

function adopt (found: FoundRoute, state: ServerState): void {
  const { route } = found
  const scope = found.scope as Scope
  const { options, conventions, ajv } = scope[kScope]!
  const endpoint = adoptRoute(found, options, conventions, state)
  if (endpoint === undefined) return

  const identity = routeIdentity(route)
  if (identity !== undefined) state.paths.set(identity, [...state.paths.get(identity) ?? [], route.url])

  const compilerFor = schemaCompilerOf(scope, route, endpoint, ajv)
  let scopeCompiler: SchemaCompiler | undefined
  // When the scope is loaded its own compiler is known, and Fastify's default not yet made.
  scope.after(() => { scopeCompiler = scope.validatorCompiler as SchemaCompiler | undefined })
  // A broken schema stops the start.
  scope.addHook('onReady', async () => {
    if (!state.compat && scope.hasPlugin('@fastify/websocket')) {
      throw new FST_WS_ERR_INVALID_ROUTE(route.url, "@fastify/websocket is registered beside fastify-duplex, and both would serve it: take it out, or register 'fastify-duplex/compat' in its place")
    }
    endpoint.hooks = hooksOf(scope)
    endpoint.compile({ compiler: compilerFor(scopeCompiler) })
  })
}

/** What an application has once, whatever is registered in which scope. */
function attach (instance: FastifyInstance, { shutdown }: ResolvedOptions): ServerState {
  const state: ServerState = { registry: new Registry(), logsRequests: requestLogging(instance), paths: new Map(), compat: false, listening: new Set() }
  states.set(instance.routing, state)
  instance.addHook('preClose', () => state.registry.drain(shutdown))
  return state
}

/** Brings the upgrades of a server to the application. */
function listen (instance: FastifyInstance, server: Server, { handshakeTimeoutMs }: ResolvedOptions, state: ServerState): void {
  state.listening.add(server)
  const stopListening = listenForUpgrades(server, {
    route: instance.routing as unknown as Router,
    hasRoute: ({ url, headers }) => instance.findRoute({
      method: 'GET',
      url: url!.replace(/\?.*/s, ''),
      constraints: { host: headers.host, version: headers['accept-version'] } as never
    }) !== null,
    timeoutMs: handshakeTimeoutMs
  })
  // Not before the server has closed: until then upgrade requests still come, and want their 503.
  instance.addHook('onClose', async () => stopListening())
}
