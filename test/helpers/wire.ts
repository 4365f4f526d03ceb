/**
 * A client that is nothing but bytes: it writes what it is told, right or wrong, and collects what comes. For
 * network sockets and for any other Duplex.
 */
import { Buffer } from 'node:buffer'
import { connect, type NetConnectOpts } from 'node:net'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { closePayload, describe, frame, readFrames, type FrameOptions, type WireFrame } from './frames.ts'

/** The key of RFC 6455 §1.3, and what a server answers to it. */
export const SAMPLE_KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
export const SAMPLE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** Longer than anything that a test waits for; the error says what was there instead. */
const PATIENCE_MS = 15_000

type FieldValue = string | readonly string[] | null

export interface RequestOptions {
  readonly method?: string
  readonly path?: string
  readonly version?: string
  /** Fields instead of those of a right handshake, or beside them; null leaves one out, an array repeats it. */
  readonly headers?: Readonly<Record<string, FieldValue>>
  readonly body?: string
}

/** The head of a handshake, and whatever shall be wrong with it. */
export function upgradeRequest (options: RequestOptions = {}): string {
  const fields: Record<string, FieldValue> = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': SAMPLE_KEY,
    'Sec-WebSocket-Version': '13',
    ...options.headers
  }
  return request({ ...options, headers: fields })
}

/** A request with these fields and no others. */
export function request ({ method = 'GET', path = '/', version = 'HTTP/1.1', headers = {}, body = '' }: RequestOptions): string {
  const lines = [`${method} ${path} ${version}`]
  for (const [name, value] of Object.entries(headers)) {
    for (const one of value === null ? [] : typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

export interface WireResponse {
  readonly statusCode: number
  /** By lower-case name; a field that came twice is joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly setCookie: readonly string[]
  readonly body: string
}

export class Wire {
  readonly duplex: Duplex
  ended = false
  error: Error | undefined
  #waiting: Array<() => void> = []
  /** Grows by doubling: what came stands in `#store[#start, #end)`. */
  #store: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0

  constructor (duplex: Duplex) {
    this.duplex = duplex
    duplex.on('data', (chunk: Buffer) => {
      this.#append(chunk)
      this.#notify()
    })
    duplex.on('end', () => {
      this.ended = true
      this.#notify()
    })
    duplex.on('error', (error) => { this.error = error })
    duplex.on('close', () => this.#notify())
  }

  /** All that came and was not taken by `response` or `frames`. */
  get received (): Buffer { return this.#store.subarray(this.#start, this.#end) }
  set received (octets: Buffer) {
    this.#store = octets
    this.#start = 0
    this.#end = octets.length
  }

  #append (chunk: Buffer): void {
    if (this.#end + chunk.length > this.#store.length) {
      const store = Buffer.alloc(2 * (this.#end - this.#start + chunk.length))
      this.#end = this.received.copy(store)
      this.#start = 0
      this.#store = store
    }
    this.#end += chunk.copy(this.#store, this.#end)
  }

  /** Takes so many octets from the front. */
  #drop (octets: number): void { this.#start += octets }

  static async connect (options: NetConnectOpts | number): Promise<Wire> {
    const socket = connect({ allowHalfOpen: true, ...typeof options === 'number' ? { port: options, host: '127.0.0.1' } : options })
    await once(socket, 'connect')
    return new Wire(socket)
  }

  /** Connects and shakes hands; the bytes behind the request go in the same packet. */
  static async open (port: number, options: RequestOptions = {}, behind: Uint8Array = Buffer.alloc(0)): Promise<Wire> {
    const wire = await Wire.connect(port)
    wire.write(Buffer.concat([Buffer.from(upgradeRequest(options)), behind]))
    const { statusCode, body } = await wire.response()
    if (statusCode !== 101) throw new Error(`refused: ${statusCode} ${body}`)
    return wire
  }

  write (data: string | Uint8Array): void { this.duplex.write(data) }
  end (): void { this.duplex.end() }
  destroy (): void { this.duplex.destroy() }

  /** A frame of a client, masked. */
  frame (options: FrameOptions): void { this.write(frame({ masked: true, ...options })) }
  text (payload: string | Uint8Array, fin = true): void { this.frame({ opcode: 1, payload, fin }) }
  binary (payload: string | Uint8Array): void { this.frame({ opcode: 2, payload }) }
  ping (payload = ''): void { this.frame({ opcode: 9, payload }) }
  pong (payload = ''): void { this.frame({ opcode: 10, payload }) }
  close (code?: number, reason?: string): void { this.frame({ opcode: 8, payload: closePayload(code, reason) }) }

  get closed (): boolean { return this.duplex.closed }

  /** Resolves as soon as it is true, looked at after all that happens on the connection. */
  async until (isTrue: () => boolean, what = 'it'): Promise<void> {
    const deadline = setTimeout(() => this.#notify(), PATIENCE_MS)
    const start = performance.now()
    try {
      while (!isTrue()) {
        if (performance.now() - start >= PATIENCE_MS) throw this.#missing(what)
        if (this.duplex.closed) throw this.#missing(`${what}, before the connection closed,`)
        await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  /** The next response, with as much body as its Content-Length says; all that comes until the end where there is none. */
  async response (): Promise<WireResponse> {
    await this.until(() => this.received.includes('\r\n\r\n'), 'the head of a response')
    const headLength = this.received.indexOf('\r\n\r\n') + 4
    const [statusLine, ...lines] = this.received.toString('latin1', 0, headLength - 4).split('\r\n')
    const statusCode = Number(statusLine!.split(' ')[1])
    const headers: Record<string, string> = {}
    const setCookie: string[] = []
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).toLowerCase()
      const value = line.slice(colon + 1).trim()
      if (name === 'set-cookie') setCookie.push(value)
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value
    }
    this.#drop(headLength)
    if (statusCode < 200) return { statusCode, headers, setCookie, body: '' }
    const length = headers['content-length']
    if (length === undefined) await this.until(() => this.ended, 'the end of a body without length')
    else await this.until(() => this.received.length >= Number(length), 'the body')
    const bodyLength = length === undefined ? this.received.length : Number(length)
    const body = this.received.toString('utf8', 0, bodyLength)
    this.#drop(bodyLength)
    return { statusCode, headers, setCookie, body }
  }

  /** The next so many frames of a server. */
  async frames (count: number): Promise<WireFrame[]> {
    const frames: WireFrame[] = []
    let at = 0
    await this.until(() => {
      for (let end = 0; frames.length < count && (end = frameEnd(this.received, at)) !== -1; at = end) frames.push(readFrames(this.received.subarray(at, end))[0]!)
      return frames.length === count
    }, `frame ${count}`)
    this.#drop(at)
    return frames
  }

  /** The same as readable lines. */
  async lines (count: number): Promise<string[]> {
    return (await this.frames(count)).map(describe)
  }

  /** All frames until the other end ends, which it must do. */
  async linesUntilEnd (): Promise<string[]> {
    await this.untilEnd()
    const frames = readFrames(this.received)
    this.#drop(this.received.length)
    return frames.map(describe)
  }

  /** The other end has ended or destroyed the connection. */
  async untilEnd (): Promise<void> {
    if (!this.ended && !this.duplex.closed) await this.until(() => this.ended || this.duplex.closed, 'the end')
  }

  /** Ends in its turn, and waits until the connection is gone. */
  async untilClosed (): Promise<void> {
    await this.untilEnd()
    this.duplex.end()
    if (!this.duplex.closed) await once(this.duplex, 'close')
  }

  #missing (what: string): Error {
    return new Error(`${what} has not come: received ${JSON.stringify(this.received.toString('latin1').slice(0, 2000))}, ended: ${this.ended}`)
  }

  #notify (): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** Where the frame ends that begins at `at`; -1 if it is not whole. */
function frameEnd (bytes: Buffer, at: number): number {
  if (at + 2 > bytes.length) return -1
  const field = bytes[at + 1]! & 0x7f
  const extended = field === 126 ? 2 : field === 127 ? 8 : 0
  if (at + 2 + extended > bytes.length) return -1
  const length = extended === 0 ? field : extended === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
  const end = at + 2 + extended + length + (bytes[at + 1]! >= 0x80 ? 4 : 0)
  return end > bytes.length ? -1 : end
}
