import { mock } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { openWebSocket, type OpenLimits } from '../../lib/socket/open.ts'
import { Ticker } from '../../lib/socket/ticker.ts'
import { Subprotocol } from '../../lib/subprotocol/subprotocol.ts'
import { memoryPair } from '../../lib/transport/memory.ts'
import { thrown } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { LIMITS } from '../helpers/limits.ts'
import { openSocket, settle, type OpenedSocket, type SocketOptions } from '../helpers/open-socket.ts'

/** A tick is a quarter of the shortest of these. */
const TICK = 25
const HEARTBEAT = { intervalMs: 100, timeoutMs: 200 }
const DAY = 86_400_000

function fakeTimers (t: Test): void {
  mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_000_000 })
  t.teardown(() => mock.timers.reset())
}

/** Opens one on fake timers; its own is cleared before they are gone. */
function openUnderFakeTimers (t: Test, options: SocketOptions): OpenedSocket {
  fakeTimers(t)
  const opened = openSocket(options)
  t.teardown(() => opened.socket.terminate())
  return opened
}

async function open (t: Test, limits: Partial<OpenLimits>): Promise<OpenedSocket> {
  const opened = openUnderFakeTimers(t, { limits })
  await settle()
  return opened
}

/** Time goes by, tick for tick, and what is sent meanwhile arrives. */
async function pass (milliseconds: number, tick = TICK): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += tick) {
    mock.timers.tick(Math.min(tick, milliseconds - passed))
    await settle(6)
  }
}

const isDead = ({ faults, socket }: OpenedSocket): boolean => socket.readyState === 3 && faults.some(({ kind, error }) => kind === 'socket' && /no sign of life/.test(error.message))

/** The first tick after the beginning, or after a pause, counts nothing. */
const FIRST = TICK

t.test('heartbeat: a peer that says nothing gets a ping after the interval, and is dropped after the timeout', async (t) => {
  const opened = await open(t, { heartbeat: HEARTBEAT })
  const { socket, wire } = opened
  await pass(FIRST + HEARTBEAT.intervalMs - TICK)
  t.equal(wire.received.length, 0)
  await pass(TICK)
  t.strictSame(await wire.lines(1), ['ping "1"'])
  await pass(HEARTBEAT.timeoutMs - TICK)
  t.equal(socket.readyState, 1)
  const { closed } = socket
  await pass(TICK)
  t.ok(isDead(opened))
  t.strictSame(await closed, { code: 1006, reason: '', wasClean: false })
  t.equal(wire.received.length, 0, 'one ping, and no Close')
  t.match(opened.faults, [{ kind: 'socket', error: { code: 'FST_WS_ERR_SOCKET' } }])
})

t.test('heartbeat: any octet is a sign of life, half a header too', async (t) => {
  const signs: Array<(opened: OpenedSocket) => void> = [
    ({ wire }) => wire.text('hello'),
    ({ wire }) => wire.ping(),
    ({ wire }) => wire.pong('of nothing'),
    ({ wire }) => wire.write(Buffer.from([0x81]))
  ]
  for (const [i, give] of signs.entries()) {
    await t.test(`sign ${i}`, async (t) => {
      const opened = await open(t, { heartbeat: HEARTBEAT })
      opened.socket.on('message', () => {})
      await pass(FIRST + HEARTBEAT.intervalMs)
      await opened.wire.lines(1)
      await pass(HEARTBEAT.timeoutMs - TICK)
      give(opened)
      await settle()
      await pass(TICK)
      t.equal(opened.socket.readyState, 1)
      opened.wire.received = Buffer.alloc(0)
      await pass(HEARTBEAT.intervalMs - TICK)
      t.equal(opened.wire.received.length, 0, 'the interval begins again')
      await pass(TICK)
      t.match(await opened.wire.lines(1), ['ping "2"'])
      await pass(HEARTBEAT.timeoutMs)
      t.ok(isDead(opened))
    })
  }
})

t.test('heartbeat: a peer that talks gets no ping', async (t) => {
  const { socket, wire } = await open(t, { heartbeat: HEARTBEAT })
  socket.on('message', () => {})
  for (let i = 0; i < 10; i++) {
    await pass(HEARTBEAT.intervalMs - TICK)
    wire.text('x')
    await settle()
  }
  t.equal(wire.received.length, 0)
})

t.test('heartbeat: latencyMs is the time from the last ping to its pong', async (t) => {
  let now = 5_000
  t.intercept(performance, 'now', { value: () => now })
  const { socket, wire } = await open(t, { heartbeat: HEARTBEAT })
  socket.on('message', () => {})
  t.ok(Number.isNaN(socket.latencyMs))
  wire.pong('1')
  await settle()
  t.ok(Number.isNaN(socket.latencyMs), 'a pong to no ping')
  await pass(TICK + FIRST + HEARTBEAT.intervalMs)
  t.strictSame(await wire.lines(1), ['ping "1"'])
  now += 40
  wire.pong('something else')
  await pass(2 * TICK)
  t.ok(Number.isNaN(socket.latencyMs), 'a pong to another ping')
  now += 2
  wire.pong('1')
  await settle()
  t.equal(socket.latencyMs, 42, 'whatever came before it')
  now += 100
  wire.pong('1')
  await settle()
  t.equal(socket.latencyMs, 42, 'the same pong again')
  await pass(TICK + HEARTBEAT.intervalMs)
  await wire.lines(1)
  now += 7
  wire.pong('2')
  await settle()
  t.equal(socket.latencyMs, 7)
})

const halting: Record<string, { halt: (opened: OpenedSocket) => Promise<void>, goOn: (opened: OpenedSocket) => void }> = {
  'the application has paused': {
    halt: async ({ socket }) => { socket.pause() },
    goOn: ({ socket }) => socket.resume()
  },
  'the queue is full': {
    halt: async ({ wire }) => {
      wire.binary(Buffer.alloc(LIMITS.queueBytes))
      await settle()
    },
    goOn: ({ socket }) => { socket.on('message', () => {}) }
  }
}

for (const [what, { halt, goOn }] of Object.entries(halting)) {
  t.test(`heartbeat: nothing counts while ${what}, but every interval a ping finds out whether the peer has left`, async (t) => {
    const opened = await open(t, { heartbeat: HEARTBEAT })
    const { socket, wire } = opened
    await halt(opened)
    t.equal(opened.connection.reading, false)
    await pass(HEARTBEAT.intervalMs * 10 + TICK)
    t.equal(socket.readyState, 1)
    t.strictSame(await wire.lines(10), Array(10).fill('ping ""'))
    goOn(opened)
    await settle()
    await pass(FIRST + HEARTBEAT.intervalMs)
    t.strictSame(await wire.lines(1), ['ping "1"'], 'then it begins anew')
    await pass(HEARTBEAT.timeoutMs)
    t.ok(isDead(opened))
  })
}

t.test('heartbeat: what came during a pause is read before it is missed', async (t) => {
  const opened = await open(t, { heartbeat: HEARTBEAT })
  const { socket, wire } = opened
  await pass(FIRST + HEARTBEAT.intervalMs)
  await wire.lines(1)
  await pass(HEARTBEAT.timeoutMs - TICK)
  socket.pause()
  wire.pong('1')
  await settle()
  await pass(10 * HEARTBEAT.intervalMs)
  socket.resume()
  // On the same tick: nothing could be read yet.
  mock.timers.tick(TICK)
  t.equal(socket.readyState, 1)
  await settle()
  await pass(TICK)
  t.equal(socket.readyState, 1)
})

t.test('heartbeat: nothing counts while a message is being inflated', async (t) => {
  fakeTimers(t)
  const [near, far] = memoryPair()
  far.on('error', () => {})
  const faults: unknown[] = []
  const open = openWebSocket(near, {
    role: 'server',
    subprotocol: new Subprotocol({ name: '', what: 'a test', codec: undefined }),
    extensions: '',
    deflate: {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 15,
      clientMaxWindowBits: 15,
      thresholdBytes: 1024,
      level: 1,
      memLevel: 5,
      maxConcurrentJobs: 4
    },
    url: '',
    limits: { ...LIMITS, heartbeat: HEARTBEAT, messageTimeoutMs: 100 },
    ticker: new Ticker(),
    faults: { onFault: (_kind, error) => { faults.push(error) }, onInvalidMessage () {}, onMessagesDiscarded () {}, onClosed () {} }
  })
  t.teardown(() => open.socket.terminate())
  open.start(Buffer.alloc(0))
  const message = open.socket.next()
  const compressed = deflateRawSync(Buffer.alloc(500_000), { finishFlush: 2 }).subarray(0, -4)
  open.connection.receive(frame({ opcode: 2, rsv: 4, masked: true, payload: compressed }))
  // On the same tick, so that the thread pool cannot have finished.
  mock.timers.tick(10_000)
  t.equal(open.connection.reading, false)
  t.equal(open.socket.readyState, 1)
  t.equal((await message as Buffer).length, 500_000)
  t.strictSame(faults, [])
})

t.test('heartbeat: while our ping waits behind other octets, a peer that takes them is alive', async (t) => {
  const opened = await open(t, { heartbeat: HEARTBEAT })
  const { socket, wire, near } = opened
  wire.duplex.pause()
  const handle = { writeQueueSize: 4_000_000 }
  Object.assign(near, { _handle: handle })
  socket.send(Buffer.alloc(4_000_000))
  await pass(FIRST + HEARTBEAT.intervalMs)
  for (let i = 0; i < 20; i++) {
    await pass(HEARTBEAT.timeoutMs - TICK)
    t.equal(socket.readyState, 1)
    handle.writeQueueSize -= 1
    await pass(TICK)
  }
  t.equal(socket.readyState, 1)
  await pass(HEARTBEAT.timeoutMs - TICK)
  t.equal(socket.readyState, 1)
  await pass(TICK)
  t.ok(isDead(opened), 'one that takes no more is not')
})

t.test('heartbeat: a peer that has taken nothing of a large write is dropped as soon as any other', async (t) => {
  const opened = await open(t, { heartbeat: HEARTBEAT })
  const { socket, wire, transport } = { ...opened, transport: opened.near }
  wire.duplex.pause()
  socket.send(Buffer.alloc(4_000_000))
  await settle()
  t.ok(socket.bufferedAmount > 0 && !transport.destroyed)
  await pass(FIRST + HEARTBEAT.intervalMs + HEARTBEAT.timeoutMs - TICK)
  t.equal(socket.readyState, 1)
  await pass(TICK)
  t.ok(isDead(opened))
})

t.test('heartbeat: the timeout begins when our ping has left; what is sent behind it is no sign of life', async (t) => {
  const opened = await open(t, { heartbeat: HEARTBEAT })
  const { socket, wire } = opened
  wire.duplex.pause()
  socket.send(Buffer.alloc(1_000_000))
  await pass(FIRST + HEARTBEAT.intervalMs)
  await pass(HEARTBEAT.timeoutMs - TICK)
  t.equal(socket.readyState, 1)
  wire.duplex.resume()
  await wire.until(() => wire.received.length > 1_000_000)
  await settle()
  // The next tick sees that it was taken.
  await pass(TICK)
  await pass(HEARTBEAT.timeoutMs - TICK)
  t.equal(socket.readyState, 1)
  socket.send('taken by the kernel')
  await pass(TICK)
  t.ok(isDead(opened))
})

t.test('heartbeat: a ping that has left may lie far behind in the kernel: while more waits, a peer that takes it is alive', async (t) => {
  const opened = await open(t, { heartbeat: HEARTBEAT })
  const { socket, wire, near } = opened
  await pass(FIRST + HEARTBEAT.intervalMs)
  t.strictSame(await wire.lines(1), ['ping "1"'], 'it has left, and is not answered')
  wire.duplex.pause()
  const handle = { writeQueueSize: 4_000_000 }
  Object.assign(near, { _handle: handle })
  socket.send(Buffer.alloc(4_000_000))
  await settle()
  for (let i = 0; i < 20; i++) {
    await pass(HEARTBEAT.timeoutMs - TICK)
    t.equal(socket.readyState, 1)
    handle.writeQueueSize -= 1
    await pass(TICK)
  }
  await pass(HEARTBEAT.timeoutMs - TICK)
  t.equal(socket.readyState, 1)
  await pass(TICK)
  t.ok(isDead(opened), 'one that takes no more is not')
})

t.test('heartbeat: before the first octet is read nothing counts, but deadlines do', async (t) => {
  const opened = openUnderFakeTimers(t, { limits: { heartbeat: HEARTBEAT, messageTimeoutMs: 100 }, start: false })
  opened.watch.start()
  opened.wire.write(Buffer.from([0x81]))
  await pass(20 * HEARTBEAT.intervalMs)
  t.equal(opened.socket.readyState, 1)
  opened.watch.closeAt(Date.now() + 100, 4000, 'due')
  await pass(100)
  t.equal(opened.socket.readyState, 2)
})

t.test('message timer: what was begun must be finished', async (t) => {
  const whole = frame({ opcode: 1, masked: true, payload: 'hello' })
  const beginnings: Record<string, Buffer> = {
    'half a header': whole.subarray(0, 1),
    'a header': whole.subarray(0, 6),
    'half a payload': whole.subarray(0, 8),
    'a fragment': frame({ opcode: 1, masked: true, payload: 'hello', fin: false }),
    'a fragment and half of the next': Buffer.concat([frame({ opcode: 2, masked: true, payload: 'hello', fin: false }), frame({ opcode: 0, masked: true, payload: 'hello' }).subarray(0, 8)])
  }
  for (const [what, bytes] of Object.entries(beginnings)) {
    await t.test(what, async (t) => {
      const { socket, wire, faults } = await open(t, { messageTimeoutMs: 100 })
      await pass(1_000)
      wire.write(bytes)
      await settle()
      await pass(100)
      t.equal(socket.readyState, 1, 'not before the time is over, whenever the ticks come')
      await pass(TICK)
      t.equal(socket.readyState, 2)
      t.strictSame(await wire.lines(1), ['close 1008 "a message was not finished within 100 ms"'])
      t.match(faults, [{ kind: 'limit', error: { code: 'FST_WS_ERR_LIMIT', closeCode: 1008 } }])
    })
  }
})

t.test('message timer: control frames in between do not reset it', async (t) => {
  const { socket, wire } = await open(t, { messageTimeoutMs: 100 })
  await pass(FIRST)
  wire.text('a', false)
  for (let i = 0; i < 5; i++) {
    t.equal(socket.readyState, 1)
    wire.ping()
    wire.frame({ opcode: 0, payload: 'b', fin: false })
    await settle()
    await pass(TICK)
  }
  t.equal(socket.readyState, 2)
})

t.test('message timer: messages that flow are each their own', async (t) => {
  const { socket, wire, connection } = await open(t, { messageTimeoutMs: 100 })
  socket.on('message', () => {})
  const whole = frame({ opcode: 1, masked: true, payload: 'hello' })
  wire.write(whole.subarray(0, 3))
  for (let i = 0; i < 20; i++) {
    await settle()
    t.equal(connection.unfinished, true)
    await pass(3 * TICK)
    wire.write(Buffer.concat([whole.subarray(3), whole.subarray(0, 3)]))
  }
  await settle()
  t.equal(socket.readyState, 1)
  t.equal(connection.messagesReceived, 20)
  await pass(100 + TICK)
  t.equal(socket.readyState, 2)
})

t.test('message timer: an idle connection, and one that is paused, are not counted', async (t) => {
  const { socket, wire } = await open(t, { messageTimeoutMs: 100 })
  await pass(2_000)
  wire.text('a', false)
  await settle()
  await pass(100)
  socket.pause()
  await pass(2_000)
  t.equal(socket.readyState, 1)
  socket.resume()
  mock.timers.tick(TICK)
  t.equal(socket.readyState, 1)
  wire.frame({ opcode: 0, payload: 'b' })
  t.equal(await socket.next(), 'ab')
  await pass(1_000)
  t.equal(socket.readyState, 1)
})

t.test('closeAt: closes with 3000 when it is time, a Date or a number, within a tick', async (t) => {
  for (const make of [(at: number) => at, (at: number) => new Date(at)]) {
    await t.test(typeof make(0), async (t) => {
      const { socket, wire } = await open(t, {})
      socket.closeAt(make(Date.now() + 5_500))
      await pass(5_000, 1_000)
      t.equal(socket.readyState, 1)
      await pass(1_000, 1_000)
      t.equal(socket.readyState, 2)
      t.strictSame(await wire.lines(1), ['close 3000 "expired"'])
    })
  }
})

t.test('closeAt: with a code and a reason of its own', async (t) => {
  const { socket, wire } = await open(t, {})
  socket.closeAt(Date.now() + 500, 4001, 'token')
  await pass(1_000, 1_000)
  t.strictSame(await wire.lines(1), ['close 4001 "token"'])
})

t.test('closeAt: what is past closes with the next tick', async (t) => {
  for (const at of [0, -Infinity, new Date(0)]) {
    await t.test(String(at), async (t) => {
      const { socket } = await open(t, {})
      socket.closeAt(at)
      t.equal(socket.readyState, 1)
      await pass(1_000, 1_000)
      t.equal(socket.readyState, 2)
    })
  }
})

t.test('closeAt: a later call takes its place, null cancels', async (t) => {
  const { socket } = await open(t, {})
  socket.closeAt(Date.now() + 2_000)
  socket.closeAt(Date.now() + 10_000)
  await pass(9_000, 1_000)
  t.equal(socket.readyState, 1)
  socket.closeAt(null)
  await pass(9_000, 1_000)
  t.equal(socket.readyState, 1)
  socket.closeAt(Infinity)
  await pass(9_000, 1_000)
  t.equal(socket.readyState, 1)
  socket.closeAt(Date.now() + 1_000)
  await pass(1_000, 1_000)
  t.equal(socket.readyState, 2)
})

t.test('closeAt: further ahead than a timer reaches', async (t) => {
  const { socket } = await open(t, {})
  socket.closeAt(Date.now() + 100 * DAY)
  await pass(3_000, 1_000)
  t.equal(socket.readyState, 1)
  mock.timers.setTime(Date.now() + 100 * DAY - 5_000)
  await pass(1_000, 1_000)
  t.equal(socket.readyState, 1)
  await pass(5_000, 1_000)
  t.equal(socket.readyState, 2)
})

t.test('closeAt: throws for what is no time, as close does for its code and reason, and changes nothing', async (t) => {
  const { socket, wire } = await open(t, {})
  socket.closeAt(Date.now() + 5_000)
  for (const wrong of [NaN, new Date(NaN), undefined, 'tomorrow', '2030', '', true, [], {}, 10n, Symbol('time')]) {
    t.ok(thrown(() => socket.closeAt(wrong as never)) instanceof RangeError, String(wrong))
  }
  t.match(thrown(() => socket.closeAt(Date.now(), 1005)), { code: 'FST_WS_ERR_CLOSE_CODE' })
  t.match(thrown(() => socket.closeAt(Date.now(), 4000, 'x'.repeat(124))), { code: 'FST_WS_ERR_CLOSE_REASON' })
  t.match(thrown(() => socket.closeAt(null, 1005)), { code: 'FST_WS_ERR_CLOSE_CODE' })
  await pass(4_000, 1_000)
  t.equal(socket.readyState, 1)
  await pass(1_000, 1_000)
  t.strictSame(await wire.lines(1), ['close 3000 "expired"'])
})

t.test('the end of life comes before a deadline, whichever was set first', async (t) => {
  const { socket, watch, wire } = await open(t, {})
  watch.endAt(Date.now() + 3_000)
  socket.closeAt(Date.now() + 60_000, 4000, 'later')
  await pass(3_000, 1_000)
  t.strictSame(await wire.lines(1), ['close 3000 "expired"'])
})

t.test('there is a timer only while there is something to watch', async (t) => {
  let running = 0
  fakeTimers(t)
  const { setInterval, clearInterval } = globalThis
  t.intercept(globalThis, 'setInterval', { value: (...args: Parameters<typeof setInterval>) => { running++; return setInterval(...args) } })
  t.intercept(globalThis, 'clearInterval', { value: (timer: NodeJS.Timeout) => { running--; clearInterval(timer) } })

  const idle = openSocket()
  await settle()
  t.equal(running, 0)
  idle.socket.closeAt(Date.now() + 1_000_000)
  t.equal(running, 1)
  idle.socket.close()
  t.equal(running, 0, 'as soon as it is not open any more')
  idle.socket.closeAt(Date.now() + 1_000_000)
  t.equal(running, 0, 'and never again')

  const watched = openSocket({ limits: { heartbeat: HEARTBEAT, messageTimeoutMs: 1_000 } })
  await settle()
  t.equal(running, 1)
  watched.socket.terminate()
  t.equal(running, 0)

  const closedAtOnce = openSocket({ limits: { heartbeat: HEARTBEAT } })
  closedAtOnce.socket.terminate()
  await settle()
  t.equal(running, 0)
})
