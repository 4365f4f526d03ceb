/**
 * `app.injectWebSocket`: a client on an in-memory connection to the server of an application. The request goes through
 * the real parser, router, hooks and handshake, and what comes back is the WebSocket of this package in the client role.
 *
 * Nothing here knows the plugin: what it needs of the other side is what the other side leaves on the connection.
 */
import type { Buffer } from 'node:buffer'
import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import type { InjectedSocket, InjectOptions } from '../../types/inject.ts'
import { connect, inLowerCase, type Connected, type Refused } from '../client/connect.ts'
import { FST_WS_ERR_INJECT_REFUSED, FST_WS_ERR_INJECT_TIMEOUT, FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_PROTOCOL, FST_WS_ERR_SOCKET } from '../errors.ts'
import { offerDeflate, readDeflateAnswer, type DeflateParams } from '../handshake/deflate-params.ts'
import { HandshakeError } from '../protocol/errors.ts'
import type { FaultSink } from '../socket/faults.ts'
import { openWebSocket, type OpenConnection, type OpenLimits } from '../socket/open.ts'
import { Ticker } from '../socket/ticker.ts'
import type { WebSocket } from '../socket/websocket.ts'
import { Subprotocol } from '../subprotocol/subprotocol.ts'
import { memoryPair, type MemoryDuplex } from '../transport/memory.ts'
import { clearTimeout, setImmediate, setTimeout } from '../transport/real-timers.ts'
import { fillParams, withQuery, type Params } from './path.ts'

/** What is used of a Fastify instance. */
export interface InjectApp {
  ready (): PromiseLike<unknown>
  readonly server: EventEmitter
}

/** Where to connect: a path as it is requested, or the path of a route as it is registered, for `params` to fill. */
export type InjectTarget = { readonly path: string } | { readonly pattern: string }

/** For both kinds of target; `params` is for patterns. */
export interface AnyInjectOptions extends InjectOptions {
  params?: Params
}

/** For a client of another kind that is made of this one. */
export interface InjectExtras {
  readonly limits?: Partial<OpenLimits>
  /** Gets the server's end of the connection before the server does. */
  readonly onConnection?: (serverEnd: Duplex) => void
}

/** The client; by path its messages have no type. */
export type InjectedClient = InjectedSocket<WebSocket<string, any, any>>

/** A refusal, as `app.inject` shows a response. */
export interface InjectResponse {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Parses the body. */
  json (): any
}

const DEFAULT_TIMEOUT_MS = 5_000
/** What setTimeout can count. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1
/** Enough to recognize an answer in the message of an error. */
const MAX_QUOTED_BODY = 200

/** A test wants to see what the server does, not the limits of a client. */
const LIMITS = {
  maxMessageBytes: 2 ** 29 - 1,
  queueBytes: 2 ** 26,
  whenFull: 'fail',
  highWaterMarkBytes: 65_536,
  maxUnsentBytes: 2 ** 30,
  heartbeat: false,
  messageTimeoutMs: 0
} as const

/** Takes whatever the server wants of permessage-deflate. */
const DEFLATE_WISHES = { contextTakeover: true }
/** What this end compresses with. */
const DEFLATE = { thresholdBytes: 1024, level: 1, memLevel: 5, maxConcurrentJobs: 4 } as const

/**
 * Connects a client.
 *
 * Rejects with FST_WS_ERR_INJECT_REFUSED (`statusCode`, `response`), FST_WS_ERR_INJECT_TIMEOUT, the signal's reason,
 * FST_WS_ERR_INVALID_OPTION, FST_WS_ERR_SOCKET when the server drops the connection, and FST_WS_ERR_PROTOCOL when its
 * handshake breaks a rule. The connection is gone then.
 */
export async function injectWebSocket (app: InjectApp, target: InjectTarget, options: AnyInjectOptions = {}, { limits, onConnection }: InjectExtras = {}): Promise<InjectedClient> {
  checkOptions(options)
  const path = pathOf(target, options)
  await app.ready()
  const [end, serverEnd] = memoryPair()
  serverEnd.remoteAddress = options.remoteAddress ?? serverEnd.remoteAddress
  onConnection?.(serverEnd)
  bringToServer(serverEnd, app.server)

  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const headers = { host: 'localhost', ...inLowerCase(options.headers ?? {}) }
  const late = (): string => `The server has not answered the handshake within ${timeoutMs} ms (readyState CONNECTING, ${end.bytesRead} bytes received)`
  const answer = await within(timeoutMs, options.signal, late, (signal) => shakeHands(end, {
    path, headers, subprotocols: options.subprotocols, extensions: options.deflate === true ? offerDeflate(DEFLATE_WISHES) : undefined, signal
  }))
  if (!answer.accepted) throw refusedError(answer)
  // The other side opens when its answer has left, which is after it has been read here.
  await new Promise((resolve) => { setImmediate(resolve) })

  const url = `${serverEnd.encrypted ? 'wss' : 'ws'}://${String(headers.host)}${path}`
  const opened = open(end, answer, url, { ...LIMITS, closeTimeoutMs: timeoutMs, autoPong: options.autoPong ?? true, ...limits })
  endWith(opened.socket, options.signal)
  // Whoever awaits the client has added listeners by then: they hear of everything.
  setImmediate(() => opened.start(answer.head))
  return asClient(opened, end, timeoutMs)
}

function pathOf (target: InjectTarget, { params, query = {} }: AnyInjectOptions): string {
  if ('pattern' in target) return withQuery(fillParams(target.pattern, params ?? {}), query)
  if (params !== undefined) throw new FST_WS_ERR_INVALID_OPTION('params', 'left out when a path is given instead of a route object')
  if (!target.path.startsWith('/')) throw new FST_WS_ERR_INVALID_OPTION('path', "a path that begins with '/'")
  return withQuery(target.path, query)
}

/** As if a network connection had been accepted. */
function bringToServer (end: MemoryDuplex, server: EventEmitter): void {
  end.server = server
  // Only servers of HTTP/2 have settings.
  const isHttp2 = 'updateSettings' in server
  if (!(server instanceof TlsServer)) {
    if (isHttp2) throw new FST_WS_ERR_INVALID_OPTION('http2', "used together with 'https' and 'allowHTTP1': injectWebSocket speaks HTTP/1.1, and this server does not")
    server.emit('connection', end)
    return
  }
  if (isHttp2 && !speaksHttp1(server)) {
    throw new FST_WS_ERR_INVALID_OPTION('https.allowHTTP1', 'true: injectWebSocket speaks HTTP/1.1, and this server speaks HTTP/2 only')
  }
  end.encrypted = true
  end.alpnProtocol = 'http/1.1'
  server.emit('secureConnection', end)
}

/** By what the server offers in the TLS handshake; if it cannot be seen, the answer will tell. */
function speaksHttp1 (server: TlsServer): boolean {
  const { ALPNProtocols } = server as { ALPNProtocols?: Buffer }
  return ALPNProtocols === undefined || ALPNProtocols.includes('http/1.1')
}

type Answer = Refused | (Connected & { readonly deflate: DeflateParams | undefined })

async function shakeHands (end: MemoryDuplex, options: Parameters<typeof connect>[1]): Promise<Answer> {
  try {
    const answer = await connect(end, options)
    return answer.accepted ? { ...answer, deflate: readDeflateAnswer(answer.extensions, DEFLATE_WISHES) } : answer
  } catch (error) {
    end.destroy()
    if (options.signal?.aborted === true || error instanceof TypeError) throw error
    if (error instanceof HandshakeError) throw Object.assign(new FST_WS_ERR_PROTOCOL(error.message), { cause: error })
    throw Object.assign(new FST_WS_ERR_SOCKET((error as Error).message), { cause: error })
  }
}

function refusedError (refused: Refused): Error {
  const { statusCode, headers } = refused
  const body = refused.body.toString()
  const response: InjectResponse = { statusCode, headers, body, json: () => JSON.parse(body) }
  const quoted = body.length > MAX_QUOTED_BODY ? `${body.slice(0, MAX_QUOTED_BODY)}…` : body
  return Object.assign(new FST_WS_ERR_INJECT_REFUSED(quoted === '' ? String(statusCode) : `${statusCode}: ${quoted}`), { statusCode, response })
}

function open (end: MemoryDuplex, answer: Exclude<Answer, Refused>, url: string, limits: OpenLimits): OpenConnection {
  const { agreement } = end.peer
  const subprotocol = agreement instanceof Subprotocol
    ? agreement.flipped()
    : new Subprotocol({ name: answer.subprotocol, what: 'a connection whose contract is unknown', codec: undefined })
  const faults: FaultSink = {
    onFault (kind, error) {
      // What a listener throws fails the test, as with any EventEmitter. The rest is seen at the socket.
      if (kind === 'listener' || kind === 'handler') process.nextTick(() => { throw error })
    },
    onInvalidMessage: ({ error }) => opened.socket.close(error.closeCode, 'invalid message'),
    onMessagesDiscarded: ignore,
    onClosed: ignore
  }
  const { extensions } = answer
  const deflate = answer.deflate === undefined ? undefined : { ...DEFLATE, ...answer.deflate }
  const opened: OpenConnection = openWebSocket(end, { role: 'client', subprotocol, extensions, deflate, url, limits, ticker: new Ticker(), faults })
  return opened
}

function endWith (socket: WebSocket<string, any, any>, signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  const terminate = (): void => socket.terminate()
  signal.addEventListener('abort', terminate, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', terminate))
}

/** The client as tests get it: with its end of the connection, and a `next` that does not wait for ever. */
function asClient ({ socket, connection }: OpenConnection, transport: Duplex, timeoutMs: number): InjectedClient {
  const client: InjectedClient = Object.assign(socket, { transport })
  const next = socket.next.bind(socket)
  const late = (): string => {
    const received = `${connection.messagesReceived} messages and ${connection.bytesReceived} bytes received`
    return `No message came within ${timeoutMs} ms (readyState ${stateName(socket)}, ${received})`
  }
  client.next = ({ signal } = {}) => within(timeoutMs, signal, late, (signal) => next({ signal }))
  return client
}

function stateName (socket: WebSocket): string {
  return ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'][socket.readyState]!
}

/** Gives a task a signal that aborts with `signal`, or when the time of the real clock is up. */
async function within<T> (timeoutMs: number, signal: AbortSignal | undefined, describe: () => string, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(new FST_WS_ERR_INJECT_TIMEOUT(describe())), timeoutMs)
  try {
    return await task(signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]))
  } finally {
    clearTimeout(timer)
  }
}

type Check = readonly [what: string, isRight: (value: any) => boolean]

const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

const CHECKS: { readonly [Name in keyof AnyInjectOptions]-?: Check } = {
  headers: ['an object of header fields', isRecord],
  query: ['an object', isRecord],
  params: ['an object', isRecord],
  subprotocols: ['an array of names', Array.isArray],
  remoteAddress: ['an address', (value) => typeof value === 'string'],
  signal: ['an AbortSignal', (value) => value instanceof AbortSignal],
  timeoutMs: [`a number of milliseconds from 1 to ${MAX_TIMEOUT_MS}`, (value) => value >= 1 && value <= MAX_TIMEOUT_MS],
  deflate: ['true or false', (value) => typeof value === 'boolean'],
  autoPong: ['true or false', (value) => typeof value === 'boolean']
}

function checkOptions (options: AnyInjectOptions): void {
  if (!isRecord(options)) throw new FST_WS_ERR_INVALID_OPTION('options', 'an object')
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof AnyInjectOptions] : undefined
    if (check === undefined) throw new FST_WS_ERR_INVALID_OPTION(name, `one of those of injectWebSocket: ${Object.keys(CHECKS).join(', ')}`)
    if (value !== undefined && !check[1](value)) throw new FST_WS_ERR_INVALID_OPTION(name, check[0])
  }
}

function ignore (): void {}
