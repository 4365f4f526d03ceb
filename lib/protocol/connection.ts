/**
 * One WebSocket connection as a state machine over bytes (RFC 6455 §5-§7), for both roles. It does no I/O: it is
 * given what arrived, and what it wants of the transport stands in `output`, `reading`, `more` and `shutdown`.
 *
 * | state     | app sends | close()          | Close arrives                                  | data      | ping     | rule or limit broken        | EOF or lost  |
 * |-----------|-----------|------------------|------------------------------------------------|-----------|----------|-----------------------------|--------------|
 * | Open      | frame out | Close, CloseSent | Close, Ending; a server: shutdown end          | delivered | pong out | Close, Ending, shutdown end | Closed, 1006 |
 * | CloseSent | dropped   | –                | Ending; a server: shutdown end                 | dropped   | pong out | Ending, shutdown destroy    | Closed, 1006 |
 * | Ending    | dropped   | –                | dropped                                        | dropped   | dropped  | –                           | Closed       |
 * | Closed    | dropped   | –                | –                                              | –         | –        | –                           | –            |
 *
 * Ending goes on reading and throws away what comes, lest the kernel answer it with RST and our Close be lost. The
 * transport arms its timer when Open ends. `abort` goes from any state to Ending with shutdown destroy.
 */
import { Buffer } from 'node:buffer'
import { isSendableCloseCode, readClosePayload, writeClosePayload } from './close-payload.ts'
import { CloseCode, Opcode, type Role } from './constants.ts'
import { ProtocolError } from './errors.ts'
import { FrameParser, type FrameSink } from './frame-parser.ts'
import { FrameWriter } from './frame-writer.ts'
import { MessageAssembler, type MessageSink, type TextAs } from './message-assembler.ts'
import { OutputBuffer } from './output-buffer.ts'

export const State = {
  Open: 0,
  CloseSent: 1,
  Ending: 2,
  Closed: 3
} as const

type ConnectionState = typeof State[keyof typeof State]

/** What the transport shall do with its writing side: nothing, end it after the output, or drop everything at once. */
export type Shutdown = 'none' | 'end' | 'destroy'

/** Is told what happens, synchronously and in wire order. It must not throw. */
export interface ConnectionHandler {
  /** A whole message; a Buffer is the receiver's to keep. */
  onMessage (data: string | Buffer, isBinary: boolean): void
  onPing (payload: Buffer): void
  onPong (payload: Buffer): void
  /** The connection is not open any more: no message comes or goes from now on. */
  onClosing (): void
  /** The peer broke a rule or passed a limit; `onClose` follows. */
  onError (error: ProtocolError): void
  /** Once, last. The code is that of the peer's Close, 1005 if it had none, 1006 if none came (§7.1.5). */
  onClose (code: number, reason: string, wasClean: boolean): void
}

export interface ConnectionOptions {
  readonly role: Role
  readonly maxMessageBytes: number
  readonly textAs: TextAs
  /** Above so many unsent octets only the newest ping waits for its pong (§5.5.3). */
  readonly highWaterMarkBytes: number
  /** Whether pings are answered; only a test wants it otherwise. */
  readonly autoPong?: boolean
}

/** Frames that are handled in one turn before the event loop gets its turn. */
const FRAMES_PER_TURN = 256
/** The clock is read once for so many frames. */
const FRAMES_PER_CLOCK = 32
const TURN_MS = 5

export class Connection implements FrameSink, MessageSink {
  readonly role: Role
  readonly output = new OutputBuffer()
  /** Told what arrives; set by whoever wires the connection, before the first byte. */
  handler!: ConnectionHandler
  /** Called when one of the four facts below has changed outside `receive` and `continue`. */
  onWake: () => void = noop

  state: ConnectionState = State.Open
  /** False while nothing shall be read. */
  reading = true
  /** Input was kept back: `continue` wants to be called when the event loop has had its turn. */
  more = false
  shutdown: Shutdown = 'none'

  /** Code and reason of the Close that came, and the code of the one that went; 1006 while there was none. */
  closeCode: number = CloseCode.AbnormalClosure
  closeReason = ''
  sentCloseCode: number = CloseCode.AbnormalClosure

  bytesReceived = 0
  messagesReceived = 0
  messagesSent = 0
  /** Octets of data that were sent after the connection had ceased to be open. */
  droppedBytes = 0

  readonly #parser: FrameParser
  readonly #assembler: MessageAssembler
  readonly #writer: FrameWriter
  readonly #highWaterMarkBytes: number
  readonly #autoPong: boolean

  /** Input that was not parsed yet. */
  #rest: Buffer | undefined
  /** Whether it is a copy of our own. */
  #restIsOwn = false
  /** The peer's end has come, but not all before it is parsed. */
  #eof = false
  #inTurn = false
  #framesInTurn = 0
  #turnStart = 0
  /** The newest ping that waits until the output is no longer blocked. */
  #pendingPong: Buffer | undefined
  /** A message of ours has begun whose last fragment is still to come. */
  #sendingFragments = false

  constructor (options: ConnectionOptions) {
    this.role = options.role
    this.#parser = new FrameParser(options.role, this)
    this.#assembler = new MessageAssembler(this, options.maxMessageBytes, options.textAs)
    this.#writer = new FrameWriter(options.role, this.output)
    this.#highWaterMarkBytes = options.highWaterMarkBytes
    this.#autoPong = options.autoPong ?? true
  }

  /** Whether both Close frames have passed (§7.1.4). */
  get wasClean (): boolean {
    return this.closeCode !== CloseCode.AbnormalClosure && this.sentCloseCode !== CloseCode.AbnormalClosure
  }

  // What arrives

  /** Takes the octets of one read. They are unmasked in place, and may be kept as views. */
  receive (chunk: Buffer): void {
    this.bytesReceived += chunk.length
    // §5.5.1, §7.1.7: after a Close, or a failure, nothing that comes is looked at.
    if (this.state > State.CloseSent) return
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest, chunk])
      this.#restIsOwn = true
    } else if (this.reading) {
      this.#parse(chunk, false)
    } else {
      this.#rest = chunk
      this.#restIsOwn = false
    }
  }

  /** Goes on with the input that was kept back. */
  continue (): void {
    this.more = false
    const rest = this.#rest
    if (rest === undefined || !this.reading) return
    this.#rest = undefined
    this.#parse(rest, this.#restIsOwn)
    if (this.#eof) this.receiveEof()
  }

  /** The peer has ended its side: after what was kept back, nothing comes any more. */
  receiveEof (): void {
    this.#eof = true
    if (this.state === State.Closed || this.#rest !== undefined) return
    if (this.shutdown === 'none') this.shutdown = 'end'
    this.#closed()
  }

  /** The transport is gone, whatever the reason. */
  transportClosed (): void {
    if (this.state !== State.Closed) this.#closed()
  }

  /** The output is less than it was: a pong that had to wait can go. */
  outputDrained (): void {
    const pong = this.#pendingPong
    if (pong === undefined) return
    this.#pendingPong = undefined
    if (this.state <= State.CloseSent) this.#writer.writeFrame(Opcode.Pong, true, pong)
  }

  // What the application does

  /** Sends text; `fin` false leaves the message open for further fragments. Returns whether the connection was open. */
  sendText (text: string, fin = true): boolean {
    if (this.state !== State.Open) {
      this.droppedBytes += Buffer.byteLength(text)
      return false
    }
    this.#writer.writeText(this.#nextOpcode(Opcode.Text, fin), fin, text)
    this.#sent(fin)
    return true
  }

  /** Sends octets, as binary or as text; they must not change until they are written. */
  sendBytes (payload: Uint8Array, opcode: typeof Opcode.Text | typeof Opcode.Binary, fin = true): boolean {
    if (this.state !== State.Open) {
      this.droppedBytes += payload.length
      return false
    }
    this.#writer.writeFrame(this.#nextOpcode(opcode, fin), fin, payload)
    this.#sent(fin)
    return true
  }

  /** Whether frames made by `encodeServerFrame` can be sent: not by a client, which masks, and not between fragments. */
  get takesWholeFrames (): boolean {
    return this.role === 'server' && !this.#sendingFragments
  }

  /** Sends a frame of `encodeServerFrame`, which holds so many octets of payload. */
  sendFrame (frame: Buffer, payloadBytes: number): boolean {
    if (this.state !== State.Open) {
      this.droppedBytes += payloadBytes
      return false
    }
    this.output.append(frame, payloadBytes)
    this.#sent(true)
    return true
  }

  ping (payload: Uint8Array): void {
    this.#sendControl(Opcode.Ping, payload)
  }

  pong (payload: Uint8Array): void {
    this.#sendControl(Opcode.Pong, payload)
  }

  /** Starts the closing handshake (§7.1.2); does nothing when it is under way. 1005 sends a Close without a code. */
  close (code: number, reason: string): void {
    if (this.state !== State.Open) return
    this.#leaveOpen(State.CloseSent, 'none', code, reason)
    this.#wake()
  }

  /** Fails the connection (§7.1.7). Everything that fails it comes through here. */
  fail (error: ProtocolError): void {
    if (this.state === State.Open) {
      this.#leaveOpen(State.Ending, 'end', error.closeCode, error.message)
    } else if (this.state === State.CloseSent) {
      this.#end('destroy')
    } else {
      return
    }
    this.handler.onError(error)
    this.#wake()
  }

  /** Gives the connection up without a Close, for the transport that is destroying itself: it is not woken. */
  abort (): void {
    if (this.state === State.Closed) return
    const wasOpen = this.state === State.Open
    this.#end('destroy')
    if (wasOpen) this.handler.onClosing()
  }

  /** Stops delivering, at once, and reading. */
  pause (): void {
    if (this.state !== State.Open) return
    this.reading = false
    this.#parser.halted = true
    this.#wake()
  }

  resume (): void {
    if (this.reading) return
    this.reading = true
    if (this.#inTurn) this.#parser.halted = false
    else if (this.#rest !== undefined) this.more = true
    this.#wake()
  }

  // What the parser finds

  onFrame (opcode: number, fin: boolean, _rsv1: boolean, buffer: Buffer, start: number, end: number): void {
    if (opcode >= Opcode.Close) this.#onControl(opcode, buffer, start, end)
    else if (this.state === State.Open) this.#assembler.onFrame(opcode, fin, buffer, start, end)

    if (++this.#framesInTurn % FRAMES_PER_CLOCK === 0) this.#yieldIfDue()
  }

  onFrameStart (opcode: number, fin: boolean, _rsv1: boolean, length: number): void {
    if (this.state === State.Open) this.#assembler.onFrameStart(opcode, fin, length)
  }

  onFramePart (buffer: Buffer, start: number, end: number, last: boolean): void {
    if (this.state === State.Open) this.#assembler.onFramePart(buffer, start, end, last)
  }

  onMessage (data: string | Buffer, isBinary: boolean): void {
    this.messagesReceived++
    this.handler.onMessage(data, isBinary)
  }

  #parse (chunk: Buffer, isOwn: boolean): void {
    this.#inTurn = true
    this.#framesInTurn = 0
    this.#turnStart = performance.now()
    this.#parser.halted = false
    let offset = chunk.length
    try {
      offset = this.#parser.feed(chunk, 0)
    } catch (error) {
      this.fail(error instanceof ProtocolError ? error : new ProtocolError(CloseCode.InternalError, 'internal error', { cause: error }))
    }
    this.#inTurn = false
    if (offset < chunk.length && this.state <= State.CloseSent) this.#keep(chunk.subarray(offset), isOwn)
  }

  /** Keeps the rest of a chunk: for one turn of the event loop as it is; for longer as a copy, made once, so that it does not pin the chunk. */
  #keep (rest: Buffer, isOwn: boolean): void {
    if (this.reading) this.more = true
    this.#restIsOwn = isOwn || !this.reading
    this.#rest = this.reading || isOwn ? rest : Buffer.from(rest)
  }

  #yieldIfDue (): void {
    if (this.#framesInTurn < FRAMES_PER_TURN && performance.now() - this.#turnStart < TURN_MS) return
    this.#parser.halted = true
  }

  #onControl (opcode: number, buffer: Buffer, start: number, end: number): void {
    if (opcode === Opcode.Close) return this.#onClose(buffer, start, end)
    const payload = Buffer.from(buffer.subarray(start, end))
    if (opcode === Opcode.Pong) return this.handler.onPong(payload)

    // §5.5.3: a pong holds what the ping held; of several pings the last may be answered alone.
    if (this.#autoPong) {
      if (this.output.blocked && this.output.byteLength > this.#highWaterMarkBytes) this.#pendingPong = payload
      else this.#writer.writeFrame(Opcode.Pong, true, payload)
    }
    this.handler.onPing(payload)
  }

  #onClose (buffer: Buffer, start: number, end: number): void {
    const { code, reason } = readClosePayload(buffer, start, end)
    this.closeCode = code
    this.closeReason = reason
    // §7.1.1: the server ends the transport first; the client waits for it.
    const shutdown = this.role === 'server' ? 'end' : 'none'
    // §5.5.1: whoever has not sent a Close answers with one, as soon as practical, and echoes the code if it may send it.
    const echo = code === CloseCode.NoStatusReceived || isSendableCloseCode(code, this.role) ? code : CloseCode.NormalClosure
    if (this.state === State.Open) this.#leaveOpen(State.Ending, shutdown, echo, '')
    else this.#end(shutdown)
  }

  #sendControl (opcode: number, payload: Uint8Array): void {
    if (this.state !== State.Open) return
    this.#writer.writeFrame(opcode, true, payload)
    this.#wake()
  }

  /** Sends the Close and tells, last of all, that the connection is not open any more. */
  #leaveOpen (state: typeof State.CloseSent | typeof State.Ending, shutdown: Shutdown, code: number, reason: string): void {
    this.#writer.writeFrame(Opcode.Close, true, writeClosePayload(code, reason))
    this.sentCloseCode = code
    if (state === State.Ending) {
      this.#end(shutdown)
    } else {
      this.state = state
      // Nothing is delivered any more, so nothing has a reason to hold up what comes: the peer's Close is in it.
      this.reading = true
      this.#parser.halted = false
      if (this.#rest !== undefined) this.more = true
    }
    this.handler.onClosing()
  }

  #end (shutdown: Shutdown): void {
    this.state = State.Ending
    this.shutdown = shutdown
    this.#ignoreInput()
  }

  #ignoreInput (): void {
    this.reading = true
    this.more = false
    this.#rest = undefined
    this.#parser.halted = true
  }

  #closed (): void {
    const wasOpen = this.state === State.Open
    this.state = State.Closed
    this.#ignoreInput()
    if (wasOpen) this.handler.onClosing()
    this.handler.onClose(this.closeCode, this.closeReason, this.wasClean)
  }

  #nextOpcode (opcode: number, fin: boolean): number {
    // §5.4: every fragment but the first is a continuation.
    const next = this.#sendingFragments ? Opcode.Continuation : opcode
    this.#sendingFragments = !fin
    return next
  }

  #sent (fin: boolean): void {
    if (fin) this.messagesSent++
    this.#wake()
  }

  #wake (): void {
    if (!this.#inTurn) this.onWake()
  }
}

function noop (): void {}
