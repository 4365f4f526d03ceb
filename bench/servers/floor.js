/**
 * The least that a WebSocket server on the sockets of Node can do, with the interface of ours: a Buffer of its own and an
 * event for each message, and one write for all answers to a read. It checks nothing and knows no limits, no fragments
 * and no closing handshake: nobody should use it. What it costs is what nobody can do without.
 */
import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { createServer } from 'node:http'
import { ready } from './ready.js'

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const BINARY = 0x82
const LENGTH_16 = 126

/** What one read is answered with, of any connection: it has left when `write` returns, or is copied. */
const answers = Buffer.allocUnsafeSlow(256 * 1024)

class Socket extends EventEmitter {
  #socket
  #rest
  #answered = 0

  constructor (socket) {
    super({ captureRejections: true })
    this.#socket = socket
    socket.on('data', (chunk) => { this.#receive(chunk) })
  }

  #receive (chunk) {
    if (this.#rest !== undefined) chunk = Buffer.concat([this.#rest, chunk])
    let offset = 0
    // A whole frame is there: two octets of header, two more if it is long, the key, the payload.
    while (offset + 8 <= chunk.length) {
      let length = chunk[offset + 1] & 0x7f
      let start = offset + 6
      if (length === LENGTH_16) {
        length = (chunk[offset + 2] << 8) | chunk[offset + 3]
        start += 2
      }
      if (start + length > chunk.length) break
      this.emit('message', unmasked(chunk, start, length), true)
      offset = start + length
    }
    this.#rest = offset < chunk.length ? chunk.subarray(offset) : undefined
    if (this.#answered > 0) this.#flush()
  }

  #flush () {
    const octets = answers.subarray(0, this.#answered)
    this.#answered = 0
    this.#socket.write(octets)
    // The kernel did not take all: what waits must not be written over.
    if (this.#socket.writableLength > 0) throw new Error('the load does not read')
  }

  send (data) {
    const { length } = data
    let at = this.#answered
    answers[at] = BINARY
    if (length < LENGTH_16) {
      answers[at + 1] = length
      at += 2
    } else {
      answers[at + 1] = LENGTH_16
      answers[at + 2] = length >> 8
      answers[at + 3] = length
      at += 4
    }
    if (length < 48) for (let i = 0; i < length; i++) answers[at + i] = data[i]
    else answers.set(data, at)
    this.#answered = at + length
  }
}

function unmasked (chunk, start, length) {
  const payload = Buffer.allocUnsafe(length)
  const k0 = chunk[start - 4]
  const k1 = chunk[start - 3]
  const k2 = chunk[start - 2]
  const k3 = chunk[start - 1]
  let i = 0
  for (; i + 4 <= length; i += 4) {
    payload[i] = chunk[start + i] ^ k0
    payload[i + 1] = chunk[start + i + 1] ^ k1
    payload[i + 2] = chunk[start + i + 2] ^ k2
    payload[i + 3] = chunk[start + i + 3] ^ k3
  }
  for (; i < length; i++) payload[i] = chunk[start + i] ^ chunk[start - 4 + (i & 3)]
  return payload
}

const server = createServer()
server.on('upgrade', (request, stream) => {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64')
  stream.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  stream.setNoDelay(true)
  stream.on('error', () => {})
  const socket = new Socket(stream)
  socket.on('message', (data) => { socket.send(data) })
})
server.listen(0, '127.0.0.1', () => { ready(server.address().port) })
