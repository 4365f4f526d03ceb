/**
 * What is particular to net and TLS sockets that come out of an HTTP upgrade.
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Makes a socket fit for a connection that lives long and sends small frames: no delay (Nagle), and no timeout,
 * which the HTTP server's `setTimeout` would otherwise go on counting.
 */
export function prepareSocket (duplex: Duplex): void {
  if (!(duplex instanceof Socket)) return
  duplex.setTimeout(0)
  duplex.setNoDelay(true)
}

/**
 * Whether nothing of a chunk is needed any more when `writableLength` is 0 right after `write`: the kernel has it.
 * So it is with a plain socket; a TLS socket still encrypts, and another stream may still hold the chunk.
 */
export function writesAtOnce (duplex: Duplex): boolean {
  return duplex instanceof Socket && !('encrypted' in duplex)
}

/**
 * Octets of the writes under way that the kernel has not taken yet; undefined where that cannot be seen. A stream tells of a
 * write only when it is done, which for a megabyte and a slow peer may take a minute.
 */
export function queuedBytes (duplex: Duplex): number | undefined {
  return (duplex as { _handle?: { writeQueueSize?: number } | null })._handle?.writeQueueSize
}
