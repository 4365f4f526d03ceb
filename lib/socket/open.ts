/**
 * The one place where connection, transport and socket are wired together.
 */
import type { Duplex } from 'node:stream'
import { Connection, type ConnectionLimits } from '../protocol/connection.ts'
import type { Role } from '../protocol/constants.ts'
import type { DeflateSettings } from '../protocol/deflate.ts'
import type { Subprotocol } from '../subprotocol/subprotocol.ts'
import { Transport } from '../transport/transport.ts'
import type { FaultSink } from './faults.ts'
import { Receiver } from './receiver.ts'
import type { Ticker } from './ticker.ts'
import { Watch, type WatchLimits } from './watch.ts'
import { WebSocket, type SocketLimits } from './websocket.ts'

/** What is the same for all connections of a route. */
export interface OpenLimits extends ConnectionLimits, SocketLimits, WatchLimits {
  readonly closeTimeoutMs: number
}

export interface OpenOptions {
  readonly role: Role
  readonly subprotocol: Subprotocol
  readonly extensions: string
  /** What was agreed on of permessage-deflate; undefined if it was not. */
  readonly deflate: DeflateSettings | undefined
  readonly url: string
  readonly limits: OpenLimits
  readonly ticker: Ticker
  readonly faults: FaultSink
}

/** An open connection, as those see it who opened it. */
export interface OpenConnection {
  readonly socket: WebSocket<string, any, any>
  readonly connection: Connection
  readonly receiver: Receiver
  readonly watch: Watch
  /** Emits `open` and begins to read, with what had arrived behind the handshake; to be called on the tick after. */
  start (head: Buffer): void
}

/** Makes a WebSocket of a stream whose opening handshake is done. Nothing is read before `start`. */
export function openWebSocket (duplex: Duplex, options: OpenOptions): OpenConnection {
  const { role, subprotocol, deflate, limits, faults } = options
  const connection = new Connection({ role, textAs: subprotocol.textAs, deflate, limits })
  const receiver = new Receiver(connection, subprotocol, limits, faults)
  connection.handler = receiver
  const transport = new Transport(duplex, connection, limits, receiver)
  const watch = receiver.watch = new Watch(transport, limits, options.ticker, receiver)
  const socket = new WebSocket({ connection, transport, receiver, ...options })
  return {
    socket,
    connection,
    receiver,
    watch,
    start (head) {
      watch.start()
      receiver.opened()
      transport.start(head)
    }
  }
}
