/**
 * One open connection as the server sees it: it runs the route's handler, takes the faults, and writes the log.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { ErrorKind } from '../../types/options.ts'
import type { AnySocket } from '../../types/sockets.ts'
import type { Connection } from '../protocol/connection.ts'
import { CloseCode } from '../protocol/constants.ts'
import { closed, failed, opened } from '../socket/channels.ts'
import type { FaultSink } from '../socket/faults.ts'
import type { OpenConnection } from '../socket/open.ts'
import type { Receiver } from '../socket/receiver.ts'
import { closedOf, WebSocket } from '../socket/websocket.ts'
import type { InvalidMessage } from '../subprotocol/subprotocol.ts'
import { isThenable } from '../subprotocol/validator.ts'
import type { Endpoint } from './endpoint.ts'
import { FaultLines, type Level } from './fault-lines.ts'
import type { Place } from './places.ts'
import type { Listed } from './registry.ts'
import type { Counters } from './stats.ts'

/** What a peer has sent is not repeated beyond this; node:http makes a character of each octet. */
const SHOWN_OCTETS = 256

/** Reasons sent to the peer are fixed: they tell nothing of the inside. */
const INTERNAL_ERROR = 'internal error'
const INVALID_MESSAGE = 'invalid message'

const LEVELS: Readonly<Record<ErrorKind, Level>> = {
  handler: 'error', listener: 'error', message: 'info', protocol: 'info', limit: 'info', socket: 'debug'
}

export class Session implements FaultSink, Listed {
  connection!: Connection

  readonly #endpoint: Endpoint
  readonly #log: FastifyBaseLogger
  /** Kept only for those who asked to be called with it. */
  readonly #request: FastifyRequest | undefined
  readonly #openedAt = now()
  readonly #place: Place
  #socket!: AnySocket
  #logsRequest = true
  /** Made with the first fault. */
  #lines: FaultLines | undefined

  constructor (endpoint: Endpoint, request: FastifyRequest, place: Place) {
    const { onInvalidMessage, errorHandler } = endpoint.options
    this.#endpoint = endpoint
    this.#log = request.log
    this.#place = place
    this.#request = onInvalidMessage === undefined && errorHandler === undefined ? undefined : request
  }

  get counters (): Counters { return this.#endpoint.counters }
  get closed (): Promise<unknown> { return closedOf(this.#socket) }

  /** The connection is open: it is logged, listed, and handed to the handler; then `start` is called, and what comes is read. */
  begin (open: OpenConnection, request: FastifyRequest, start: () => void): void {
    const { socket, connection, receiver } = open
    this.#socket = socket
    this.connection = connection
    const { registry, counters, hooks } = this.#endpoint
    this.#logsRequest = this.#endpoint.logsRequests(request)
    if (this.#logsRequest) {
      // Once it is asked for, node:net keeps the address (110 B).
      const remoteAddress = isOff(this.#log.info) ? undefined : shown(request.ip)
      this.#log.info({ url: shown(request.url), remoteAddress, protocol: shown(socket.protocol), extensions: socket.extensions }, 'websocket open')
    }
    counters.opened++
    registry.add(socket, this)
    this.#run(() => this.#endpoint.conventions.onOpen(socket, request), (error) => this.onFault('handler', error, undefined))
    if (hooks.onOpen.length === 0) return this.#handle(receiver, request, start)
    this.#run(() => this.#runOpenHooks(request), (error) => {
      this.onFault('handler', error, undefined)
      // Whatever became of the error: what the hook had to prepare is not there.
      socket.close(CloseCode.InternalError, INTERNAL_ERROR)
    }, () => {
      if (socket.readyState === WebSocket.OPEN) this.#handle(receiver, request, start)
      else start()
    })
  }

  async #runOpenHooks (request: FastifyRequest): Promise<void> {
    for (const hook of this.#endpoint.hooks.onOpen) await hook.call(this.#endpoint.scope, this.#socket, request)
  }

  #handle (receiver: Receiver, request: FastifyRequest, start: () => void): void {
    const socket = this.#socket
    if (opened.hasSubscribers) opened.publish({ socket, request })
    this.#run(() => this.#endpoint.handler.call(this.#endpoint.scope, socket, request), (error) => this.onFault('handler', error, undefined), () => receiver.handlerSettled())
    start()
  }

  onFault (kind: ErrorKind, thrown: unknown, message: unknown): void {
    if ((kind === 'handler' || kind === 'listener') && this.#endedWithConnection(thrown)) return
    const { errorHandler } = this.#endpoint.options
    const error = describe(thrown, kind)
    if (failed.hasSubscribers) failed.publish({ socket: this.#socket, kind, error })
    if (errorHandler === undefined) return this.#onFaultByDefault(kind, error)
    this.#run(() => errorHandler(error as never, this.#socket, this.#request!, message), (failure) => {
      if (!this.#endedWithConnection(failure)) this.#onFaultByDefault('handler', describe(failure, 'handler'))
    })
  }

  onInvalidMessage ({ error, message }: InvalidMessage): void {
    const socket = this.#socket
    const { onInvalidMessage } = this.#endpoint.options
    this.#endpoint.counters.invalidMessages++
    if (onInvalidMessage === undefined) {
      socket.close(error.closeCode, INVALID_MESSAGE)
      this.onFault('message', error, message)
      return
    }
    this.#run(() => onInvalidMessage(error, socket, this.#request!, message), (failure) => this.onFault('handler', failure, message))
    // The callback decides about messages that do not fit. A peer whose messages cannot even be decoded speaks something else.
    if (error.closeCode !== CloseCode.PolicyViolation) socket.close(error.closeCode, INVALID_MESSAGE)
  }

  onMessagesDiscarded (count: number): void {
    this.#line('warn', { discarded: count }, 'messages that nobody takes were thrown away: add a message listener, iterate, or call next() in the handler')
  }

  onClosed (): void {
    const { connection } = this
    const socket = this.#socket
    const { registry, counters, hooks, conventions } = this.#endpoint
    registry.delete(socket)
    conventions.onClosed(socket)
    counters.onClosed(connection)
    this.#place.release()
    const { closeCode, closeReason } = connection
    if (closed.hasSubscribers) closed.publish({ socket, code: closeCode, reason: closeReason, wasClean: connection.wasClean })
    for (const hook of hooks.onClose) {
      this.#run(() => hook.call(this.#endpoint.scope, socket, closeCode, closeReason), (error) => this.onFault('handler', error, undefined))
    }
    if (!this.#logsRequest) return
    this.#log.info({
      code: connection.closeCode,
      reason: connection.closeReason,
      sentCode: connection.sentCloseCode,
      durationMs: now() - this.#openedAt,
      bytesReceived: connection.bytesReceived,
      bytesSent: connection.output.writtenBytes,
      messagesReceived: connection.messagesReceived,
      messagesSent: connection.messagesSent,
      ...this.#lines !== undefined && this.#lines.suppressed > 0 && { suppressedLines: this.#lines.suppressed }
    }, 'websocket closed')
  }

  /** Whether the application gave up because its connection has ended, which is no fault. */
  #endedWithConnection (thrown: unknown): boolean {
    if (!isClosedRejection(thrown) || this.#socket.readyState === WebSocket.OPEN) return false
    this.#line('debug', { err: thrown }, 'a websocket handler ended with its connection')
    return true
  }

  #onFaultByDefault (kind: ErrorKind, error: Error & { closeCode?: number }): void {
    // A slow peer that was dropped is worth more than a peer's mistake.
    const level = kind === 'limit' && error.closeCode === CloseCode.AbnormalClosure ? 'warn' : LEVELS[kind]
    this.#line(level, { err: error, kind }, `websocket ${kind} error`)
    const socket = this.#socket
    if ((kind === 'handler' || kind === 'listener') && socket.readyState === WebSocket.OPEN) this.#endpoint.conventions.endAfterFault(socket)
  }

  /** Calls into the application; what it throws or rejects with goes to `onFailure`. */
  #run (call: () => unknown, onFailure: (error: unknown) => void, onSettled: () => void = noop): void {
    let result: unknown
    try {
      result = call()
      // An object with a `then` of its own may throw as well.
      if (isThenable(result)) result = Promise.resolve(result)
    } catch (error) {
      onFailure(error)
      return onSettled()
    }
    if (!(result instanceof Promise)) return onSettled()
    result.then(onSettled, (error: unknown) => {
      onFailure(error)
      onSettled()
    })
  }

  #line (level: Level, fields: object, text: string): void {
    (this.#lines ??= new FaultLines(this.#log)).line(level, fields, text)
  }
}

/** Whole milliseconds: unlike others they lie in the object itself. */
function now (): number {
  return Math.round(performance.now())
}

/** Whether a level of a log is known to write nothing: pino, and Fastify without a logger, have a function of this name there. */
function isOff (log: { readonly name: string }): boolean {
  return log.name === 'noop'
}

/** Of text that a peer has sent, what a log line holds. An address may be its text as well, behind a proxy; over a unix socket there is none. */
export function shown (text: string | undefined): string | undefined {
  return text?.slice(0, SHOWN_OCTETS)
}

function noop (): void {}

/** What `next()`, `drained()` and whatever listens to `signal` reject with when the peer leaves: nobody's fault. */
function isClosedRejection (error: unknown): boolean {
  const code = codeOf(error)
  return code === 'FST_WS_ERR_CLOSED' || (code === 'ABORT_ERR' && codeOf((error as Error).cause) === 'FST_WS_ERR_CLOSED')
}

/** The code of an error; undefined for whatever has none, or does not let it be read. */
function codeOf (error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  try {
    const { code } = error as { code?: unknown }
    return typeof code === 'string' ? code : undefined
  } catch {
    return undefined
  }
}

/** The application's errors that were marked here, some of which it throws again and again. */
const marked = new WeakSet<Error>()

/** An error that says where it came from, and what the default closes with: what was thrown itself, or, if it cannot be marked, one that has it as its cause. */
function describe (thrown: unknown, kind: ErrorKind): Error & { kind: ErrorKind, closeCode: number } {
  const ours = kind !== 'handler' && kind !== 'listener'
  const closeCode = ours ? (thrown as { closeCode?: number }).closeCode ?? CloseCode.AbnormalClosure : CloseCode.InternalError
  const canBeMarked = thrown instanceof Error && (ours || marked.has(thrown) || (Object.isExtensible(thrown) && !('kind' in thrown) && !('closeCode' in thrown)))
  const error = canBeMarked ? thrown : new Error(thrown instanceof Error ? thrown.message : `a ${typeof thrown} was thrown`, { cause: thrown })
  if (!ours) marked.add(error)
  const code = canBeMarked ? undefined : codeOf(thrown)
  return Object.assign(error, { kind, closeCode }, code === undefined ? {} : { code })
}
