/**
 * A connection as the table on top of `connection.ts` and RFC 6455 §7 describe it: it knows frames but no octets, and
 * foretells what the connection tells, what it sends and where it stands.
 */
import { Buffer } from 'node:buffer'
import type { Role } from '../../lib/protocol/constants.ts'
import type { Shutdown } from '../../lib/protocol/connection.ts'

export const MAX_MESSAGE_BYTES = 100
export const HIGH_WATER_MARK_BYTES = 40
const FRAMES_PER_TURN = 256
/** So many may come at once, and none later, since the clock stands still. */
const MOST_CONTROL_FRAMES = 100

/** What arrives. `bad` breaks a rule that the header shows, `not UTF-8` shows with its last octet. */
export type Incoming =
  | { readonly kind: 'text' | 'binary' | 'continuation', readonly payload: string, readonly fin: boolean }
  | { readonly kind: 'not UTF-8' }
  | { readonly kind: 'ping' | 'pong', readonly payload: string }
  | { readonly kind: 'close', readonly code: number | undefined, readonly reason: string }
  | { readonly kind: 'bad close' | 'bad' }

/** All of a frame, or one of the two parts of its octets: the first has the header and some of the payload. */
export interface Piece {
  readonly frame: Incoming
  readonly part: 'whole' | 'first' | 'second'
}

/** What an application may do when it is told something. */
export type Reaction = 'pause' | 'close' | 'abort' | 'fail' | 'send' | 'ping'

/** What the model and the connection are put through. */
export interface Endpoint {
  receive (pieces: readonly Piece[]): void
  continue (): void
  eof (): void
  lost (): void
  block (): void
  /** All that waits has left. */
  drained (): void
  outputDrained (): void
  sendText (text: string, fin: boolean): void
  sendBinary (text: string, fin: boolean): void
  ping (payload: string): void
  pong (payload: string): void
  close (code: number, reason: string): void
  fail (): void
  abort (): void
  pause (): void
  resume (): void
  /** What it does when the next message, ping or pong is told, or that the connection is closing. */
  reactTo (what: 'frame' | 'closing', reaction: Reaction): void
  snapshot (): Snapshot
}

/** What was told and sent since the last look, and where it stands. */
export interface Snapshot {
  readonly told: readonly string[]
  readonly sent: readonly string[]
  readonly state: string
  readonly shutdown: Shutdown
  readonly closeCode: number
  readonly closeReason: string
  readonly sentCloseCode: number
  readonly wasClean: boolean
  readonly reading: boolean
  /** Whether it asks to be continued; undefined while it is paused, when that makes no difference. */
  readonly more: boolean | undefined
  readonly messagesReceived: number
  readonly messagesSent: number
  readonly droppedBytes: number
}

const NONE = 1005
const LOST = 1006

export class Model implements Endpoint {
  state: 'Open' | 'CloseSent' | 'Ending' | 'Closed' = 'Open'
  readonly role: Role
  #shutdown: Shutdown = 'none'
  #closeCode = LOST
  #closeReason = ''
  #sentCloseCode = LOST
  #paused = false
  /** What has arrived and was not looked at. */
  #rest: readonly Piece[] = []
  #eof = false
  #halted = false
  #told: string[] = []
  #sent: string[] = []
  #unsentBytes = 0
  #blocked = false
  #waitingPong: string | undefined
  #controlFrames = 0
  #sendingFragments = false
  /** The message whose fragments arrive. */
  #message: { readonly kind: 'text' | 'binary', payload: string } | undefined
  #messagesReceived = 0
  #messagesSent = 0
  #droppedBytes = 0
  #reaction: { readonly to: 'frame' | 'closing', readonly what: Reaction } | undefined

  constructor (role: Role) {
    this.role = role
  }

  receive (pieces: readonly Piece[]): void {
    if (!this.#looksAtInput) return
    if (this.#rest.length > 0) this.#rest = [...this.#rest, ...pieces]
    else if (this.#paused) this.#rest = pieces
    else this.#turn(pieces)
  }

  continue (): void {
    if (this.#paused) return
    const rest = this.#rest
    this.#rest = []
    if (rest.length > 0) this.#turn(rest)
    if (this.#eof) this.eof()
  }

  eof (): void {
    this.#eof = true
    if (this.state === 'Closed' || this.#rest.length > 0) return
    if (this.#shutdown === 'none') this.#shutdown = 'end'
    this.#closed()
  }

  lost (): void {
    if (this.state !== 'Closed') this.#closed()
  }

  block (): void { this.#blocked = true }

  drained (): void {
    this.#blocked = false
    this.outputDrained()
  }

  outputDrained (): void {
    if (this.#waitingPong !== undefined && this.#looksAtInput) this.#send('pong', this.#waitingPong)
    this.#waitingPong = undefined
  }

  sendText (text: string, fin: boolean): void { this.#sendData('text', text, fin) }
  sendBinary (text: string, fin: boolean): void { this.#sendData('binary', text, fin) }
  ping (payload: string): void { if (this.state === 'Open') this.#send('ping', payload) }
  pong (payload: string): void { if (this.state === 'Open') this.#send('pong', payload) }
  close (code: number, reason: string): void { if (this.state === 'Open') this.#leaveOpen('CloseSent', 'none', code, reason) }
  fail (): void { this.#fail(1008) }

  abort (): void {
    if (this.state === 'Closed') return
    const wasOpen = this.state === 'Open'
    this.#end('destroy')
    if (wasOpen) this.#tell('closing')
  }

  pause (): void {
    if (this.state !== 'Open') return
    this.#paused = true
    this.#halted = true
  }

  resume (): void { this.#paused = false }

  reactTo (to: 'frame' | 'closing', what: Reaction): void { this.#reaction = { to, what } }

  snapshot (): Snapshot {
    const told = this.#told
    const sent = this.#blocked ? [] : this.#sent
    this.#told = []
    if (!this.#blocked) {
      this.#sent = []
      this.#unsentBytes = 0
    }
    return {
      told,
      sent,
      state: this.state,
      shutdown: this.#shutdown,
      closeCode: this.#closeCode,
      closeReason: this.#closeReason,
      sentCloseCode: this.#sentCloseCode,
      wasClean: this.#wasClean,
      reading: !this.#paused,
      more: this.#paused ? undefined : this.#rest.length > 0,
      messagesReceived: this.#messagesReceived,
      messagesSent: this.#messagesSent,
      droppedBytes: this.#droppedBytes
    }
  }

  /** §5.5.1, §7.1.7: after the Close of the peer, or a failure, nothing is looked at. */
  get #looksAtInput (): boolean { return this.state === 'Open' || this.state === 'CloseSent' }

  get #wasClean (): boolean { return this.#closeCode !== LOST && this.#sentCloseCode !== LOST }

  #turn (pieces: readonly Piece[]): void {
    this.#halted = false
    let frames = 0
    let i = 0
    while (i < pieces.length && !this.#halted) {
      const { frame, part } = pieces[i++]!
      if (part !== 'second') this.#begin(frame)
      if (part === 'first' || !this.#looksAtInput) continue
      this.#finish(frame)
      // Data of which a part came in an earlier turn is not counted: there is one such frame at most.
      const counts = isControl(frame) || part === 'whole' || i > 1
      if (counts && ++frames === FRAMES_PER_TURN) this.#halted = true
    }
    if (this.#looksAtInput) this.#rest = pieces.slice(i)
  }

  /** What can be said of a frame when its header is there. */
  #begin (frame: Incoming): void {
    if (frame.kind === 'bad') return this.#fail(1002)
    if (this.state !== 'Open' || isControl(frame)) return
    if (frame.kind === 'continuation') {
      if (this.#message === undefined) return this.#fail(1002)
    } else {
      if (this.#message !== undefined) return this.#fail(1002)
      this.#message = { kind: frame.kind === 'binary' ? 'binary' : 'text', payload: '' }
    }
    if ('payload' in frame && Buffer.byteLength(this.#message!.payload + frame.payload) > MAX_MESSAGE_BYTES) this.#fail(1009)
  }

  #finish (frame: Incoming): void {
    if ((frame.kind === 'ping' || frame.kind === 'pong') && ++this.#controlFrames > MOST_CONTROL_FRAMES) return this.#fail(1008)
    switch (frame.kind) {
      case 'ping':
        if (this.#blocked && this.#unsentBytes > HIGH_WATER_MARK_BYTES) this.#waitingPong = frame.payload
        else this.#send('pong', frame.payload)
        return this.#tell(`ping ${JSON.stringify(frame.payload)}`)
      case 'pong':
        return this.#tell(`pong ${JSON.stringify(frame.payload)}`)
      case 'bad close':
        return this.#fail(1002)
      case 'close':
        return this.#onClose(frame.code ?? NONE, frame.reason)
      case 'bad':
        return
    }
    if (this.state !== 'Open') return
    if (frame.kind === 'not UTF-8') return this.#fail(1007)
    const message = this.#message!
    message.payload += frame.payload
    if (!frame.fin) return
    this.#message = undefined
    this.#messagesReceived++
    this.#tell(message.kind === 'text' ? `text ${JSON.stringify(message.payload)}` : `binary ${Buffer.from(message.payload).toString('hex')}`)
  }

  #onClose (code: number, reason: string): void {
    this.#closeCode = code
    this.#closeReason = reason
    // §7.1.1: the server ends the transport first.
    const shutdown = this.role === 'server' ? 'end' : 'none'
    // §7.4.1: 1010 is for clients.
    const echoes = code !== 1010 || this.role === 'client'
    if (this.state === 'Open') this.#leaveOpen('Ending', shutdown, echoes ? code : 1000, echoes ? reason : '')
    else this.#end(shutdown)
  }

  #fail (code: number): void {
    if (!this.#looksAtInput) return
    if (this.state === 'Open') this.#leaveOpen('Ending', 'end', code, undefined)
    else this.#end('destroy')
    this.#tell(`error ${code}`)
  }

  /** The reason is undefined for an error, whose text is not foretold. */
  #leaveOpen (state: 'CloseSent' | 'Ending', shutdown: Shutdown, code: number, reason: string | undefined): void {
    this.#sentCloseCode = code
    this.#send('close', code === NONE ? undefined : reason === undefined ? `${code}` : `${code} ${JSON.stringify(reason)}`)
    if (state === 'Ending') {
      this.#end(shutdown)
    } else {
      this.state = state
      this.#paused = this.#halted = false
    }
    this.#tell('closing')
  }

  #end (shutdown: Shutdown): void {
    this.state = 'Ending'
    this.#shutdown = shutdown
    this.#ignoreInput()
  }

  #closed (): void {
    const wasOpen = this.state === 'Open'
    this.state = 'Closed'
    this.#ignoreInput()
    if (wasOpen) this.#tell('closing')
    this.#tell(`close ${this.#closeCode} ${JSON.stringify(this.#closeReason)} ${this.#wasClean ? 'clean' : 'unclean'}`)
  }

  #ignoreInput (): void {
    this.#rest = []
    this.#paused = false
    this.#halted = true
  }

  #sendData (kind: 'text' | 'binary', text: string, fin: boolean): void {
    if (this.state !== 'Open') {
      this.#droppedBytes += Buffer.byteLength(text)
      return
    }
    this.#send(`${this.#sendingFragments ? 'continuation' : kind}${fin ? '' : '…'}`, text)
    this.#sendingFragments = !fin
    if (fin) this.#messagesSent++
  }

  /** For a Close, `payload` is what is written of it, and its octets do not matter: no ping is answered behind it in Open. */
  #send (name: string, payload: string | undefined): void {
    this.#sent.push(payload === undefined ? name : name === 'close' ? `close ${payload}` : `${name} ${JSON.stringify(payload)}`)
    const length = payload === undefined ? 0 : name === 'close' ? closeBytes(payload) : Buffer.byteLength(payload)
    this.#unsentBytes += 2 + (length < 126 ? 0 : 2) + (this.role === 'client' ? 4 : 0) + length
  }

  #tell (line: string): void {
    this.#told.push(line)
    const to = line === 'closing' ? 'closing' : /^(text|binary|ping|pong)/.test(line) ? 'frame' : undefined
    if (this.#reaction?.to !== to || to === undefined) return
    const { what } = this.#reaction!
    this.#reaction = undefined
    react(this, what)
  }
}

/** Does it, to the model or to the connection. */
export function react (endpoint: Endpoint, what: Reaction): void {
  switch (what) {
    case 'pause': return endpoint.pause()
    case 'close': return endpoint.close(1001, 'enough')
    case 'abort': return endpoint.abort()
    case 'fail': return endpoint.fail()
    case 'send': return endpoint.sendText('reply', true)
    case 'ping': return endpoint.ping('?')
  }
}

function isControl (frame: Incoming): frame is Extract<Incoming, { kind: 'ping' | 'pong' | 'close' | 'bad close' }> {
  return frame.kind === 'ping' || frame.kind === 'pong' || frame.kind === 'close' || frame.kind === 'bad close'
}

/** Of `1000 "reason"`. */
function closeBytes (written: string): number {
  const reason = written.slice(written.indexOf(' ') + 1)
  return 2 + (reason === written ? 0 : Buffer.byteLength(JSON.parse(reason) as string))
}
