/**
 * Others that listen to upgrades of the same server: each gets its own paths and we ours, whoever came first.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import httpProxy from '@fastify/http-proxy'
import duplex, { text } from 'fastify-duplex'
import websocket from 'fastify-duplex/compat'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { createServer } from 'vite'
import { WebSocket } from 'ws'
import { start, until } from './helpers.js'

/** What a route of ours answers to one message. */
async function ask (url, message = 'hello', options = {}) {
  const socket = new WebSocket(url, options)
  await once(socket, 'open')
  socket.send(message)
  const [answer] = await once(socket, 'message')
  socket.close()
  await once(socket, 'close')
  return String(answer)
}

/** The status of a handshake that is refused. */
async function refusal (url) {
  const socket = new WebSocket(url)
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  socket.terminate()
  return response.statusCode
}

const ours = (app) => {
  app.get('/ours', { websocket: true, messages: text() }, (socket) => {
    socket.on('message', (message) => { socket.send(`ours: ${message}`) })
  })
  app.get('/', async () => 'a page')
}

const upstream = async (t) => (await start(t, async (app) => {
  await app.register(duplex)
  app.get('/echo', { websocket: true }, (socket, request) => {
    socket.on('message', (data, isBinary) => socket.send(isBinary ? data : `${data} of ${request.headers['x-user'] ?? 'nobody'}`, { binary: isBinary }))
  })
  app.get('/closes', { websocket: true }, (socket) => { socket.on('message', () => socket.close(4001, 'enough')) })
  app.get('/page', async () => 'upstream')
})).host

test('@fastify/http-proxy in front of our server', async (t) => {
  const host = await upstream(t)
  const { host: proxy } = await start(t, (app) => app.register(httpProxy, {
    upstream: `http://${host}`, websocket: true, wsClientOptions: { rewriteRequestHeaders: (headers) => ({ ...headers, 'x-user': 'me' }) }
  }))
  assert.equal(await ask(`ws://${proxy}/echo`), 'hello of me')
  assert.equal((await ask(`ws://${proxy}/echo`, Buffer.alloc(300_000, 'x'))).length, 300_000)
  assert.equal(await (await fetch(`http://${proxy}/page`)).text(), 'upstream')
  const socket = new WebSocket(`ws://${proxy}/closes`)
  await once(socket, 'open')
  socket.send('go')
  const [code, reason] = await once(socket, 'close')
  assert.deepEqual([code, String(reason)], [4001, 'enough'])
})

for (const [name, plugin, options] of [['fastify-duplex', duplex, { handshakeTimeoutMs: 200 }], ['fastify-duplex/compat', websocket, {}]]) {
  for (const order of ['before', 'after']) {
    test(`@fastify/http-proxy registered ${order} ${name}`, async (t) => {
      const host = await upstream(t)
      const proxy = { upstream: `http://${host}`, prefix: '/up', websocket: true }
      const { host: here } = await start(t, async (app) => {
        if (order === 'before') await app.register(httpProxy, proxy)
        await app.register(plugin, options)
        if (order === 'after') await app.register(httpProxy, proxy)
        app.get('/ours', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(`ours: ${data}`) }) })
      })
      for (let i = 0; i < 3; i++) {
        assert.equal(await ask(`ws://${here}/up/echo`), 'hello of nobody')
        assert.equal(await ask(`ws://${here}/ours`), 'ours: hello')
      }
      assert.equal(await (await fetch(`http://${here}/up/page`)).text(), 'upstream')
      if (plugin === duplex) assert.equal(await refusal(`ws://${here}/nothing`), 404, 'what neither of both has')
    })
  }
}

for (const order of ['before', 'after']) {
  test(`socket.io attached ${order} our plugin`, async (t) => {
    const { app, host } = await start(t, async (app) => {
      const attach = () => new Server(app.server, { destroyUpgrade: false }).on('connection', (socket) => socket.on('say', (what, done) => done(`io: ${what}`)))
      if (order === 'before') attach()
      await app.register(duplex)
      if (order === 'after') attach()
      ours(app)
    })
    for (const transports of [['websocket'], ['polling', 'websocket']]) {
      const client = io(`http://${host}`, { transports, reconnection: false, forceNew: true })
      t.after(() => client.close())
      await once(client, 'connect')
      await until(() => client.io.engine.transport.name === 'websocket')
      assert.equal(await client.emitWithAck('say', 'hello'), 'io: hello')
      assert.equal(await ask(`ws://${host}/ours`), 'ours: hello')
      assert.equal(await client.emitWithAck('say', 'again'), 'io: again')
      client.close()
    }
    assert.equal(await refusal(`ws://${host}/`), 200, 'an upgrade to a page is answered by the page')
    assert.equal(app.websockets.size, 0)
  })

  test(`the HMR of Vite attached ${order} our plugin`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'duplex-vite-'))
    t.after(() => rm(root, { recursive: true }))
    let vite
    const { host } = await start(t, async (app) => {
      const attach = async () => {
        vite = await createServer({ root, configFile: false, logLevel: 'silent', appType: 'custom', server: { middlewareMode: true, hmr: { server: app.server } } })
        app.addHook('onClose', () => vite.close())
      }
      if (order === 'before') await attach()
      await app.register(duplex)
      if (order === 'after') await attach()
      ours(app)
    })
    const hmr = new WebSocket(`ws://${host}/?token=${vite.config.webSocketToken}`, 'vite-hmr', { origin: `http://${host}` })
    const [hello] = await once(hmr, 'message')
    assert.deepEqual(JSON.parse(hello), { type: 'connected' })
    assert.equal(await ask(`ws://${host}/ours`), 'ours: hello')
    vite.ws.send({ type: 'full-reload' })
    const [reload] = await once(hmr, 'message')
    assert.equal(JSON.parse(reload).type, 'full-reload')
    hmr.close()
  })
}
