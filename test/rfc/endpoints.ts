/**
 * An endpoint of this package on a TCP connection, in the role of the server or of the client, and at the other end
 * nothing but bytes. The server is an application that listens; the client has shaken hands with a server by hand.
 */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'
import { connect, type Connected, type ConnectOptions, type Refused } from '../../lib/client/connect.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import { openWebSocket, type OpenOptions } from '../../lib/socket/open.ts'
import { Ticker } from '../../lib/socket/ticker.ts'
import type { WebSocket } from '../../lib/socket/websocket.ts'
import { Subprotocol } from '../../lib/subprotocol/subprotocol.ts'
import type { DuplexOptions } from '../../types/options.ts'
import { startApp } from '../helpers/app.ts'
import { framesTo, type WireFrame } from '../helpers/frames.ts'
import { LIMITS } from '../helpers/limits.ts'
import { Wire } from '../helpers/wire.ts'

export const ROLES: readonly Role[] = ['server', 'client']

/** Raw: messages are strings and octets. */
export type RawSocket = WebSocket<string, any, any>

export interface Endpoint {
  readonly role: Role
  readonly socket: RawSocket
  /** The other end of the TCP connection. */
  readonly wire: Wire
  /** Frames as the other end has to send them. */
  readonly peer: ReturnType<typeof framesTo>
  /** What the application was told, line by line: `text "hi"`, `ping "p"`, `error 1002`, `close 1000 "bye"`. */
  readonly told: string[]
}

/** What an endpoint of the client role is opened with, beside the usual. */
export interface ClientOptions {
  readonly limits?: OpenOptions['limits']
  readonly handshake?: Partial<ConnectOptions>
}

/** Listens for both roles, with these options of the plugin; what is returned opens one connection. */
export async function endpoints (t: Test, options: DuplexOptions = {}): Promise<(role: Role) => Promise<Endpoint>> {
  const opened: Array<Omit<Endpoint, 'wire' | 'peer' | 'role'>> = []
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { opened.push(listenTo(socket)) })
  }, options)
  const listener = await Listener.start(t)
  const limits = options.maxMessageBytes === undefined ? {} : { maxMessageBytes: options.maxMessageBytes }

  return async (role) => {
    if (role === 'client') return await openClient(listener, { limits: { ...LIMITS, ...limits } })
    const wire = await Wire.open(port)
    ;(wire.duplex as Socket).setNoDelay()
    while (opened.length === 0) await new Promise((resolve) => { setImmediate(resolve) })
    return { role, ...opened.pop()!, wire, peer: framesTo(role) }
  }
}

/** A server by hand, on a port of its own. */
export class Listener {
  readonly #server: Server
  readonly #accepted: Socket[] = []

  private constructor (server: Server) {
    this.#server = server
  }

  static async start (t: Test): Promise<Listener> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const listener = new Listener(server)
    t.teardown(() => {
      server.close()
      for (const socket of listener.#accepted) socket.destroy()
    })
    return listener
  }

  /** Both ends of a new connection. */
  async connect (): Promise<{ duplex: Socket, wire: Wire }> {
    const { port } = this.#server.address() as AddressInfo
    const duplex = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true })
    const [[accepted]] = await Promise.all([once(this.#server, 'connection') as Promise<[Socket]>, once(duplex, 'connect')])
    this.#accepted.push(accepted)
    for (const end of [duplex, accepted]) end.setNoDelay()
    return { duplex, wire: new Wire(accepted) }
  }
}

/** The client role, after a handshake. */
export async function openClient (listener: Listener, options: ClientOptions = {}): Promise<Endpoint> {
  const { duplex, wire } = await listener.connect()
  const answer = connect(duplex, { path: '/', headers: { host: 'localhost' }, ...options.handshake })
  wire.write(agreement(await requestHead(wire)))
  const connected = await accepted(answer)
  const open = openWebSocket(duplex, {
    role: 'client',
    subprotocol: new Subprotocol({ name: connected.subprotocol, what: 'a test', codec: undefined }),
    extensions: connected.extensions,
    deflate: undefined,
    url: 'ws://localhost/',
    limits: options.limits ?? LIMITS,
    ticker: new Ticker(),
    faults: { onFault () {}, onInvalidMessage () {}, onMessagesDiscarded () {}, onClosed () {} }
  })
  const listened = listenTo(open.socket)
  open.start(connected.head)
  return { role: 'client', ...listened, wire, peer: framesTo('client') }
}

/** Writes down what an application is told. */
export function listenTo (socket: RawSocket): { socket: RawSocket, told: string[] } {
  const told: string[] = []
  socket.on('message', (data, isBinary) => { told.push(`${isBinary ? 'binary' : 'text'} ${quoted(data)}`) })
  socket.on('ping', (payload) => { told.push(`ping ${quoted(payload)}`) })
  socket.on('pong', (payload) => { told.push(`pong ${quoted(payload)}`) })
  socket.on('error', (error) => { told.push(`error ${(error as { closeCode?: number }).closeCode}`) })
  socket.on('close', (code, reason) => { told.push(`close ${code} ${quoted(reason)}`) })
  return { socket, told }
}

function quoted (data: { toString (): string }): string {
  return JSON.stringify(data.toString())
}

/** The head of the request that came, taken from what was received. */
export async function requestHead (wire: Wire): Promise<string> {
  await wire.until(() => wire.received.includes('\r\n\r\n'), 'the head of a request')
  const length = wire.received.indexOf('\r\n\r\n') + 4
  const head = wire.received.toString('latin1', 0, length)
  wire.received = wire.received.subarray(length)
  return head
}

/** The values of a field, in order. */
export function fieldsOf (head: string, name: string): string[] {
  const prefix = `${name.toLowerCase()}:`
  return head.split('\r\n').filter((line) => line.toLowerCase().startsWith(prefix)).map((line) => line.slice(prefix.length).trim())
}

/** §4.2.2, 5.4, with nothing of `lib`. */
export function acceptOf (key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** A right answer to this request, and further fields. */
export function agreement (head: string, fields: readonly string[] = []): string {
  const accept = acceptOf(fieldsOf(head, 'Sec-WebSocket-Key')[0]!)
  return ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`, ...fields, '', ''].join('\r\n')
}

export async function accepted (answer: Promise<Connected | Refused>): Promise<Connected> {
  const result = await answer
  if (!result.accepted) throw new Error(`refused with ${result.statusCode}`)
  return result
}

/** All that was written to the endpoint so far has been handled: it has answered a ping. Returns the frames that came before. */
export async function settled (endpoint: Endpoint): Promise<WireFrame[]> {
  const { wire, peer, told } = endpoint
  wire.write(peer.ping('settled?'))
  const frames: WireFrame[] = []
  for (;;) {
    const [frame] = await wire.frames(1)
    if (frame!.opcode === 10 && frame!.payload.toString() === 'settled?') break
    frames.push(frame!)
  }
  told.splice(told.indexOf('ping "settled?"'), 1)
  return frames
}

/** Closes from the other end, and waits until the connection is gone. */
export async function closeCleanly ({ wire, peer, socket }: Endpoint): Promise<void> {
  wire.write(peer.close(1000))
  if (socket.readyState === socket.OPEN) await wire.frames(1)
  wire.end()
  await socket.closed
  await wire.untilClosed()
}

/** Sends octets that break a rule, and sees the connection fail: a Close with this code, the end of TCP, and no message from what was sent. */
export async function fails (t: Test, endpoint: Endpoint, octets: Uint8Array, code: number, what: string): Promise<void> {
  const { wire, socket, told, role } = endpoint
  const before = told.length
  wire.write(octets)
  await wire.untilEnd()
  const lines = await wire.linesUntilEnd()
  await wire.untilClosed()
  t.strictSame(await socket.closed, { code: 1006, reason: '', wasClean: false }, `${role}: ${what}`)
  t.match(lines.join(), new RegExp(`^close ${code} "[^"]*"$`), `${role}: ${what}`)
  t.strictSame(told.slice(before), [`error ${code}`, 'close 1006 ""'], `${role}: ${what}`)
}

/** The same for a table of them, each on a connection of its own, in both roles unless told. */
export async function allFail (
  t: Test,
  open: (role: Role) => Promise<Endpoint>,
  code: number,
  cases: (peer: Endpoint['peer'], role: Role) => Readonly<Record<string, Uint8Array | readonly Uint8Array[]>>,
  roles: readonly Role[] = ROLES
): Promise<void> {
  for (const role of roles) {
    for (const [what, octets] of Object.entries(cases(framesTo(role), role))) {
      await fails(t, await open(role), octets instanceof Uint8Array ? octets : Buffer.concat(octets), code, what)
    }
  }
}
