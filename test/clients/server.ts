/**
 * The server that all clients meet, and what it has seen of them.
 */
import type { Buffer } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import { raw, type CloseInfo, type RawSocket } from '../../index.ts'
import { startApp } from '../helpers/app.ts'

const MIB = 1024 * 1024

export interface Message {
  readonly data: Buffer
  readonly isBinary: boolean
  /** How many octets it was on the wire, with the headers of all its frames. It holds for clients that wait for the echo. */
  readonly octets: number
}

/** A connection as the server has seen it. */
export interface Seen {
  readonly protocol: string
  readonly extensions: string
  readonly messages: readonly Message[]
  readonly pings: readonly string[]
  readonly pongs: readonly string[]
  readonly closed: Promise<CloseInfo>
  /** Octets since the handshake, in both directions; to be read when it has closed. */
  traffic (): { up: number, down: number }
}

export interface Server {
  /** `ws://127.0.0.1:port`. */
  readonly url: string
  /** The connections by path. */
  readonly seen: ReadonlyMap<string, Seen>
  /** How many handshakes were refused with 403. */
  refused (): number | undefined
}

/** Starts it on a free port, for as long as the test takes. */
export async function startServer (t: Test): Promise<Server> {
  const seen = new Map<string, Seen>()

  const echo = (socket: RawSocket, request: FastifyRequest): void => {
    watch(seen, socket, request)
    socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
  }
  const { app, url } = await startApp(t, (app: FastifyInstance) => {
    app.get('/echo', { websocket: true }, echo)
    app.get('/fragments', { websocket: true }, echo)
    app.get('/deflate', { websocket: true, websocketOptions: { deflate: true } }, echo)
    app.get('/takeover', { websocket: true, websocketOptions: { deflate: { contextTakeover: true, serverMaxWindowBits: 15, thresholdBytes: 0 } } }, echo)
    app.get('/pings', { websocket: true }, (socket, request) => {
      watch(seen, socket, request)
      socket.on('pong', (payload) => { socket.send(`ponged: ${payload}`) })
      socket.ping('from the server')
    })
    app.get('/subprotocols', { websocket: true, subprotocols: { 'chat.v1': raw(), 'chat.v2': raw() } }, (socket, request) => {
      watch(seen, socket, request)
    })
    app.get('/closes', { websocket: true }, (socket, request) => {
      watch(seen, socket, request)
      socket.close(4001, 'bye')
    })
    app.get('/refuses', {
      websocket: true,
      onRequest: async (_request, reply) => await reply.code(403).send({ message: 'not you' })
    }, () => { t.fail('a handshake that was refused has a connection') })
  }, { maxMessageBytes: 8 * MIB })
  return { url, seen, refused: () => app.websockets.stats()['/refuses']?.refused[403] }
}

function watch (all: Map<string, Seen>, socket: RawSocket, request: FastifyRequest): void {
  const tcp = request.raw.socket
  const start = { up: tcp.bytesRead, down: tcp.bytesWritten }
  const messages: Message[] = []
  const pings: string[] = []
  const pongs: string[] = []
  let before = start.up
  socket.on('message', (data, isBinary) => {
    messages.push({ data, isBinary, octets: tcp.bytesRead - before })
    before = tcp.bytesRead
  })
  socket.on('ping', (payload) => { pings.push(String(payload)) })
  socket.on('pong', (payload) => { pongs.push(String(payload)) })
  all.set(request.url, {
    protocol: socket.protocol,
    extensions: socket.extensions,
    messages,
    pings,
    pongs,
    closed: socket.closed,
    traffic: () => ({ up: tcp.bytesRead - start.up, down: tcp.bytesWritten - start.down })
  })
}
