/**
 * The WebSocket that applications see: an EventEmitter with the interface of the WHATWG standard beside it, for the
 * server and the client role alike. Sending is here; what arrives is the business of the Receiver.
 */
import { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import { FST_WS_ERR_CLOSE_CODE, FST_WS_ERR_CLOSE_REASON, FST_WS_ERR_CONTROL_PAYLOAD, FST_WS_ERR_LIMIT } from '../errors.ts'
import { isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from '../protocol/close-payload.ts'
import { CloseCode, MAX_CONTROL_PAYLOAD, Opcode } from '../protocol/constants.ts'
import { State, type Connection } from '../protocol/connection.ts'
import type { SharedMessage } from '../protocol/shared-message.ts'
import { encodeRaw } from '../subprotocol/codec.ts'
import { Prepared } from '../subprotocol/prepared.ts'
import type { Subprotocol } from '../subprotocol/subprotocol.ts'
import type { Transport } from '../transport/transport.ts'
import { messageSent } from './channels.ts'
import type { CloseInfo } from './endings.ts'
import { EventTargetEmitter } from './event-target.ts'
import type { BinaryType, Receiver, ReceiverLimits } from './receiver.ts'
import { messageStream } from './stream.ts'
import { MessageIterator, nextMessage } from './takers.ts'
import { EXPIRED, timeOf } from './watch.ts'

/** How a message is sent; `binary` and `fin` are for raw routes. */
export interface SendOptions {
  /** Whether a negotiated permessage-deflate may compress it. */
  compress?: boolean | undefined
  /** As a binary message or as text, whatever the type of the data; text must be UTF-8. By default a string is text, all else binary. */
  binary?: boolean | undefined
  /** False: a fragment, which later sends continue (RFC 6455 §5.4). */
  fin?: boolean | undefined
}

/** What a ping or pong can carry; a number as its decimal text. */
export type ControlData = string | ArrayBuffer | ArrayBufferView | number

/** Called when the message has been handed to the operating system, or with an error when it is lost. */
export type SendCallback = (error?: Error) => void

/** The same for a ping or pong; of any error, so that callbacks typed for `ws` fit. */
export type ControlCallback = (error?: any) => void

/** `socket.data`: an empty interface to augment, as FastifyRequest is. */
export interface SocketData {}

/** What is the same for all connections of a route. */
export interface SocketLimits extends ReceiverLimits {
  /** Unsent bytes above which `send` returns false. */
  readonly highWaterMarkBytes: number
  /** Unsent bytes above which a further send terminates the connection. */
  readonly maxUnsentBytes: number
  /** What `close()` without a code sends; 1005 is a Close that has none. Default: 1000. */
  readonly closeCode?: number
}

export interface WebSocketParts {
  readonly connection: Connection
  readonly transport: Transport
  readonly receiver: Receiver
  readonly subprotocol: Subprotocol
  readonly extensions: string
  readonly url: string
  readonly limits: SocketLimits
}

/** What a broadcast does with a socket whose peer does not keep up. */
export type SlowPolicy = 'send' | 'skip' | 'close'

/** 1013: the peer has broken no rule, and may come back. */
const TOO_SLOW = { code: CloseCode.TryAgainLater, reason: 'too slow' } as const

const READY_STATE = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const

// What this package itself needs of sockets beyond their interface, which an application may have patched.

/** The subprotocol of a socket; undefined if it is not open. @internal */
export let openSubprotocolOf: (socket: WebSocket<string, unknown, never>) => Subprotocol | undefined
/** Sends a message, which is `given` encoded for this socket. Returns whether it went out. @internal */
export let broadcastTo: (socket: WebSocket<string, unknown, never>, message: SharedMessage, given: unknown, slow: SlowPolicy) => boolean
/** `closed`, whatever an application has put under that name. @internal */
export let closedOf: (socket: WebSocket<string, unknown, never>) => Promise<CloseInfo>

/**
 * One WebSocket connection.
 *
 * `Receive` and `Send` are the messages of its contract, `Protocol` the subprotocol that was agreed ('' if none);
 * `AnyReceive` is the union of what all contracts of the route receive, for listeners added before `protocol` is looked at;
 * `Heard` is what `message` listeners get, a Buffer on raw routes, where iteration gives a string for text.
 */
export class WebSocket<Protocol extends string = string, Receive = unknown, in Send = unknown, AnyReceive = Receive, Heard = Receive>
  extends EventTargetEmitter<Receive, AnyReceive> implements AsyncIterable<Receive>, AsyncDisposable {
  static readonly CONNECTING = READY_STATE.CONNECTING
  static readonly OPEN = READY_STATE.OPEN
  static readonly CLOSING = READY_STATE.CLOSING
  static readonly CLOSED = READY_STATE.CLOSED

  readonly #connection: Connection
  readonly #transport: Transport
  readonly #subprotocol: Subprotocol
  readonly #receiver: Receiver
  readonly #limits: SocketLimits
  readonly #extensions: string
  readonly #url: string
  #data: SocketData | undefined

  /** Made by `openWebSocket` alone. @internal */
  constructor (parts: WebSocketParts) {
    // A promise that a listener returns is looked after: its rejection comes to the method below.
    super({ captureRejections: true })
    this.#connection = parts.connection
    this.#transport = parts.transport
    this.#subprotocol = parts.subprotocol
    this.#limits = parts.limits
    this.#extensions = parts.extensions
    this.#url = parts.url
    this.#receiver = parts.receiver
    parts.receiver.emitter = this
  }

  get CONNECTING (): 0 { return READY_STATE.CONNECTING }
  get OPEN (): 1 { return READY_STATE.OPEN }
  get CLOSING (): 2 { return READY_STATE.CLOSING }
  get CLOSED (): 3 { return READY_STATE.CLOSED }

  /** `OPEN`, `CLOSING` as soon as either side has begun to close, `CLOSED` when the network connection has ended. */
  get readyState (): 0 | 1 | 2 | 3 {
    const { state } = this.#connection
    return state === State.Open ? READY_STATE.OPEN : state === State.Closed ? READY_STATE.CLOSED : READY_STATE.CLOSING
  }

  /** The agreed subprotocol, '' if there is none. */
  get protocol (): Protocol { return this.#subprotocol.name as Protocol }
  /** The agreed extensions as in `Sec-WebSocket-Extensions`, '' if there are none. */
  get extensions (): string { return this.#extensions }
  get url (): string { return this.#url }

  /** The stream below, where libraries look for an address or wait for its end. What is written there breaks the framing. @internal */
  get _socket (): Duplex { return this.#transport.duplex }

  /** Bytes of messages that wait to be handed to the operating system, framing not included; what is sent after the close counts for ever. */
  get bufferedAmount (): number { return this.#transport.unsentPayloadBytes + this.#connection.droppedBytes }

  /** Whether a `send` has returned false and `drain` has not come since. */
  get writableNeedDrain (): boolean { return this.#transport.wantsDrain }

  /** What binary messages of a raw route come as; 'fragments' is an array of one Buffer. */
  get binaryType (): BinaryType { return this.#receiver.binaryType }
  set binaryType (type: BinaryType) {
    if (type !== 'nodebuffer' && type !== 'arraybuffer' && type !== 'fragments') throw new TypeError("binaryType is 'nodebuffer', 'arraybuffer' or 'fragments'")
    this.#receiver.binaryType = type
  }

  /** Milliseconds from the last heartbeat's ping to its pong; NaN before the first. */
  get latencyMs (): number { return this.#receiver.watch!.latencyMs ?? NaN }

  /** A place for what belongs to the connection; made when first touched. */
  get data (): SocketData { return (this.#data ??= {} as SocketData) }
  set data (data: SocketData) { replace(this, 'data', data) }

  /** Resolves when the connection has closed; never rejects. */
  get closed (): Promise<CloseInfo> { return this.#receiver.endings.closed }

  /** Aborts when the connection is not open any more, with FST_WS_ERR_CLOSED as its reason. */
  get signal (): AbortSignal { return this.#receiver.endings.signal }

  // Sending

  /**
   * Sends a message, or one made by `prepare`. False above `highWaterMarkBytes` of unsent bytes: `drain` says when to go
   * on. Bytes are sent from where they lie: do not change them before the callback.
   *
   * After the close it returns false, the callback gets FST_WS_ERR_CLOSED, and nothing throws. Above `maxUnsentBytes` of
   * what was waiting before, the connection is terminated. Throws FST_WS_ERR_DATA_TYPE for what cannot be sent, and
   * FST_WS_ERR_INVALID_SEND with `validateSend`.
   */
  send (message: Send | Prepared<Send>, options?: SendOptions | SendCallback, callback?: SendCallback): boolean {
    if (typeof options === 'function') return this.#send(message, undefined, options)
    return this.#send(message, options, callback)
  }

  /** Sends text or binary past codec and schema. */
  sendRaw (data: string | ArrayBufferView): boolean {
    if (this.#connection.state === State.Open && !this.#mayBuffer()) return false
    return this.#sendData(data, undefined) ? this.#belowMark() : false
  }

  #send (message: unknown, options: SendOptions | undefined, given: SendCallback | undefined): boolean {
    const callback = typeof given === 'function' ? this.#guarded(given) : undefined
    if (this.#connection.state !== State.Open) return this.#sendAfterClose(message, options, callback)
    // Encoding calls into the application, which may have closed meanwhile.
    if (!this.#mayBuffer() || !this.#dispatch(message, options)) {
      if (callback !== undefined) process.nextTick(callback, this.#receiver.closedError())
      return false
    }
    if (callback !== undefined) this.#connection.addCallback(callback)
    if (messageSent.hasSubscribers) messageSent.publish({ socket: this, message })
    return this.#belowMark()
  }

  /** Whether it went out; false if the connection is not open. */
  #dispatch (message: unknown, options: SendOptions | undefined): boolean {
    // `instanceof` walks up the prototypes: not for what most messages are (14 ns of the 170 that an echo takes).
    const isData = typeof message === 'string' || ArrayBuffer.isView(message)
    if (!isData && message instanceof Prepared) return this.#connection.sendShared(message.encodedFor(this.#subprotocol), options?.compress)
    if (this.#subprotocol.raw) return this.#sendData(message, options)
    return this.#sendEncoded(this.#subprotocol.encode(message), options?.compress)
  }

  /** What a callback throws is the application's fault, and nobody else's. */
  #guarded (callback: SendCallback): SendCallback {
    return (error) => {
      try {
        callback(error)
      } catch (thrown) {
        this.#receiver.onListenerRejection(thrown, undefined)
      }
    }
  }

  #sendEncoded (encoded: string | Uint8Array, compress: boolean | undefined): boolean {
    return typeof encoded === 'string'
      ? this.#connection.sendText(encoded, true, compress)
      : this.#connection.sendBytes(encoded, Opcode.Binary, true, compress)
  }

  #sendData (data: unknown, options: SendOptions | undefined): boolean {
    const encoded = encodeRaw(data)
    const fin = options?.fin ?? true
    const binary = options?.binary ?? typeof encoded !== 'string'
    if (typeof encoded === 'string' && !binary) return this.#connection.sendText(encoded, fin, options?.compress)
    return this.#connection.sendBytes(asOctets(encoded), binary ? Opcode.Binary : Opcode.Text, fin, options?.compress)
  }

  #sendAfterClose (message: unknown, options: SendOptions | undefined, callback: SendCallback | undefined): false {
    try {
      // Counted in bufferedAmount, and dropped.
      this.#dispatch(message, options)
    } catch {
      // Nothing throws after the close.
    }
    if (callback !== undefined) process.nextTick(callback, this.#receiver.closedError())
    return false
  }

  static {
    openSubprotocolOf = (socket) => socket.#connection.state === State.Open ? socket.#subprotocol : undefined
    broadcastTo = (socket, message, given, slow) => socket.#broadcast(message, given, slow)
    closedOf = (socket) => socket.#receiver.endings.closed
    // On a socket of `ws` these names are free, and applications have used them.
    for (const name of ['closed', 'signal', 'latencyMs'] as const) letBeReplaced(WebSocket.prototype, name)
  }

  #broadcast (message: SharedMessage, given: unknown, slow: SlowPolicy): boolean {
    const connection = this.#connection
    // §5.4: it would become part of another message.
    if (connection.sendingFragments) return false
    if (slow !== 'send' && this.#isSlow) {
      if (slow === 'close') this.close(TOO_SLOW.code, TOO_SLOW.reason)
      return false
    }
    if (!this.#mayBuffer() || !connection.sendShared(message)) return false
    if (messageSent.hasSubscribers) messageSent.publish({ socket: this, message: given })
    this.#belowMark()
    return true
  }

  /** What waits for the end of this tick, or to be compressed, does not wait for the peer. */
  get #isSlow (): boolean {
    const { output } = this.#connection
    return output.blocked && output.unsentBytes > this.#limits.highWaterMarkBytes
  }

  /** Judged by what waited before this message, so that one of any size can go to an idle peer. */
  #mayBuffer (): boolean {
    const { maxUnsentBytes } = this.#limits
    if (this.#connection.unsentBytes <= maxUnsentBytes) return true
    this.#transport.terminate()
    this.#receiver.fault('limit', Object.assign(new FST_WS_ERR_LIMIT(`More than ${maxUnsentBytes} bytes wait for a peer that does not read them`), { closeCode: CloseCode.AbnormalClosure }))
    return false
  }

  #belowMark (): boolean {
    if (this.#connection.unsentBytes <= this.#limits.highWaterMarkBytes) return true
    this.#transport.wantsDrain = true
    return false
  }

  /** Resolves when `send` may go on: at once unless `writableNeedDrain`. Rejects with FST_WS_ERR_CLOSED when the connection is not open. */
  async drained (): Promise<void> {
    if (this.#connection.state !== State.Open || this.writableNeedDrain) await this.#receiver.endings.untilDrain()
  }

  // Closing

  /**
   * Starts the closing handshake; does nothing if it is under way. Without a code it is 1000. Throws FST_WS_ERR_CLOSE_CODE (a
   * TypeError) for a code that an endpoint may not send, and FST_WS_ERR_CLOSE_REASON (a RangeError) for a reason above 123 bytes.
   */
  close (code?: number, reason: string | Buffer = ''): void {
    const { closeCode = CloseCode.NormalClosure } = this.#limits
    if (code === undefined && closeCode === CloseCode.NoStatusReceived) return this.#connection.close(closeCode, '')
    const sent = code === undefined ? closeCode : code
    this.#connection.close(sent, this.#checkedReason(sent, reason))
  }

  #checkedReason (code: number, reason: string | Buffer): string {
    if (!isSendableCloseCode(code, this.#connection.role)) throw new FST_WS_ERR_CLOSE_CODE(typeof code === 'number' ? code : `${String(code)} (a ${typeof code})`)
    const text = String(reason)
    if (Buffer.byteLength(text) > MAX_CLOSE_REASON_BYTES) throw new FST_WS_ERR_CLOSE_REASON()
    return text
  }

  /**
   * Closes at this time, within a second: a Date, or milliseconds since 1970. A later call takes its place, null cancels.
   * Throws as `close`, and a RangeError for what is no time.
   */
  closeAt (when: Date | number | null, code: number = EXPIRED.code, reason: string = EXPIRED.reason): void {
    const at = when === null ? undefined : timeOf(when)
    if (at === undefined && when !== null) throw new RangeError('closeAt takes a Date, a number of milliseconds since 1970, or null')
    this.#receiver.watch!.closeAt(at, code, this.#checkedReason(code, reason))
  }

  /**
   * Drops the connection at once: 1006, for the peer too unless a Close has been sent. What was sent before is handed to the
   * operating system, but for what is still being compressed or waits for a write that is under way.
   */
  terminate (): void {
    try {
      this.#transport.flush()
    } finally {
      this.#transport.terminate()
    }
  }

  /** Closes with 1000 and waits for the end. */
  async [Symbol.asyncDispose] (): Promise<void> {
    this.close(CloseCode.NormalClosure)
    await closedOf(this)
  }

  // Control frames

  /**
   * Sends a ping with 125 bytes at most, else FST_WS_ERR_CONTROL_PAYLOAD is thrown; after the close the callback gets
   * FST_WS_ERR_CLOSED. The role decides about the mask, whatever is given.
   */
  ping (data?: ControlData | ControlCallback, mask?: boolean | ControlCallback, callback?: ControlCallback): void {
    this.#sendControl(Opcode.Ping, data, mask, callback)
  }

  /** Sends a pong that nobody asked for (RFC 6455 §5.5.3), as `ping`. Pings are answered without it. */
  pong (data?: ControlData | ControlCallback, mask?: boolean | ControlCallback, callback?: ControlCallback): void {
    this.#sendControl(Opcode.Pong, data, mask, callback)
  }

  #sendControl (opcode: typeof Opcode.Ping | typeof Opcode.Pong, ...given: [data?: ControlData | ControlCallback, mask?: boolean | ControlCallback, callback?: ControlCallback]): void {
    const [data] = given
    const callback = given.find((argument) => typeof argument === 'function')
    if (this.#connection.state === State.Open && this.#mayBuffer()) {
      const payload = controlPayload(typeof data === 'function' ? undefined : data)
      if (opcode === Opcode.Ping) this.#connection.ping(payload)
      else this.#connection.pong(payload)
      if (callback !== undefined) this.#connection.addCallback(this.#guarded(callback))
    } else if (callback !== undefined) {
      process.nextTick(this.#guarded(callback), this.#receiver.closedError())
    }
  }

  // Receiving

  /** Resolves with the next message. Rejects with FST_WS_ERR_CLOSED once the connection is not open and nothing waits. */
  next (options: { signal?: AbortSignal } = {}): Promise<Receive> {
    return nextMessage(this.#receiver, options.signal) as Promise<Receive>
  }

  /** Iterates until the connection has closed and all that had arrived is taken. `break` closes nothing. */
  [Symbol.asyncIterator] (): AsyncIterableIterator<Receive> {
    return new MessageIterator<Receive>(this.#receiver)
  }

  /** The connection as a Duplex: of messages on typed routes, of bytes on raw ones. */
  stream (): Duplex {
    return messageStream(this.#receiver, this as StreamableSocket, !this.#subprotocol.raw)
  }

  /** Whether `pause` holds back messages. */
  get isPaused (): boolean { return this.#receiver.isPaused }

  /** Stops delivering at once, and reading: no Close or pong is seen until `resume`. */
  pause (): void {
    this.#receiver.pause()
  }

  resume (): void {
    this.#receiver.resume()
  }

  // Listeners: those of `message` take messages, which one taker may do at a time.

  override on (event: 'message', listener: (message: Heard, isBinary: boolean) => unknown): this
  override on (event: 'message', listener: (message: AnyReceive, isBinary: boolean) => unknown): this
  override on (event: 'close', listener: (code: number, reason: Buffer) => unknown): this
  override on (event: 'open' | 'drain', listener: () => unknown): this
  override on (event: 'ping' | 'pong', listener: (payload: Buffer) => unknown): this
  override on (event: 'error', listener: (error: Error) => unknown): this
  override on<Other extends string | symbol> (event: Exclude<Other, KnownEvent>, listener: (...args: any[]) => unknown): this
  override on (event: KnownEvent, listener: () => unknown): this
  override on (event: string | symbol, listener: (...args: any[]) => unknown): this {
    if (event !== 'message') return super.on(event, listener)
    this.#receiver.assertFreeForListeners()
    super.on(event, listener)
    this.#receiver.listenerAdded()
    return this
  }

  override once (event: 'message', listener: (message: Heard, isBinary: boolean) => unknown): this
  override once (event: 'message', listener: (message: AnyReceive, isBinary: boolean) => unknown): this
  override once (event: 'close', listener: (code: number, reason: Buffer) => unknown): this
  override once (event: 'open' | 'drain', listener: () => unknown): this
  override once (event: 'ping' | 'pong', listener: (payload: Buffer) => unknown): this
  override once (event: 'error', listener: (error: Error) => unknown): this
  override once<Other extends string | symbol> (event: Exclude<Other, KnownEvent>, listener: (...args: any[]) => unknown): this
  override once (event: KnownEvent, listener: () => unknown): this
  override once (event: string | symbol, listener: (...args: any[]) => unknown): this {
    return super.once(event, listener)
  }

  override addListener (event: string | symbol, listener: (...args: any[]) => unknown): this {
    return this.on(event, listener)
  }

  override prependListener (event: string | symbol, listener: (...args: any[]) => unknown): this {
    if (event !== 'message') return super.prependListener(event, listener)
    this.#receiver.assertFreeForListeners()
    super.prependListener(event, listener)
    this.#receiver.listenerAdded()
    return this
  }

  protected get textIsOctets (): boolean { return this.#subprotocol.raw }
  protected get closedCleanly (): boolean { return this.#connection.wasClean }

  /** Where the emitter brings the rejections of listeners' promises. @internal */
  [Symbol.for('nodejs.rejection')] (error: unknown, event: string | symbol, ...args: unknown[]): void {
    this.#receiver.onListenerRejection(error, event === 'message' ? args[0] : undefined)
  }
}

/** What is declared above; the overload with `Other` is for events of the application's own. */
type KnownEvent = 'message' | 'close' | 'open' | 'drain' | 'ping' | 'pong' | 'error'

type StreamableSocket = Parameters<typeof messageStream>[1]

/** Setting this property gives the object one of its own. */
function letBeReplaced (prototype: object, name: string): void {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name)!
  Object.defineProperty(prototype, name, { get: get!, set (this: object, value: unknown) { replace(this, name, value) }, configurable: true })
}

function replace (object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}

function asOctets (data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : data
}

function controlPayload (data: ControlData | null | undefined): Uint8Array {
  const payload = asOctets(encodeRaw(data ?? ''))
  if (payload.length > MAX_CONTROL_PAYLOAD) throw new FST_WS_ERR_CONTROL_PAYLOAD()
  return payload
}
