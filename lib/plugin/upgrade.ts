/**
 * The server's 'upgrade' event, brought into Fastify's router: the request gets a response on the same socket, and
 * routes, hooks, schemas and error handlers see it as any GET. Every way out of here is a 101 and an open connection,
 * a refusal that is written whole and then closes, or a destroyed socket.
 */
import { ServerResponse, STATUS_CODES, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { FST_WS_ERR_HANDSHAKE_TIMEOUT } from '../errors.ts'
import type { OpeningHandshake } from '../handshake/server-handshake.ts'
import type { Place } from './places.ts'

/** Where an upgrade is kept on its raw request. */
const kUpgrade = Symbol('fastify-duplex.upgrade')

/** How long a refused client may take to read its answer and close. */
const REFUSAL_LINGER_MS = 1_000

/** Fields that belong to the handshake or to one hop: what an application sets there never reaches the 101. */
const RESERVED_FIELDS: ReadonlySet<string> = new Set([
  'connection', 'upgrade', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'content-length'
])
const RESERVED_PREFIX = 'sec-websocket-'

/** `fastify.routing`. */
export type Router = (request: IncomingMessage, response: ServerResponse) => void

/** Opens the connection when the 101 has been written. */
export type Opener = (socket: Duplex, head: Buffer) => void

/** What is asked of the reply: whether somebody has answered, or taken the socket over. */
interface Answer {
  readonly sent: boolean
}

/** The upgrade that this raw request asks for; undefined if it is a plain request. */
export function upgradeOf (request: IncomingMessage): Upgrade | undefined {
  return (request as { [kUpgrade]?: Upgrade })[kUpgrade]
}

/** One request for WebSocket on its way through the application. */
export class Upgrade {
  /** Set by the check of the handshake. */
  handshake: OpeningHandshake | undefined
  /** It does not become a connection: it was refused, or the client has left. */
  isOver = false
  /** Among the connections; set when it has one. */
  place: Place | undefined
  /** Called when it does not become a connection: with the status of the refusal, or undefined if the client has left. */
  onRefused: (statusCode: number | undefined) => void = noop

  readonly #request: IncomingMessage
  readonly #socket: Duplex
  readonly #head: Buffer
  #response: UpgradeResponse | undefined
  #open: Opener | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (request: IncomingMessage, socket: Duplex, head: Buffer) {
    this.#request = request
    this.#socket = socket
    this.#head = head
    socket.on('end', this.#onGone)
    socket.on('close', this.#onGone)
    ;(request as { [kUpgrade]?: Upgrade })[kUpgrade] = this
  }

  /** Goes to the router. */
  start (route: Router): void {
    const request = this.#request
    const response = this.#response = new UpgradeResponse(request)
    // Whatever is answered but a 101 ends the connection: nothing after this request is parsed as HTTP.
    response.shouldKeepAlive = false
    response.assignSocket(this.#socket as never)
    response.on('finish', () => this.#onAnswered(response))
    // RFC 9110 §10.1.1: node:http answers it for plain requests only. §15.2: never to an HTTP/1.0 client.
    if (request.httpVersion === '1.1' && request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue()
    route(request, response)
  }

  /** A WebSocket route is found: from here on its hooks have so long, whoever says it again. What is answered already may take its time. */
  limit (timeoutMs: number, answer: Answer, onTimeout: (error: Error) => void): void {
    this.#timer ??= setTimeout(() => {
      if (this.#response!.headersSent || answer.sent) return
      const error = new FST_WS_ERR_HANDSHAKE_TIMEOUT(timeoutMs)
      onTimeout(error)
      this.#open = undefined
      refuse(this.#response!, error)
      // By it Fastify aborts `request.signal`: the hook that still runs can give up.
      this.#request.emit('close')
    }, timeoutMs)
  }

  /** Makes the answer a 101 with these fields, after which `open` is called. The reply itself is still to be sent. */
  accept (fields: Readonly<Record<string, string>>, open: Opener, onDropped: (names: string[]) => void): void {
    this.#response!.switchProtocols(fields, onDropped)
    this.#open = open
  }

  #onAnswered (response: UpgradeResponse): void {
    clearTimeout(this.#timer)
    const socket = this.#socket
    socket.removeListener('end', this.#onGone)
    socket.removeListener('close', this.#onGone)
    if (socket.destroyed) return this.#end(undefined)
    if (this.#open === undefined || !response.switched) {
      this.#end(response.statusCode)
      return linger(socket)
    }
    response.detachSocket(socket as never)
    const open = this.#open
    // The request may live as long as the connection: it shall not keep all this alive. `delete` would make a dictionary of it.
    ;(this.#request as { [kUpgrade]?: Upgrade | undefined })[kUpgrade] = undefined
    open(socket, this.#head)
    // Whoever has opened listens by now.
    socket.removeListener('error', ignoreError)
  }

  /** The client has left while hooks still ran: they see an aborted request. */
  readonly #onGone = (): void => {
    clearTimeout(this.#timer)
    this.#end(undefined)
    this.#request.destroy()
    this.#socket.destroy()
  }

  #end (statusCode: number | undefined): void {
    this.isOver = true
    this.place?.release()
    this.onRefused(statusCode)
  }
}

function noop (): void {}

/** Of a socket that asks for an upgrade, until there is a connection to hear of its errors. */
export function ignoreError (): void {}

/** Answers on the raw response: the reply belongs to the hook that still runs. */
function refuse (response: ServerResponse, { statusCode, code, message }: { statusCode?: number, code: string, message: string }): void {
  const body = JSON.stringify({ statusCode, code, error: STATUS_CODES[statusCode!], message })
  response.writeHead(statusCode!, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/** A response that may become the 101, whose own fields are put in when it is written, past all hooks. */
class UpgradeResponse extends ServerResponse {
  /** The 101 has been written. */
  switched = false
  #fields: Readonly<Record<string, string>> | undefined
  #onDropped: ((names: string[]) => void) | undefined

  switchProtocols (fields: Readonly<Record<string, string>>, onDropped: (names: string[]) => void): void {
    this.#fields = fields
    this.#onDropped = onDropped
  }

  override writeHead (status: number, ...rest: any[]): this {
    if (status !== 101 || this.#fields === undefined) return super.writeHead(status, ...rest)
    const given: OutgoingHttpHeaders = { ...this.getHeaders(), ...rest.at(-1) }
    for (const name of this.getHeaderNames()) this.removeHeader(name)
    const dropped = Object.keys(given).filter(isReserved)
    for (const name of dropped) delete given[name]
    if (dropped.length > 0) this.#onDropped!(dropped)
    super.writeHead(101, { ...given, ...this.#fields })
    this.switched = true
    return this
  }
}

function isReserved (name: string): boolean {
  const lowerCase = name.toLowerCase()
  return RESERVED_FIELDS.has(lowerCase) || lowerCase.startsWith(RESERVED_PREFIX)
}

/** Refuses on the socket itself, where there is no response yet. */
export function refuseSocket (socket: Duplex, statusCode: number): void {
  socket.write(`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  linger(socket)
}

/** Ends a refused connection: what still comes is thrown away, lest RST overtake the answer. */
function linger (socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
  socket.resume()
  socket.end()
}
