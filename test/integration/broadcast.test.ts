/**
 * `app.websockets.broadcast` through the whole plugin and over the network.
 */
import { Buffer } from 'node:buffer'
import t from 'tap'
import { json, prepare, text, type RawSocket } from '../../index.ts'
import { deferred, startApp } from '../helpers/app.ts'
import { noise } from '../helpers/frames.ts'
import { Wire } from '../helpers/wire.ts'

t.test('the sockets of the server, of every scope and contract', async (t) => {
  const { app, port } = await startApp(t, async (app) => {
    app.get('/raw', { websocket: true }, () => {})
    await app.register(async (scope) => {
      scope.get('/json', { websocket: true, messages: json() }, () => {})
      scope.get('/text', { websocket: true, messages: text() }, () => {})
    }, { prefix: '/v1' })
  })
  const wires = await Promise.all(['/raw', '/raw', '/v1/json', '/v1/text'].map((path) => Wire.open(port, { path })))
  const everybody = app.websockets as Iterable<RawSocket>
  t.strictSame(app.websockets.broadcast(everybody, 'hi'), { sent: 4, skipped: 0 })
  t.strictSame(app.websockets.broadcast(everybody, prepare('again'), { slow: 'skip' }), { sent: 4, skipped: 0 })
  t.strictSame(await Promise.all(wires.map((wire) => wire.lines(2))), [
    ['text "hi"', 'text "again"'], ['text "hi"', 'text "again"'], ['text "\\"hi\\""', 'text "\\"again\\""'], ['text "hi"', 'text "again"']
  ])
  t.throws(() => app.websockets.broadcast(everybody, Buffer.from('x')), { code: 'FST_WS_ERR_DATA_TYPE' })

  const { '/raw': raw, '/v1/json': typed } = app.websockets.stats()
  t.equal(raw!.messagesSent, 4, 'counted with what was sent otherwise')
  t.equal(typed!.messagesSent, 2)

  const closed = [...everybody][0]!.closed
  wires[0]!.close(1000)
  wires[0]!.end()
  await closed
  t.strictSame(app.websockets.broadcast(everybody, 'rest'), { sent: 3, skipped: 0 }, 'who has left is not among them')
  t.strictSame(await wires[1]!.lines(1), ['text "rest"'])
  for (const wire of wires) wire.destroy()
})

t.test('what one peer publishes in one packet reaches all in order, itself as well', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true, messages: text() }, (socket) => {
      socket.on('message', (message) => { app.websockets.broadcast(app.websockets as Iterable<typeof socket>, message) })
    })
  })
  const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.open(port)))
  const [publisher, second] = wires as [Wire, Wire]
  publisher.duplex.cork()
  for (let i = 0; i < 8; i++) publisher.text(`message ${i}`)
  process.nextTick(() => publisher.duplex.uncork())
  const expected = Array.from({ length: 8 }, (_, i) => `text "message ${i}"`)
  for (const wire of wires) t.strictSame(await wire.lines(8), expected)
  second.text('from another')
  for (const wire of wires) t.strictSame(await wire.lines(1), ['text "from another"'])
  for (const wire of wires) wire.destroy()
})

t.test('a peer that does not read is closed with 1013, and nobody else waits for it', async (t) => {
  const slowOpen = deferred<RawSocket>()
  const { app, port, log } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/slow', { websocket: true }, (socket) => { slowOpen.resolve(socket) })
  })
  const fast = await Wire.open(port)
  const slow = await Wire.open(port, { path: '/slow' })
  const socket = await slowOpen.promise
  slow.duplex.pause()

  const message = prepare(noise(64 * 1024))
  let sent = 0
  let both = 0
  // The buffers of the kernel take some megabytes before anything waits here.
  while (socket.readyState === socket.OPEN && sent < 1000) {
    const result = app.websockets.broadcast(app.websockets as Iterable<RawSocket>, message, { slow: 'close' })
    t.equal(result.sent + result.skipped, 2)
    sent++
    both += result.sent - 1
    t.equal((await fast.frames(1))[0]!.payload.length, 64 * 1024)
  }
  t.equal(socket.readyState, socket.CLOSING)
  t.equal(both, sent - 1, 'that closed it')
  t.strictSame(app.websockets.broadcast(app.websockets as Iterable<RawSocket>, 'after', { slow: 'close' }), { sent: 1, skipped: 1 })
  t.strictSame(await fast.lines(1), ['text "after"'])

  slow.duplex.resume()
  const frames = await slow.frames(both + 1)
  t.match(frames.at(-1), { opcode: 8, payload: Buffer.concat([Buffer.from([0x03, 0xf5]), Buffer.from('too slow')]) })
  t.ok(frames.slice(0, -1).every(({ payload }) => payload.length === 64 * 1024), 'what was sent before came before')
  slow.close(1013)
  await slow.untilClosed()
  fast.destroy()
  t.match(await log.line('websocket closed'), { code: 1013, sentCode: 1013, messagesSent: both })
})
