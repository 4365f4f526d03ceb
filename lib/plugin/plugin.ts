/**
 * All that the plugin adds to Fastify, in order. It may be registered again, in any scope: the server gets one
 * listener and one registry, each scope its own defaults.
 */
import type { Server } from 'node:http'
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { DuplexOptions } from '../../types/options.ts'
import { routeIdentity } from '../subprotocol/contract.ts'
import type { SchemaCompiler } from '../subprotocol/validator.ts'
import { checkUpgrade } from './accept.ts'
import { resolvePluginOptions, type ResolvedOptions } from './options.ts'
import { Registry } from './registry.ts'
import { adoptRoute, schemaCompilerOf } from './route.ts'
import type { Router } from './upgrade.ts'
import { listenForUpgrades } from './upgrade-listener.ts'

/** What is one for each server, whatever is registered in which scope. */
export interface ServerState {
  readonly registry: Registry
  /** The paths under which the route objects of `defineWebSocketRoute` are registered, prefix included. */
  readonly paths: Map<object, string[]>
}

/** The options of a scope, which child scopes inherit by their prototype. */
const kOptions = Symbol('fastify-duplex.options')
type Scope = FastifyInstance & { [kOptions]?: ResolvedOptions }

/** By `fastify.routing`, which is the same function in all scopes of one application. */
const states = new WeakMap<FastifyInstance['routing'], ServerState>()

/** What belongs to the server of this instance; undefined where the plugin is not registered. */
export function serverStateOf (instance: FastifyInstance): ServerState | undefined {
  return states.get(instance.routing)
}

export async function plugin (instance: FastifyInstance, given: DuplexOptions): Promise<void> {
  const scope: Scope = instance
  const outer = scope[kOptions]
  const options = scope[kOptions] = resolvePluginOptions(instance, outer, given)
  const state = serverStateOf(instance) ?? attach(instance, options)

  // Hooks and decorations reach down to child scopes: there they are already.
  if (outer !== undefined) return
  instance.decorate('websockets', { getter: () => state.registry } as never)
  instance.addHook('onRequest', checkUpgrade)
  instance.addHook('onRoute', function (this: FastifyInstance, route) {
    onRoute(this, route, state)
  })
}

function onRoute (scope: Scope, route: RouteOptions, state: ServerState): void {
  const endpoint = adoptRoute(scope, route, scope[kOptions]!, state.registry)
  if (endpoint === undefined) return

  const identity = routeIdentity(route)
  if (identity !== undefined) state.paths.set(identity, [...state.paths.get(identity) ?? [], route.url])

  const compilerFor = schemaCompilerOf(scope, route, endpoint)
  let scopeCompiler: SchemaCompiler | undefined
  // When the scope is loaded its own compiler is known, and Fastify's default not yet made.
  scope.after(() => { scopeCompiler = scope.validatorCompiler as SchemaCompiler | undefined })
  // A broken schema stops the start.
  scope.addHook('onReady', async () => endpoint.compile({ compiler: compilerFor(scopeCompiler) }))
}

/** Connects the application to its server, once. */
function attach (instance: FastifyInstance, { handshakeTimeoutMs }: ResolvedOptions): ServerState {
  const state: ServerState = { registry: new Registry(), paths: new Map() }
  states.set(instance.routing, state)
  const stopListening = listenForUpgrades(instance.server as Server, {
    route: instance.routing as unknown as Router,
    hasRoute: ({ url, headers }) => instance.findRoute({
      method: 'GET',
      url: url!.replace(/\?.*/s, ''),
      constraints: { host: headers.host, version: headers['accept-version'] } as never
    }) !== null,
    timeoutMs: handshakeTimeoutMs
  })

  instance.addHook('preClose', () => state.registry.drain())
  // Not before the server has closed: until then upgrade requests still come, and want their 503.
  instance.addHook('onClose', async () => stopListening())
  return state
}
