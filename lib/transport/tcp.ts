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
 * Calls `onStall` once when no octet has moved for so long, in either direction, not even one of a write that is under
 * way; 0 milliseconds stop it. Returns whether that can be seen of this stream.
 */
export function watchForStall (duplex: Duplex, milliseconds: number, onStall: () => void): boolean {
  if (!(duplex instanceof Socket)) return false
  if ((duplex.timeout ?? 0) !== milliseconds) duplex.setTimeout(milliseconds, onStall)
  return true
}
