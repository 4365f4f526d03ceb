/**
 * The client of this package over TCP: the handshake of `lib/client`, and the WebSocket of the client role.
 */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect, type ConnectOptions } from '../../lib/client/connect.ts'
import { offerDeflate, readDeflateAnswer } from '../../lib/handshake/deflate-params.ts'
import { openWebSocket, type OpenLimits } from '../../lib/socket/open.ts'
import { Ticker } from '../../lib/socket/ticker.ts'
import type { WebSocket } from '../../lib/socket/websocket.ts'
import { Subprotocol } from '../../lib/subprotocol/subprotocol.ts'
import { LIMITS as USUAL_LIMITS } from './limits.ts'

export interface ClientOptions extends Partial<Omit<ConnectOptions, 'extensions'>> {
  readonly limits?: Partial<OpenLimits>
  readonly deflate?: boolean
}

export interface TcpClient {
  /** Raw: messages are strings and octets. */
  readonly socket: WebSocket<string, any, any>
  /** What it is on. */
  readonly duplex: Socket
}

const LIMITS: OpenLimits = { ...USUAL_LIMITS, maxMessageBytes: 16 * 1024 * 1024, maxUnsentBytes: 32 * 1024 * 1024 }
const WISHES = { contextTakeover: false }
const DEFLATE = { thresholdBytes: 1024, level: 1, memLevel: 5, maxConcurrentJobs: 4 }

/** Connects and shakes hands. Rejects as `connect`, and when the server refuses. */
export async function openTcpClient (port: number, options: ClientOptions = {}): Promise<TcpClient> {
  const duplex = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  await once(duplex, 'connect')
  const { limits, deflate, ...handshake } = options
  const answer = await connect(duplex, {
    path: '/', headers: { host: 'localhost' }, ...handshake, extensions: deflate === true ? offerDeflate(WISHES) : undefined
  })
  if (!answer.accepted) throw Object.assign(new Error(`refused with ${answer.statusCode}`), { statusCode: answer.statusCode })
  const agreed = readDeflateAnswer(answer.extensions, WISHES)
  const open = openWebSocket(duplex, {
    role: 'client',
    subprotocol: new Subprotocol({ name: answer.subprotocol, what: 'a test', codec: undefined }),
    extensions: answer.extensions,
    deflate: agreed === undefined ? undefined : { ...DEFLATE, ...agreed },
    url: 'ws://localhost/',
    limits: { ...LIMITS, ...limits },
    ticker: new Ticker(),
    faults: { onFault () {}, onInvalidMessage () {}, onMessagesDiscarded () {}, onClosed () {} }
  })
  // When whoever asked for it has added listeners.
  setImmediate(() => open.start(answer.head))
  return { socket: open.socket, duplex }
}
