/**
 * What every entry point does to an application: the plugin runs in a scope, and the application gets its test client.
 * The plugin knows no client, and the client no plugin; here they meet.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import type { DuplexOptions } from '../types/options.ts'
import { FST_WS_ERR_INJECT_ROUTE } from './errors.ts'
import type { Conventions } from './plugin/conventions.ts'
import { plugin, serverStateOf, type ServerState } from './plugin/plugin.ts'
import { routeIdentity } from './subprotocol/contract.ts'
import type { InjectTarget } from './testing/inject.ts'

/** Runs the plugin in the scope of this instance; see `plugin`. */
export async function enter (instance: FastifyInstance, options: DuplexOptions, conventions?: Conventions, server?: Parameters<typeof plugin>[3]): Promise<void> {
  await plugin(instance, options, conventions, server)
  decorate(instance)
}

// A test injects before the application is ready, which is when its plugins run.
subscribe('fastify.initialization', (message) => decorate((message as { fastify: FastifyInstance }).fastify))

function decorate (instance: FastifyInstance): void {
  if (!instance.hasDecorator('injectWebSocket')) instance.decorate('injectWebSocket', inject as FastifyInstance['injectWebSocket'])
}

/** The test client is loaded at its first call: a service in production never needs it. */
async function inject (this: FastifyInstance, target: string | object, options?: object): Promise<unknown> {
  const { injectWebSocket } = await import('./testing/inject.ts')
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
