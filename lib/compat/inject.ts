/**
 * `app.injectWS`: the client of @fastify/websocket's tests, on that of `injectWebSocket`. It is there before the
 * handshake, so that listeners can be added, and it loses no message while it has none.
 */
import { Buffer } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { InjectWSOption, WebSocket as WsSocket } from '../../types/compat.ts'
import { FST_WS_ERR_CONNECTING } from '../errors.ts'
import { CloseCode } from '../protocol/constants.ts'
import { EventTargetEmitter } from '../socket/event-target.ts'
import type { BinaryType } from '../socket/receiver.ts'
import { WebSocket, type ControlCallback, type ControlData, type SendCallback, type SendOptions } from '../socket/websocket.ts'
import { injectWebSocket, type InjectApp } from '../testing/inject.ts'
import { useWsCode } from './error-codes.ts'
import { keepContext } from './injected-context.ts'

/** Of the handshake; they are the client's own, whatever is given. */
const OWN_FIELDS = new Set(['connection', 'upgrade', 'sec-websocket-version', 'sec-websocket-key'])
/** Longer than the server waits for its hooks. */
const TIMEOUT_MS = 30_000

type Context = Partial<IncomingMessage>

/** Connects a client; see `FastifyInstance.injectWS`. */
export async function injectWS (app: InjectApp, path: string, context: Context, { onInit, onOpen }: InjectWSOption): Promise<WsSocket> {
  const { headers = {}, method, url, httpVersion, ...rest } = context
  const client = new InjectedClient()
  onInit?.(client)
  try {
    client.attach(await injectWebSocket(app, { path }, { headers: withoutOwnFields(headers), timeoutMs: TIMEOUT_MS, signal: client.aborted }, {
      // As ws, which sends a Close without a code.
      limits: { closeCode: CloseCode.NoStatusReceived },
      onConnection: (serverEnd) => keepContext(serverEnd, rest)
    }))
  } catch (error) {
    client.fail(error as Error)
    throw refusal(error)
  }
  onOpen?.(client)
  return client
}

function withoutOwnFields (headers: Context['headers'] & {}): Record<string, string | string[]> {
  const given = Object.entries(headers).filter(([name, value]) => value !== undefined && !OWN_FIELDS.has(name.toLowerCase()))
  return Object.fromEntries(given) as Record<string, string | string[]>
}

/** A refusal with the text by which tests know it; other errors as they are. */
function refusal (error: unknown): unknown {
  const { code, statusCode, response } = error as { code?: string, statusCode?: number, response?: unknown }
  if (code !== 'FST_WS_ERR_INJECT_REFUSED') return error
  return Object.assign(new Error(`Unexpected server response: ${statusCode}`, { cause: error }), { code, statusCode, response })
}

/** Stands for a socket that is not there yet; when it is, hands on what is asked of it and what it tells. */
class InjectedClient extends EventTargetEmitter<string | Buffer, string | Buffer> implements WsSocket {
  #socket: WebSocket<string, any, any> | undefined
  #failed = false
  #wasClean = false
  #binaryType: BinaryType = 'nodebuffer'
  readonly #connecting = new AbortController()

  constructor () {
    super()
    // What nobody listens for waits in the socket.
    this.on('newListener', (event) => { if (event === 'message' && this.listenerCount('message') === 0) this.#socket?.on('message', this.#onMessage) })
    this.on('removeListener', (event) => { if (event === 'message' && this.listenerCount('message') === 0) this.#socket?.off('message', this.#onMessage) })
  }

  /** Aborts when the client is closed before it is open. */
  get aborted (): AbortSignal { return this.#connecting.signal }

  attach (socket: WebSocket<string, any, any>): void {
    this.#socket = socket
    socket.binaryType = this.#binaryType
    for (const event of ['ping', 'pong', 'drain']) socket.on(event as 'ping', (...args) => this.emit(event, ...args))
    socket.on('error', (error) => {
      useWsCode(error)
      if (this.listenerCount('error') > 0) this.emit('error', error)
    })
    socket.addEventListener('close', ({ code, reason, wasClean }) => {
      this.#wasClean = wasClean
      const tell = (): void => { this.emit('close', code, Buffer.from(reason)) }
      // A stream of ws that is made of the client looks whether the stream below has finished.
      if (socket._socket.closed) tell()
      else socket._socket.once('close', tell)
    })
    if (this.listenerCount('message') > 0) socket.on('message', this.#onMessage)
    this.emit('open')
  }

  /** The handshake was refused, or given up. */
  fail (error: Error): void {
    this.#failed = true
    if (!this.aborted.aborted) return
    if (this.listenerCount('error') > 0) this.emit('error', error)
    this.emit('close', CloseCode.AbnormalClosure, Buffer.alloc(0))
  }

  readonly #onMessage = (data: Buffer, isBinary: boolean): void => { this.emit('message', data, isBinary) }

  get CONNECTING (): 0 { return WebSocket.CONNECTING }
  get OPEN (): 1 { return WebSocket.OPEN }
  get CLOSING (): 2 { return WebSocket.CLOSING }
  get CLOSED (): 3 { return WebSocket.CLOSED }

  get readyState (): 0 | 1 | 2 | 3 {
    return this.#failed ? WebSocket.CLOSED : this.#socket?.readyState ?? (this.aborted.aborted ? WebSocket.CLOSING : WebSocket.CONNECTING)
  }

  get protocol (): string { return this.#socket?.protocol ?? '' }
  get extensions (): string { return this.#socket?.extensions ?? '' }
  get url (): string { return this.#socket?.url ?? '' }
  get bufferedAmount (): number { return this.#socket?.bufferedAmount ?? 0 }
  get isPaused (): boolean { return this.#socket?.isPaused ?? false }
  get _socket (): Duplex | null { return this.#socket?._socket ?? null }

  get binaryType (): BinaryType { return this.#binaryType }
  set binaryType (type: BinaryType) {
    this.#binaryType = type
    if (this.#socket !== undefined) this.#socket.binaryType = type
  }

  send (data: unknown, options?: SendOptions | SendCallback, callback?: SendCallback): boolean {
    return this.#opened.send(data as string, options, callback)
  }

  ping (data?: ControlData | ControlCallback, mask?: boolean | ControlCallback, callback?: ControlCallback): void {
    this.#opened.ping(data, mask, callback)
  }

  pong (data?: ControlData | ControlCallback, mask?: boolean | ControlCallback, callback?: ControlCallback): void {
    this.#opened.pong(data, mask, callback)
  }

  close (code?: number, reason?: string | Buffer): void {
    if (this.#socket === undefined) this.#giveUp()
    else this.#socket.close(code, reason)
  }

  terminate (): void {
    if (this.#socket === undefined) this.#giveUp()
    else this.#socket.terminate()
  }

  pause (): void { this.#socket?.pause() }
  resume (): void { this.#socket?.resume() }

  get #opened (): WebSocket<string, any, any> {
    if (this.#socket === undefined) throw new FST_WS_ERR_CONNECTING()
    return this.#socket
  }

  #giveUp (): void {
    this.#connecting.abort(new Error('WebSocket was closed before the connection was established'))
  }

  protected get textIsOctets (): boolean { return true }
  protected get closedCleanly (): boolean { return this.#wasClean }
}
