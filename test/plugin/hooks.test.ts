import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import duplex from '../../index.ts'
import { bareApp, startApp, thrown } from '../helpers/app.ts'
import { Wire } from '../helpers/wire.ts'

/** The hooks that run for a connection to each path, from the app that `define` makes. */
async function ranFor (t: Test, paths: readonly string[], define: (app: FastifyInstance, hook: (name: string) => () => void) => unknown): Promise<Record<string, string[]>> {
  let ran: string[] = []
  const { port, log } = await startApp(t, (app) => define(app, (name) => () => { ran.push(name) }))
  const result: Record<string, string[]> = {}
  for (const [i, path] of paths.entries()) {
    ran = []
    const wire = await Wire.open(port, { path })
    wire.close(1000)
    await wire.untilClosed()
    await log.line('websocket closed', i + 1)
    result[path] = ran
  }
  return result
}

t.test('take no callback', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  t.match(thrown(() => app.addWebSocketHook('onOpen', ((_socket: unknown, _request: unknown, done: () => void) => { done() }) as never)),
    { code: 'FST_WS_ERR_INVALID_OPTION', message: /2 parameters.*no callback/ })
  t.match(thrown(() => app.addWebSocketHook('onClose', ((_socket: unknown, _code: number, _reason: string, done: () => void) => { done() }) as never)),
    { code: 'FST_WS_ERR_INVALID_OPTION', message: /3 parameters/ })
})

const route = (app: FastifyInstance, path: string): unknown => app.get(path, { websocket: true }, () => {})

t.test('run in the order in which they were added', async (t) => {
  t.strictSame(await ranFor(t, ['/'], (app, hook) => {
    app.addWebSocketHook('onClose', hook('c1')).addWebSocketHook('onOpen', hook('o1'))
    app.addWebSocketHook('onOpen', hook('o2'))
    app.addWebSocketHook('onClose', hook('c2'))
    route(app, '/')
  }), { '/': ['o1', 'o2', 'c1', 'c2'] })
})

t.test('are for all routes of their scope, declared before and after them', async (t) => {
  t.strictSame(await ranFor(t, ['/before', '/after'], (app, hook) => {
    route(app, '/before')
    app.addWebSocketHook('onOpen', hook('o'))
    route(app, '/after')
  }), { '/before': ['o'], '/after': ['o'] })
})

t.test('are inherited by the scopes made afterwards, and never go up or aside', async (t) => {
  t.strictSame(await ranFor(t, ['/', '/a', '/a/deep', '/b', '/c'], async (app, hook) => {
    app.addWebSocketHook('onOpen', hook('root'))
    await app.register(async (scope) => {
      scope.addWebSocketHook('onOpen', hook('a'))
      route(scope, '/a')
      await scope.register(async (deep) => {
        deep.addWebSocketHook('onOpen', hook('deep'))
        route(deep, '/a/deep')
      })
    })
    await app.register(async (scope) => { route(scope, '/b') })
    app.addWebSocketHook('onOpen', hook('late'))
    await app.register(async (scope) => { route(scope, '/c') })
    route(app, '/')
  }), {
    '/': ['root', 'late'],
    '/a': ['root', 'a'],
    '/a/deep': ['root', 'a', 'deep'],
    '/b': ['root'],
    '/c': ['root', 'late']
  })
})

t.test('are the same whether or not a scope has some of its own', async (t) => {
  t.strictSame(await ranFor(t, ['/with', '/without'], async (app, hook) => {
    await app.register(async (scope) => {
      scope.addWebSocketHook('onOpen', hook('own'))
      route(scope, '/with')
    })
    await app.register(async (scope) => { route(scope, '/without') })
    app.addWebSocketHook('onOpen', hook('late'))
  }), { '/with': ['own'], '/without': [] })
})

t.test('added in a plugin that breaks its encapsulation, they are for the scope above', async (t) => {
  t.strictSame(await ranFor(t, ['/'], async (app, hook) => {
    const open = Object.assign(async (scope: FastifyInstance) => { scope.addWebSocketHook('onOpen', hook('o')) }, { [Symbol.for('skip-override')]: true })
    await app.register(open)
    route(app, '/')
  }), { '/': ['o'] })
})

t.test('where the plugin is registered in two scopes, each has its own', async (t) => {
  const { app, log } = bareApp(t)
  const ran: string[] = []
  for (const name of ['a', 'b']) {
    await app.register(async (scope) => {
      await scope.register(duplex)
      scope.addWebSocketHook('onOpen', () => { ran.push(name) })
      route(scope, `/${name}`)
    })
  }
  for (const [i, name] of ['a', 'b'].entries()) {
    const client = await app.injectWebSocket(`/${name}`)
    client.close()
    await log.line('websocket closed', i + 1)
  }
  t.strictSame(ran, ['a', 'b'])
})

t.test('what is no hook throws', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  for (const name of ['onMessage', 'onSend', 'onopen', '', undefined, 'constructor', '__proto__']) {
    t.throws(() => app.addWebSocketHook(name as never, (() => {}) as never), { code: 'FST_WS_ERR_INVALID_OPTION' }, String(name))
  }
  for (const hook of [undefined, null, 'x', {}, Promise.resolve()]) t.throws(() => app.addWebSocketHook('onOpen', hook as never), { code: 'FST_WS_ERR_INVALID_OPTION' })
})
