/**
 * GraphQL over graphql-transport-ws: graphql-ws by its handler for @fastify/websocket and by lines of our own, and
 * mercurius, with the client of graphql-ws.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import duplex, { raw } from 'fastify-duplex'
import websocket from 'fastify-duplex/compat'
import { buildSchema } from 'graphql'
import { createClient, makeServer } from 'graphql-ws'
import { makeHandler } from 'graphql-ws/use/@fastify/websocket'
import mercurius from 'mercurius'
import { WebSocket } from 'ws'
import { start, until } from './helpers.js'

const SDL = 'type Query { hello (name: String!): String! } type Subscription { count (to: Int!): Int! }'

function counting () {
  const seen = { ended: 0 }
  const schema = buildSchema(SDL)
  schema.getQueryType().getFields().hello.resolve = (_root, { name }) => `hello ${name}`
  Object.assign(schema.getSubscriptionType().getFields().count, {
    resolve: (value) => value,
    async * subscribe (_root, { to }) {
      try {
        for (let i = 1; i <= to; i++) {
          yield i
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        seen.ended++
      }
    }
  })
  return { schema, seen }
}

function clientOf (t, url, options) {
  const client = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0, ...options })
  t.after(() => client.dispose())
  return client
}

async function results (client, query) {
  const all = []
  for await (const { data, errors } of client.iterate({ query })) all.push(errors ?? data)
  // Objects of graphql have no prototype.
  return JSON.parse(JSON.stringify(all))
}

const SERVERS = {
  'graphql-ws/use/@fastify/websocket, on compat': async (app, options) => {
    await app.register(websocket)
    app.get('/graphql', { websocket: true }, makeHandler(options))
  },

  'makeServer of graphql-ws, on a raw subprotocol': async (app, options) => {
    await app.register(duplex)
    const server = makeServer(options)
    app.get('/graphql', { websocket: true, subprotocols: { 'graphql-transport-ws': raw() } }, (socket, request) => {
      const closed = server.opened({
        protocol: socket.protocol,
        send: async (data) => { if (!socket.send(data)) await socket.drained() },
        close: (code, reason) => socket.close(code, reason),
        onMessage: (take) => socket.on('message', (data) => take(String(data)))
      }, { socket, request })
      socket.on('close', (code, reason) => closed(code, String(reason)))
    })
  }
}

for (const [name, declare] of Object.entries(SERVERS)) {
  test(name, async (t) => {
    const { schema, seen } = counting()
    const contexts = []
    const { app, host } = await start(t, (app) => declare(app, {
      schema,
      onConnect: ({ connectionParams, extra }) => {
        contexts.push(extra.request.url)
        return connectionParams?.token !== 'wrong'
      }
    }))
    const client = clientOf(t, `ws://${host}/graphql`)
    assert.deepEqual(await results(client, '{ hello (name: "you") }'), [{ hello: 'hello you' }])
    assert.deepEqual(await results(client, 'subscription { count (to: 3) }'), [{ count: 1 }, { count: 2 }, { count: 3 }])
    assert.match((await results(client, '{ nothing }').catch((error) => error))[0].message, /nothing/)

    const endless = client.iterate({ query: 'subscription { count (to: 1000000) }' })
    assert.equal((await endless.next()).value.data.count, 1)
    await endless.return()
    await until(() => seen.ended === 2)

    const refused = clientOf(t, `ws://${host}/graphql`, { connectionParams: { token: 'wrong' } })
    await assert.rejects(results(refused, '{ hello (name: "you") }'), { code: 4403, reason: 'Forbidden' })
    assert.deepEqual([...new Set(contexts)], ['/graphql'])

    const closed = new Promise((resolve) => client.on('closed', resolve))
    const waiting = results(client, 'subscription { count (to: 1000000) }').catch(() => {})
    await until(() => app.websockets.size > 0)
    await app.close()
    assert.equal((await closed).code, 1001, 'the shutdown of the server')
    await waiting
  })
}

test('what mercurius imports as @fastify/websocket is compat', () => {
  const ofMercurius = createRequire(import.meta.resolve('mercurius'))
  assert.equal(ofMercurius('@fastify/websocket'), websocket)
})

const RESOLVERS = {
  Query: { hello: (_root, { name }) => `hello ${name}` },
  Subscription: {
    count: {
      async * subscribe (_root, { to }) { for (let i = 1; i <= to; i++) yield { count: i } }
    }
  }
}

const MERCURIUS = {
  'mercurius, beside compat': async (app, verifyClient) => {
    await app.register(websocket, { options: { verifyClient } })
    await app.register(mercurius, { schema: SDL, resolvers: RESOLVERS, subscription: { fullWsTransport: true } })
  },

  // By `overrides` in package.json: what mercurius imports as @fastify/websocket is ours.
  'mercurius, which registers what it imports': async (app, verifyClient) => {
    await app.register(mercurius, { schema: SDL, resolvers: RESOLVERS, subscription: { fullWsTransport: true, verifyClient } })
  }
}

for (const [name, declare] of Object.entries(MERCURIUS)) {
  test(name, async (t) => {
    const { host } = await start(t, (app) => declare(app, ({ req }, next) => next(req.headers['x-token'] !== 'wrong', 403)))
    const client = clientOf(t, `ws://${host}/graphql`)
    assert.deepEqual(await results(client, '{ hello (name: "you") }'), [{ hello: 'hello you' }])
    assert.deepEqual(await results(client, 'subscription { count (to: 3) }'), [{ count: 1 }, { count: 2 }, { count: 3 }])

    const answer = await fetch(`http://${host}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query":"{ hello (name: \\"HTTP\\") }"}' })
    assert.deepEqual(await answer.json(), { data: { hello: 'hello HTTP' } })

    const refused = new WebSocket(`ws://${host}/graphql`, 'graphql-transport-ws', { headers: { 'x-token': 'wrong' } })
    const [, { statusCode }] = await new Promise((resolve) => refused.on('unexpected-response', (...args) => resolve(args)))
    refused.on('error', () => {}).terminate()
    assert.equal(statusCode, 403)
  })
}
