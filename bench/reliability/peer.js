/**
 * A WebSocket client of bytes, cheap enough for thousands of them in one process, and as badly behaved as it is told: its
 * `socket` is a net.Socket to cut, reset and pause.
 */
import { Buffer } from 'node:buffer'
import { connect } from 'node:net'
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'

const FIRST_LENGTH_16 = 126
const LENGTH_64 = 127

/** A frame of a client; a key of zeros masks nothing. */
export function frame (opcode, payload = Buffer.alloc(0), { fin = true, rsv1 = false } = {}) {
  const { length } = payload
  const field = length < FIRST_LENGTH_16 ? length : length < 65536 ? FIRST_LENGTH_16 : LENGTH_64
  const extended = field === FIRST_LENGTH_16 ? 2 : field === LENGTH_64 ? 8 : 0
  const header = Buffer.alloc(2 + extended + 4)
  header[0] = (fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode
  header[1] = 0x80 | field
  if (extended === 2) header.writeUInt16BE(length, 2)
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([header, payload])
}

export function compress (text) {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH, level: 1 }).subarray(0, -4)
}

export function inflate (payload) {
  return inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: constants.Z_SYNC_FLUSH })
}

export function upgradeRequest (path, headers = []) {
  return [
    `GET ${path} HTTP/1.1`, 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', ...headers, '', ''
  ].join('\r\n')
}

export class Peer {
  socket
  /** Opened, and not over. */
  isOpen = false
  /** Of the answer to the handshake; undefined before it. */
  statusCode
  /** Of the Close that came; 1006 if none did. */
  closeCode = 1006
  /** Whether pings and a Close are answered. */
  answers = true
  /** Whether its user is in the middle of a frame, into which no pong must come: such pings are overlooked. */
  isWithinFrame = false

  onOpen = () => {}
  /** Called with each data frame that came; the server here sends none in fragments. */
  onMessage = (_opcode, _payload, _rsv1) => {}
  /** Called once, when the network connection is over. */
  onClose = () => {}

  #rest = Buffer.alloc(0)

  constructor (port, path, headers) {
    const socket = this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('connect', () => socket.write(upgradeRequest(path, headers)))
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isOpen = false
      this.onClose(this)
    })
  }

  send (opcode, payload, options) {
    this.socket.write(frame(opcode, payload, options))
  }

  close (code = 1000) {
    this.send(8, Buffer.from([code >> 8, code & 0xff]))
  }

  #read (chunk) {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    if (this.statusCode === undefined && !this.#readHead()) return
    if (this.statusCode === 101) while (this.#readFrame());
  }

  #readHead () {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end === -1) return false
    this.statusCode = Number(this.#rest.toString('latin1', 9, 12))
    this.#rest = this.#rest.subarray(end + 4)
    this.isOpen = this.statusCode === 101
    if (this.isOpen) this.onOpen(this)
    return true
  }

  #readFrame () {
    const rest = this.#rest
    if (rest.length < 2) return false
    const field = rest[1]
    const extended = field === FIRST_LENGTH_16 ? 2 : field === LENGTH_64 ? 8 : 0
    if (rest.length < 2 + extended) return false
    const length = extended === 0 ? field : extended === 2 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
    const end = 2 + extended + length
    if (rest.length < end) return false
    const payload = rest.subarray(end - length, end)
    const first = rest[0]
    this.#rest = rest.subarray(end)
    this.#onFrame(first & 0x0f, payload, (first & 0x40) !== 0)
    return true
  }

  #onFrame (opcode, payload, rsv1) {
    if (opcode === 8) {
      this.closeCode = payload.length < 2 ? 1005 : payload.readUInt16BE(0)
      this.isOpen = false
      if (this.answers) this.send(8, payload.subarray(0, 2))
      if (this.answers) this.socket.end()
    } else if (opcode === 9) {
      if (this.answers && !this.isWithinFrame) this.send(10, payload)
    } else if (opcode < 8) {
      this.onMessage(opcode, payload, rsv1)
    }
  }
}
