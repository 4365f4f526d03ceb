/**
 * Calls both ways over one connection: capnweb, and JSON-RPC as language servers speak it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import duplex, { WebSocket as OurWebSocket } from 'fastify-duplex'
import { WebSocket } from 'ws'
import { createWebSocketConnection, toSocket } from 'vscode-ws-jsonrpc'
import { start, until } from './helpers.js'

// capnweb compares `readyState` with the constants of a global WebSocket, which Node has from 22 on.
globalThis.WebSocket ??= OurWebSocket
const { newWebSocketRpcSession, RpcTarget } = await import('capnweb')

class Counter extends RpcTarget {
  #total = 0
  add (amount) {
    this.#total += amount
    return this.#total
  }
}

class Api extends RpcTarget {
  #ended
  constructor (ended) {
    super()
    this.#ended = ended
  }

  hello (name) { return `hello ${name}` }
  counter () { return new Counter() }
  async tell (listener) { return `told: ${await listener('something')}` }
  fail () { throw new TypeError('not you') }
  [Symbol.dispose] () { this.#ended() }
}

test('capnweb', async (t) => {
  let ended = 0
  const { app, host } = await start(t, async (app) => {
    await app.register(duplex)
    app.get('/api', { websocket: true }, (socket) => { newWebSocketRpcSession(socket, new Api(() => { ended++ })) })
  })
  const socket = new WebSocket(`ws://${host}/api`)
  const api = newWebSocketRpcSession(socket)
  assert.equal(await api.hello('you'), 'hello you')
  const counter = api.counter()
  assert.equal(await counter.add(2), 2, 'a call of what is not there yet')
  assert.equal(await counter.add(3), 5)
  assert.equal(await api.tell((what) => `heard ${what}`), 'told: heard something', 'a call back')
  await assert.rejects(async () => await api.fail(), { name: 'TypeError', message: 'not you' })
  api[Symbol.dispose]()
  await until(() => ended === 1 && app.websockets.size === 0)
})

test('vscode-ws-jsonrpc', async (t) => {
  const { host } = await start(t, async (app) => {
    await app.register(duplex)
    app.get('/language-server', { websocket: true }, (socket) => {
      const connection = createWebSocketConnection(toSocket(socket), console)
      connection.onRequest('add', (a, b) => a + b)
      connection.onRequest('ask', async () => `the client said ${await connection.sendRequest('name')}`)
      connection.onNotification('leave', () => socket.close())
      connection.listen()
    })
  })
  const socket = new WebSocket(`ws://${host}/language-server`)
  await once(socket, 'open')
  const connection = createWebSocketConnection(toSocket(socket), console)
  connection.onRequest('name', () => 'me')
  connection.listen()
  assert.equal(await connection.sendRequest('add', 2, 3), 5)
  assert.equal(await connection.sendRequest('ask'), 'the client said me')
  await assert.rejects(connection.sendRequest('nothing'), { code: -32601 })
  const closed = once(socket, 'close')
  await connection.sendNotification('leave')
  assert.equal((await closed)[0], 1000)
})
