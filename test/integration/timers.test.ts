import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { deferred, LEVEL, startApp, type Running } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { upgradeRequest, Wire } from '../helpers/wire.ts'

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
t.teardown(() => { process.off('unhandledRejection', note) })

const start = (t: Test, options: object, handler: (socket: any, request: any) => unknown = () => {}): Promise<Running> =>
  startApp(t, (app) => { app.get('/', { websocket: true, websocketOptions: options } as never, handler as never) })

async function closeOf (wire: Wire): Promise<string> {
  const [line] = await wire.lines(1)
  wire.close(1000)
  await wire.untilClosed()
  return line!
}

t.test('a message that is not finished in time closes with 1008', async (t) => {
  const { port, log } = await start(t, { messageTimeoutMs: 100 })
  const whole = frame({ opcode: 1, masked: true, payload: 'hello' })
  for (const bytes of [whole.subarray(0, 1), whole.subarray(0, 8), frame({ opcode: 1, masked: true, payload: 'a', fin: false })]) {
    const wire = await Wire.open(port)
    const started = performance.now()
    wire.write(bytes)
    t.strictSame(await wire.lines(1), ['close 1008 "a message was not finished within 100 ms"'])
    const took = performance.now() - started
    t.ok(took >= 95 && took < 1_500, `${took} ms`)
    wire.destroy()
  }
  t.match(await log.line('websocket limit error'), { level: LEVEL.info, err: { closeCode: 1008 } })
})

t.test('expiresAt: a Date, a number, or undefined for never; by the request', async (t) => {
  let when: unknown
  const { port } = await start(t, { messageTimeoutMs: 100, expiresAt: () => when })
  for (const at of [new Date(Date.now() + 60), Date.now() + 120, 0, new Date(0)]) {
    when = at
    const wire = await Wire.open(port)
    t.equal(await closeOf(wire), 'close 3000 "expired"')
  }
  for (const never of [undefined, Infinity]) {
    when = never
    const wire = await Wire.open(port)
    await new Promise((resolve) => { setTimeout(resolve, 100) })
    t.equal(wire.received.length, 0)
    wire.destroy()
  }
})

t.test('expiresAt: the handler, or anything later, may extend or cancel', async (t) => {
  const { port } = await start(t, { messageTimeoutMs: 100, expiresAt: () => Date.now() + 100 }, (socket) => {
    socket.closeAt(null)
    socket.on('message', () => socket.closeAt(new Date(), 4001, 'now'))
  })
  const wire = await Wire.open(port)
  await new Promise((resolve) => { setTimeout(resolve, 250) })
  t.equal(wire.received.length, 0)
  wire.text('end')
  t.equal(await closeOf(wire), 'close 4001 "now"')
})

t.test('expiresAt: what is no time, or throws, or comes later, refuses the handshake', async (t) => {
  const makers: Array<() => unknown> = [
    () => null,
    () => 'tomorrow',
    () => NaN,
    () => new Date(NaN),
    () => Math.floor(Date.now() / 1000) + 3600,
    () => { throw new Error('no session') },
    async () => new Date(),
    async () => { throw new Error('no session') }
  ]
  for (const [i, expiresAt] of makers.entries()) {
    const { port, app } = await start(t, { expiresAt }, () => { t.fail('the handler runs') })
    const wire = await Wire.connect(port)
    wire.write(upgradeRequest())
    t.equal((await wire.response()).statusCode, 500, `maker ${i}`)
    await wire.untilClosed()
    t.equal(app.websockets.size, 0)
  }
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})

t.test('maxLifetimeMs: nobody lives longer, whatever closeAt says', async (t) => {
  const { port } = await start(t, { messageTimeoutMs: 100, maxLifetimeMs: 150, expiresAt: () => undefined }, (socket) => {
    socket.closeAt(Date.now() + 60_000, 4000, 'later')
    socket.on('message', () => socket.closeAt(null))
  })
  const wire = await Wire.open(port)
  const started = performance.now()
  wire.text('cancel')
  t.equal(await closeOf(wire), 'close 3000 "expired"')
  const took = performance.now() - started
  t.ok(took > 100 && took < 1_500, `${took} ms`)
})

t.test('maxLifetimeMs: counts while hooks run before the handler', async (t) => {
  const gate = deferred()
  const { port } = await startApp(t, (app) => {
    app.addWebSocketHook('onOpen', () => gate.promise)
    app.get('/', { websocket: true, websocketOptions: { messageTimeoutMs: 100, maxLifetimeMs: 100 } }, () => { t.fail('the handler runs') })
  })
  const wire = await Wire.open(port)
  t.strictSame(await wire.lines(1), ['close 3000 "expired"'])
  gate.resolve()
  wire.close(3000)
  await wire.untilClosed()
})

t.test('fake timers move heartbeat, message timer and deadlines, and nothing else', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: Date.now() })
  t.teardown(() => mock.timers.reset())
  const { app } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => socket.send(data)) })
    app.get('/short', { websocket: true, websocketOptions: { maxLifetimeMs: 86_400_000 * 30, heartbeat: false } }, () => {})
  })
  /** Fake time, and as many real turns as it takes for what was sent to arrive. */
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      mock.timers.tick(1_000)
      for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => { setImmediate(resolve) })
    }
  }

  const silent = await app.injectWebSocket('/', { autoPong: false })
  silent.send('still')
  t.equal(String(await silent.next()), 'still')
  const pings: string[] = []
  silent.on('ping', (payload) => { pings.push(String(payload)) })
  await pass(33)
  t.strictSame(pings, ['1'])
  await pass(30)
  t.equal((await silent.closed).code, 1006)

  const half = await app.injectWebSocket('/')
  half.transport.write(Buffer.from([0x81]))
  await pass(33)
  t.equal((await half.closed).code, 1008)

  const short = await app.injectWebSocket('/short')
  mock.timers.setTime(Date.now() + 86_400_000 * 30)
  await pass(1)
  t.equal((await short.closed).code, 3000)
})

t.test('one timer for all connections of a server, and none when there are none', async (t) => {
  const running = new Set<unknown>()
  const { setInterval, clearInterval } = globalThis
  t.intercept(globalThis, 'setInterval', {
    value: (...args: Parameters<typeof setInterval>) => {
      const timer = setInterval(...args)
      running.add(timer)
      return timer
    }
  })
  t.intercept(globalThis, 'clearInterval', {
    value: (timer: NodeJS.Timeout) => {
      running.delete(timer)
      clearInterval(timer)
    }
  })
  const { app, port } = await startApp(t, async (app) => {
    app.get('/a', { websocket: true }, () => {})
    await app.register(async (scope) => { scope.get('/b', { websocket: true }, () => {}) })
  })
  t.equal(running.size, 0)
  const wires = await Promise.all(Array.from({ length: 40 }, (_, i) => Wire.open(port, { path: i % 2 === 0 ? '/a' : '/b' })))
  t.equal(running.size, 1)
  for (const wire of wires.slice(1)) {
    wire.close(1000)
    await wire.untilClosed()
  }
  t.equal(running.size, 1)
  const closing = app.close()
  t.strictSame(await wires[0]!.lines(1), ['close 1001 ""'])
  t.equal(running.size, 0)
  wires[0]!.close(1001)
  await wires[0]!.untilClosed()
  await closing
})
