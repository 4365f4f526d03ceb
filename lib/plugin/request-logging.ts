/**
 * Whether a connection has its lines in the log, at open and at close: as Fastify decides about its own lines for a request.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Whether the lines are wanted of a connection that began with this request. */
export type LogsRequests = (request: FastifyRequest) => boolean

/** Of Fastify's `LogController`, which an application may have given it. */
interface LogController {
  isLogDisabled? (request: FastifyRequest): boolean
}

/** For all scopes of an application. */
export function requestLogging (instance: FastifyInstance): LogsRequests {
  const controller = logControllerOf(instance)
  if (typeof controller?.isLogDisabled === 'function') return (request) => !controller.isLogDisabled!(request)
  // Before Fastify 5.10, which had the option alone.
  const disabled: unknown = instance.initialConfig.disableRequestLogging
  return typeof disabled === 'function' ? (request) => disabled(request) !== true : () => disabled !== true
}

/** Fastify keeps it under a symbol that it does not export, on the root instance. */
function logControllerOf (instance: FastifyInstance): LogController | undefined {
  for (let at: object | null = instance; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const symbol = Object.getOwnPropertySymbols(at).find(({ description }) => description === 'fastify.logController')
    if (symbol !== undefined) return (at as Record<symbol, LogController>)[symbol]
  }
  return undefined
}
