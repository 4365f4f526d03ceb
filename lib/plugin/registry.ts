/**
 * The open sockets of one server, in every scope: `app.websockets`.
 */
import type { OpenSockets } from '../../types/fastify.ts'
import type { AnySocket } from '../../types/sockets.ts'
import { CloseCode } from '../protocol/constants.ts'

export class Registry implements OpenSockets {
  readonly #sockets = new Set<AnySocket>()
  #closing = false

  get size (): number { return this.#sockets.size }

  [Symbol.iterator] (): IterableIterator<AnySocket> {
    return this.#sockets.values()
  }

  async closeAll (code: number = CloseCode.GoingAway, reason: string = ''): Promise<void> {
    const sockets = [...this.#sockets]
    for (const socket of sockets) socket.close(code, reason)
    await Promise.all(sockets.map((socket) => socket.closed))
  }

  /** Closes all, and whoever opens from now on; each has its close timeout. For the end of the server. */
  async drain (): Promise<void> {
    this.#closing = true
    await this.closeAll()
  }

  add (socket: AnySocket): void {
    this.#sockets.add(socket)
    // On the next tick: the handler still starts on an open socket.
    if (this.#closing) process.nextTick(() => socket.close(CloseCode.GoingAway))
  }

  delete (socket: AnySocket): void {
    this.#sockets.delete(socket)
  }
}
