/**
 * A plugin runs later than it is registered. Routes that stand on the same tick as `register`, without an `await`
 * between them, are WebSocket routes all the same.
 */
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import duplex, { json, raw, text } from '../../index.ts'

function build (define: (app: FastifyInstance) => void): FastifyInstance {
  const app = Fastify()
  app.register(duplex)
  define(app)
  return app
}

t.test('routes of every form, declared on the tick that registers the plugin', async (t) => {
  const app = build((app) => {
    app.get('/raw', { websocket: true }, (socket) => { socket.send('raw') })
    app.get('/map', { websocket: true, subprotocols: { a: text(), b: json() } }, {
      a: (socket) => { socket.send('a') },
      b: (socket) => { socket.send({ b: true }) }
    })
    app.route({ method: 'GET', url: '/both', handler: async () => 'plain', wsHandler: (socket) => { socket.send('socket') } })
    app.register(async (child) => {
      child.get('/child', { websocket: true, subprotocols: { v1: raw() } }, (socket) => { socket.send(socket.protocol) })
    }, { prefix: '/p' })
  })
  t.teardown(() => app.close())
  // Before anything is ready.
  t.equal(await (await app.injectWebSocket('/raw')).next(), 'raw')
  t.equal(await (await app.injectWebSocket('/map', { subprotocols: ['a'] })).next(), 'a')
  t.strictSame(await (await app.injectWebSocket('/map', { subprotocols: ['b'] })).next(), { b: true })
  t.equal(await (await app.injectWebSocket('/both')).next(), 'socket')
  t.equal((await app.inject('/both')).body, 'plain')
  t.equal((await app.inject('/raw')).statusCode, 426)
  t.equal((await app.inject({ method: 'HEAD', url: '/map' })).statusCode, 426)
  t.equal(await (await app.injectWebSocket('/p/child', { subprotocols: ['v1'] })).next(), 'v1')
})

t.test('what is wrong with such a route stops the start', async (t) => {
  const app = build((app) => { app.post('/x', { websocket: true } as never, (() => {}) as never) })
  await t.rejects(async () => { await app.ready() }, { code: 'FST_WS_ERR_INVALID_ROUTE', message: /'\/x'.*GET/ })
})

t.test('without the plugin a route stays what it was, and a test is told', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/theirs', { websocket: true } as never, (async () => 'theirs') as never)
  app.get('/map', { websocket: true } as never, { a: () => {} } as never)
  t.equal((await app.inject('/theirs')).body, 'theirs')
  t.match((await app.inject('/map')).json(), { statusCode: 500, code: 'FST_WS_ERR_INVALID_ROUTE' })
  await t.rejects(app.injectWebSocket('/theirs'), { code: 'FST_WS_ERR_INJECT_ROUTE', message: /not registered/ })
})

t.test('a plugin in one scope leaves the routes of others alone', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/outside', { websocket: true } as never, (async () => 'outside') as never)
  app.register(async (child) => {
    child.register(duplex)
    child.get('/inside', { websocket: true }, (socket) => { socket.send('inside') })
  })
  t.equal(await (await app.injectWebSocket('/inside')).next(), 'inside')
  t.equal((await app.inject('/outside')).body, 'outside')
})
