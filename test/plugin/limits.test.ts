import t, { type Test } from 'tap'
import duplex from '../../index.ts'
import { bareApp } from '../helpers/app.ts'

/** The error of registering with these options, and of a route with them. */
async function errorOf (t: Test, options: object, serverOptions = {}): Promise<any> {
  const { app } = bareApp(t, serverOptions)
  return await app.register(duplex, options as never).then(() => undefined, (error: unknown) => error)
}

async function routeErrorOf (t: Test, websocketOptions: object, options: object = {}): Promise<any> {
  const { app } = bareApp(t)
  await app.register(duplex, options as never)
  try {
    app.get('/', { websocket: true, websocketOptions } as never, () => {})
  } catch (error) {
    return error
  }
}

const WRONG: ReadonlyArray<[string, unknown[]]> = [
  ['heartbeat', [true, null, 'x', 30_000]],
  ['heartbeat.intervalMs', [0, -1, 1.5, '1', NaN, Infinity, 2 ** 31].map((intervalMs) => ({ intervalMs }))],
  ['heartbeat.timeoutMs', [0, null].map((timeoutMs) => ({ timeoutMs }))],
  ['heartbeat.interval', [{ interval: 1 }]],
  ['heartbeat.constructor', [{ constructor: 1 }]],
  ['messageTimeoutMs', [0, -1, 1.5, '1', Infinity, 2 ** 31]],
  ['rateLimit', [10, null, true]],
  ['rateLimit.messagesPerSecond', [0, -1, NaN, '10'].map((messagesPerSecond) => ({ messagesPerSecond }))],
  ['rateLimit.bytesPerSecond', [0, '1'].map((bytesPerSecond) => ({ bytesPerSecond }))],
  ['rateLimit.burst', [0, -0.5].map((burst) => ({ burst }))],
  ['rateLimit.messages', [{ messages: 1 }]],
  ['maxLifetimeMs', [0, -1, 1.5, Infinity, '1']],
  ['expiresAt', [new Date(), 1, null]],
  ['allowedHosts', ['example.com', [1], ['http://example.com'], ['a b'], ['example.com/'], [''], null]]
]
const WRONG_OF_PLUGIN: ReadonlyArray<[string, unknown[]]> = [
  ['maxConnections', [0, -1, 1.5, Infinity, '10']],
  ['maxConnectionsPerAddress', [0, -1, 1.5, '10']],
  ['shutdown', [1001, null, true]],
  ['shutdown.code', [999, 1004, 1005, 1006, 1010, 1015, 2000, 5000, '1001', 1001.5].map((code) => ({ code }))],
  ['shutdown.reason', [1, 'x'.repeat(124), 'ü'.repeat(62)].map((reason) => ({ reason }))],
  ['shutdown.windowMs', [-1, 1.5, '1', Infinity].map((windowMs) => ({ windowMs }))],
  ['shutdown.window', [{ window: 1 }]]
]

t.test('what a limit may be', async (t) => {
  for (const [name, values] of [...WRONG, ...WRONG_OF_PLUGIN]) {
    for (const value of values) {
      const error = await errorOf(t, { [name.split('.')[0]!]: value })
      t.match(error, { code: 'FST_WS_ERR_INVALID_OPTION' }, `${name} ${String(JSON.stringify(value)).slice(0, 30)}`)
      t.match(error?.message, name)
    }
  }
  for (const [name, values] of WRONG) {
    for (const value of values) t.match(await routeErrorOf(t, { [name.split('.')[0]!]: value }), { code: 'FST_WS_ERR_INVALID_OPTION' }, `of a route, ${name}`)
  }
  for (const name of ['maxConnections', 'maxConnectionsPerAddress', 'shutdown']) {
    t.match(await routeErrorOf(t, { [name]: name === 'shutdown' ? {} : 1 }), { code: 'FST_WS_ERR_INVALID_OPTION' }, `${name} is for the plugin only`)
  }
})

t.test('what is right is taken', async (t) => {
  for (const options of [
    { heartbeat: false }, { heartbeat: {} }, { heartbeat: { intervalMs: 1 } }, { heartbeat: { timeoutMs: undefined } },
    { rateLimit: {} }, { rateLimit: { messagesPerSecond: 0.1, bytesPerSecond: Infinity, burst: 0.5 } },
    { maxLifetimeMs: 86_400_000 * 365 }, { expiresAt: () => undefined }, { allowedHosts: [] }, { allowedHosts: ['example.com', 'EXAMPLE.com:8443', '[::1]', '[::1]:80', '127.0.0.1'] }
  ]) {
    t.equal(await errorOf(t, options), undefined, JSON.stringify(options))
    t.equal(await routeErrorOf(t, options), undefined)
  }
  for (const options of [{ maxConnections: 1 }, { maxConnectionsPerAddress: 1 }, { shutdown: {} }, { shutdown: { code: 4000, reason: 'x'.repeat(123), windowMs: 0 } }]) {
    t.equal(await errorOf(t, options), undefined, JSON.stringify(options))
  }
})

t.test('the window of the shutdown and the close timeout together stay below pluginTimeout', async (t) => {
  t.match(await errorOf(t, { shutdown: { windowMs: 5_000 } }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /shutdown\.windowMs.*10000/ })
  t.equal(await errorOf(t, { shutdown: { windowMs: 4_999 } }), undefined)
  t.equal(await errorOf(t, { shutdown: { windowMs: 8_000 }, closeTimeoutMs: 1_999 }), undefined)
  t.match(await errorOf(t, { shutdown: { windowMs: 8_000 }, closeTimeoutMs: 2_000 }), { code: 'FST_WS_ERR_INVALID_OPTION' })
  t.match(await errorOf(t, { closeTimeoutMs: 10_000 }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'closeTimeoutMs'/ })
  t.equal(await errorOf(t, { shutdown: { windowMs: 100_000 } }, { pluginTimeout: 0 }), undefined)
  t.match(await routeErrorOf(t, { closeTimeoutMs: 9_000 }, { shutdown: { windowMs: 2_000 } }), { code: 'FST_WS_ERR_INVALID_OPTION' })
})
