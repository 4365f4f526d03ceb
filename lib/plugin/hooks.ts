/**
 * The hooks of a connection's life, `app.addWebSocketHook`: inherited by the scopes below, as Fastify's own.
 */
import type { FastifyInstance } from 'fastify'
import type { WebSocketHooks } from '../../types/fastify.ts'
import { FST_WS_ERR_INVALID_OPTION } from '../errors.ts'

/** What runs for one route. */
export interface RouteHooks {
  readonly onOpen: ReadonlyArray<WebSocketHooks['onOpen']>
  readonly onClose: ReadonlyArray<WebSocketHooks['onClose']>
}

/** Socket and request; socket, code and reason. */
const PARAMETERS = { onOpen: 2, onClose: 3 } as const

const kHooks = Symbol('fastify-duplex.hooks')
type Scope = FastifyInstance & { [kHooks]?: { onOpen: Array<WebSocketHooks['onOpen']>, onClose: Array<WebSocketHooks['onClose']> } }

/** Throws FST_WS_ERR_INVALID_OPTION for a name that is no hook, or what is no function. */
export function addWebSocketHook (this: FastifyInstance, name: keyof WebSocketHooks, hook: (...args: any[]) => unknown): FastifyInstance {
  if (name !== 'onOpen' && name !== 'onClose') throw new FST_WS_ERR_INVALID_OPTION('name', "'onOpen' or 'onClose'")
  if (typeof hook !== 'function') throw new FST_WS_ERR_INVALID_OPTION(name, 'a function')
  if (hook.length > PARAMETERS[name]) throw new FST_WS_ERR_INVALID_OPTION(name, `a function with ${PARAMETERS[name]} parameters, which may be async: there is no callback`)
  const scope: Scope = this
  if (!Object.hasOwn(scope, kHooks)) inheritHooks(scope)
  scope[kHooks]![name].push(hook as never)
  return this
}

/** An `onRegister` hook: a scope has what the one above had when it was made. */
export function inheritHooks (scope: Scope): void {
  const { onOpen, onClose } = hooksOf(scope)
  scope[kHooks] = { onOpen: [...onOpen], onClose: [...onClose] }
}

/** The hooks of a scope, when it is loaded. */
export function hooksOf (scope: FastifyInstance): RouteHooks {
  return (scope as Scope)[kHooks] ?? { onOpen: [], onClose: [] }
}
