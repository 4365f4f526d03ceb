/**
 * Drives a Connection over a Duplex: one read is one turn and one write; what is sent outside a read leaves in
 * one write at the next tick. It does what the connection wants (output, reading, more, shutdown), and nothing else.
 *
 * One write is under way at a time: while the peer is slow, what is sent meanwhile gathers in the output, where
 * it costs its bytes, instead of one request each in the stream's queue.
 */
import { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import { FST_WS_ERR_CLOSED } from '../errors.ts'
import { State, type Connection, type ConnectionDriver } from '../protocol/connection.ts'
import { CloseCode } from '../protocol/constants.ts'
import type { OutputBatch } from '../protocol/output-buffer.ts'
import { setImmediate } from './real-timers.ts'
import { writeProgress, writesAtOnce } from './tcp.ts'

export interface TransportOptions {
  /** Unsent octets down to which `onDrain` waits. */
  readonly highWaterMarkBytes: number
  /** From the end of Open to the destruction of the socket, whatever the peer does. */
  readonly closeTimeoutMs: number
}

/** Is told of the stream what the connection does not know. */
export interface TransportHandler {
  /** The error of the stream, at most once, before the connection is told that it is closed. */
  onSocketError (error: Error): void
  /** After `wantsDrain` was set: no more waits for the peer than `highWaterMarkBytes`. */
  onDrain (): void
}

/** Where a stream keeps its transport. */
const kTransport = Symbol('fastify-duplex.transport')
type DrivenDuplex = Duplex & { [kTransport]: Transport }

const NOTHING = Buffer.alloc(0)

/** While `writeTogether` runs: those on which something was sent. */
let gathered: Transport[] | undefined

export class Transport implements ConnectionDriver {
  readonly duplex: Duplex
  readonly connection: Connection
  /** Whether `onDrain` is waited for. */
  wantsDrain = false

  readonly #handler: TransportHandler
  readonly #options: TransportOptions
  /** Whether a write that the kernel took leaves nothing behind in the stream. */
  readonly #writesAtOnce: boolean

  #started = false
  #inTurn = false
  #turnScheduled = false
  #continueScheduled = false
  #drainScheduled = false
  #reading = true
  #ended = false
  #closeTimer: NodeJS.Timeout | undefined
  /** The batch that is being written. */
  #inFlight: OutputBatch | undefined
  #onWritten: ((error?: Error | null) => void) | undefined

  constructor (duplex: Duplex, connection: Connection, options: TransportOptions, handler: TransportHandler) {
    this.connection = connection
    this.duplex = duplex
    this.#options = options
    this.#handler = handler
    this.#writesAtOnce = writesAtOnce(duplex)
    connection.driver = this
    ;(duplex as DrivenDuplex)[kTransport] = this
    duplex.on('error', Transport.#onError)
    duplex.on('close', Transport.#onClose)
  }

  // Listeners for all streams: closures of their own for each cost 320 B a connection.

  static #onError (this: Duplex, error: Error): void { (this as DrivenDuplex)[kTransport].#handler.onSocketError(error) }
  static #onClose (this: Duplex): void { (this as DrivenDuplex)[kTransport].#closed() }
  static #onData (this: Duplex, chunk: Buffer): void { (this as DrivenDuplex)[kTransport].#receive(chunk) }
  static #onEnd (this: Duplex): void { (this as DrivenDuplex)[kTransport].#receiveEof() }

  /** Octets of application data that wait for the peer. */
  get unsentPayloadBytes (): number {
    const { output, pendingBytes } = this.connection
    return output.payloadBytes + pendingBytes + (this.#inFlight === undefined ? 0 : this.#inFlight.payloadBytes)
  }

  /** A number that changes when the peer takes something of what waits for it, and not when more is sent. */
  get progress (): number {
    const { writtenBytes } = this.connection.output
    if (this.#inFlight === undefined) return writtenBytes
    const { byteLength } = this.#inFlight
    return writtenBytes + byteLength - (writeProgress(this.duplex) ?? byteLength)
  }

  /** Whether what the peer sends is being read. */
  get reading (): boolean {
    return this.#started && this.connection.reading
  }

  /** Begins to read; `head` is what had arrived behind the opening handshake. */
  start (head: Buffer): void {
    const duplex = this.duplex
    this.#started = true
    duplex.on('data', Transport.#onData)
    duplex.on('end', Transport.#onEnd)
    if (duplex.destroyed) return this.#closed()
    if (head.length > 0) this.#receive(head)
    // A stream that was paused before it had a data listener stays so.
    if (this.#reading) duplex.resume()
  }

  /** Hands over what this turn has gathered, unless something is under way. */
  flush (): void {
    if (this.connection.output.byteLength > 0 && this.#inFlight === undefined) this.#write()
  }

  /** Drops everything at once; the peer sees a lost connection. */
  terminate (): void {
    this.connection.abort()
    this.duplex.destroy()
  }

  #receive (chunk: Buffer): void {
    this.#inTurn = true
    this.connection.receive(chunk)
    this.#inTurn = false
    this.#endTurn()
  }

  static #continue (transport: Transport): void {
    transport.#continueScheduled = false
    transport.#inTurn = true
    transport.connection.continue()
    transport.#inTurn = false
    transport.#endTurn()
  }

  #receiveEof (): void {
    this.#inTurn = true
    this.connection.receiveEof()
    this.#inTurn = false
    this.#endTurn()
  }

  onWake (): void {
    if (this.#inTurn || this.#turnScheduled) return
    this.#turnScheduled = true
    if (gathered === undefined) process.nextTick(Transport.#endScheduledTurn, this)
    else gathered.push(this)
  }

  static #endScheduledTurn (transport: Transport): void {
    transport.#turnScheduled = false
    transport.#endTurn()
  }

  /**
   * What `send` sends on many connections leaves at the next tick as ever, but by one callback for all of them: 115 ns of
   * JavaScript for each, not 160.
   */
  static writeTogether<T> (send: () => T): T {
    if (gathered !== undefined) return send()
    const transports: Transport[] = gathered = []
    try {
      return send()
    } finally {
      gathered = undefined
      if (transports.length > 0) process.nextTick(Transport.#endScheduledTurns, transports)
    }
  }

  static #endScheduledTurns (transports: readonly Transport[]): void {
    let next = 0
    try {
      while (next < transports.length) Transport.#endScheduledTurn(transports[next++]!)
    } finally {
      // A stream that throws stops none of the others.
      if (next < transports.length) process.nextTick(Transport.#endScheduledTurns, transports.slice(next))
    }
  }

  /** Does what the connection wants, after all that one turn brought. */
  #endTurn (): void {
    const { connection } = this
    this.flush()

    const reading = connection.reading && !connection.more
    if (reading !== this.#reading) {
      this.#reading = reading
      if (reading) this.duplex.resume()
      else this.duplex.pause()
    }
    if (connection.more && !this.#continueScheduled) {
      this.#continueScheduled = true
      setImmediate(Transport.#continue, this)
    }
    if (connection.state !== State.Open) this.#shutdown()
  }

  #shutdown (): void {
    const duplex = this.duplex
    if (duplex.destroyed) return
    // §7.1.1: the closing handshake may take its time, but not for ever.
    this.#closeTimer ??= setTimeout(destroy, this.#options.closeTimeoutMs, duplex)
    const { shutdown, output } = this.connection
    if (shutdown === 'destroy') {
      duplex.destroy()
    } else if (shutdown === 'end' && !this.#ended && output.byteLength === 0) {
      this.#ended = true
      duplex.end()
    }
  }

  #write (): void {
    const duplex = this.duplex
    const { output } = this.connection
    const batch = output.take()!
    if (duplex.destroyed || this.#ended) {
      this.connection.droppedBytes += batch.payloadBytes
      return this.#settle(batch, lost())
    }

    this.#inFlight = batch
    output.blocked = true
    const { chunks } = batch
    if (this.#writesAtOnce) {
      writeAll(duplex, chunks)
      if (duplex.writableLength === 0 && duplex.errored === null) return this.#written()
      // The kernel did not take it all. An empty write calls back when everything before it has left.
      duplex.write(NOTHING, this.#writtenCallback())
    } else {
      writeAll(duplex, chunks, this.#writtenCallback())
    }
  }

  #writtenCallback (): (error?: Error | null) => void {
    return (this.#onWritten ??= (error) => {
      if (this.#inFlight === undefined) return
      this.#written(error ? lost(error) : undefined)
      // What gathered meanwhile goes out now.
      if (!this.#inTurn) this.#endTurn()
    })
  }

  #written (error?: Error): void {
    const batch = this.#inFlight!
    this.#inFlight = undefined
    this.connection.output.blocked = false
    this.#settle(batch, error)
    if (error !== undefined) return
    this.connection.outputDrained()
    // A peer that reads as fast as we write would have `drain` and `send` call each other for ever within one tick
    // (a timer of 5 ms then came 1 s late): the event loop gets its turn in between.
    if (this.wantsDrain && !this.#drainScheduled) {
      this.#drainScheduled = true
      setImmediate(Transport.#drain, this)
    }
  }

  static #drain (transport: Transport): void {
    transport.#drainScheduled = false
    const { connection } = transport
    if (!transport.wantsDrain || connection.state !== State.Open || connection.unsentBytes > transport.#options.highWaterMarkBytes) return
    transport.wantsDrain = false
    transport.#handler.onDrain()
  }

  #closed (): void {
    clearTimeout(this.#closeTimer)
    this.connection.transportClosed()
    // What was not written never will be, and stays counted.
    this.connection.droppedBytes += this.unsentPayloadBytes
    if (this.#inFlight !== undefined) this.#written(lost())
    const rest = this.connection.output.take()
    if (rest !== undefined) this.#settle(rest, lost())
  }

  /** A batch has left, or is lost: what it holds is given back, and callbacks are called on the next tick, never within `send`. */
  #settle (batch: OutputBatch, error?: Error): void {
    const { output } = this.connection
    if (error === undefined) output.written(batch)
    else output.lost(batch)
    if (batch.callbacks !== undefined) for (const callback of batch.callbacks) process.nextTick(callback, error)
  }
}

function destroy (duplex: Duplex): void { duplex.destroy() }

function writeAll (duplex: Duplex, chunks: readonly Buffer[], callback?: (error?: Error | null) => void): void {
  if (chunks.length === 1) {
    duplex.write(chunks[0]!, callback)
    return
  }
  duplex.cork()
  for (let i = 0; i < chunks.length - 1; i++) duplex.write(chunks[i]!)
  duplex.write(chunks.at(-1)!, callback)
  duplex.uncork()
}

/** What callbacks of messages get that were never sent; `cause` is the stream's error, if there was one. */
function lost (cause?: Error): Error {
  return Object.assign(new FST_WS_ERR_CLOSED(CloseCode.AbnormalClosure), { closeCode: CloseCode.AbnormalClosure, reason: '', cause })
}
