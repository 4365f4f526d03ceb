/**
 * A WebSocket on a connection in memory, and the bytes at the other end: no server, no handshake, no plugin.
 */
import t from 'tap'
import AjvCompiler from '@fastify/ajv-compiler'
import type { DeflateSettings } from '../../lib/protocol/deflate.ts'
import type { FaultKind, FaultSink } from '../../lib/socket/faults.ts'
import { openWebSocket, type OpenConnection, type OpenLimits } from '../../lib/socket/open.ts'
import { Ticker } from '../../lib/socket/ticker.ts'
import type { WebSocket } from '../../lib/socket/websocket.ts'
import type { Contract } from '../../lib/subprotocol/contract.ts'
import { createSubprotocol, Subprotocol, type InvalidMessage } from '../../lib/subprotocol/subprotocol.ts'
import type { SchemaCompiler } from '../../lib/subprotocol/validator.ts'
import { memoryPair, type MemoryDuplex } from '../../lib/transport/memory.ts'
import { LIMITS } from './limits.ts'
import { Wire } from './wire.ts'

export interface SocketOptions {
  /** Raw without one. */
  readonly contract?: Contract
  readonly protocol?: string
  readonly validateSend?: boolean
  readonly role?: 'server' | 'client'
  readonly limits?: Partial<OpenLimits>
  /** As if permessage-deflate had been agreed on. */
  readonly deflate?: DeflateSettings
  /** In the place of closing, which is the default of a server. */
  readonly onInvalidMessage?: (invalid: InvalidMessage, socket: AnySocket) => void
  /** False: the test calls `start`. */
  readonly start?: boolean
}

type AnySocket = WebSocket<string, any, any>

export interface OpenedSocket extends OpenConnection {
  readonly socket: AnySocket
  readonly wire: Wire
  /** The end that the socket is on. */
  readonly near: MemoryDuplex
  readonly faults: Array<{ kind: FaultKind, error: any, message: unknown }>
  readonly invalid: InvalidMessage[]
  readonly discarded: number[]
  /** How often the connection has closed. */
  readonly closedCount: () => number
}

const compiler = AjvCompiler()({}, { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true } } as never) as unknown as SchemaCompiler

export function subprotocolOf ({ contract, protocol = '', validateSend = false }: SocketOptions): Subprotocol {
  if (contract === undefined) return new Subprotocol({ name: protocol, what: 'a test', codec: undefined })
  return createSubprotocol(protocol, contract, { method: 'GET', url: '/', compiler, validateSend })
}

/** What tests leave open must not keep the process waiting for close timers. */
const opened: MemoryDuplex[] = []
t.afterEach(() => { for (const duplex of opened.splice(0)) duplex.destroy() })

export function openSocket (options: SocketOptions = {}): OpenedSocket {
  const [near, far] = memoryPair()
  opened.push(near)
  const faults: OpenedSocket['faults'] = []
  const invalid: InvalidMessage[] = []
  const discarded: number[] = []
  let closed = 0
  const sink: FaultSink = {
    onFault: (kind, error, message) => { faults.push({ kind, error, message }) },
    onInvalidMessage (one) {
      invalid.push(one)
      if (options.onInvalidMessage === undefined) open.socket.close(one.error.closeCode, 'invalid message')
      else options.onInvalidMessage(one, open.socket)
    },
    onMessagesDiscarded: (count) => { discarded.push(count) },
    onClosed: () => { closed++ }
  }
  const open: OpenConnection = openWebSocket(near, {
    role: options.role ?? 'server',
    subprotocol: subprotocolOf(options),
    extensions: '',
    deflate: options.deflate,
    url: 'ws://localhost/chat',
    limits: { ...LIMITS, ...options.limits },
    ticker: new Ticker(),
    faults: sink
  })
  if (options.start !== false) process.nextTick(open.start, Buffer.alloc(0))
  return { ...open, near, wire: new Wire(far), faults, invalid, discarded, closedCount: () => closed }
}

/** As often as it takes for what was written to arrive, and for the answer to come back. */
export async function settle (turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => { setImmediate(resolve) })
}
