import Fastify from 'fastify'
import t from 'tap'
import duplex, { defineWebSocketRoute, duplex as named, errorCodes } from '../index.ts'

t.test('the plugin is the default and a named export', async (t) => {
  t.equal(named, duplex)
})

t.test('errorCodes has the constructor of every error under its code', async (t) => {
  for (const [name, Coded] of Object.entries(errorCodes)) t.equal(new Coded('x').code, name)
  const app = Fastify()
  t.teardown(() => app.close())
  const failure = await app.register(duplex, { highWaterMarkBytes: 0 }).then(() => undefined, (error: unknown) => error)
  t.ok(failure instanceof errorCodes.FST_WS_ERR_INVALID_OPTION)
})

t.test('injectWebSocket says what is wrong with what it is given', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const twice = defineWebSocketRoute({ url: '/x' })
  app.register(duplex)
  app.get('/a', { ...twice, url: '/a' } as never, (() => {}) as never)
  app.get('/b', { ...twice, url: '/b' } as never, (() => {}) as never)
  const refused = (message: RegExp) => ({ code: 'FST_WS_ERR_INJECT_ROUTE', message })
  await t.rejects(app.injectWebSocket({} as never), refused(/a path, or a route object/))
  await t.rejects(app.injectWebSocket(twice), refused(/more than once \(\/a, \/b\)/))
  await t.rejects(app.injectWebSocket(defineWebSocketRoute({ url: '/y' })), refused(/not registered/))
})
