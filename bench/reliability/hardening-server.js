/**
 * The servers of bench/reliability/hardening.js: by their name, with these options of the plugin.
 */
import { Buffer } from 'node:buffer'
import { createServer } from 'node:net'
import { readFileSync, writeFileSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import duplex from '../../dist/index.js'
import { answer, collectGarbage, held } from './child.js'

const MIB = 2 ** 20
const [name, options = '{}'] = process.argv.slice(2)

/** CPU of each call by the timers that repeat themselves, in milliseconds; the plugin takes the global ones when it needs them. */
const ticks = []
const { setInterval } = globalThis
globalThis.setInterval = (call, ...rest) => setInterval((...args) => {
  const before = process.cpuUsage()
  call(...args)
  const { user, system } = process.cpuUsage(before)
  ticks.push((user + system) / 1000)
}, ...rest)

/** What a route has to tell. */
const state = { sent: 0, received: 0, closeCode: undefined }

const SERVERS = {
  /** Sends large messages, each in memory of its own, without looking whether anybody reads. */
  async stalled (app) {
    app.get('/', { websocket: true }, async (socket) => {
      socket.on('close', (code) => { state.closeCode = code })
      const count = Number(String(await socket.next()))
      for (; state.sent < count && socket.readyState === socket.OPEN; state.sent++) {
        socket.send(Buffer.alloc(MIB, state.sent))
        await setTimeout(2)
      }
    })
  },
  /** Takes one message at a time, and needs a turn of the event loop for it. */
  async flood (app) {
    app.get('/', { websocket: true }, async (socket) => {
      for await (const message of socket) {
        state.received += message.length
        await setImmediate()
      }
    })
    app.get('/echo', { websocket: true }, echo)
  },
  async echo (app) {
    app.get('/echo', { websocket: true }, echo)
  }
}

function echo (socket) {
  socket.on('message', (data, binary) => { socket.send(data, { binary }) })
}

/** As the flooded route does: a chunk, a pause, a turn. What comes back on `/echo` is as bare. */
async function bareServer () {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    let isEcho
    socket.on('data', async (chunk) => {
      isEcho ??= chunk.toString() === 'echo'
      if (isEcho) return socket.write(chunk)
      state.received += chunk.length
      socket.pause()
      await setImmediate()
      socket.resume()
    })
  })
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return { port: server.address().port, close: () => server.close() }
}

async function duplexServer () {
  const app = Fastify()
  await app.register(duplex, JSON.parse(options))
  await SERVERS[name](app)
  await app.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  return { port: app.server.address().port, close: () => app.close(), size: () => app.websockets.size }
}

const server = name === 'net' ? await bareServer() : await duplexServer()

answer({
  port: () => server.port,
  size: () => server.size(),
  state: () => state,
  async held () {
    await collectGarbage()
    return held()
  },
  cpu: () => process.cpuUsage(),
  ticks: () => ticks.splice(0),
  /** From now on the largest RSS is that of now (Linux). */
  forgetPeak: () => writeFileSync('/proc/self/clear_refs', '5'),
  peak: () => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]),
  async close () {
    const start = performance.now()
    await server.close()
    return performance.now() - start
  }
})
