/**
 * What is given to `injectWS` beside header fields, from the client to the hooks of its request. It stands apart from the
 * client, which is loaded when it is first used.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** By the socket of the request. */
const contexts = new WeakMap<Duplex, object>()

export function keepContext (serverEnd: Duplex, context: object): void {
  contexts.set(serverEnd, context)
}

/** Puts it on the raw request, where hooks look for it. */
export function applyContext (request: IncomingMessage): void {
  const context = contexts.get(request.socket)
  if (context !== undefined) Object.assign(request, context)
}
