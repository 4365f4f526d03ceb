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
  if (duplex.timeout) duplex.setTimeout(0)
  duplex.setNoDelay(true)
}

/**
 * Whether nothing of a chunk is needed any more when `writableLength` is 0 right after `write`: the kernel has it.
 * So it is with a plain socket; a TLS socket still encrypts, and another stream may still hold the chunk.
 */
export function writesAtOnce (duplex: Duplex): boolean {
  return duplex instanceof Socket && !('encrypted' in duplex)
}

interface Handle {
  readonly writeQueueSize?: number
  /** Of a TLS socket, the network's. */
  readonly _parent?: Handle
}

/**
 * A number that changes with every octet of the writes under way that the kernel takes; undefined where that cannot be seen.
 * Nothing public tells: a stream knows of a write only when it is done, which for megabytes and a slow peer takes minutes.
 * It is what `setTimeout` of a socket looks at, but not at the network behind TLS, where a write is one piece however long.
 */
export function writeProgress (duplex: Duplex): number | undefined {
  const handle = (duplex as { _handle?: Handle | null })._handle
  return handle?.writeQueueSize === undefined ? undefined : handle.writeQueueSize + (handle._parent?.writeQueueSize ?? 0)
}
