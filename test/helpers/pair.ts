/**
 * Two Connections joined without I/O: what one has in `output` is received by the other, and `reading`, `more` and
 * `shutdown` are obeyed as a transport obeys them. Nothing happens but in `step` and `run`.
 */
import { Buffer } from 'node:buffer'
import { Connection, type ConnectionHandler, type ConnectionLimits, type ConnectionOptions } from '../../lib/protocol/connection.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import type { ProtocolError } from '../../lib/protocol/errors.ts'

/** Writes down, line by line, what a Connection tells. Payloads are copied when they are told. */
export class Recorder implements ConnectionHandler {
  readonly events: string[] = []
  /** The messages as they came. */
  readonly messages: Array<string | Buffer> = []

  onMessage (data: string | Buffer, isBinary: boolean): void {
    this.messages.push(data)
    this.events.push(`${isBinary ? 'binary' : 'text'} ${typeof data === 'string' ? JSON.stringify(data) : data.toString('hex')}`)
  }

  onPing (payload: Buffer): void { this.events.push(`ping ${JSON.stringify(payload.toString())}`) }
  onPong (payload: Buffer): void { this.events.push(`pong ${JSON.stringify(payload.toString())}`) }
  onClosing (): void { this.events.push('closing') }
  onError (error: ProtocolError): void { this.events.push(`error ${error.closeCode} ${error.message}`) }

  onClose (code: number, reason: string, wasClean: boolean): void {
    this.events.push(`close ${code} ${JSON.stringify(reason)} ${wasClean ? 'clean' : 'unclean'}`)
  }
}

const LIMITS: ConnectionLimits = { maxMessageBytes: 1024 * 1024, highWaterMarkBytes: 64 * 1024 }

/** What a test says of a connection; all else has its default. */
export type ConnectionSettings = Partial<Omit<ConnectionOptions, 'limits'> & ConnectionLimits>

/** A Connection and what it has told. */
export function connect ({ role = 'server', textAs = 'string', deflate, ...limits }: ConnectionSettings): { connection: Connection, recorder: Recorder } {
  const connection = new Connection({ role, textAs, deflate, limits: { ...LIMITS, ...limits } })
  const recorder = new Recorder()
  connection.handler = recorder
  return { connection, recorder }
}

/** Takes what is in `output`, as bytes of their own, as a transport that writes at once would. */
export function takeOutput (connection: Connection): Buffer {
  const batch = connection.output.take()
  if (batch === undefined) return Buffer.alloc(0)
  const bytes = Buffer.concat(batch.chunks)
  batch.release()
  return bytes
}

class End {
  readonly connection: Connection
  readonly recorder: Recorder
  /** On the way to this end. */
  inbox: Buffer[] = []
  /** The other end has ended its writing side. */
  eof = false
  /** This end has ended its writing side. */
  ended = false
  gone = false

  constructor (options: ConnectionSettings) {
    const { connection, recorder } = connect(options)
    this.connection = connection
    this.recorder = recorder
  }
}

export class Pair {
  readonly server: End
  readonly client: End
  /** Who has ended its writing side, in order. */
  readonly endings: Role[] = []
  /** How what was written together arrives: as one chunk unless told. */
  cut: (bytes: Buffer) => Buffer[] = (bytes) => [bytes]

  constructor (options: Omit<ConnectionSettings, 'role'> = {}) {
    this.server = new End({ ...options, role: 'server' })
    this.client = new End({ ...options, role: 'client' })
  }

  /** Goes on until nothing moves any more. */
  run (): void {
    while (this.step()) { /* until nothing moves */ }
  }

  /** One turn for each end. Returns whether anything happened. */
  step (): boolean {
    const moved = this.#turn(this.server, this.client)
    return this.#turn(this.client, this.server) || moved
  }

  #turn (end: End, other: End): boolean {
    if (end.gone) return false
    return this.#read(end) || this.#write(end, other)
  }

  #read (end: End): boolean {
    const { connection } = end
    if (connection.more) {
      connection.continue()
      return true
    }
    if (!connection.reading) return false
    const chunk = end.inbox.shift()
    if (chunk !== undefined) {
      connection.receive(chunk)
      return true
    }
    if (!end.eof) return false
    end.eof = false
    connection.receiveEof()
    return true
  }

  #write (end: End, other: End): boolean {
    const { connection } = end
    if (connection.shutdown === 'destroy') {
      this.#lose(end)
      this.#lose(other)
      return true
    }
    const bytes = takeOutput(connection)
    if (bytes.length > 0) {
      if (end.ended || other.gone) return false
      other.inbox.push(...this.cut(bytes))
      return true
    }
    if (connection.shutdown !== 'end' || end.ended) return false
    end.ended = true
    this.endings.push(connection.role)
    other.eof = true
    if (other.ended) {
      // Both sides have ended: the network connection is closed once the other has read it.
      while (this.#read(other)) { /* what is left */ }
      this.#lose(end)
      this.#lose(other)
    }
    return true
  }

  #lose (end: End): void {
    if (end.gone) return
    end.gone = true
    end.inbox = []
    end.connection.transportClosed()
  }
}
