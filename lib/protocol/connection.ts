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
 * What the application has sent goes out first: the Close, and then the end, wait for the message that is being compressed
 * (§5.5.1 allows it). While a message is being inflated nothing is read, so what follows stays behind it.
 *
 * With `deliversWhileClosing` data that arrives in CloseSent is delivered, not dropped.
 *
 * Ending goes on reading and throws away what comes, lest the kernel answer it with RST and our Close be lost. The
 * transport arms its timer when Open ends. `abort` goes from any state to Ending with shutdown destroy.
 */
import { Buffer } from 'node:buffer'
import { isSendableCloseCode, readClosePayload, writeClosePayload } from './close-payload.ts'
import { CompressingSender, type SenderSink } from './compressing-sender.ts'
import { CloseCode, First, Opcode, WHOLE_BINARY, WHOLE_TEXT, type Role } from './constants.ts'
import { DeflateCodec, type DeflateSettings } from './deflate.ts'
import { ProtocolError } from './errors.ts'
import { FrameParser, type FrameSink } from './frame-parser.ts'
import { mask } from './mask.ts'
import { checkMessageBytes, MessageAssembler, messageOf, unmasked, wholeMessage, type MessageSink, type TextAs } from './message-assembler.ts'
import { MessageSender } from './message-sender.ts'
import { OutputBuffer, type WriteCallback } from './output-buffer.ts'
import { PeerRates, type RateLimit } from './peer-rates.ts'
import type { SharedMessage } from './shared-message.ts'

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
  /** The connection is not open any more: no message goes, and none comes unless `deliversWhileClosing`. */
  onClosing (): void
  /** The peer broke a rule or passed a limit; `onClose` follows. */
  onError (error: ProtocolError): void
  /** Once, last. The code is that of the peer's Close, 1005 if it had none, 1006 if none came (§7.1.5). */
  onClose (code: number, reason: string, wasClean: boolean): void
}

/** What moves the octets of a connection. */
export interface ConnectionDriver {
  /** `output`, `reading`, `more` or `shutdown` has changed outside `receive` and `continue`. */
  onWake (): void
}

/** What is the same for many connections. */
export interface ConnectionLimits {
  readonly maxMessageBytes: number
  /** Above so many unsent octets only the newest ping waits for its pong (§5.5.3). */
  readonly highWaterMarkBytes: number
  /** Whether pings are answered; only a test wants it otherwise. */
  readonly autoPong?: boolean
  /** Whether messages that arrive between our Close and the peer's are delivered; by default they are dropped. */
  readonly deliversWhileClosing?: boolean
  /** What the peer may send; undefined without limit. */
  readonly rateLimit?: RateLimit | undefined
}

export interface ConnectionOptions {
  readonly role: Role
  readonly textAs: TextAs
  /** What was agreed on of permessage-deflate; undefined if it was not. */
  readonly deflate?: DeflateSettings | undefined
  readonly limits: ConnectionLimits
}

/** A message that came compressed: while it is being inflated, and until it is delivered. */
interface Inflating {
  readonly isBinary: boolean
  message: Buffer | undefined
}

/** Frames that are handled in one turn before the event loop gets its turn. */
const FRAMES_PER_TURN = 256
/** The clock is looked at once for so many frames, and runs from the first look: most turns have fewer, and do without it. */
const FRAMES_PER_CLOCK = 16
const TURN_MS = 5

export class Connection implements FrameSink, MessageSink, SenderSink {
  readonly role: Role
  readonly output = new OutputBuffer()
  /** Told what arrives; set by whoever wires the connection, before the first byte. */
  handler!: ConnectionHandler
  /** Does what the connection wants; set by it. */
  driver: ConnectionDriver = UNDRIVEN

  state: ConnectionState = State.Open
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
  /** There is one while a message comes in several pieces: an idle connection has none (0.1 KB). */
  #assembler: MessageAssembler | undefined
  readonly #sender: MessageSender
  readonly #deflate: DeflateCodec | undefined
  readonly #limits: ConnectionLimits
  readonly #textAs: TextAs
  /** Without a limit undefined until the first control frame comes, or reading stops. */
  #peerRates: PeerRates | undefined

  /** Input that was not parsed yet. */
  #rest: Buffer | undefined
  /** Whether it is a copy of our own. */
  #restIsOwn = false
  /** The peer's end has come, but not all before it is parsed. */
  #eof = false
  #paused = false
  #inflating: Inflating | undefined
  #closeWritten = false
  #inTurn = false
  #framesInTurn = 0
  /** When the clock was first looked at in this turn. */
  #turnStart: number | undefined
  /** The newest ping that waits until the output is no longer blocked. */
  #pendingPong: Buffer | undefined

  constructor (options: ConnectionOptions) {
    const { role, deflate, limits } = options
    this.role = role
    this.#limits = limits
    this.#textAs = options.textAs
    this.#parser = new FrameParser(role, this, deflate !== undefined)
    this.#deflate = deflate === undefined ? undefined : new DeflateCodec(role, deflate)
    this.#sender = this.#deflate === undefined ? new MessageSender(role, this.output) : new CompressingSender(role, this.output, this.#deflate, this)
    this.#peerRates = limits.rateLimit === undefined ? undefined : new PeerRates(limits.rateLimit)
  }

  /** Whether both Close frames have passed (§7.1.4). */
  get wasClean (): boolean {
    return this.closeCode !== CloseCode.AbnormalClosure && this.#closeWritten
  }

  /** False while nothing shall be read. */
  get reading (): boolean {
    return !this.#paused && this.#inflating === undefined
  }

  /** Whether the peer has begun something, a message or a frame, that it has not finished. */
  get unfinished (): boolean {
    return this.#parser.inFrame || this.#assembler !== undefined
  }

  /** Octets that wait for the peer, framing included. */
  get unsentBytes (): number {
    return this.output.unsentBytes + this.#sender.pendingBytes
  }

  /** Octets of messages that are not in the output yet, since one of them is being compressed. */
  get pendingBytes (): number {
    return this.#sender.pendingBytes
  }

  /** Whether a message that we send in fragments is not complete: what is sent now would become part of it. */
  get sendingFragments (): boolean {
    return this.#sender.sendingFragments
  }

  // What arrives

  /** Takes the octets of one read, which are its own from now on: it unmasks some in place, and hands some on as views. */
  receive (chunk: Buffer): void {
    this.bytesReceived += chunk.length
    // §5.5.1, §7.1.7: after a Close, or a failure, nothing that comes is looked at.
    if (this.state > State.CloseSent) return
    if (this.#peerRates?.limited === true && !this.#peerRates.takeBytes(chunk.length, performance.now())) return this.fail(new ProtocolError(CloseCode.PolicyViolation, 'too many bytes a second'))
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
    if (this.#inflating?.message !== undefined && !this.#paused) this.#deliver(this.#inflating.message, this.#inflating.isBinary)
    this.more = false
    const rest = this.#rest
    if (!this.reading) return
    if (rest !== undefined) {
      this.#rest = undefined
      this.#parse(rest, this.#restIsOwn)
    }
    if (this.#eof) this.receiveEof()
  }

  /** The peer has ended its side: after what was kept back, nothing comes any more. */
  receiveEof (): void {
    this.#eof = true
    if (this.state === State.Closed || this.#rest !== undefined || this.#inflating !== undefined) return
    this.#sender.afterAll(() => {
      if (this.shutdown === 'none') this.shutdown = 'end'
      // Behind the Close, which may have had to wait: only then both have passed.
      if (this.state === State.Ending) this.#closed()
    })
    if (this.state < State.Ending) this.#closed()
  }

  /** The transport is gone, whatever the reason. */
  transportClosed (): void {
    this.droppedBytes += this.#sender.drop()
    if (this.state !== State.Closed) this.#closed()
  }

  /** The output is less than it was: a pong that had to wait can go. */
  outputDrained (): void {
    const pong = this.#pendingPong
    if (pong === undefined) return
    this.#pendingPong = undefined
    if (this.state <= State.CloseSent) this.#sender.pong(pong)
  }

  // What the application does

  /**
   * Sends text; `fin` false leaves the message open for further fragments. `compress` false keeps permessage-deflate, if it
   * was agreed on, from it. Returns whether the connection was open.
   */
  sendText (text: string, fin = true, compress = true): boolean {
    if (this.state !== State.Open) {
      this.droppedBytes += Buffer.byteLength(text)
      return false
    }
    this.#sender.sendText(text, fin, compress)
    this.#sent(fin)
    return true
  }

  /** Sends octets, as binary or as text; they must not change until they are written. */
  sendBytes (payload: Uint8Array, opcode: typeof Opcode.Text | typeof Opcode.Binary, fin = true, compress = true): boolean {
    if (this.state !== State.Open) {
      this.droppedBytes += payload.length
      return false
    }
    this.#sender.sendBytes(payload, opcode, fin, compress)
    this.#sent(fin)
    return true
  }

  /** Sends a message that other connections send too. */
  sendShared (message: SharedMessage, compress = true): boolean {
    if (this.state !== State.Open) {
      this.droppedBytes += message.payload.length
      return false
    }
    this.#sender.sendShared(message, compress)
    this.#sent(true)
    return true
  }

  /** Calls back when all that was sent so far is written, or lost. */
  addCallback (callback: WriteCallback): void {
    this.#sender.addCallback(callback)
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
    if (this.reading) this.#rates.stop()
    this.#paused = true
    this.#parser.halted = true
    this.#wake()
  }

  resume (): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.reading) this.#rates.resume()
    if (this.#inTurn) this.#parser.halted = this.#inflating !== undefined
    else this.more = this.#hasMore
    this.#wake()
  }

  // What the sender and the parser tell

  onProgress (): void {
    this.#wake()
  }

  onFrame (first: number, buffer: Buffer, start: number, end: number, key: number): void {
    if ((first & First.Control) !== 0) this.#onControl(first & First.Opcode, buffer, start, end, key)
    else if (this.#delivers) this.#onData(first, buffer, start, end, key)

    if (++this.#framesInTurn % FRAMES_PER_CLOCK === 0) this.#yieldIfDue()
  }

  #onData (first: number, buffer: Buffer, start: number, end: number, key: number): void {
    const whole = first & ~First.Rsv1
    if (this.#assembler !== undefined || (whole !== WHOLE_BINARY && whole !== WHOLE_TEXT)) return this.#assemble(first, buffer, start, end, key)
    // A message in one frame, which most are: nothing of it has to be remembered.
    const isBinary = whole === WHOLE_BINARY
    const compressed = first !== whole
    checkMessageBytes(end - start, compressed, this.#limits.maxMessageBytes)
    if (compressed) this.onCompressedMessage(unmasked(buffer, start, end, key), isBinary)
    else this.onMessage(wholeMessage(isBinary, buffer, start, end, key, this.#textAs), isBinary)
  }

  #assemble (first: number, buffer: Buffer, start: number, end: number, key: number): void {
    const assembler = this.#assembling
    assembler.onFrame(first, buffer, start, end, key)
    if (!assembler.inMessage) this.#assembler = undefined
  }

  onFrameStart (first: number, length: number): void {
    if (this.#delivers) this.#assembling.onFrameStart(first, length)
  }

  onFramePart (buffer: Buffer, start: number, end: number, key: number, last: boolean): void {
    if (!this.#delivers) return
    const assembler = this.#assembler!
    assembler.onFramePart(buffer, start, end, key, last)
    if (!assembler.inMessage) this.#assembler = undefined
  }

  /** Whether messages are still delivered. */
  get #delivers (): boolean {
    return this.state === State.Open || (this.state === State.CloseSent && this.#limits.deliversWhileClosing === true)
  }

  get #assembling (): MessageAssembler {
    return (this.#assembler ??= new MessageAssembler(this, this.#limits.maxMessageBytes, this.#textAs))
  }

  onMessage (data: string | Buffer, isBinary: boolean): void {
    if (this.#peerRates?.limited === true && !this.#peerRates.takeMessage(this.#turnTime)) throw new ProtocolError(CloseCode.PolicyViolation, 'too many messages a second')
    this.messagesReceived++
    this.handler.onMessage(data, isBinary)
  }

  onCompressedMessage (payload: Buffer, isBinary: boolean): void {
    const deflate = this.#deflate!
    this.#turnStart ??= performance.now()
    const message = deflate.inflate(payload, this.#limits.maxMessageBytes)
    if (message !== undefined) {
      // A message may take as long as a thousand frames: 64 final blocks in 134 octets are 2 ms.
      this.#yieldIfDue()
      return this.onMessage(messageOf(isBinary, message, this.#textAs), isBinary)
    }

    const inflating: Inflating = { isBinary, message: undefined }
    if (this.reading) this.#rates.stop()
    this.#inflating = inflating
    this.#parser.halted = true
    deflate.inflateLater(payload, this.#limits.maxMessageBytes, () => this.#inflating === inflating, (result) => {
      if (this.#inflating !== inflating) return
      if (result instanceof ProtocolError) return this.fail(result)
      inflating.message = result
      this.more = !this.#paused
      this.#wake()
    })
  }

  #deliver (message: Buffer, isBinary: boolean): void {
    this.#inTurn = true
    // The job has taken its time, which is granted.
    this.#turnStart = undefined
    this.#inflating = undefined
    if (this.reading) this.#rates.resume()
    try {
      this.onMessage(messageOf(isBinary, message, this.#textAs), isBinary)
    } catch (error) {
      this.#failBy(error)
    }
    this.#inTurn = false
  }

  #parse (chunk: Buffer, isOwn: boolean): void {
    this.#inTurn = true
    this.#framesInTurn = 0
    this.#turnStart = undefined
    this.#parser.halted = false
    let offset = chunk.length
    try {
      offset = this.#parser.feed(chunk, 0)
    } catch (error) {
      this.#failBy(error)
    }
    this.#inTurn = false
    if (offset < chunk.length && this.state <= State.CloseSent) this.#keep(chunk.subarray(offset), isOwn)
  }

  #failBy (error: unknown): void {
    this.fail(error instanceof ProtocolError ? error : new ProtocolError(CloseCode.InternalError, 'internal error', { cause: error }))
  }

  get #rates (): PeerRates {
    return (this.#peerRates ??= new PeerRates(undefined))
  }

  /** Whether `continue` has something to do. */
  get #hasMore (): boolean {
    return this.#rest !== undefined || this.#inflating?.message !== undefined || this.#eof
  }

  /** Keeps the rest of a chunk: for one turn of the event loop as it is; for longer as a copy, made once, so that it does not pin the chunk. */
  #keep (rest: Buffer, isOwn: boolean): void {
    if (this.reading) this.more = true
    this.#restIsOwn = isOwn || !this.reading
    this.#rest = this.reading || isOwn ? rest : Buffer.from(rest)
  }

  /** The time for whatever is judged in this turn. */
  get #turnTime (): number {
    return (this.#turnStart ??= performance.now())
  }

  #yieldIfDue (): void {
    const now = performance.now()
    this.#turnStart ??= now
    if (this.#framesInTurn >= FRAMES_PER_TURN || now - this.#turnStart >= TURN_MS) this.#parser.halted = true
  }

  #onControl (opcode: number, buffer: Buffer, start: number, end: number, key: number): void {
    mask(buffer, start, end, key)
    if (opcode === Opcode.Close) return this.#onClose(buffer, start, end)
    if (!this.#rates.takeControlFrame(this.#turnTime)) throw new ProtocolError(CloseCode.PolicyViolation, 'too many control frames')
    const payload = Buffer.from(buffer.subarray(start, end))
    if (opcode === Opcode.Pong) return this.handler.onPong(payload)

    // §5.5.3: a pong holds what the ping held; of several pings the last may be answered alone.
    if (this.#limits.autoPong !== false) {
      if (this.output.blocked && this.output.byteLength > this.#limits.highWaterMarkBytes) this.#pendingPong = payload
      else this.#sender.pong(payload)
    }
    this.handler.onPing(payload)
  }

  #onClose (buffer: Buffer, start: number, end: number): void {
    const { code, reason } = readClosePayload(buffer, start, end)
    this.closeCode = code
    this.closeReason = reason
    // §7.1.1: the server ends the transport first; the client waits for it.
    const shutdown = this.role === 'server' ? 'end' : 'none'
    // §5.5.1: whoever has not sent a Close answers with one, as soon as practical, and echoes the code if it may send it. The
    // reason comes back too: a browser that closes tells its page what our Close says.
    const echoes = code === CloseCode.NoStatusReceived || isSendableCloseCode(code, this.role)
    if (this.state === State.Open) this.#leaveOpen(State.Ending, shutdown, echoes ? code : CloseCode.NormalClosure, echoes ? reason : '')
    else this.#end(shutdown)
  }

  #sendControl (opcode: number, payload: Uint8Array): void {
    if (this.state !== State.Open) return
    this.#sender.sendControl(opcode, payload)
    this.#wake()
  }

  /** Sends the Close and tells, last of all, that the connection is not open any more. */
  #leaveOpen (state: typeof State.CloseSent | typeof State.Ending, shutdown: Shutdown, code: number, reason: string): void {
    this.sentCloseCode = code
    this.#sender.sendControl(Opcode.Close, writeClosePayload(code, reason), () => { this.#closeWritten = true })
    if (state === State.Ending) {
      this.#end(shutdown)
    } else {
      this.state = state
      const wasReading = this.reading
      // Unless something is still to be delivered, nothing has a reason to hold up what comes: the peer's Close is in it.
      this.#paused = false
      if (!this.#delivers) this.#inflating = this.#assembler = undefined
      if (!wasReading && this.reading) this.#rates.resume()
      this.#parser.halted = this.#inflating !== undefined
      this.more = this.#hasMore
    }
    this.handler.onClosing()
  }

  #end (shutdown: Shutdown): void {
    this.state = State.Ending
    if (shutdown === 'destroy') {
      this.shutdown = shutdown
      this.#sender.stop()
    } else {
      this.#sender.afterAll(() => { this.shutdown = shutdown })
    }
    this.#ignoreInput()
  }

  #ignoreInput (): void {
    this.#paused = false
    this.#inflating = this.#assembler = undefined
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

  #sent (fin: boolean): void {
    if (fin) this.messagesSent++
    this.#wake()
  }

  #wake (): void {
    if (!this.#inTurn) this.driver.onWake()
  }
}

const UNDRIVEN: ConnectionDriver = { onWake () {} }
