/**
 * What is counted of each route: `app.websockets.stats()`.
 */
import type { RouteStats } from '../../types/fastify.ts'
import type { Connection } from '../protocol/connection.ts'
import type { AnySocket } from '../../types/sockets.ts'

/** The counters of one route: of what is over here, of what is open at the connection itself. */
export class Counters {
  opened = 0
  readonly refused: Record<string, number> = {}
  readonly closed: Record<string, number> = {}
  invalidMessages = 0
  messagesReceived = 0
  messagesSent = 0
  bytesReceived = 0
  bytesSent = 0

  /** `undefined` if the client has left. */
  onRefused (statusCode: number | undefined): void {
    if (statusCode === undefined) return
    this.refused[statusCode] = (this.refused[statusCode] ?? 0) + 1
  }

  onClosed (connection: Connection): void {
    this.closed[connection.closeCode] = (this.closed[connection.closeCode] ?? 0) + 1
    addTraffic(this, connection)
  }

  /** With what is open now. */
  with (open: Iterable<readonly [AnySocket, Connection]>): RouteStats {
    const stats = { ...this, refused: { ...this.refused }, closed: { ...this.closed }, open: 0, bufferedBytes: 0 }
    for (const [socket, connection] of open) {
      stats.open++
      stats.bufferedBytes += socket.bufferedAmount
      addTraffic(stats, connection)
    }
    return stats
  }
}

type Traffic = Pick<Counters, 'messagesReceived' | 'messagesSent' | 'bytesReceived' | 'bytesSent'>

function addTraffic (to: Traffic, { messagesReceived, messagesSent, bytesReceived, output }: Connection): void {
  to.messagesReceived += messagesReceived
  to.messagesSent += messagesSent
  to.bytesReceived += bytesReceived
  to.bytesSent += output.writtenBytes
}
