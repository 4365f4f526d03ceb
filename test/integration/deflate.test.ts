/**
 * permessage-deflate over TCP: what is answered to offers, and what becomes of messages, callbacks and connections while
 * jobs of zlib are under way. A job begins when the test lets it, so nothing here depends on how long one takes.
 */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { Socket } from 'node:net'
import zlib from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { json, prepare, type RawSocket } from '../../index.ts'
import type { DuplexOptions } from '../../types/options.ts'
import { deferred, startApp, type Running } from '../helpers/app.ts'
import { frame, type WireFrame } from '../helpers/frames.ts'
import { upgradeRequest, Wire } from '../helpers/wire.ts'

const KIB = 1024
const MIB = 1024 * KIB
const RSV1 = 4

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

/** The jobs of the thread pool, by which the core compresses and inflates large messages. */
class Jobs {
  /** How many were begun. */
  begun = 0
  #held: Array<() => void> | undefined
  #waiting: Array<() => void> = []

  constructor (t: Test) {
    for (const name of ['deflateRaw', 'inflateRaw'] as const) {
      const original: (...args: unknown[]) => void = zlib[name] as never
      zlib[name] = ((...args: unknown[]) => {
        this.begun++
        for (const resolve of this.#waiting.splice(0)) resolve()
        if (this.#held === undefined) original(...args)
        else this.#held.push(() => original(...args))
      }) as never
      t.teardown(() => {
        zlib[name] = original as never
        syncBuiltinESMExports()
      })
    }
    syncBuiltinESMExports()
  }

  /** Those that begin from now on wait for `release`. */
  hold (): void {
    this.#held ??= []
  }

  release (): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const run of held) run()
  }

  async until (count: number): Promise<void> {
    while (this.begun < count) await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
  }
}

/** As a client compresses a message (RFC 7692 §7.2.1). */
function compressed (payload: string | Uint8Array): Buffer {
  return zlib.deflateRawSync(payload, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4)
}

/** A compressed message of a client. */
function frameOf (message: string | Buffer): Buffer {
  return frame({ opcode: typeof message === 'string' ? 1 : 2, masked: true, rsv: RSV1, payload: compressed(message) })
}

/** And inflates one, without a window of earlier messages. */
function inflated ({ rsv, payload }: WireFrame): Buffer {
  if (rsv !== RSV1) return payload
  return zlib.inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: zlib.constants.Z_SYNC_FLUSH })
}

/** Text that shrinks to half, as every second octet is random: large messages stay large enough for a job. */
function noise (length: number): string {
  return randomBytes(length / 4).toString('hex') + 'x'.repeat(length / 2)
}

const words = (length: number): string => 'the quick brown fox jumps over the lazy dog, '.repeat(Math.ceil(length / 45)).slice(0, length)

const offering = (offer: string | readonly string[] = 'permessage-deflate', path = '/') => ({ path, headers: { 'Sec-WebSocket-Extensions': offer } })
const NO_TAKEOVER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'

/** An application with one raw route. */
function start (t: Test, handler: (socket: RawSocket) => unknown, options: DuplexOptions = {}): Promise<Running> {
  return startApp(t, (app) => { app.get('/', { websocket: true }, handler) }, { deflate: true, maxMessageBytes: 4 * MIB, ...options })
}

const echo = (socket: RawSocket): void => { socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) }) }

/** The server's socket of the only connection. */
function socketOf (app: FastifyInstance): RawSocket {
  return [...app.websockets][0] as unknown as RawSocket
}

t.test('what is answered to an offer', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/takeover', { websocket: true, websocketOptions: { deflate: { contextTakeover: true } } }, () => {})
    app.get('/off', { websocket: true, websocketOptions: { deflate: false } }, () => {})
  }, { deflate: true })
  const by12 = `${NO_TAKEOVER}; server_max_window_bits=12`
  const answers: Array<[offer: string | string[], answer: string | undefined, takeover?: string | undefined]> = [
    // What browsers send, and what `ws` does.
    ['permessage-deflate; client_max_window_bits', by12, 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12'],
    ['permessage-deflate', by12, 'permessage-deflate; server_max_window_bits=12'],
    ['permessage-deflate; server_max_window_bits=9', `${NO_TAKEOVER}; server_max_window_bits=9`, 'permessage-deflate; server_max_window_bits=9'],
    ['permessage-deflate; server_max_window_bits="10"', `${NO_TAKEOVER}; server_max_window_bits=10`],
    ['permessage-deflate; server_max_window_bits="1\\1"', `${NO_TAKEOVER}; server_max_window_bits=11`],
    ['permessage-deflate;server_no_context_takeover ; client_no_context_takeover', by12, by12],
    ['permessage-deflate; client_max_window_bits=9', by12, 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=9'],
    // Several: the first that can be met.
    ['permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10', `${NO_TAKEOVER}; server_max_window_bits=10`],
    ['x-own, permessage-deflate', by12],
    [['x-own; a="b"', 'permessage-deflate; server_max_window_bits=10', 'permessage-deflate'], `${NO_TAKEOVER}; server_max_window_bits=10`],
    // None that can be met: the connection goes on without.
    ['permessage-deflate; server_max_window_bits', undefined, undefined],
    ['permessage-deflate; server_max_window_bits=8', undefined, undefined],
    ['permessage-deflate; server_max_window_bits=16', undefined, undefined],
    ['permessage-deflate; server_max_window_bits=010', undefined, undefined],
    ['permessage-deflate; client_max_window_bits=7', undefined, undefined],
    ['permessage-deflate; server_no_context_takeover=true', undefined, undefined],
    ['permessage-deflate; client_no_context_takeover; client_no_context_takeover', undefined, undefined],
    ['permessage-deflate; level=9', undefined, undefined],
    ['Permessage-Deflate', undefined, undefined],
    ['x-webkit-deflate-frame', undefined, undefined]
  ]
  const answerTo = async (path: string, offer: string | string[]): Promise<string | undefined> => {
    const wire = await Wire.connect(port)
    t.teardown(() => wire.destroy())
    wire.write(upgradeRequest(offering(offer, path)))
    const { statusCode, headers } = await wire.response()
    t.equal(statusCode, 101)
    return headers['sec-websocket-extensions']
  }
  for (const [offer, answer, ...takeover] of answers) {
    t.equal(await answerTo('/', offer), answer, String(offer))
    if (takeover.length > 0) t.equal(await answerTo('/takeover', offer), takeover[0], `with takeover: ${offer}`)
    t.equal(await answerTo('/off', offer), undefined)
  }
})

t.test('an offer that is no list is refused, whether or not it is looked at', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, () => {})
    app.get('/off', { websocket: true, websocketOptions: { deflate: false } }, () => {})
  }, { deflate: true })
  for (const path of ['/', '/off']) {
    for (const offer of ['permessage-deflate;', 'permessage-deflate; server_max_window_bits=', 'permessage-deflate; server_max_window_bits="', 'permessage-deflate; server_max_window_bits="a b"', 'permessage deflate', ';']) {
      const wire = await Wire.connect(port)
      wire.write(upgradeRequest(offering(offer, path)))
      t.equal((await wire.response()).statusCode, 400, offer)
      wire.destroy()
    }
  }
})

t.test('sockets and log say what was agreed', async (t) => {
  const { app, port, log } = await start(t, () => {})
  const wire = await Wire.open(port, offering())
  t.equal(socketOf(app).extensions, `${NO_TAKEOVER}; server_max_window_bits=12`)
  t.match(await log.line('websocket open'), { extensions: `${NO_TAKEOVER}; server_max_window_bits=12` })
  wire.destroy()
})

t.test('messages: right behind the handshake, of every size, in fragments, with pings between them', async (t) => {
  const { port } = await start(t, echo)
  const wire = await Wire.open(port, offering(), Buffer.concat([frameOf(words(2000)), frameOf(noise(100 * KIB))]))
  const early = await wire.frames(2)
  t.strictSame(early.map(({ rsv }) => rsv), [RSV1, RSV1])
  t.equal(inflated(early[0]!).toString(), words(2000))

  for (const size of [0, 1, 100, 1023, 1024, 16 * KIB, 32 * KIB, 33 * KIB, MIB, 4 * MIB]) {
    for (const message of [words(size), size % 4 === 0 ? noise(size) : 'x'.repeat(size)]) {
      wire.write(frameOf(message))
      const [answer] = await wire.frames(1)
      t.equal(answer!.rsv, size >= 1024 ? RSV1 : 0, `${size}: compressed from the threshold on`)
      t.ok(inflated(answer!).equals(Buffer.from(message)), `${size} octets come back`)
    }
  }

  const message = noise(400 * KIB)
  const payload = compressed(message)
  const third = Math.ceil(payload.length / 3)
  wire.frame({ opcode: 1, fin: false, rsv: RSV1, payload: payload.subarray(0, third) })
  wire.ping('between')
  wire.frame({ opcode: 0, fin: false, payload: payload.subarray(third, 2 * third) })
  wire.frame({ opcode: 0, payload: payload.subarray(2 * third) })
  wire.text('and one as it is')
  const [pong, whole, last] = await wire.frames(3)
  t.match(pong, { opcode: 10 })
  t.equal(inflated(whole!).toString(), message)
  t.equal(last!.payload.toString(), 'and one as it is', 'stays behind the one that takes longer')
  wire.destroy()
})

t.test('a message that would be too large when inflated: 1009, and the others go on', async (t) => {
  const { port, log } = await start(t, echo, { maxMessageBytes: MIB })
  const others = await Promise.all(Array.from({ length: 5 }, () => Wire.open(port, offering())))
  const bombs = {
    'small, 2 MiB': compressed(Buffer.alloc(2 * MIB)),
    'one octet above the limit': compressed(noise(MIB) + 'x'),
    'one octet above the limit, compressed well': compressed(Buffer.alloc(MIB + 1)),
    '128 MiB': compressed(Buffer.alloc(128 * MIB))
  }
  for (const [name, payload] of Object.entries(bombs)) {
    const wire = await Wire.open(port, offering())
    wire.frame({ opcode: 2, rsv: RSV1, payload })
    wire.text('not heard')
    for (const other of others) other.write(frameOf(words(50 * KIB)))
    t.match((await wire.lines(1))[0], /^close 1009/, name)
    wire.destroy()
    for (const other of others) t.equal(inflated((await other.frames(1))[0]!).toString(), words(50 * KIB))
  }
  const wire = await Wire.open(port, offering())
  const fits = noise(MIB)
  wire.write(frameOf(fits))
  t.equal(inflated((await wire.frames(1))[0]!).toString(), fits, 'at the limit')
  for (const one of [wire, ...others]) one.destroy()
  t.strictSame(log.atLevel(50), [])
})

t.test('what cannot be inflated: 1007, small or large', async (t) => {
  const { port } = await start(t, echo)
  // Cut off in a stored block: a coded one can take the octets that stand for its end as codes, and be whole.
  for (const payload of [Buffer.from([0xff]), Buffer.alloc(40 * KIB, 0xff), compressed(randomBytes(100 * KIB)).subarray(0, 20 * KIB)]) {
    const wire = await Wire.open(port, offering())
    wire.frame({ opcode: 2, rsv: RSV1, payload })
    t.match((await wire.lines(1))[0], /^close 1007/)
    wire.destroy()
  }
})

t.test('jobs of connections that are gone are dropped: compressing', async (t) => {
  const jobs = new Jobs(t)
  const { app, port } = await start(t, () => {}, { deflate: { maxConcurrentJobs: 1 } })
  const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.open(port, offering())))
  const sockets = [...app.websockets] as unknown as RawSocket[]
  const messages = sockets.map(() => noise(200 * KIB))
  const results: unknown[] = []
  jobs.hold()
  const lost = deferred()
  for (const [i, socket] of sockets.entries()) socket.send(messages[i]!, (error) => { results[i] = error; if (results.filter(Boolean).length === 19) lost.resolve() })
  for (const socket of sockets.slice(0, -1)) socket.terminate()
  await lost.promise
  t.equal(jobs.begun, 1, 'one at a time')
  jobs.release()
  t.equal(inflated((await wires.at(-1)!.frames(1))[0]!).toString(), messages.at(-1))
  for (const wire of wires.slice(0, -1)) {
    await wire.untilEnd()
    t.equal(wire.received.length, 0)
  }
  t.equal(jobs.begun, 2, 'the first and the last')
  t.strictSame(results.slice(0, -1).map((error: any) => error.code), Array(19).fill('FST_WS_ERR_CLOSED'))
  t.equal(results.at(-1), undefined)
  for (const wire of wires) wire.destroy()
})

t.test('jobs of connections that are gone are dropped: inflating', async (t) => {
  const jobs = new Jobs(t)
  let heard = 0
  const { app, port, log } = await start(t, (socket) => { socket.on('message', (data) => { heard++; socket.send(data) }) }, { deflate: { maxConcurrentJobs: 1 } })
  const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.open(port, offering())))
  jobs.hold()
  const message = frameOf(noise(200 * KIB))
  for (const wire of wires.slice(0, -1)) {
    wire.write(message)
    wire.ping('kept back')
  }
  await jobs.until(1)
  for (const wire of wires.slice(0, -1)) (wire.duplex as Socket).resetAndDestroy()
  await log.line('websocket closed', 19)
  t.equal(app.websockets.size, 1)
  wires.at(-1)!.write(message)
  jobs.release()
  t.match(await wires.at(-1)!.frames(1), [{ opcode: 2, rsv: RSV1 }])
  t.equal(heard, 1, 'nothing of them is heard after their end')
  wires.at(-1)!.destroy()
})

t.test('close while large messages are being compressed: they go out, in order, and the Close behind them', async (t) => {
  const jobs = new Jobs(t)
  const { app, port, log } = await start(t, () => {})
  const wire = await Wire.open(port, offering())
  const socket = socketOf(app)
  const messages = [noise(100 * KIB), 'small', words(2000), noise(200 * KIB), 'last']
  const order: number[] = []
  jobs.hold()
  for (const [i, message] of messages.entries()) socket.send(message, (error) => { order.push(error === undefined ? i : -1) })
  socket.ping('in its place')
  const total = messages.reduce((sum, message) => sum + message.length, 0)
  t.equal(socket.bufferedAmount, total, 'in octets of messages')
  socket.close(4000, 'done')
  t.equal(socket.readyState, socket.CLOSING)
  t.equal(socket.send('too late'), false)
  t.equal(socket.bufferedAmount, total + 8)
  t.equal(jobs.begun, 1)
  wire.ping('meanwhile')
  t.strictSame(await wire.lines(1), ['pong "meanwhile"'], 'a ping is answered meanwhile')
  jobs.release()

  const frames = await wire.frames(7)
  t.strictSame(frames.slice(0, 5).map((frame) => inflated(frame).toString()), messages)
  t.strictSame(frames.map(({ opcode }) => opcode), [1, 1, 1, 1, 1, 9, 8])
  t.strictSame(frames.map(({ rsv }) => rsv), [RSV1, 0, RSV1, RSV1, 0, 0, 0])
  wire.close(4000)
  await wire.untilClosed()
  t.strictSame(await socket.closed, { code: 4000, reason: '', wasClean: true })
  t.strictSame(order, [0, 1, 2, 3, 4], 'every callback, in order')
  t.equal(socket.bufferedAmount, 8)
  t.match(await log.line('websocket closed'), { code: 4000, sentCode: 4000 })
})

t.test('the peer closes, or ends, while large messages are being compressed', async (t) => {
  const jobs = new Jobs(t)
  const { app, port, log } = await start(t, () => {})
  for (const [nth, ending] of (['close', 'end'] as const).entries()) {
    const wire = await Wire.open(port, offering())
    const socket = socketOf(app)
    const messages = [noise(100 * KIB), 'small']
    const results: unknown[] = []
    const settled = deferred()
    jobs.hold()
    for (const message of messages) {
      socket.send(message, (error) => {
        results.push(error)
        if (results.length === 2) settled.resolve()
      })
    }
    if (ending === 'close') wire.close(1000, 'bye')
    else wire.end()
    await new Promise<void>((resolve) => { socket.signal.addEventListener('abort', () => resolve()) })
    jobs.release()
    const frames = await wire.frames(ending === 'close' ? 3 : 2)
    t.strictSame(frames.slice(0, 2).map((frame) => inflated(frame).toString()), messages, `${ending}: they go out`)
    if (ending === 'close') t.match(frames[2], { opcode: 8 })
    await settled.promise
    t.strictSame(results, [undefined, undefined], 'and their callbacks are called')
    await wire.untilClosed()
    t.equal((await socket.closed).code, ending === 'close' ? 1000 : 1006)
    t.equal(socket.bufferedAmount, 0)
    await log.line('websocket closed', nth + 1)
  }
})

t.test('app.close while large messages are being compressed: 1001 behind them', async (t) => {
  const jobs = new Jobs(t)
  const { app, port } = await start(t, () => {})
  const wires = await Promise.all([1, 2, 3].map(() => Wire.open(port, offering())))
  const message = noise(300 * KIB)
  const shared = prepare(message)
  const results: unknown[] = []
  jobs.hold()
  for (const socket of app.websockets as Iterable<RawSocket>) {
    socket.send(message, (error) => { results.push(error) })
    socket.send(shared, (error) => { results.push(error) })
    socket.send(shared, { compress: false }, (error) => { results.push(error) })
  }
  const closing = app.close()
  jobs.release()
  for (const wire of wires) {
    const frames = await wire.frames(4)
    t.strictSame(frames.map(({ rsv }) => rsv), [RSV1, RSV1, 0, 0])
    for (const frame of frames.slice(0, 3)) t.equal(inflated(frame).toString(), message)
    t.match(frames[3], { opcode: 8 })
    wire.close(1001)
    await wire.untilClosed()
  }
  await closing
  t.strictSame(results, Array(9).fill(undefined))
})

t.test('terminate while large messages are being compressed: every callback has its error, once', async (t) => {
  const jobs = new Jobs(t)
  const { app, port } = await start(t, () => {})
  for (const beforeRelease of [true, false]) {
    const wire = await Wire.open(port, offering())
    const socket = socketOf(app)
    const messages = [noise(100 * KIB), 'small', noise(200 * KIB), words(5000)]
    const errors: any[] = []
    jobs.hold()
    for (const message of messages) socket.send(message, (error) => { errors.push(error) })
    const shared = prepare(noise(100 * KIB))
    socket.send(shared, (error) => { errors.push(error) })
    const total = messages.reduce((sum, message) => sum + message.length, shared.message.length)
    const drained = t.rejects(socket.drained(), { code: 'FST_WS_ERR_CLOSED' })
    const { begun } = jobs
    if (beforeRelease) {
      socket.terminate()
      t.equal(socket.bufferedAmount, total)
      await socket.closed
      jobs.release()
    } else {
      jobs.release()
      socket.terminate()
      await socket.closed
    }
    await drained
    t.equal(socket.bufferedAmount, total, 'what was not sent stays counted')
    await wire.untilClosed()
    t.strictSame(errors.map((error) => error?.code), Array(5).fill('FST_WS_ERR_CLOSED'))
    t.strictSame(wire.received, Buffer.alloc(0))
    // Another connection has its jobs: none of the first has stayed in the way.
    const other = await Wire.open(port, offering())
    socketOf(app).send(messages[0]!)
    t.equal(inflated((await other.frames(1))[0]!).toString(), messages[0])
    t.equal(jobs.begun, begun + 1)
    socketOf(app).terminate()
    await other.untilClosed()
  }
})

t.test('close and terminate while a large message is being inflated: it is not delivered', async (t) => {
  const jobs = new Jobs(t)
  const heard: unknown[] = []
  const { app, port } = await start(t, (socket) => { socket.on('message', (data) => { heard.push(data) }) })
  for (const ending of ['close', 'terminate'] as const) {
    const wire = await Wire.open(port, offering())
    const socket = socketOf(app)
    jobs.hold()
    const { begun } = jobs
    wire.write(frameOf(noise(200 * KIB)))
    await jobs.until(begun + 1)
    socket[ending]()
    if (ending === 'close') {
      t.strictSame(await wire.lines(1), ['close 1000 ""'])
      wire.close(1000)
    }
    await wire.untilClosed()
    await socket.closed
    jobs.release()
  }
  const other = await Wire.open(port, offering())
  other.write(frameOf('after'))
  other.close()
  await other.untilEnd()
  t.strictSame(heard.map(String), ['after'])
  other.destroy()
})

t.test('the peer closes, or ends, behind a large message: it is delivered first', async (t) => {
  const jobs = new Jobs(t)
  const events: string[] = []
  const { app, port, log } = await start(t, (socket) => {
    socket.on('message', (data) => { events.push(String(data.length)) })
    socket.on('close', (code) => { events.push(`close ${code}`) })
  })
  for (const [nth, ending] of (['close', 'end'] as const).entries()) {
    const wire = await Wire.open(port, offering())
    jobs.hold()
    const { begun } = jobs
    wire.write(frameOf(noise(200 * KIB)))
    wire.text('behind')
    if (ending === 'close') wire.close(1000)
    wire.end()
    await jobs.until(begun + 1)
    jobs.release()
    await wire.untilClosed()
    await log.line('websocket closed', nth + 1)
    t.strictSame(events.splice(0), [String(200 * KIB), '6', ending === 'close' ? 'close 1000' : 'close 1006'])
  }
  t.equal(app.websockets.size, 0)
})

t.test('pause and resume while a large message is being inflated', async (t) => {
  const jobs = new Jobs(t)
  const heard: number[] = []
  const { app, port } = await start(t, (socket) => {
    socket.on('message', (data) => {
      heard.push(data.length)
      socket.send(data)
    })
  })
  const wire = await Wire.open(port, offering())
  const socket = socketOf(app)
  jobs.hold()
  wire.write(frameOf(noise(200 * KIB)))
  wire.text('behind')
  await jobs.until(1)
  socket.pause()
  jobs.release()
  socket.ping('a turn of the network')
  await wire.frames(1)
  t.strictSame(heard, [])
  socket.resume()
  await wire.frames(2)
  t.strictSame(heard, [200 * KIB, 6])
  wire.destroy()
})

t.test('backpressure: send returns false, drain comes when it has left, and the order stays', async (t) => {
  const jobs = new Jobs(t)
  const { app, port } = await start(t, () => {}, { maxUnsentBytes: 64 * MIB })
  const wire = await Wire.open(port, offering())
  const socket = socketOf(app)
  jobs.hold()
  let drains = 0
  socket.on('drain', () => { drains++ })
  const messages = Array.from({ length: 20 }, (_, i) => i % 3 === 0 ? noise(100 * KIB) : i % 3 === 1 ? `small ${i}` : words(10 * KIB + i))
  t.strictSame(messages.map((message) => socket.send(message)), Array(20).fill(false), 'what is not compressed yet waits too')
  t.ok(socket.writableNeedDrain)
  let waits = true
  const drained = socket.drained().then(() => { waits = false })
  wire.ping('a turn of the network')
  await wire.frames(1)
  t.equal(drains, 0)
  t.ok(waits)
  jobs.release()
  const frames = await wire.frames(20)
  t.strictSame(frames.map((frame) => inflated(frame).toString()), messages)
  await drained
  t.ok(drains > 0)
  t.notOk(socket.writableNeedDrain)
  t.equal(socket.bufferedAmount, 0)
  t.equal(socket.send('more'), true)
  wire.destroy()
})

t.test('a peer that does not read: what waits to be compressed is bounded by maxUnsentBytes', async (t) => {
  const jobs = new Jobs(t)
  const { app, port, log } = await start(t, () => {}, { maxMessageBytes: MIB, maxUnsentBytes: 2 * MIB })
  const wire = await Wire.open(port, offering())
  const socket = socketOf(app)
  jobs.hold()
  const errors: any[] = []
  for (let i = 0; i < 5; i++) socket.send(noise(MIB), (error) => { errors.push(error) })
  await socket.closed
  t.match(await log.line('websocket closed'), { code: 1006 })
  jobs.release()
  await wire.untilClosed()
  t.strictSame(errors.map((error) => error?.code), Array(5).fill('FST_WS_ERR_CLOSED'))
})

t.test('typed routes: compressed messages are decoded and validated as others', async (t) => {
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true, messages: json({ receive: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } } }) }, async (socket) => {
      for await (const { text } of socket as AsyncIterable<{ text: string }>) (socket as any).send({ said: text, length: text.length })
    })
  }, { deflate: true })
  const wire = await Wire.open(port, offering())
  for (const length of [10, 5000, 400_000]) {
    const text = length === 400_000 ? noise(length) : words(length)
    wire.write(frameOf(JSON.stringify({ text })))
    const [answer] = await wire.frames(1)
    t.equal(answer!.rsv, length > 1000 ? RSV1 : 0)
    t.strictSame(JSON.parse(inflated(answer!).toString()), { said: text, length })
  }
  wire.destroy()
  const invalid: Array<[message: string | Buffer, code: number]> = [
    [JSON.stringify({ wrong: words(5000) }), 1008],
    [JSON.stringify({ wrong: noise(400_000) }), 1008],
    ['{', 1007],
    [noise(400_000), 1007],
    [Buffer.from(JSON.stringify({ text: words(5000) })), 1003]
  ]
  for (const [message, code] of invalid) {
    const wire = await Wire.open(port, offering())
    wire.write(frameOf(message))
    t.match((await wire.lines(1))[0], new RegExp(`^close ${code}`))
    wire.destroy()
  }
  for (const rest of ['', noise(400_000)]) {
    const wire = await Wire.open(port, offering())
    wire.frame({ opcode: 1, rsv: RSV1, payload: compressed(Buffer.concat([Buffer.from('{"text":"'), Buffer.from([0xc3, 0x28]), Buffer.from(`${rest}"}`)])) })
    t.match((await wire.lines(1))[0], /^close 1007/, 'text that is not UTF-8')
    wire.destroy()
  }
})

t.test('for await takes large and small messages in the order in which they were sent', async (t) => {
  const heard: string[] = []
  const ended = deferred()
  const { port } = await start(t, async (socket) => {
    for await (const message of socket) {
      heard.push(String(message))
      // A taker that is slower than the network.
      await new Promise((resolve) => { setImmediate(resolve) })
    }
    ended.resolve()
  })
  const wire = await Wire.open(port, offering())
  const messages = Array.from({ length: 60 }, (_, i) => i % 3 === 0 ? noise(100 * KIB) : i % 3 === 1 ? `small ${i}` : words(10 * KIB + i))
  for (const [i, message] of messages.entries()) {
    if (i % 2 === 0) wire.write(frameOf(message))
    else wire.text(message)
  }
  wire.close(1000)
  await wire.untilClosed()
  await ended.promise
  t.ok(heard.length === 60 && heard.every((text, i) => text === messages[i]), 'all sixty')
})

t.test('with context takeover, after messages that were dropped or not compressed, the windows still fit', async (t) => {
  const { app, port } = await start(t, echo, { deflate: { contextTakeover: true, serverMaxWindowBits: 15, thresholdBytes: 0 } })
  const wire = await Wire.open(port, offering())
  t.equal(socketOf(app).extensions, 'permessage-deflate')
  const deflater = zlib.createDeflateRaw()
  const inflater = zlib.createInflateRaw()
  const through = async (stream: zlib.DeflateRaw | zlib.InflateRaw, bytes: Buffer): Promise<Buffer> => {
    const chunks: Buffer[] = []
    const collect = (chunk: Buffer): void => { chunks.push(chunk) }
    stream.on('data', collect)
    stream.write(bytes)
    await new Promise<void>((resolve) => stream.flush(zlib.constants.Z_SYNC_FLUSH, resolve))
    stream.off('data', collect)
    return Buffer.concat(chunks)
  }
  const common = noise(8 * KIB)
  for (let i = 0; i < 40; i++) {
    const message = Buffer.from(i % 7 === 3 ? noise(200 * KIB) + common : `${i} ${common}`)
    if (i % 5 === 4) {
      wire.text(message)
    } else {
      wire.frame({ opcode: 1, rsv: RSV1, payload: (await through(deflater, message)).subarray(0, -4) })
    }
    const [answer] = await wire.frames(1)
    t.equal(answer!.rsv, RSV1)
    t.ok((await through(inflater, Buffer.concat([answer!.payload, Buffer.from([0, 0, 0xff, 0xff])]))).equals(message), `message ${i}`)
    if (i > 0 && i % 7 !== 3) t.ok(answer!.payload.length < 200, `${answer!.payload.length} octets: it refers back to what was sent before`)
  }
  wire.destroy()
})

t.test('100 connections with 1 MiB each, at once', async (t) => {
  const { app, port, log } = await start(t, echo)
  const wires = await Promise.all(Array.from({ length: 100 }, () => Wire.open(port, offering())))
  const messages = Array.from({ length: 10 }, () => noise(MIB))
  const frames = messages.map(frameOf)
  for (const [i, wire] of wires.entries()) wire.write(frames[i % 10]!)
  await Promise.all(wires.map(async (wire, i) => {
    const [answer] = await wire.frames(1)
    if (inflated(answer!).toString() !== messages[i % 10]) t.fail(`connection ${i}`)
    wire.close(1000)
    await wire.untilClosed()
  }))
  await log.line('websocket closed', 100)
  t.equal(app.websockets.size, 0)
  for (const line of log.with('websocket closed')) t.match(line, { code: 1000 })
})

t.test('nothing in all this was left unhandled', async (t) => {
  t.strictSame(unhandled, [])
})
