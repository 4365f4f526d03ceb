/**
 * Those who read the streams: a connection of this package, and the receiver of ws.
 */
import { Buffer } from 'node:buffer'
import * as ws from 'ws'
import { Connection, State, type ConnectionHandler } from '../../lib/protocol/connection.ts'
import { CloseCode, type Role } from '../../lib/protocol/constants.ts'
import type { ProtocolError } from '../../lib/protocol/errors.ts'
import type { TextAs } from '../../lib/protocol/message-assembler.ts'
import { deflateSettings, type Agreement } from './compressed.ts'
import { Kind, type Outcome } from './outcome.ts'

export interface Setting {
  readonly role: Role
  readonly maxMessageBytes: number
  readonly textAs: TextAs
  /** What was agreed on of permessage-deflate; undefined if it was not. */
  readonly deflate?: Agreement
}

// A connection of this package

const HIGH_WATER_MARK_BYTES = 64 * 1024

/** Counts the frames that were read whole: one with a message that is inflated by a job, when that is done. */
class Counting extends Connection {
  readFrames = 0
  #isLastInflating = false

  override onFrame (first: number, buffer: Buffer, start: number, end: number, key: number): void {
    super.onFrame(first, buffer, start, end, key)
    this.#count()
  }

  override onFramePart (buffer: Buffer, start: number, end: number, key: number, last: boolean): void {
    super.onFramePart(buffer, start, end, key, last)
    if (last) this.#count()
  }

  override onMessage (data: string | Buffer, isBinary: boolean): void {
    super.onMessage(data, isBinary)
    if (this.#isLastInflating) this.readFrames++
    this.#isLastInflating = false
  }

  #count (): void {
    if (this.reading) this.readFrames++
    else this.#isLastInflating = true
  }
}

class Listener implements ConnectionHandler {
  /** What the answers have to take in the output. */
  answerBytes = 0
  readonly #connection: Counting
  readonly #outcome: Outcome
  readonly #headerBytes: number

  constructor (connection: Counting, outcome: Outcome) {
    this.#connection = connection
    this.#outcome = outcome
    this.#headerBytes = connection.role === 'server' ? 2 : 6
  }

  onMessage (data: string | Buffer, isBinary: boolean): void {
    this.#outcome.tell(isBinary ? Kind.Binary : Kind.Text, this.#connection.readFrames, data)
  }

  onPing (payload: Buffer): void {
    this.#outcome.tell(Kind.Ping, this.#connection.readFrames, payload)
    this.answerBytes += this.#headerBytes + payload.length
  }

  onPong (payload: Buffer): void { this.#outcome.tell(Kind.Pong, this.#connection.readFrames, payload) }

  onClosing (): void {
    const { sentCloseCode, closeCode, closeReason, readFrames } = this.#connection
    this.#outcome.end = 'closed'
    this.#outcome.code = closeCode
    this.#outcome.text = closeReason
    this.#outcome.frame = readFrames
    this.answerBytes += this.#headerBytes + (sentCloseCode === CloseCode.NoStatusReceived ? 0 : 2)
    // The Close of the peer comes back whole.
    if (sentCloseCode === closeCode) this.answerBytes += Buffer.byteLength(closeReason)
  }

  onError (error: ProtocolError): void {
    this.#outcome.end = 'failed'
    this.#outcome.code = error.closeCode
    this.#outcome.text = error.message
    this.answerBytes += error.message.length
  }

  onClose (): void {}
}

function makeOurs ({ role, textAs, maxMessageBytes, deflate }: Setting, outcome: Outcome): { connection: Counting, listener: Listener } {
  const connection = new Counting({
    role,
    textAs,
    deflate: deflate === undefined ? undefined : deflateSettings(deflate, role),
    limits: { maxMessageBytes, highWaterMarkBytes: HIGH_WATER_MARK_BYTES }
  })
  const listener = new Listener(connection, outcome)
  connection.handler = listener
  return { connection, listener }
}

/** Throws if the connection is not in the state in which it should be, or has not sent what it should have. */
function finishOurs (connection: Counting, { answerBytes }: Listener, outcome: Outcome): void {
  if (outcome.end === 'open') outcome.frame = connection.readFrames
  const { output, state, closeCode } = connection
  output.take()?.release()
  if (output.totalBytes !== answerBytes) throw new Error(`${output.totalBytes} octets were sent in answer, instead of ${answerBytes}`)
  if (state !== (outcome.end === 'open' ? State.Open : State.Ending)) throw new Error(`in state ${state}, ${outcome.end}`)
  if ((closeCode !== CloseCode.AbnormalClosure) !== (outcome.end === 'closed')) throw new Error(`close code ${closeCode}, ${outcome.end}`)
}

/** Feeds the stream, cut at these places, to a connection. */
export function readOurs (setting: Setting, bytes: Buffer, cuts: readonly number[], outcome: Outcome): void {
  const { connection, listener } = makeOurs(setting, outcome)
  let start = 0
  for (let i = 0; i <= cuts.length; i++) {
    const end = i < cuts.length ? cuts[i]! : bytes.length
    connection.receive(bytes.subarray(start, end))
    while (connection.more) connection.continue()
    start = end
  }
  finishOurs(connection, listener, outcome)
}

/** The same with permessage-deflate: while a message is being inflated nothing is fed. */
export async function inflateOurs (setting: Setting, bytes: Buffer, cuts: readonly number[], outcome: Outcome): Promise<void> {
  const { connection, listener } = makeOurs(setting, outcome)
  let start = 0
  for (let i = 0; i <= cuts.length; i++) {
    const end = i < cuts.length ? cuts[i]! : bytes.length
    connection.receive(bytes.subarray(start, end))
    while (connection.more || !connection.reading) {
      if (connection.more) connection.continue()
      else await settled<undefined>((done) => { connection.driver = { onWake: () => done(undefined) } })
    }
    start = end
  }
  finishOurs(connection, listener, outcome)
}

const PATIENCE_MS = 10_000

/** Rejects if nothing calls back. */
function settled<Result> (start: (done: (result: Result) => void) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing happened for ${PATIENCE_MS / 1000} s`)), PATIENCE_MS)
    start((result) => {
      clearTimeout(timer)
      resolve(result)
    })
  })
}

// The receiver of ws

interface ReceiverOptions {
  readonly isServer: boolean
  readonly maxPayload: number
  readonly allowSynchronousEvents: boolean
  readonly extensions?: Readonly<Record<string, unknown>>
}

type WriteCallback = (error?: Error) => void

/** What is used of it: a Writable, of which the types say nothing. */
interface ReceiverOfWs {
  readonly _errored: boolean
  _write (chunk: Buffer, encoding: string, callback: WriteCallback): void
  end (): this
  emit (event: string, ...args: any[]): boolean
  dataMessage (callback: WriteCallback): void
  controlMessage (data: Buffer, callback: WriteCallback): void
}

interface ExtensionOfWs {
  params: Readonly<Record<string, number | true>>
  cleanup (): void
}

const { Receiver, PerMessageDeflate } = ws as unknown as {
  readonly Receiver: new (options: ReceiverOptions) => ReceiverOfWs
  readonly PerMessageDeflate: {
    new (options: { isServer: boolean, maxPayload: number }): ExtensionOfWs
    readonly extensionName: string
  }
}

/**
 * With synchronous events everything but inflation happens within `_write`, so the machinery of the Writable around it,
 * which would put errors off to the next tick, is left out.
 */
class Theirs extends Receiver {
  readFrames = 0
  readonly outcome: Outcome

  constructor (options: ReceiverOptions, outcome: Outcome) {
    super(options)
    this.outcome = outcome
  }

  override emit (event: string, ...args: any[]): boolean {
    const { outcome } = this
    switch (event) {
      case 'message':
        outcome.tell(args[1] === true ? Kind.Binary : Kind.Text, this.readFrames, args[0])
        break
      case 'ping':
        outcome.tell(Kind.Ping, this.readFrames, args[0])
        break
      case 'pong':
        outcome.tell(Kind.Pong, this.readFrames, args[0])
        break
      case 'conclude':
        outcome.end = 'closed'
        outcome.code = args[0]
        outcome.text = args[1]
        outcome.frame = this.readFrames
        break
      default:
        throw new Error(`ws emits ${event}`)
    }
    return true
  }

  override end (): this { return this }

  override dataMessage (callback: WriteCallback): void {
    super.dataMessage(callback)
    if (!this._errored) this.readFrames++
  }

  override controlMessage (data: Buffer, callback: WriteCallback): void {
    super.controlMessage(data, callback)
    if (!this._errored) this.readFrames++
  }
}

/** The code with which ws closes stands under a symbol of its own. */
export function closeCodeOf (error: Error): number {
  const symbol = Object.getOwnPropertySymbols(error).find(({ description }) => description === 'status-code')
  return symbol === undefined ? 0 : (error as unknown as Record<symbol, number>)[symbol]!
}

function noteError (outcome: Outcome, receiver: Theirs, error: Error): void {
  outcome.end = 'failed'
  outcome.code = closeCodeOf(error)
  outcome.text = error.message
  outcome.frame = receiver.readFrames
}

export function readTheirs ({ role, maxMessageBytes }: Setting, bytes: Buffer, cuts: readonly number[], outcome: Outcome): void {
  const receiver = new Theirs({ isServer: role === 'server', maxPayload: maxMessageBytes, allowSynchronousEvents: true }, outcome)
  const onWritten = (error?: Error): void => {
    if (error !== undefined) noteError(outcome, receiver, error)
  }
  let start = 0
  // What follows a Close or an error is not given to it.
  for (let i = 0; i <= cuts.length && outcome.end === 'open'; i++) {
    const end = i < cuts.length ? cuts[i]! : bytes.length
    receiver._write(bytes.subarray(start, end), '', onWritten)
    start = end
  }
  if (outcome.end === 'open') outcome.frame = receiver.readFrames
}

export async function inflateTheirs ({ role, maxMessageBytes, deflate }: Setting, bytes: Buffer, cuts: readonly number[], outcome: Outcome): Promise<void> {
  const { windowBits, takeover } = deflate!
  const isServer = role === 'server'
  const extension = new PerMessageDeflate({ isServer, maxPayload: maxMessageBytes })
  extension.params = {
    [`${isServer ? 'client' : 'server'}_max_window_bits`]: windowBits,
    ...takeover ? {} : { [`${isServer ? 'client' : 'server'}_no_context_takeover`]: true }
  }
  const receiver = new Theirs({ isServer, maxPayload: maxMessageBytes, allowSynchronousEvents: true, extensions: { [PerMessageDeflate.extensionName]: extension } }, outcome)
  let start = 0
  for (let i = 0; i <= cuts.length && outcome.end === 'open'; i++) {
    const end = i < cuts.length ? cuts[i]! : bytes.length
    const error = await settled<Error | undefined>((done) => receiver._write(bytes.subarray(start, end), '', done))
    if (error !== undefined) noteError(outcome, receiver, error)
    start = end
  }
  if (outcome.end === 'open') outcome.frame = receiver.readFrames
  extension.cleanup()
}
