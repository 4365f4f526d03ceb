/**
 * The event `headers` of `ws`: the head of the 101 as lines, to which applications add their own.
 */
import type { FastifyReply } from 'fastify'

const SPELLED: ReadonlyMap<string, string> = new Map([
  ['upgrade', 'Upgrade'],
  ['connection', 'Connection'],
  ['sec-websocket-accept', 'Sec-WebSocket-Accept'],
  ['sec-websocket-protocol', 'Sec-WebSocket-Protocol'],
  ['sec-websocket-extensions', 'Sec-WebSocket-Extensions']
])

/** The lines of a 101 with these fields. */
export function headerLines (fields: Readonly<Record<string, string>>): string[] {
  return ['HTTP/1.1 101 Switching Protocols', ...Object.entries(fields).map(([name, value]) => `${SPELLED.get(name) ?? name}: ${value}`)]
}

/** Puts lines that an application has added on the reply; what is no field is left out. */
export function addHeaderLines (reply: FastifyReply, lines: readonly string[]): void {
  const values = new Map<string, string[]>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    values.set(name, [...values.get(name) ?? [], line.slice(colon + 1).trim()])
  }
  // Set-Cookie is one field a line (RFC 6265 §3); Fastify adds it to those that are there.
  for (const [name, [first, ...more]] of values) reply.header(name, more.length === 0 ? first : [first!, ...more])
}
