/**
 * A client on a raw socket: it shakes hands, sends frames that were built before, and counts those that come. All
 * that costs it time for each message is a look at the header.
 */
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { constants, inflateRawSync } from 'node:zlib'
import { FrameCounter, FrameRing, Opcode, frame } from './frames.js'
import { payloadsOf } from './payloads.js'

/** Of all sockets: what a read brings is counted before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024)

// RFC 6455, section 1.3.
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** What a sender takes off the end of a compressed message (RFC 7692, section 7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff])
const CLOSE_FRAME = frame(Buffer.from([0x03, 0xe8]), { opcode: Opcode.Close })

/** The frames of a script: as many with keys of their own as this allows. */
const MOST_FRAMES = 256
const MOST_BYTES = 8 * 1024 * 1024

/** What the clients of a scenario send, and what they expect; one for all. */
export class Script {
  constructor (scenario, agreed) {
    const { opcode, sent, expected, length, compressed } = payloadsOf(scenario, agreed)
    const count = Math.max(sent.length, Math.min(MOST_FRAMES, Math.floor(MOST_BYTES / sent[0].length)))
    const frames = Array.from({ length: count }, (_, i) => frame(sent[i % sent.length], { opcode, compressed, masked: !scenario.bare }))
    this.depth = scenario.depth ?? 1
    this.ring = new FrameRing(frames, this.depth)
    this.expected = expected
    this.frame = { opcode, compressed, length }
  }
}

export class Client {
  /** What the server agreed to of permessage-deflate: `{ takeover, windowBits }`, or undefined. */
  agreed
  /** Called with the number of messages that a read has brought, and when the last of them was sent. */
  onMessages
  onClose = () => { throw new Error('the server has closed a connection') }

  #socket
  #script
  #counter
  /** Gets what is read. */
  #onRead
  #sent = 0
  #received = 0
  /** When the messages in flight were sent. */
  #sentAt

  constructor (scenario, port) {
    const connect = scenario.tls ? connectTls : connectTcp
    const onread = {
      buffer: readBuffer,
      callback: (end) => {
        this.#onRead(end)
        return true
      }
    }
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true, rejectUnauthorized: false, onread })
  }

  /** Connects and shakes hands, unless the scenario is bare of WebSocket. */
  static async open (scenario, port) {
    const client = new Client(scenario, port)
    const socket = client.#socket
    await new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.once(scenario.tls ? 'secureConnect' : 'connect', resolve)
    })
    socket.on('close', () => { client.onClose() })
    if (scenario.bare) return client

    const answer = await new Promise((resolve) => {
      client.#onRead = (end) => { resolve(readBuffer.latin1Slice(0, end)) }
      socket.write([
        'GET / HTTP/1.1', `Host: 127.0.0.1:${port}`, 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${KEY}`,
        ...scenario.deflate ? ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'] : [], '', ''
      ].join('\r\n'))
    })
    if (!answer.startsWith('HTTP/1.1 101 ') || !answer.includes(ACCEPT) || !answer.endsWith('\r\n\r\n')) throw new Error(`the server answered the handshake with ${answer}`)
    client.agreed = agreedOf(answer)
    if ((client.agreed && (client.agreed.takeover ? 'takeover' : 'alone')) !== scenario.deflate) throw new Error(`not the compression of the scenario (${scenario.deflate}): ${answer}`)
    return client
  }

  /** Counts from now on what comes, by this script. */
  follow (script) {
    this.#script = script
    // Whoever only receives is asked, after a while, whether it lives.
    const onPing = (payload) => this.#socket.write(frame(payload, { opcode: Opcode.Pong }))
    this.#counter = new FrameCounter({ ...script.frame, onPing })
    this.#sentAt = new Float64Array(script.depth)
    this.#onRead = (end) => { this.#count(end) }
  }

  /** Sends the first message, and compares what comes back octet by octet. */
  async rehearse () {
    const script = this.#script
    const kept = this.#counter.kept = []
    const echoed = new Promise((resolve) => { this.onMessages = resolve })
    this.send(1)
    await echoed
    this.#counter.kept = undefined
    const echo = script.frame.compressed ? inflateRawSync(Buffer.concat([...kept, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH }) : Buffer.concat(kept)
    if (!echo.equals(script.expected)) throw new Error(`the echo of ${script.expected.length} octets differs: ${echo.subarray(0, 64)}`)
  }

  /** Sends the next messages: `depth` of the script at most may be in flight. */
  send (count) {
    const { ring, depth } = this.#script
    const now = performance.now()
    this.#socket.write(ring.slice(this.#sent % ring.length, count))
    for (let i = 0; i < count; i++) this.#sentAt[this.#sent++ % depth] = now
  }

  #count (end) {
    const count = this.#counter.count(readBuffer, end)
    if (count === 0) return
    this.#received += count
    this.onMessages(count, this.#sentAt[(this.#received - 1) % this.#script.depth])
  }

  /** The closing handshake; resolves when the connection has ended. */
  async close () {
    const counter = new FrameCounter({ opcode: Opcode.Close, length: 2 })
    let answered = false
    this.#onRead = (end) => { answered = counter.count(readBuffer, end) === 1 }
    await new Promise((resolve) => {
      this.onClose = resolve
      this.#socket.write(CLOSE_FRAME)
    })
    if (!answered) throw new Error('the server did not answer the Close')
  }

  destroy () {
    this.onClose = () => {}
    this.#socket.destroy()
  }
}

function agreedOf (answer) {
  const extensions = /^sec-websocket-extensions: *(.*)$/im.exec(answer)?.[1]
  if (extensions === undefined) return undefined
  return {
    takeover: !extensions.includes('client_no_context_takeover'),
    windowBits: Number(/client_max_window_bits=(\d+)/.exec(extensions)?.[1] ?? 15)
  }
}
