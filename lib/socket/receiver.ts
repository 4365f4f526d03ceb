/**
 * What a WebSocket hears: what the connection and its transport tell becomes messages for whoever takes them, events, and
 * the promises of those who wait.
 *
 * Messages are decoded and validated when they are handed over, in order. Until somebody takes them they wait in
 * a bounded queue; only when it is full does reading pause. There is one taker at a time: `message` listeners, an
 * iteration, calls of `next`, or a stream.
 */
import type { EventEmitter } from 'node:events'
import { FST_WS_ERR_LIMIT, FST_WS_ERR_PROTOCOL, FST_WS_ERR_SOCKET, FST_WS_ERR_TAKEN } from '../errors.ts'
import { CloseCode } from '../protocol/constants.ts'
import { State, type Connection, type ConnectionHandler } from '../protocol/connection.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { InvalidMessage, type Subprotocol } from '../subprotocol/subprotocol.ts'
import type { TransportHandler } from '../transport/transport.ts'
import { messageReceived } from './channels.ts'
import { closedErrorOf, Endings } from './endings.ts'
import type { FaultSink } from './faults.ts'
import { MessageQueue } from './message-queue.ts'
import type { Watch, WatchSink } from './watch.ts'

export type BinaryType = 'nodebuffer' | 'arraybuffer' | 'fragments'

/** Who takes messages, other than `message` listeners; named as in errors. */
export type Taker = 'an iteration' | 'next()' | 'a stream'

export interface ReceiverLimits {
  /** Bytes of waiting messages at which the queue is full; one message fits always. */
  readonly queueBytes: number
  /** What a full queue does: `pause` stops reading until it is half empty, `fail` fails the connection. */
  readonly whenFull: 'pause' | 'fail'
}

/** What a taker gets when no message will come any more. */
export const END = Symbol('end of messages')

export interface Waiter {
  /** Whether it ends as soon as the connection is not open; else only when it has closed. */
  readonly endsWhenClosing: boolean
  /** Whether it takes the messages of a raw connection as octets, text and binary alike. */
  readonly asOctets?: boolean
  /** Gets a message, or END. */
  settle (message: unknown): void
}

/** The waiters of all connections that never had one; it stays empty. */
const NOBODY: Waiter[] = []

export class Receiver implements ConnectionHandler, TransportHandler, WatchSink {
  /** The socket, set by it; what happens is emitted there. */
  emitter!: EventEmitter
  binaryType: BinaryType = 'nodebuffer'
  /** Hears of pongs; set by whoever wires the connection. */
  watch: Watch | undefined

  readonly #connection: Connection
  readonly #subprotocol: Subprotocol
  readonly #limits: ReceiverLimits
  readonly #faults: FaultSink

  #taker: Taker | undefined
  #waiters = NOBODY
  #handingOut = false
  /** Messages were taken by `next`, which holds no place between its calls. */
  #takenByNext = false
  #queue: MessageQueue | undefined
  /** Paused by the application. */
  #paused = false
  /** The handler has settled: a queue that nobody takes from by now may be thrown away. */
  #handlerSettled = false
  #discarded = false

  #endings: Endings | undefined

  constructor (connection: Connection, subprotocol: Subprotocol, limits: ReceiverLimits, faults: FaultSink) {
    this.#connection = connection
    this.#subprotocol = subprotocol
    this.#limits = limits
    this.#faults = faults
  }

  get isPaused (): boolean { return this.#paused }

  /** Those who wait for what becomes of the connection. */
  get endings (): Endings { return (this.#endings ??= new Endings(this.#connection)) }

  closedError (): Error { return closedErrorOf(this.#connection) }

  /** To be called before the first byte is read. */
  opened (): void {
    if (this.#connection.state === State.Open) this.#emit('open')
  }

  handlerSettled (): void {
    this.#handlerSettled = true
    // What the handler took is taken; from now on only calls that wait, or come, say that somebody goes on taking.
    this.#takenByNext = this.#waiters.length > 0
    this.#discardIfAbandoned()
  }

  pause (): void {
    if (this.#connection.state !== State.Open) return
    this.#paused = true
    this.#connection.pause()
  }

  resume (): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#isFull()) this.#connection.resume()
    this.#handOutLater()
  }

  // Takers

  /** Throws if messages go elsewhere; to be called before a `message` listener is added. */
  assertFreeForListeners (): void {
    if (this.#taker !== undefined) throw new FST_WS_ERR_TAKEN(this.#taker)
  }

  /** A `message` listener was added: what waits is for it, on the next tick. */
  listenerAdded (): void {
    this.#handOutLater()
  }

  acquire (taker: Taker): void {
    if (this.#taker !== undefined && this.#taker !== taker) throw new FST_WS_ERR_TAKEN(this.#taker)
    if (taker !== 'next()' && this.#taker === taker) throw new FST_WS_ERR_TAKEN(taker)
    if (this.emitter.listenerCount('message') > 0) throw new FST_WS_ERR_TAKEN('message listeners')
    this.#taker = taker
  }

  release (): void {
    this.#taker = undefined
    this.#handOutLater()
    this.#discardIfAbandoned()
  }

  /** A call of `next` is settled; the last of them gives the place free. */
  releaseNext (): void {
    this.#takenByNext = true
    if (this.#waiters.length === 0) this.release()
  }

  /** The next message if it is there, for a taker that asks for one at a time; else END, and `take` waits for it. */
  takeNow (): unknown {
    while (!this.#handingOut && this.#waiters.length === 0 && this.#hasMessage()) {
      const { data, isBinary } = this.#queue!
      this.#queue!.shift()
      const message = this.#decode(data, isBinary)
      this.#resumeIfRoom()
      if (message !== END) return this.#asTaken(message, isBinary)
    }
    return END
  }

  /** The next message for the taker, now or when it comes: `settle` gets it, or END. */
  take (waiter: Waiter): void {
    if (this.#waiters === NOBODY) this.#waiters = []
    this.#waiters.push(waiter)
    Receiver.#handOut(this)
  }

  /** Whether the waiter was still waiting. */
  forget (waiter: Waiter): boolean {
    const index = this.#waiters.indexOf(waiter)
    if (index !== -1) this.#waiters.splice(index, 1)
    return index !== -1
  }

  // What the connection tells

  onMessage (data: string | Buffer, isBinary: boolean): void {
    if (messageReceived.hasSubscribers) messageReceived.publish({ socket: this.emitter, data, isBinary })
    if (this.#queue === undefined || this.#queue.length === 0) {
      if (this.#waiters.length > 0) return this.#deliverToWaiter(data, isBinary)
      if (this.emitter.listenerCount('message') > 0) return this.#deliver(data, isBinary)
    }
    // While it closes, reading cannot be paused any more.
    if (this.#isFull() && this.#connection.state !== State.Open) return
    (this.#queue ??= new MessageQueue()).push(data, isBinary)
    if (this.#isFull()) this.#onFull()
  }

  onPing (payload: Buffer): void { this.#emit('ping', payload) }

  onPong (payload: Buffer): void {
    this.watch?.ponged(payload)
    this.#emit('pong', payload)
  }

  onDrain (): void {
    this.#endings?.onDrain()
    this.#emit('drain')
  }

  onClosing (): void {
    // What had arrived is still to be had, whoever had paused.
    this.#paused = false
    this.watch?.stop()
    this.#endings?.onClosing()
    this.#handOutOrEnd()
  }

  onError (error: ProtocolError): void {
    const kind = error.closeCode === CloseCode.MessageTooBig || error.closeCode === CloseCode.PolicyViolation ? 'limit' : 'protocol'
    const Coded = kind === 'limit' ? FST_WS_ERR_LIMIT : FST_WS_ERR_PROTOCOL
    this.fault(kind, Object.assign(new Coded(error.message), { closeCode: error.closeCode, cause: error.cause }))
  }

  onSocketError (error: Error): void {
    if (this.#connection.state === State.Closed) return
    this.#connection.abort()
    this.fault('socket', Object.assign(new FST_WS_ERR_SOCKET(error.message), { cause: error }))
  }

  onDead (): void {
    this.fault('socket', new FST_WS_ERR_SOCKET('the peer gave no sign of life'))
  }

  onClose (code: number, reason: string): void {
    this.#handOutOrEnd()
    this.#endings?.onClose()
    // Before the event: whoever hears it finds the connection gone from `app.websockets`.
    this.#faults.onClosed()
    this.#emit('close', code, Buffer.from(reason))
  }

  /** A promise that a listener returned was rejected. */
  onListenerRejection (error: unknown, message: unknown): void {
    this.#faults.onFault('listener', error, message)
  }

  /** Reports a fault of the connection; `error` is emitted for those who listen, and for nobody else. */
  fault (kind: 'protocol' | 'limit' | 'socket', error: Error): void {
    if (this.emitter.listenerCount('error') > 0) this.#emit('error', error)
    this.#faults.onFault(kind, error, undefined)
  }

  /** Calls listeners: what they throw is theirs, and goes to the fault sink. */
  #emit (event: string, ...args: unknown[]): void {
    try {
      this.emitter.emit(event, ...args)
    } catch (error) {
      this.#faults.onFault('listener', error, undefined)
    }
  }

  #deliver (data: string | Buffer, isBinary: boolean): void {
    const message = this.#decode(data, isBinary)
    if (message === END) return
    try {
      this.emitter.emit('message', isBinary ? this.#asBinaryType(message) : message, isBinary)
    } catch (error) {
      this.#faults.onFault('listener', error, message)
    }
  }

  /** An invalid message is none: the waiter goes on waiting. */
  #deliverToWaiter (data: string | Buffer, isBinary: boolean): void {
    const message = this.#decode(data, isBinary)
    if (message === END) return
    const waiter = this.#waiters.shift()!
    try {
      waiter.settle(waiter.asOctets === true ? message : this.#asTaken(message, isBinary))
    } catch (error) {
      // A stream calls its listeners at once.
      this.#faults.onFault('listener', error, message)
    }
  }

  /** The message, or END if it is not valid: then it goes to the fault sink in its place. */
  #decode (data: string | Buffer, isBinary: boolean): unknown {
    if (this.#subprotocol.raw) return data
    try {
      return this.#subprotocol.decode(data, isBinary)
    } catch (error) {
      if (error instanceof InvalidMessage) this.#faults.onInvalidMessage(error)
      else this.#faults.onFault('handler', error, undefined)
      return END
    }
  }

  /** A message of a raw route as `next` and iterations give it. */
  #asTaken (message: unknown, isBinary: boolean): unknown {
    if (!this.#subprotocol.raw) return message
    return isBinary ? this.#asBinaryType(message) : (message as Buffer).toString()
  }

  #asBinaryType (message: unknown): unknown {
    if (this.binaryType === 'nodebuffer' || !this.#subprotocol.raw) return message
    const data = message as Buffer
    return this.binaryType === 'fragments' ? [data] : data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)
  }

  /** Those who wait hear of the end: at once, unless something is still there for them. */
  #handOutOrEnd (): void {
    if (this.#queue === undefined || this.#queue.length === 0) this.#endWaiters()
    else this.#handOutLater()
  }

  #handOutLater (): void {
    if (this.#queue !== undefined && this.#queue.length > 0) process.nextTick(Receiver.#handOut, this)
  }

  /** What waits goes to those who wait, or to the listeners, as long as there are any. */
  static #handOut (receiver: Receiver): void {
    // Called from within, by what a message has caused: the loop that is running goes on with it.
    if (receiver.#handingOut) return
    receiver.#handingOut = true
    while (receiver.#hasMessage()) {
      const toWaiter = receiver.#waiters.length > 0
      if (!toWaiter && (receiver.#taker !== undefined || receiver.emitter.listenerCount('message') === 0)) break
      const { data, isBinary } = receiver.#queue!
      receiver.#queue!.shift()
      if (toWaiter) receiver.#deliverToWaiter(data, isBinary)
      else receiver.#deliver(data, isBinary)
    }
    receiver.#handingOut = false
    receiver.#resumeIfRoom()
    receiver.#endWaiters()
  }

  #endWaiters (): void {
    if (this.#connection.state === State.Open || this.#handingOut) return
    for (const waiter of this.#waiters.splice(0)) {
      if (this.#isOver(waiter)) waiter.settle(END)
      else this.#waiters.push(waiter)
    }
  }

  #hasMessage (): boolean {
    return this.#queue !== undefined && this.#queue.length > 0 && !this.#paused
  }

  #isFull (): boolean {
    return this.#queue !== undefined && this.#queue.bytes >= this.#limits.queueBytes
  }

  #onFull (): void {
    if (this.#limits.whenFull === 'fail') {
      this.#connection.fail(new ProtocolError(CloseCode.PolicyViolation, 'too many messages that nobody takes'))
    } else {
      this.#connection.pause()
      this.#discardIfAbandoned()
    }
  }

  #resumeIfRoom (): void {
    // Half empty: not a pause and a resume for each message.
    if (this.#queue !== undefined && !this.#paused && !this.#connection.reading && this.#queue.bytes <= this.#limits.queueBytes / 2) this.#connection.resume()
  }

  /** A route that only sends lives on, although its peer fills a queue that nobody will ever take from. */
  #discardIfAbandoned (): void {
    if (!this.#handlerSettled || !this.#isFull() || this.#taker !== undefined || this.#takenByNext || this.emitter.listenerCount('message') > 0) return
    const count = this.#queue!.length
    this.#queue!.clear()
    this.#resumeIfRoom()
    if (this.#discarded) return
    this.#discarded = true
    this.#faults.onMessagesDiscarded(count)
  }

  #isOver (waiter: Waiter): boolean {
    const { state } = this.#connection
    return state === State.Closed || (waiter.endsWhenClosing && state !== State.Open)
  }
}
