/**
 * Runs in the page: what a browser's own WebSocket sends to an echo, and whether it comes back the same.
 * It reports in strings, of which there are few, instead of megabytes.
 */
/* global WebSocket, crypto */

const open = (url) => new Promise((resolve, reject) => {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => resolve(socket)
  socket.onclose = ({ code }) => reject(new Error(`closed with ${code} before it was open`))
})

const next = (socket) => new Promise((resolve, reject) => {
  socket.onmessage = ({ data }) => resolve(data)
  socket.onclose = ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`))
})

/** So many octets of UTF-8, with code points of one to four octets. */
function textOf (size) {
  const pattern = 'a\u00e9\u20ac\u{1f600}'
  return pattern.repeat(Math.floor(size / 10)) + 'z'.repeat(size % 10)
}

function bytesOf (size) {
  const bytes = new Uint8Array(size)
  // What getRandomValues gives at once.
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  return bytes
}

/** '' when the echo is right, else what is wrong with it. */
globalThis.echoText = async (url, size) => {
  const socket = await open(url)
  const sent = textOf(size)
  socket.send(sent)
  const received = await next(socket)
  socket.close()
  if (typeof received !== 'string') return 'text came back as binary'
  return received === sent ? '' : `${received.length} characters came back of ${sent.length}`
}

globalThis.echoBytes = async (url, size) => {
  const socket = await open(url)
  const sent = bytesOf(size)
  socket.send(sent)
  const received = await next(socket)
  socket.close()
  if (typeof received === 'string') return 'binary came back as text'
  const bytes = new Uint8Array(received)
  return bytes.length === size && bytes.every((octet, index) => octet === sent[index]) ? '' : `${bytes.length} octets came back of ${size}`
}

/** What was agreed on. */
globalThis.extensionsOf = async (url) => {
  const socket = await open(url)
  socket.close()
  return socket.extensions
}

/** Text and binary of these sizes, compressible and random, on one connection and without waiting: windows matter. */
globalThis.echoRow = async (url, sizes) => {
  const socket = await open(url)
  const sent = sizes.flatMap((size) => [textOf(size), new TextEncoder().encode(textOf(size)), bytesOf(size), String.fromCharCode(...bytesOf(Math.min(size, 1000)))])
  const received = []
  const done = new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      if (received.push(data) === sent.length) resolve()
    }
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code} after ${received.length}`))
  })
  for (const message of sent) socket.send(message)
  await done
  socket.close()
  const wrong = sent.findIndex((message, index) => !isSame(message, received[index]))
  return wrong === -1 ? '' : `message ${wrong} is another`
}

function isSame (sent, received) {
  if (typeof sent === 'string') return sent === received
  const bytes = typeof received === 'string' ? [] : new Uint8Array(received)
  return bytes.length === sent.length && sent.every((octet, index) => octet === bytes[index])
}

/** Many at once, of both kinds: the order stays. */
globalThis.echoMany = async (url, count) => {
  const socket = await open(url)
  const received = []
  const done = new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      received.push(typeof data === 'string' ? Number(data) : new Uint32Array(data)[0])
      if (received.length === count) resolve()
    }
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code} after ${received.length}`))
  })
  for (let i = 0; i < count; i++) socket.send(i % 2 === 0 ? String(i) : new Uint32Array([i]))
  await done
  socket.close()
  return received.every((number, index) => number === index) ? '' : 'out of order'
}

/** How a connection ends that this side closes, or that never opened. */
globalThis.closeOf = (url, code, reason) => new Promise((resolve) => {
  const socket = new WebSocket(url)
  socket.onopen = () => socket.close(code, reason)
  socket.onclose = (event) => resolve(`${event.code} ${event.reason} ${event.wasClean ? 'clean' : 'unclean'}`)
})
