/**
 * The global WebSocket of Node, which is that of undici: without fragments, without pings of its own, and of a refusal it
 * tells no more than a browser does. It offers permessage-deflate, and inflates; what it sends it never compresses.
 */
/* global WebSocket */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'

const [url, sizes] = process.argv.slice(2)

/** Text and binary of each size, and text of nothing but characters beyond the BMP. */
const messages = sizes.split(',').map(Number).flatMap((size) => [
  'aé€😀'.repeat(Math.floor(size / 10)) + 'x'.repeat(size % 10),
  Uint8Array.from({ length: size }, (_, i) => i % 251)
])
messages.push('😀𝄞𐍈'.repeat(100))

async function connect (path, subprotocols = []) {
  const socket = new WebSocket(url + path, subprotocols)
  socket.binaryType = 'arraybuffer'
  await once(socket, 'open')
  return socket
}

/** The next message; rejects if the connection ends before. */
function next (socket) {
  return new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data)
    socket.onclose = ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`))
  })
}

async function close (socket, code, reason) {
  socket.close(code, reason)
  const [event] = await once(socket, 'close')
  return event.code
}

function isSame (sent, received) {
  return typeof sent === 'string' ? sent === received : Buffer.compare(Buffer.from(sent), Buffer.from(received)) === 0
}

async function echo (path) {
  const socket = await connect(path)
  for (const message of messages) {
    socket.send(message)
    if (!isSame(message, await next(socket))) throw new Error(`${path}: ${typeof message} of ${message.length} came back as another`)
  }
  return await close(socket, 3001, 'that is all')
}

async function pings () {
  const socket = await connect('/pings')
  const seen = await next(socket)
  await close(socket, 1000)
  return seen
}

async function subprotocol () {
  const socket = await connect('/subprotocols', ['chat.v3', 'chat.v2', 'chat.v1'])
  await close(socket, 1000)
  return socket.protocol
}

async function closed () {
  const [{ code, reason }] = await once(new WebSocket(url + '/closes'), 'close')
  return [code, reason]
}

/** Nothing but that it failed; on Node 22 not even a close follows. */
async function refused () {
  const socket = new WebSocket(url + '/refuses')
  socket.onopen = () => { throw new Error('not refused') }
  await once(socket, 'error')
  return null
}

console.log(JSON.stringify({
  client: `undici ${process.versions.undici}, Node ${process.versions.node}`,
  answered: [await echo('/echo'), await echo('/deflate'), await echo('/takeover')],
  pings: await pings(),
  subprotocol: await subprotocol(),
  closed: await closed(),
  refused: await refused()
}))
