/**
 * How to test routes: with `app.injectWebSocket` and node:test, without a port.
 *
 *   node --test examples/testing.test.js
 *
 * A client is connected in memory, through the real parser, router, hooks and handshake. It queues what comes from the first
 * message on, so a test asks for the next one when it wants it, and there is nothing to listen for in time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import duplex, { defineWebSocketRoute, json } from 'fastify-duplex'

// What is tested: rooms, of which each counts up for all who are in it.

const counter = defineWebSocketRoute({
  url: '/rooms/:room',
  schema: { params: Type.Object({ room: Type.String({ maxLength: 8 }) }) },
  messages: json({ receive: Type.Object({ add: Type.Integer() }), send: Type.Object({ total: Type.Integer() }) })
})

/** @typedef {import('fastify-duplex').SocketOf<typeof counter, import('@fastify/type-provider-typebox').TypeBoxTypeProvider>} Socket */

/** @type {import('@fastify/type-provider-typebox').FastifyPluginAsyncTypebox} */
async function rooms (app) {
  /** @type {Map<string, { total: number, sockets: Set<Socket> }>} */
  const open = new Map()

  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization !== 'Bearer secret') return reply.code(401).send({ message: 'who are you?' })
  })

  app.get(counter.url, counter, async (socket, request) => {
    const name = request.params.room
    const room = open.get(name) ?? { total: 0, sockets: new Set() }
    open.set(name, room)
    room.sockets.add(socket)
    socket.once('close', () => {
      room.sockets.delete(socket)
      if (room.sockets.size === 0) open.delete(name)
    })
    for await (const { add } of socket) {
      room.total += add
      app.websockets.broadcast(room.sockets, { total: room.total })
    }
  })
}

function build () {
  const app = Fastify()
  app.register(duplex)
  app.register(rooms)
  return app
}

// The tests.

const headers = { authorization: 'Bearer secret' }

/** An application for a test, closed at its end. Clients that are left open do not keep it waiting. @param {import('node:test').TestContext} t */
function start (t) {
  const app = build()
  t.after(() => app.close())
  return app
}

test('everybody in a room gets the total, and nobody else', async (t) => {
  const app = start(t)
  // By the route object: the path is filled in from its parameters. By path it works too.
  const one = await app.injectWebSocket(counter, { params: { room: 'a' }, headers })
  const two = await app.injectWebSocket('/rooms/a', { headers })
  const elsewhere = await app.injectWebSocket(counter, { params: { room: 'b' }, headers })

  one.send({ add: 2 })
  assert.deepEqual(await one.next(), { total: 2 })
  assert.deepEqual(await two.next(), { total: 2 })
  // That nothing came is seen by what comes next.
  elsewhere.send({ add: 1 })
  assert.deepEqual(await elsewhere.next(), { total: 1 })
})

test('a handshake that is refused rejects, with the answer', async (t) => {
  const app = start(t)
  await assert.rejects(app.injectWebSocket('/rooms/a'), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 401 })
  await assert.rejects(app.injectWebSocket('/rooms/much-too-long', { headers }), { statusCode: 400 })
  await assert.rejects(app.injectWebSocket('/nowhere', { headers }), { statusCode: 404 })
  // A page of somebody else.
  await assert.rejects(app.injectWebSocket('/rooms/a', { headers: { ...headers, origin: 'https://evil.example' } }), { statusCode: 403 })
  const { response } = await app.injectWebSocket('/rooms/a').catch((error) => error)
  assert.deepEqual(response.json(), { message: 'who are you?' })
})

test('messages that break the contract', async (t) => {
  const app = start(t)
  for (const [wrong, code] of /** @type {const} */ ([['{"add":"2"}', 1008], ['{', 1007], [Buffer.of(0), 1003]])) {
    const client = await app.injectWebSocket('/rooms/a', { headers })
    // Past the client's own side of the contract.
    client.sendRaw(wrong)
    assert.equal((await client.closed).code, code)
  }
})

test('a network that is lost', async (t) => {
  const app = start(t)
  const client = await app.injectWebSocket('/rooms/a', { headers })
  client.send({ add: 1 })
  await client.next()
  const [atServer] = app.websockets
  assert.ok(atServer)
  client.terminate()
  assert.equal((await atServer.closed).code, 1006)
  const again = await app.injectWebSocket('/rooms/a', { headers })
  again.send({ add: 1 })
  assert.deepEqual(await again.next(), { total: 1 }, 'the room was empty, and has begun anew')
})

test('octets that are no frame of a client', async (t) => {
  const app = start(t)
  const client = await app.injectWebSocket('/rooms/a', { headers })
  // The connection itself: here a text without a mask.
  client.transport.write(Buffer.of(0x81, 0x01, 0x61))
  assert.equal((await client.closed).code, 1002)
})

test('time: a peer that has vanished', async (t) => {
  const app = start(t)
  // Before the client comes: this is the clock of the plugin. What carries octets, and `next` with its time limit, go by the
  // real one.
  t.mock.timers.enable({ apis: ['setInterval'] })
  const client = await app.injectWebSocket('/rooms/a', { headers, autoPong: false })
  const [atServer] = app.websockets
  // 30 s of silence, then a ping, then 30 s more.
  t.mock.timers.tick(65_000)
  assert.equal((await atServer?.closed)?.code, 1006)
  assert.equal((await client.closed).code, 1006)
})

test('the shutdown of the server', async (t) => {
  const app = start(t)
  const client = await app.injectWebSocket('/rooms/a', { headers })
  await app.close()
  assert.equal((await client.closed).code, 1001)
})
