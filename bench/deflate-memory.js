/**
 * What permessage-deflate costs in memory: the growth of a server's RSS by 1,000 connections, each of which has sent and
 * received one compressed message of 4 KiB. Every figure is the median of three processes.
 *
 *   npm run build
 *   node bench/deflate-memory.js
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { constants, deflateRawSync } from 'node:zlib'

const CONNECTIONS = 1000
const RUNS = 3
const MESSAGE_BYTES = 4096

const SERVERS = {
  'fastify-duplex, deflate: false': () => ours(false),
  'fastify-duplex, deflate: true': () => ours(true),
  'fastify-duplex, deflate: { contextTakeover: true }': () => ours({ contextTakeover: true }),
  'ws, perMessageDeflate: false': () => ws(false),
  'ws, perMessageDeflate: true': () => ws(true)
}

async function ours (deflate) {
  const { default: Fastify } = await import('fastify')
  const { default: duplex, json } = await import('../dist/index.js')
  const app = Fastify()
  await app.register(duplex, { deflate })
  app.get('/', { websocket: true, messages: json() }, (socket) => { socket.on('message', (message) => { socket.send(message) }) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app.server.address().port
}

async function ws (perMessageDeflate) {
  const { WebSocketServer } = await import('ws')
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate })
  server.on('connection', (socket) => { socket.on('message', (data) => { socket.send(JSON.stringify(JSON.parse(data))) }) })
  await once(server, 'listening')
  return server.address().port
}

async function serve (name) {
  const port = await SERVERS[name]()
  process.on('message', async () => {
    for (let i = 0; i < 5; i++) {
      globalThis.gc()
      await setImmediate()
    }
    process.send({ rss: process.memoryUsage.rss() })
  })
  process.send({ port })
}

/** Rows as a table of a database would give them, in about 4 KiB; different for each connection. */
function message () {
  const rows = []
  while (JSON.stringify(rows).length < MESSAGE_BYTES - 60) rows.push({ id: rows.length, name: randomBytes(6).toString('hex'), active: true, score: Math.random() })
  return JSON.stringify(rows)
}

/** Connects, sends one message, and resolves when its echo has begun to come. */
async function client (port) {
  const socket = connect({ host: '127.0.0.1', port })
  socket.write([
    'GET / HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits', '', ''
  ].join('\r\n'))
  const [answer] = await once(socket, 'data')
  const extensions = /^sec-websocket-extensions: (.*)$/im.exec(String(answer))?.[1]
  const payload = extensions === undefined
    ? Buffer.from(message())
    : deflateRawSync(message(), { windowBits: Number(/client_max_window_bits=(\d+)/.exec(extensions)?.[1] ?? 15), finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
  // A key of zeros masks nothing.
  const header = Buffer.from([extensions === undefined ? 0x81 : 0xc1, 0xfe, payload.length >> 8, payload.length & 0xff, 0, 0, 0, 0])
  socket.write(Buffer.concat([header, payload]))
  const [echo] = await once(socket, 'data')
  if (echo[0] !== header[0]) throw new Error(`the echo begins with ${echo[0]}`)
  return socket
}

async function measure (name) {
  const child = fork(fileURLToPath(import.meta.url), [name], { execArgv: ['--expose-gc'] })
  const [{ port }] = await once(child, 'message')
  const rss = async () => {
    child.send('rss')
    return (await once(child, 'message'))[0].rss
  }
  // What is loaded and made once does not belong to the connections.
  for (let i = 0; i < 50; i++) (await client(port)).destroy()
  const before = await rss()
  const sockets = []
  while (sockets.length < CONNECTIONS) sockets.push(...await Promise.all(Array.from({ length: 20 }, () => client(port))))
  const after = await rss()
  for (const socket of sockets) socket.destroy()
  child.kill()
  return (after - before) / CONNECTIONS / 1024
}

const [name] = process.argv.slice(2)
if (name !== undefined) {
  await serve(name)
} else {
  for (const name of Object.keys(SERVERS)) {
    const runs = []
    for (let i = 0; i < RUNS; i++) runs.push(await measure(name))
    runs.sort((one, other) => one - other)
    console.log(`${name}: ${runs[1].toFixed(1)} KiB for each connection (${runs.map((run) => run.toFixed(1)).join(', ')})`)
  }
}
