import { LogController } from 'fastify'
import t, { type Test } from 'tap'
import { json, text } from '../../index.ts'
import type { ConnectionError, DuplexOptions } from '../../types/options.ts'
import { deferred, LEVEL, startApp, type Running } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { Wire } from '../helpers/wire.ts'

const Say = { type: 'object', required: ['text'], properties: { text: { type: 'string' } } }
const messages = json({ receive: Say })

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

type Handler = (socket: any, request: any) => unknown

const start = (t: Test, handler: Handler, options: DuplexOptions = {}, contract: object = { messages }): Promise<Running> =>
  startApp(t, (app) => { app.get('/', { websocket: true, ...contract } as never, handler as never) }, options)

/** The Close that comes next, as a line; then the connection is ended. */
async function closeOf (wire: Wire): Promise<string> {
  const [line] = await wire.lines(1)
  wire.close(1000)
  await wire.untilClosed()
  return line!
}

t.test('what a handler throws, or rejects with, closes with 1011 and is logged at error', async (t) => {
  const failure = new Error('boom')
  const handlers: Handler[] = [
    () => { throw failure },
    async () => { throw failure },
    async () => { await null; throw failure },
    (socket) => { socket.on('message', () => {}); throw failure },

    () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(failure) })
  ]
  for (const handler of handlers) {
    const { port, log } = await start(t, handler)
    t.equal(await closeOf(await Wire.open(port)), 'close 1011 "internal error"')
    const [line, ...more] = log.atLevel(LEVEL.error)
    t.match(line, { kind: 'handler', err: { message: 'boom', kind: 'handler', closeCode: 1011 } })
    t.strictSame(more, [])
  }
})

t.test('whatever is thrown, it is reported and closes with 1011', async (t) => {
  class Awkward extends Error {
    get kind (): string { return 'mine' }
    get closeCode (): number { return 4000 }
  }
  const things: unknown[] = [undefined, null, 'text', 42, Symbol('x'), {}, Object.create(null), Object.freeze(new Error('frozen')), new Awkward('awkward'), Object.defineProperty(new Error('fixed'), 'kind', { value: 1 }), new DOMException('aborted', 'AbortError')]
  for (const [index, thing] of things.entries()) {
    for (const later of [false, true]) {
      const { port, log } = await start(t, later ? async () => { throw thing } : () => { throw thing })
      const wire = await Wire.open(port)
      wire.ping()
      const answers = await Promise.race([wire.lines(1), new Promise<string[]>((resolve) => { setTimeout(resolve, 500, ['nothing']) })])
      t.equal(answers[0], 'close 1011 "internal error"', `thing ${index}`)
      t.equal(log.atLevel(LEVEL.error).length, 1)
      wire.destroy()
    }
  }
})

t.test('what a listener throws, or rejects with, does the same, with its kind', async (t) => {
  const failure = new Error('boom')
  const adding: Array<(socket: any, listener: () => unknown) => void> = [
    (socket, listener) => socket.on('message', listener),
    (socket, listener) => socket.once('message', listener),
    (socket, listener) => socket.addEventListener('message', listener),
    (socket, listener) => { socket.onmessage = listener }
  ]
  for (const add of adding) {
    for (const listener of [() => { throw failure }, async () => { throw failure }, async () => { await null; throw failure }]) {
      const { port, log } = await start(t, (socket) => { add(socket, listener) })
      const wire = await Wire.open(port)
      wire.text('{"text":"x"}')
      t.equal(await closeOf(wire), 'close 1011 "internal error"')
      t.match(log.atLevel(LEVEL.error), [{ kind: 'listener', err: { message: 'boom' } }])
    }
  }
})

t.test('errorHandler gets every error with its kind, what was being handled, socket and request', async (t) => {
  const failure = new Error('boom')
  interface Call { error: ConnectionError, socket: any, request: any, message: unknown, readyState: number }
  const cases: Array<[kind: string, handler: Handler, act: (wire: Wire) => void, message: unknown, wanted: object]> = [
    ['handler', () => { throw failure }, () => {}, undefined, { message: 'boom', closeCode: 1011 }],
    ['handler', async () => { throw failure }, () => {}, undefined, { message: 'boom', closeCode: 1011 }],
    ['listener', (socket) => { socket.on('message', () => { throw failure }) }, (wire) => wire.text('{"text":"x"}'), { text: 'x' }, { message: 'boom', closeCode: 1011 }],
    ['listener', (socket) => { socket.on('message', async () => { throw failure }) }, (wire) => wire.text('{"text":"x"}'), { text: 'x' }, { closeCode: 1011 }],
    ['listener', (socket) => { socket.on('ping', () => { throw failure }) }, (wire) => wire.ping(), undefined, { closeCode: 1011 }],
    ['message', (socket) => { socket.on('message', () => {}) }, (wire) => wire.text('{"text":1}'), { text: 1 }, { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1008, validationContext: 'message' }],
    ['message', (socket) => { socket.on('message', () => {}) }, (wire) => wire.text('{"text'), undefined, { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1007 }],
    ['message', (socket) => { socket.on('message', () => {}) }, (wire) => wire.binary('{}'), undefined, { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1003 }],
    ['protocol', () => {}, (wire) => wire.write(frame({ opcode: 1, payload: 'unmasked' })), undefined, { code: 'FST_WS_ERR_PROTOCOL', closeCode: 1002 }],
    ['protocol', () => {}, (wire) => wire.text(Buffer.from([0xff])), undefined, { code: 'FST_WS_ERR_PROTOCOL', closeCode: 1007 }],
    ['limit', () => {}, (wire) => wire.text('x'.repeat(1001)), undefined, { code: 'FST_WS_ERR_LIMIT', closeCode: 1009 }],
    ['socket', () => {}, (wire) => (wire.duplex as import('node:net').Socket).resetAndDestroy(), undefined, { code: 'FST_WS_ERR_SOCKET', closeCode: 1006 }]
  ]
  for (const [kind, handler, act, message, wanted] of cases) {
    const call = deferred<Call>()
    const { port, log } = await start(t, handler, {
      maxMessageBytes: 1000,
      errorHandler (error, socket, request, message) { call.resolve({ error, socket, request, message, readyState: socket.readyState }) }
    })
    const wire = await Wire.open(port, { headers: { 'X-Mark': kind } })
    act(wire)
    const { error, socket, request, message: handled, readyState } = await call.promise
    t.match(error, { kind, ...wanted })
    t.ok(error instanceof Error)
    t.strictSame(handled, message, kind)
    t.equal(request.headers['x-mark'], kind)
    const ours = kind === 'handler' || kind === 'listener'
    t.equal(readyState === socket.OPEN, ours, `${kind}: ${ours ? 'open, and stays so' : 'closing already'}`)
    if (ours) {
      wire.ping('still there')
      t.ok((await wire.lines(1))[0]!.startsWith('pong'))
    }
    t.strictSame(log.atLevel(LEVEL.warn), [], 'it replaces the default, its log line included')
    wire.destroy()
  }
})

t.test('an errorHandler that throws or rejects is a handler\'s error: logged, and 1011', async (t) => {
  for (const errorHandler of [() => { throw new Error('in the handler of errors') }, async () => { throw new Error('in the handler of errors') }]) {
    const { port, log } = await start(t, () => { throw new Error('boom') }, { errorHandler })
    t.equal(await closeOf(await Wire.open(port)), 'close 1011 "internal error"')
    t.match(log.atLevel(LEVEL.error), [{ kind: 'handler', err: { message: 'in the handler of errors' } }])
  }
})

t.test('an errorHandler that waits for what the peer has ended is no error', async (t) => {
  const { port, log } = await start(t, () => { throw new Error('boom') }, { errorHandler: async (_error, socket) => { await (socket as any).next() } })
  const wire = await Wire.open(port)
  wire.close(1000)
  await wire.untilClosed()
  await log.line('websocket closed')
  t.strictSame(log.atLevel(LEVEL.warn), [])
})

t.test('FST_WS_ERR_CLOSED that leaves a handler or a listener is for debugging only', async (t) => {
  const errors: unknown[] = []
  const handlers: Handler[] = [
    async (socket) => { for (;;) await socket.next() },
    async (socket) => { for (;;) await socket.next({ signal: socket.signal }) },
    async (socket) => { await new Promise((_resolve, reject) => { socket.signal.addEventListener('abort', () => reject(socket.signal.reason)) }) },
    async (socket) => {
      const { setTimeout: wait } = await import('node:timers/promises')
      await wait(60_000, undefined, { signal: socket.signal })
    },
    async (socket) => {
      await socket.closed
      await socket.drained()
    },
    (socket) => { socket.on('close', async () => { await socket.drained() }) }
  ]
  for (const [index, handler] of handlers.entries()) {
    for (const errorHandler of [undefined, (error: unknown) => { errors.push(error) }]) {
      const { port, log } = await start(t, handler, errorHandler === undefined ? {} : { errorHandler }, {})
      const wire = await Wire.open(port)
      wire.text('one')
      wire.close(1000)
      await wire.untilClosed()
      const line = await log.line(/ended with its connection/)
      t.equal(line.level, LEVEL.debug, `handler ${index}`)
      t.strictSame(log.atLevel(LEVEL.warn), [])
    }
  }
  t.strictSame(errors, [])
})

t.test('by default an invalid message closes with its code and a fixed reason, and is logged at info without its content', async (t) => {
  for (const [send, code, text] of [
    [(wire: Wire) => wire.text('{"text":"secret'), 1007, /cannot decode/],
    [(wire: Wire) => wire.text('{"__proto__":{"text":"secret"}}'), 1007, /cannot decode/],
    [(wire: Wire) => wire.text('{"text":"a","constructor":{"prototype":"secret"}}'), 1007, /cannot decode/],
    [(wire: Wire) => wire.text('{"text":["secret"]}'), 1008, /message\/text must be string/],
    [(wire: Wire) => wire.text(`{"text":${'['.repeat(50_000)}"secret"${']'.repeat(50_000)}}`), 1008, /./],
    [(wire: Wire) => wire.binary('secret'), 1003, /binary where/]
  ] as const) {
    const { port, log } = await start(t, (socket) => { socket.on('message', () => t.fail('not delivered')) })
    const wire = await Wire.open(port)
    send(wire)
    wire.text('{"text":"too late"}')
    t.equal(await closeOf(wire), `close ${code} "invalid message"`)
    const line = await log.line('websocket message error')
    t.equal(line.level, LEVEL.info)
    t.match(line, { kind: 'message', err: { code: 'FST_WS_ERR_INVALID_MESSAGE', message: text, closeCode: code } })
    t.notMatch(JSON.stringify(log.lines), /secret/)
    t.strictSame(log.atLevel(LEVEL.warn), [])
  }
})

t.test('text where the contract has binary is 1003', async (t) => {
  const { port } = await start(t, (socket) => { socket.on('message', () => {}) }, {}, { messages: (await import('../../index.ts')).bytes() })
  const wire = await Wire.open(port)
  wire.text('text')
  t.equal(await closeOf(wire), 'close 1003 "invalid message"')
})

t.test('onInvalidMessage replaces the default: what does not fit leaves the connection open', async (t) => {
  const calls: any[] = []
  const errors: unknown[] = []
  const { port, log } = await start(t, (socket) => { socket.on('message', (message: unknown) => { socket.send({ got: message }) }) }, {
    onInvalidMessage (error, socket, request, message) {
      calls.push({ error, message, url: request.url })
      socket.sendRaw('{"error":"invalid"}')
    },
    errorHandler (error) { errors.push(error) }
  })
  const wire = await Wire.open(port)
  wire.text('{"text":1}')
  wire.text('{"text":"x"}')
  t.strictSame(await wire.lines(2), ['text "{\\"error\\":\\"invalid\\"}"', 'text "{\\"got\\":{\\"text\\":\\"x\\"}}"'])
  t.match(calls, [{ error: { code: 'FST_WS_ERR_INVALID_MESSAGE', closeCode: 1008, validationContext: 'message', validation: [{ instancePath: '/text' }] }, message: { text: 1 }, url: '/' }])
  t.strictSame(errors, [])
  t.strictSame(log.with('websocket message error'), [])
  wire.destroy()
})

t.test('after what cannot be decoded the connection closes, whatever onInvalidMessage does', async (t) => {
  for (const [send, code] of [[(wire: Wire) => wire.text('{'), 1007], [(wire: Wire) => wire.binary('{}'), 1003]] as const) {
    for (const later of [false, true]) {
      const call = deferred<any>()
      const { port } = await start(t, (socket) => { socket.on('message', () => {}) }, {
        onInvalidMessage: (error, socket, _request, message) => {
          call.resolve({ error, message })
          socket.sendRaw('told')
          return later ? Promise.resolve() : undefined
        }
      })
      const wire = await Wire.open(port)
      send(wire)
      t.strictSame(await wire.lines(2), ['text "told"', `close ${code} "invalid message"`])
      t.match(await call.promise, { error: { closeCode: code }, message: undefined })
      wire.destroy()
    }
  }
})

t.test('onInvalidMessage may close with a code of its own', async (t) => {
  const { port } = await start(t, (socket) => { socket.on('message', () => {}) }, { onInvalidMessage: (_error, socket) => socket.close(4444, 'mine') })
  for (const text of ['{"text":1}', '{']) {
    const wire = await Wire.open(port)
    wire.text(text)
    t.equal(await closeOf(wire), 'close 4444 "mine"')
  }
})

t.test('an onInvalidMessage that throws or rejects is a handler\'s error', async (t) => {
  for (const onInvalidMessage of [() => { throw new Error('boom') }, async () => { throw new Error('boom') }]) {
    const errors: any[] = []
    const { port, log } = await start(t, (socket) => { socket.on('message', () => {}) }, { onInvalidMessage })
    const wire = await Wire.open(port)
    wire.text('{"text":1}')
    t.equal(await closeOf(wire), 'close 1011 "internal error"')
    t.match(log.atLevel(LEVEL.error), [{ kind: 'handler', err: { message: 'boom' } }])

    const handled = await start(t, (socket) => { socket.on('message', () => {}) }, { onInvalidMessage, errorHandler: (error, socket, _request, message) => { errors.push([error.kind, message]); socket.close(4000) } })
    const other = await Wire.open(handled.port)
    other.text('{"text":1}')
    t.equal(await closeOf(other), 'close 4000 ""')
    t.strictSame(errors, [['handler', { text: 1 }]])
  }
})

t.test('schemaErrorFormatter words the error', async (t) => {
  const seen: any[] = []
  const { port } = await start(t, (socket) => { socket.on('message', () => {}) }, {
    schemaErrorFormatter: (errors, part) => Object.assign(new Error(`${part}: ${errors.length}`), { mine: true }),
    onInvalidMessage: (error, socket) => { seen.push(error); socket.close(1000) }
  })
  const wire = await Wire.open(port)
  wire.text('{"text":1}')
  await closeOf(wire)
  t.match(seen, [{ message: /message: 1/, cause: { mine: true } }])
})

t.test('a validator that throws is a fault of the server: error, 1011', async (t) => {
  const { port, log } = await start(t, (socket) => { socket.on('message', () => {}) }, { validatorCompiler: () => () => { throw new TypeError('broken validator') } })
  const wire = await Wire.open(port)
  wire.text('{"text":"x"}')
  t.equal(await closeOf(wire), 'close 1011 "internal error"')
  t.match(log.atLevel(LEVEL.error), [{ err: { message: 'broken validator' } }])
})

t.test('of what a peer sends a line holds 256 octets: url, address, subprotocol, reason', async (t) => {
  const { port, log } = await startApp(t, (app) => {
    app.get('/', { websocket: true, selectSubprotocol: ([first]) => first! }, () => {})
  }, {}, { trustProxy: true })
  const wire = await Wire.open(port, { path: `/?${'q'.repeat(9_000)}`, headers: { 'X-Forwarded-For': 'f'.repeat(3_000), 'Sec-WebSocket-Protocol': 'p'.repeat(3_000) } })
  wire.close(4000, 'r'.repeat(123))
  await wire.untilClosed()
  const opened = await log.line('websocket open')
  t.equal(opened['url'], `/?${'q'.repeat(254)}`)
  t.equal(opened['remoteAddress'], 'f'.repeat(256))
  t.equal(opened['protocol'], 'p'.repeat(256))
  t.equal((await log.line('websocket closed'))['reason'], 'r'.repeat(123))
})

t.test('faults of the peer are logged at info, those of the network at debug', async (t) => {
  for (const [act, kind, level] of [
    [(wire: Wire) => wire.write(frame({ opcode: 1, payload: 'unmasked' })), 'protocol', LEVEL.info],
    [(wire: Wire) => wire.text('x'.repeat(1001)), 'limit', LEVEL.info],
    [(wire: Wire) => (wire.duplex as import('node:net').Socket).resetAndDestroy(), 'socket', LEVEL.debug]
  ] as const) {
    const { port, log } = await start(t, () => {}, { maxMessageBytes: 1000 })
    const wire = await Wire.open(port)
    act(wire)
    const line = await log.line(`websocket ${kind} error`)
    t.equal(line.level, level)
    wire.destroy()
    await log.line('websocket closed')
    t.strictSame(log.atLevel(LEVEL.warn), [])
  }
})

t.test('a slow peer that is dropped is logged at warn', async (t) => {
  const { port, log } = await start(t, (socket) => {
    const timer = setInterval(() => { if (socket.readyState === socket.OPEN) socket.send(Buffer.alloc(1_000_000)); else clearInterval(timer) }, 1)
  }, { maxMessageBytes: 1000, maxUnsentBytes: 200_000 }, {})
  const wire = await Wire.open(port)
  wire.duplex.pause()
  const line = await log.line('websocket limit error')
  t.equal(line.level, LEVEL.warn)
  t.match(line, { err: { code: 'FST_WS_ERR_LIMIT', closeCode: 1006 } })
  t.match(await log.line('websocket closed'), { code: 1006, sentCode: 1006 })
  wire.destroy()
})

t.test('one line at open and one at close, with what is to be known', async (t) => {
  const { port, log } = await start(t, (socket) => { socket.on('message', (message: string) => { socket.send(message); socket.send(message) }) }, {}, { subprotocols: { chat: text() } })
  const wire = await Wire.open(port, { path: '/?a=b', headers: { 'Sec-WebSocket-Protocol': 'chat' } })
  t.match(await log.line('websocket open'), { level: LEVEL.info, url: '/?a=b', remoteAddress: '127.0.0.1', protocol: 'chat', extensions: '', reqId: /./ })
  wire.text('hello')
  await wire.frames(2)
  wire.close(4001, 'done')
  await wire.untilClosed()
  const line = await log.line('websocket closed')
  t.match(line, { level: LEVEL.info, code: 4001, reason: 'done', sentCode: 4001, bytesReceived: 23, bytesSent: 22, messagesReceived: 1, messagesSent: 2, reqId: /./ })
  t.ok(Number.isInteger(line['durationMs']) && line['durationMs'] >= 0)
  t.notOk('suppressedLines' in line)
  t.equal(log.with('websocket open').length, 1)
  t.equal(log.with('websocket closed').length, 1)
})

t.test('the close line says what we sent when the peer never answered', async (t) => {
  const { port, log } = await start(t, (socket) => { socket.close(4002, 'bye') }, { closeTimeoutMs: 20 }, {})
  const wire = await Wire.open(port)
  t.match(await log.line('websocket closed'), { code: 1006, reason: '', sentCode: 4002 })
  wire.destroy()
})

t.test('no lines of opening and closing where request logging is off, but errors', async (t) => {
  class Quiet extends LogController {
    override isLogDisabled (): boolean { return true }
  }
  for (const off of [
    { disableRequestLogging: true }, { disableRequestLogging: () => true },
    { logController: new LogController({ disableRequestLogging: true }) }, { logController: new Quiet() }
  ]) {
    const { port, app, log } = await startApp(t, (app) => {
      app.get('/', { websocket: true }, () => { throw new Error('boom') })
    }, {}, off as object)
    t.equal(await closeOf(await Wire.open(port)), 'close 1011 "internal error"')
    await app.close()
    t.strictSame(log.lines.filter(({ level, msg }) => level === LEVEL.info && !/listening/i.test(msg)), [], JSON.stringify(off))
    t.strictSame(log.with('websocket open'), [], JSON.stringify(off))
    t.strictSame(log.with('websocket closed'), [])
    t.equal(log.atLevel(LEVEL.error).length, 1)
  }
})

t.test('the log level of a route holds for its connections', async (t) => {
  const closed = deferred<undefined>()
  const { port, log } = await startApp(t, (app) => {
    app.addWebSocketHook('onClose', () => { closed.resolve(undefined) })
    app.get('/', { websocket: true, logLevel: 'warn' }, () => {})
  })
  const wire = await Wire.open(port)
  wire.close(1000)
  await closed.promise
  t.strictSame(log.with(/^websocket/), [])
})

t.test('a log whose level is changed while connections are open: each line goes by the level of its moment', async (t) => {
  for (const [before, after, lines] of [['warn', 'info', ['websocket closed']], ['info', 'warn', ['websocket open']]] as const) {
    const closed = deferred<undefined>()
    const { port, log } = await startApp(t, (app) => {
      app.addWebSocketHook('onClose', () => { closed.resolve(undefined) })
      app.get('/', { websocket: true, logLevel: before }, (socket, request) => {
        request.log.level = after
        socket.close(1000)
      })
    }, {}, {})
    const wire = await Wire.open(port)
    wire.close(1000)
    await closed.promise
    t.strictSame(log.with(/^websocket/).map(({ msg }) => msg), lines, `${before}, then ${after}`)
  }
})

t.test('the address of a peer is not looked up for lines that are not written', async (t) => {
  for (const [logLevel, lookups] of [['warn', 0], ['info', 1]] as const) {
    let asked = 0
    const { port, log } = await startApp(t, (app) => {
      app.server.on('connection', (socket) => {
        Object.defineProperty(socket, 'remoteAddress', { get: () => { asked++; return '192.0.2.1' } })
      })
      // Fastify's own line about a request has it as well.
      app.get('/', { websocket: true, logLevel, logSerializers: { req: () => ({}) } }, () => {})
    })
    const wire = await Wire.open(port)
    wire.close(1000)
    await wire.untilClosed()
    t.equal(asked, lookups, logLevel)
    if (lookups > 0) t.match(await log.line('websocket open'), { remoteAddress: '192.0.2.1' })
  }
})

t.test('from one peer at most one further line a second, and one of level error; the rest is counted at the end', async (t) => {
  const { port, log } = await start(t, (socket) => { socket.on('message', async () => { throw new Error('again') }) }, { highWaterMarkBytes: 1000 }, {})
  const wire = await Wire.open(port)
  wire.write(Buffer.concat(Array.from({ length: 5 }, () => frame({ opcode: 1, masked: true, payload: 'x' }))))
  t.equal(await closeOf(wire), 'close 1011 "internal error"')
  t.match(await log.line('websocket closed'), { suppressedLines: 4 })
  t.equal(log.with('websocket listener error').length, 1)

  // A warning, and then a mistake of the peer.
  const pushing = await start(t, (socket) => { socket.send('x') }, { highWaterMarkBytes: 1000, maxMessageBytes: 100_000 }, {})
  const noisy = await Wire.open(pushing.port)
  await noisy.frames(1)
  noisy.text('x'.repeat(2000))
  noisy.text('x'.repeat(2000))
  noisy.write(frame({ opcode: 1, payload: 'unmasked' }))
  await noisy.frames(1)
  await noisy.untilClosed()
  t.match(await pushing.log.line('websocket closed'), { suppressedLines: 1 })
  t.match(pushing.log.with(/thrown away/), [{ level: LEVEL.warn, discarded: 1 }], 'once for a connection')
  t.strictSame(pushing.log.with('websocket protocol error'), [])

  // An error of the application is told, whatever its peer has done just before.
  const failing = await start(t, (socket) => {
    socket.send('x')
    socket.on('ping', () => { throw new Error('boom') })
  }, { highWaterMarkBytes: 1000, maxMessageBytes: 100_000 }, {})
  const both = await Wire.open(failing.port)
  await both.frames(1)
  both.text('x'.repeat(2000))
  both.ping()
  await failing.log.line('websocket listener error')
  t.equal(failing.log.with(/thrown away/).length, 1)
  both.destroy()
})

t.test('nothing in all this was left unhandled', async (t) => {
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})
