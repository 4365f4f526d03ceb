import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import duplex, { json } from '../../index.ts'
import { resolvePluginOptions, resolveRouteOptions } from '../../lib/plugin/options.ts'
import type { DuplexOptions } from '../../types/options.ts'
import { bareApp, thrown } from '../helpers/app.ts'

const MIB = 1024 * 1024
const KIB = 1024

const registering = async (options: unknown, server: object = {}): Promise<any> => {
  const app = Fastify(server)
  try {
    await app.register(duplex, options as object)
  } catch (error) {
    return error
  } finally {
    await app.close()
  }
}

/** What each option must not be, and a word of what the error says is allowed. */
const WRONG: Record<string, [values: unknown[], allowed: RegExp]> = {
  maxMessageBytes: [[-1, 1.5, NaN, '1024', null, 2 ** 31, Infinity, {}], /bytes from 0 to \d+/],
  maxUnsentBytes: [[-1, 1.5, '1', null, Infinity], /bytes, at least maxMessageBytes \+ 64 KiB/],
  highWaterMarkBytes: [[0, -1, 0.5, '1', null, Infinity], /bytes, at least 1/],
  origin: [[false, null, 'https://example.com', 1, {}, ['example.com'], ['https://example.com/'], ['https://example.com:443'], ['HTTPS://example.com'], ['null'], [1], ['*']], /'same-origin', true, a function, or a list of origins as browsers send them/],
  handshakeTimeoutMs: [[0, -1, 1.5, '1', null, 2 ** 31, Infinity, false], /milliseconds from 1 to 2147483647/],
  closeTimeoutMs: [[0, -1, 1.5, '1', null, 2 ** 31, Infinity, false], /milliseconds from 1 to 2147483647/],
  deflate: [[0, 1, 'true', null, () => {}], /true, false, or an object of its options/],
  validateSend: [[0, 1, 'true', null, {}], /a boolean/],
  schemaErrorFormatter: [[true, null, {}, 'x'], /a function/],
  validatorCompiler: [[true, null, {}, 'x'], /a function/],
  onInvalidMessage: [[true, null, {}, 'x'], /a function/],
  errorHandler: [[true, null, {}, 'x'], /a function/],
  selectSubprotocol: [[true, null, {}, 'x', ['a']], /a function/]
}

/** The same for the options of `deflate`. */
const WRONG_OF_DEFLATE: Record<string, [values: unknown[], allowed: RegExp]> = {
  thresholdBytes: [[-1, 1.5, NaN, '1024', null, 2 ** 53, Infinity, true], /a whole number of bytes, at least 0/],
  level: [[-1, 0, 10, 1.5, '1', null, NaN, true], /a whole number from 1 to 9/],
  memLevel: [[0, 10, 1.5, '1', null, NaN, true], /a whole number from 1 to 9/],
  serverMaxWindowBits: [[8, 16, 9.5, '15', null, NaN, true], /a whole number from 9 to 15/],
  contextTakeover: [[0, 1, 'true', null, {}], /a boolean/],
  maxConcurrentJobs: [[0, -1, 1.5, '4', null, Infinity, true], /a whole number, at least 1/]
}

t.test('every wrong option of register throws, naming itself and what is allowed', async (t) => {
  for (const [name, [values, allowed]] of Object.entries({ ...WRONG, ajv: [[true, null, 'x', () => {}], /an object \{ customOptions, plugins \}/] as const })) {
    for (const value of values) {
      const error = await registering({ [name]: value })
      t.equal(error?.code, 'FST_WS_ERR_INVALID_OPTION', `${name}: ${JSON.stringify(value)}`)
      t.ok(error instanceof TypeError)
      t.match(error?.message, new RegExp(`'${name}'`))
      t.match(error?.message, allowed)
    }
  }
})

t.test('every wrong option of a route throws where the route is declared', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  const declaring = (websocketOptions: unknown, more: object = {}): any => thrown(() => app.get('/', { websocket: true, websocketOptions, ...more } as never, () => {}))
  for (const [name, [values, allowed]] of Object.entries(WRONG)) {
    for (const value of values) {
      const error = declaring({ [name]: value })
      t.equal(error?.code, 'FST_WS_ERR_INVALID_OPTION', `${name}: ${JSON.stringify(value)}`)
      t.match(error?.message, new RegExp(`'${name}'`))
      t.match(error?.message, allowed)
    }
  }
  for (const value of [null, true, 'x', 1]) t.match(declaring(value), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'websocketOptions' must be an object/ })
  t.match(declaring({ ajv: {} }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'ajv'/ }, 'for the plugin only')
  t.match(declaring({ prefix: '/x' }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'prefix'/ })
  for (const value of [true, null, {}, 'chat.v1']) {
    t.match(declaring(undefined, { selectSubprotocol: value }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'selectSubprotocol' must be a function/ }, `beside websocket: ${JSON.stringify(value)}`)
  }
})

t.test('an unknown option throws and lists those there are', async (t) => {
  for (const name of ['maxMessageSize', 'Origin', 'constructor', '__proto__', 'toString']) {
    const options = Object.defineProperty({}, name, { value: 1, enumerable: true, configurable: true, writable: true })
    t.match(thrown(() => resolvePluginOptions(Fastify(), undefined, options)), { code: 'FST_WS_ERR_INVALID_OPTION', message: new RegExp(`'${name}'.*maxMessageBytes.*errorHandler`) }, name)
  }
})

t.test('options of other libraries throw and name ours', async (t) => {
  const foreign: Record<string, RegExp> = {
    maxPayload: /maxMessageBytes/,
    perMessageDeflate: /use 'deflate'/,
    handleProtocols: /selectSubprotocol.*subprotocols/,
    verifyClient: /hooks.*origin/,
    options: /plugin options/,
    clientTracking: /app\.websockets/,
    backpressure: /highWaterMarkBytes/
  }
  const { app } = bareApp(t)
  await app.register(duplex)
  for (const [name, ours] of Object.entries(foreign)) {
    const wanted = { code: 'FST_WS_ERR_FOREIGN_OPTION', message: new RegExp(`'${name}'`) }
    const error = await registering({ [name]: 1 })
    t.match(error, wanted, name)
    t.match(error.message, ours)
    t.match(thrown(() => app.get('/', { websocket: true, websocketOptions: { [name]: 1 } } as never, () => {})), wanted)
  }
})

t.test('defaults', async (t) => {
  t.match(resolvePluginOptions(Fastify(), undefined, {}), {
    maxMessageBytes: MIB,
    maxUnsentBytes: 16 * MIB,
    highWaterMarkBytes: 64 * KIB,
    origin: 'same-origin',
    handshakeTimeoutMs: 10_000,
    closeTimeoutMs: 5_000,
    deflate: undefined,
    validateSend: false,
    ajv: undefined,
    errorHandler: undefined
  })
  t.equal(resolvePluginOptions(Fastify({ bodyLimit: 1234 }), undefined, {}).maxMessageBytes, 1234, 'the bodyLimit of the instance')
  t.equal(resolvePluginOptions(Fastify(), undefined, { maxMessageBytes: 20 * MIB }).maxUnsentBytes, 40 * MIB)
  t.match(resolvePluginOptions(Fastify(), undefined, { maxMessageBytes: undefined, origin: undefined } as never), { maxMessageBytes: MIB, origin: 'same-origin' })
  t.ok(Object.isFrozen(resolvePluginOptions(Fastify(), undefined, {})))
})

t.test('limits that contradict each other', async (t) => {
  const tooSmall = (options: object) => thrown(() => resolvePluginOptions(Fastify(), undefined, options))
  t.match(tooSmall({ maxUnsentBytes: MIB + 64 * KIB - 1 }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'maxUnsentBytes'.*1048576.*64 KiB/ })
  t.equal(tooSmall({ maxUnsentBytes: MIB + 64 * KIB }), undefined)
  t.equal(tooSmall({ maxMessageBytes: 0, maxUnsentBytes: 64 * KIB }), undefined)

  const slow = (closeTimeoutMs: number, pluginTimeout: number) => thrown(() => resolvePluginOptions(Fastify({ pluginTimeout }), undefined, { closeTimeoutMs }))
  t.match(slow(5_000, 5_000), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'closeTimeoutMs'.*pluginTimeout \(5000 ms\)/ })
  t.equal(slow(4_999, 5_000), undefined)
  t.equal(slow(60_000, 0), undefined, '0 switches the timeout off')
  t.match(slow(10_000, 10_000), { code: 'FST_WS_ERR_INVALID_OPTION' })
})

t.test('a route overrides what was given at register, and nothing else of it', async (t) => {
  const app = Fastify() as unknown as FastifyInstance
  const errorHandler = (): void => {}
  const outer = resolvePluginOptions(app, undefined, {
    maxMessageBytes: 2000, maxUnsentBytes: 100_000, highWaterMarkBytes: 10, origin: true, handshakeTimeoutMs: 1, closeTimeoutMs: 2, validateSend: true, errorHandler
  })
  t.equal(resolveRouteOptions(app, outer, undefined), outer)
  t.match(resolveRouteOptions(app, outer, { validateSend: false, closeTimeoutMs: 3 }), {
    maxMessageBytes: 2000, maxUnsentBytes: 100_000, highWaterMarkBytes: 10, origin: true, handshakeTimeoutMs: 1, closeTimeoutMs: 3, validateSend: false, errorHandler
  })
  t.equal(resolveRouteOptions(app, outer, { maxMessageBytes: 1000 }).maxUnsentBytes, 100_000, 'a limit that was given stays where it fits')
  t.match(thrown(() => resolveRouteOptions(app, outer, { maxMessageBytes: 90_000 })), { code: 'FST_WS_ERR_INVALID_OPTION', message: /maxUnsentBytes/ }, 'and is told of where it does not')
})

t.test('a limit that was derived from another is derived again where that one differs', async (t) => {
  const app = Fastify() as unknown as FastifyInstance
  const outer = resolvePluginOptions(app, undefined, { maxMessageBytes: 20 * MIB })
  t.equal(resolveRouteOptions(app, outer, { maxMessageBytes: MIB }).maxUnsentBytes, 16 * MIB)
  t.equal(resolveRouteOptions(app, outer, { maxMessageBytes: 100 * MIB }).maxUnsentBytes, 200 * MIB)
  t.equal(resolvePluginOptions(app, outer, { maxMessageBytes: 30 * MIB }).maxUnsentBytes, 60 * MIB)
  t.equal(resolveRouteOptions(app, outer, {}).maxUnsentBytes, 40 * MIB)
})

const DEFLATE = { thresholdBytes: KIB, level: 1, memLevel: 5, serverMaxWindowBits: 12, contextTakeover: false, maxConcurrentJobs: 4 }

t.test('deflate: every wrong option of it throws at register and on a route, naming itself and what is allowed', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex)
  t.strictSame(Object.keys(WRONG_OF_DEFLATE), Object.keys(DEFLATE), 'all of them')
  for (const [name, [values, allowed]] of Object.entries(WRONG_OF_DEFLATE)) {
    for (const value of values) {
      const deflate = { [name]: value }
      for (const error of [await registering({ deflate }), thrown(() => app.get('/', { websocket: true, websocketOptions: { deflate } } as never, () => {}))]) {
        t.equal(error?.code, 'FST_WS_ERR_INVALID_OPTION', `${name}: ${JSON.stringify(value)}`)
        t.ok(error instanceof TypeError)
        t.match(error?.message, `'deflate.${name}'`)
        t.match(error?.message, allowed)
      }
    }
  }
  for (const name of ['threshold', 'zlibDeflateOptions', 'clientMaxWindowBits', 'serverNoContextTakeover', 'Level', 'constructor', '__proto__', 'toString', '0']) {
    const deflate = Object.defineProperty({}, name, { value: 1, enumerable: true, configurable: true, writable: true })
    const message = new RegExp(`'deflate.${name}'.*${Object.keys(DEFLATE).join(', ')}`)
    t.match(await registering({ deflate }), { code: 'FST_WS_ERR_INVALID_OPTION', message }, name)
  }
  t.match(await registering({ deflate: ['level'] }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'deflate' must be true, false, or an object/ })
})

t.test('deflate: at the ends of what is allowed', async (t) => {
  const least = { thresholdBytes: 0, level: 1, memLevel: 1, serverMaxWindowBits: 9, contextTakeover: false, maxConcurrentJobs: 1 }
  const most = { thresholdBytes: Number.MAX_SAFE_INTEGER, level: 9, memLevel: 9, serverMaxWindowBits: 15, contextTakeover: true, maxConcurrentJobs: Number.MAX_SAFE_INTEGER }
  for (const deflate of [least, most]) t.strictSame(resolvePluginOptions(Fastify(), undefined, { deflate }).deflate, deflate)
})

t.test('deflate: off, on, and an object that changes the defaults, or what an outer scope has set', async (t) => {
  const app = Fastify() as unknown as FastifyInstance
  type Deflate = DuplexOptions['deflate']
  /** As given in one scope after the other, and last on the route. */
  const nested = (...given: Deflate[]): unknown => {
    const route = given.pop()
    let scope: ReturnType<typeof resolvePluginOptions> | undefined
    for (const deflate of given) scope = resolvePluginOptions(app, scope, deflate === undefined ? {} : { deflate })
    return resolveRouteOptions(app, scope!, route === undefined ? {} : { deflate: route }).deflate
  }
  t.strictSame(nested(true, undefined), DEFLATE)
  t.strictSame(nested({}, undefined), DEFLATE)
  t.strictSame(nested({ level: 6 }, undefined), { ...DEFLATE, level: 6 })
  t.strictSame(nested({ level: undefined } as never, undefined), DEFLATE)
  t.equal(nested(false, undefined), undefined)

  t.strictSame(nested(undefined, true), DEFLATE, 'a route switches it on')
  t.strictSame(nested(undefined, { level: 6 }), { ...DEFLATE, level: 6 })
  t.strictSame(nested(false, true), DEFLATE)
  t.equal(nested(true, false), undefined, 'and off')
  t.equal(nested({ level: 6 }, false), undefined)
  t.strictSame(nested({ level: 6 }, true), { ...DEFLATE, level: 6 }, 'true changes nothing where it is on')
  t.strictSame(nested({ level: 6 }, {}), { ...DEFLATE, level: 6 })
  t.strictSame(nested({ level: 6 }, undefined), { ...DEFLATE, level: 6 })
  t.strictSame(nested({ level: 6, memLevel: 9 }, { memLevel: 8, contextTakeover: true }), { ...DEFLATE, level: 6, memLevel: 8, contextTakeover: true })
  t.strictSame(nested({ level: 6 }, { level: undefined, memLevel: 8 } as never), { ...DEFLATE, level: 6, memLevel: 8 })

  t.strictSame(nested({ level: 6 }, { memLevel: 8 }, { thresholdBytes: 0 }), { ...DEFLATE, level: 6, memLevel: 8, thresholdBytes: 0 }, 'three deep')
  t.strictSame(nested({ level: 6 }, undefined, { thresholdBytes: 0 }), { ...DEFLATE, level: 6, thresholdBytes: 0 })
  t.strictSame(nested({ level: 6 }, false, true), DEFLATE, 'what is switched off is forgotten')
  t.strictSame(nested({ level: 6 }, false, { memLevel: 8 }), { ...DEFLATE, memLevel: 8 })
  t.ok(Object.isFrozen(nested({ level: 6 }, { memLevel: 8 })))
  const own = { level: 6 }
  nested(own, { level: 7 })
  t.strictSame(own, { level: 6 }, 'what was given is not written into')
})

t.test('deflate: scopes and routes agree on what they were told', async (t) => {
  const { app } = bareApp(t)
  await app.register(duplex, { deflate: { serverMaxWindowBits: 15 } })
  app.get('/scope', { websocket: true }, () => {})
  app.get('/off', { websocket: true, websocketOptions: { deflate: false } }, () => {})
  app.get('/smaller', { websocket: true, websocketOptions: { deflate: { serverMaxWindowBits: 10 } } }, () => {})
  await app.register(async (child) => {
    await child.register(duplex, { deflate: { contextTakeover: true } })
    child.get('/child', { websocket: true }, () => {})
    child.get('/child/smaller', { websocket: true, websocketOptions: { deflate: { serverMaxWindowBits: 10 } } }, () => {})
    await child.register(async (grandchild) => {
      await grandchild.register(duplex, { deflate: false })
      grandchild.get('/grandchild', { websocket: true }, () => {})
      grandchild.get('/grandchild/on', { websocket: true, websocketOptions: { deflate: true } }, () => {})
    })
  })
  const agreed = async (path: string): Promise<string> => (await app.injectWebSocket(path, { deflate: true })).extensions
  const noTakeover = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
  t.equal(await agreed('/scope'), noTakeover)
  t.equal(await agreed('/off'), '')
  t.equal(await agreed('/smaller'), `${noTakeover}; server_max_window_bits=10`)
  t.equal(await agreed('/child'), 'permessage-deflate')
  t.equal(await agreed('/child/smaller'), 'permessage-deflate; server_max_window_bits=10; client_max_window_bits=10')
  t.equal(await agreed('/grandchild'), '')
  t.equal(await agreed('/grandchild/on'), `${noTakeover}; server_max_window_bits=12`)
})

t.test('options of Fastify\'s register are let through', async (t) => {
  t.equal(await registering({ prefix: '/x', logLevel: 'warn', logSerializers: {} }), undefined)
  t.equal(await registering(undefined), undefined)
})

t.test('every right option is taken', async (t) => {
  const { app } = bareApp(t)
  const options = {
    maxMessageBytes: 1000,
    maxUnsentBytes: 100_000,
    highWaterMarkBytes: 1,
    origin: ['https://example.com', 'http://localhost:8080', 'http://[::1]:3000'],
    handshakeTimeoutMs: 1,
    closeTimeoutMs: 9_999,
    deflate: { level: 9, contextTakeover: true },
    validateSend: true,
    schemaErrorFormatter: () => new Error('x'),
    onInvalidMessage () {},
    errorHandler () {}
  }
  await app.register(duplex, { ...options, ajv: { customOptions: {}, plugins: [] }, selectSubprotocol: () => false })
  app.get('/a', { websocket: true, websocketOptions: options }, () => {})
  app.get('/b', { websocket: true, websocketOptions: { origin: true }, messages: json() }, () => {})
  app.get('/c', { websocket: true, websocketOptions: { origin: 'same-origin', selectSubprotocol: () => 'x' } }, () => {})
  app.get('/d', { websocket: true, websocketOptions: { origin: () => true }, selectSubprotocol: () => 'x' }, () => {})
  app.get('/e', { websocket: true, websocketOptions: { origin: [] } }, () => {})
  await app.ready()
})
