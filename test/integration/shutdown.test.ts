import t from 'tap'
import { deferred, startApp } from '../helpers/app.ts'
import { upgradeRequest, Wire } from '../helpers/wire.ts'

t.test('shutdown: the code and the reason that were set, for those that open meanwhile too', async (t) => {
  const gate = deferred()
  const entered = deferred()
  const { app, port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/slow', { websocket: true, preHandler: async () => { entered.resolve(); await gate.promise } }, () => {})
  }, { shutdown: { code: 1012, reason: 'restart' } })
  const open = await Wire.open(port)
  const opening = await Wire.connect(port)
  opening.write(upgradeRequest({ path: '/slow' }))
  await entered.promise
  const closing = app.close()
  t.strictSame(await open.lines(1), ['close 1012 "restart"'])
  gate.resolve()
  t.equal((await opening.response()).statusCode, 101)
  t.strictSame(await opening.lines(1), ['close 1012 "restart"'])
  for (const wire of [open, opening]) {
    wire.close(1012)
    await wire.untilClosed()
  }
  await closing
})

t.test('shutdown: closes are spread over the window; those still open talk on, and upgrades are answered 503', async (t) => {
  const WINDOW = 500
  const { app, port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => socket.send(String(data))) })
  }, { shutdown: { code: 4000, windowMs: WINDOW } })
  const wires: Wire[] = []
  for (let i = 0; i < 20; i++) wires.push(await Wire.open(port))
  const late = await Wire.connect(port)
  const started = performance.now()
  const closing = app.close()
  const times = Promise.all(wires.slice(0, -1).map(async (wire) => {
    t.strictSame(await wire.lines(1), ['close 4000 ""'])
    const at = performance.now() - started
    wire.close(4000)
    await wire.untilClosed()
    return at
  }))
  const last = wires.at(-1)!
  last.text('still here')
  t.strictSame(await last.lines(1), ['text "still here"'])
  late.write(upgradeRequest())
  t.equal((await late.response()).statusCode, 503)
  await late.untilClosed()
  t.strictSame(await last.lines(1), ['close 4000 ""'])
  const lastAt = performance.now() - started
  last.close(4000)
  await last.untilClosed()
  const at = await times
  await closing
  t.equal(app.websockets.size, 0)
  t.ok(lastAt > WINDOW / 2, `the last after ${lastAt} ms`)
  t.ok(Math.min(...at) < lastAt - WINDOW / 4, 'not all at once')
  const groups = new Set(at.map((ms) => Math.round(ms / 25)))
  t.ok(groups.size >= 4, `${groups.size} groups`)
})

t.test('shutdown: who leaves within the window is not waited for', async (t) => {
  const { app, port } = await startApp(t, (app) => { app.get('/', { websocket: true }, () => {}) }, { shutdown: { windowMs: 200 }, closeTimeoutMs: 100 })
  const wires = await Promise.all(Array.from({ length: 3 }, () => Wire.open(port)))
  const closing = app.close()
  for (const wire of wires) wire.destroy()
  await closing
  t.equal(app.websockets.size, 0)
})

t.test('shutdown: a hook before the handler that never ends does not hold it up', async (t) => {
  const { app, port } = await startApp(t, (app) => {
    app.addWebSocketHook('onOpen', () => new Promise(() => {}))
    app.get('/', { websocket: true }, () => { t.fail('the handler runs') })
  }, { closeTimeoutMs: 100 })
  const wire = await Wire.open(port)
  const closing = app.close()
  t.strictSame(await wire.lines(1), ['close 1001 ""'])
  await closing
  t.equal(app.websockets.size, 0)
  await wire.untilClosed()
})

t.test('shutdown: closeAll has its own code and knows no window', async (t) => {
  const { app, port } = await startApp(t, (app) => { app.get('/', { websocket: true }, () => {}) }, { shutdown: { code: 4000, reason: 'x', windowMs: 4_000 } })
  const wires = await Promise.all([Wire.open(port), Wire.open(port)])
  const closing = app.websockets.closeAll()
  for (const wire of wires) {
    t.strictSame(await wire.lines(1), ['close 1001 ""'])
    wire.close(1001)
    await wire.untilClosed()
  }
  await closing
})
