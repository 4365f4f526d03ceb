/* eslint-disable no-unreachable-loop -- leaving an iteration at its first message is what is tested */
import { Buffer } from 'node:buffer'
import { on, once } from 'node:events'
import t from 'tap'
import { json, text } from '../../lib/subprotocol/contract.ts'
import type { WebSocket } from '../../lib/socket/websocket.ts'
import { deferred, thrown } from '../helpers/app.ts'
import { frame } from '../helpers/frames.ts'
import { openSocket, settle } from '../helpers/open-socket.ts'

type AnySocket = WebSocket<string, any, any>

function ignore (): void {}

const Say = { type: 'object', required: ['text'], properties: { text: { type: 'string' } } }
const say = (text: string) => JSON.stringify({ text })

/** Errors that would end the process. */
const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

/** So many messages, in one chunk. */
const messages = (count: number, size = 1, from = 0) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => frame({ opcode: 1, masked: true, payload: `${from + i}`.padEnd(size, '.') })))
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

t.test('open comes when reading starts, before any message', async (t) => {
  const { socket, wire, start } = openSocket({ start: false })
  const order: string[] = []
  socket.on('open', () => { order.push('open') })
  socket.on('message', (data) => { order.push(`message ${data}`) })
  wire.text('behind the handshake')
  await settle()
  t.strictSame(order, [])
  start(frame({ opcode: 1, masked: true, payload: 'in the head' }))
  await settle()
  t.strictSame(order, ['open', 'message in the head', 'message behind the handshake'])
})

t.test('open does not come when the handler has closed already', async (t) => {
  const { socket, wire, start } = openSocket({ start: false })
  socket.on('open', () => t.fail('it is not open'))
  socket.close(1000)
  start(Buffer.alloc(0))
  t.strictSame(await wire.lines(1), ['close 1000 ""'])
})

t.test('a connection that was lost before it started is closed all the same', async (t) => {
  const { socket, wire, near, start, closedCount } = openSocket({ start: false })
  wire.destroy()
  await settle()
  t.equal(near.destroyed, true)
  start(Buffer.alloc(0))
  t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  t.equal(closedCount(), 1)
})

t.test('messages that come before anybody takes them are kept in order, whoever takes them', async (t) => {
  const takers: Record<string, (socket: AnySocket, got: string[]) => void> = {
    on: (socket, got) => socket.on('message', (data) => { got.push(String(data)) }),
    addListener: (socket, got) => socket.addListener('message', (data) => { got.push(String(data)) }),
    prependListener: (socket, got) => socket.prependListener('message', (data) => { got.push(String(data)) }),
    addEventListener: (socket, got) => socket.addEventListener('message', ({ data }) => { got.push(String(data)) }),
    onmessage: (socket, got) => { socket.onmessage = ({ data }) => { got.push(String(data)) } },
    iteration: async (socket, got) => { for await (const data of socket) got.push(data) },
    next: async (socket, got) => { for (let i = 0; i < 6; i++) got.push(await socket.next()) },
    'next at once': (socket, got) => { for (let i = 0; i < 6; i++) socket.next().then((data) => got.push(data), () => {}) },
    stream: (socket, got) => socket.stream().on('data', (data) => { got.push(...String(data)) })
  }
  for (const [name, take] of Object.entries(takers)) {
    const { socket, wire } = openSocket()
    wire.write(messages(3))
    await settle()
    const got: string[] = []
    take(socket, got)
    if (name !== 'stream') t.strictSame(got, [], `${name}: not before the next tick`)
    wire.write(messages(3, 1, 3))
    await settle()
    t.strictSame(got, ['0', '1', '2', '3', '4', '5'], name)
  }
})

t.test('raw messages: octets for listeners, a string of text for everybody else', async (t) => {
  const { socket, wire } = openSocket()
  const heard: unknown[] = []
  const listener = (data: unknown, isBinary: boolean) => { heard.push([data, isBinary]) }
  socket.on('message', listener)
  wire.text('text')
  wire.binary('bytes')
  await settle()
  t.strictSame(heard, [[Buffer.from('text'), false], [Buffer.from('bytes'), true]])
  socket.off('message', listener)
  wire.text('text')
  wire.binary('bytes')
  t.strictSame([await socket.next(), await socket.next()], ['text', Buffer.from('bytes')])
  const events: unknown[] = []
  socket.addEventListener('message', ({ data }) => { events.push(data) })
  wire.text('text')
  wire.binary('bytes')
  await settle()
  t.strictSame(events, ['text', Buffer.from('bytes')])
})

t.test('a received Buffer is the application\'s to keep', async (t) => {
  const { socket, wire } = openSocket()
  const kept: Buffer[] = []
  socket.on('message', (data) => { kept.push(data) })
  for (const fill of ['a', 'b', 'c']) {
    for (const size of [5, 30_000]) wire.binary(fill.repeat(size))
    await settle()
  }
  t.strictSame(kept.map(String), ['a', 'b', 'c'].flatMap((fill) => [fill.repeat(5), fill.repeat(30_000)]))
})

t.test('one taker at a time', async (t) => {
  const listener = (): void => {}
  type Take = (socket: AnySocket) => unknown
  const ways: Record<string, Take> = {
    on: (socket) => socket.on('message', listener),
    once: (socket) => socket.once('message', listener),
    addListener: (socket) => socket.addListener('message', listener),
    prependListener: (socket) => socket.prependListener('message', listener),
    prependOnceListener: (socket) => socket.prependOnceListener('message', listener),
    addEventListener: (socket) => socket.addEventListener('message', listener),
    onmessage: (socket) => { socket.onmessage = listener },
    iteration: (socket) => socket[Symbol.asyncIterator](),
    next: (socket) => socket.next(),
    stream: (socket) => socket.stream()
  }
  const listeners = Object.keys(ways).slice(0, 7)
  const fail = async (run: () => unknown) => {
    try {
      await run()
    } catch (error) {
      return error
    }
  }
  for (const [first, take] of Object.entries(ways)) {
    for (const [second, takeToo] of Object.entries(ways)) {
      const { socket } = openSocket()
      const taking = take(socket)
      if (taking instanceof Promise) taking.catch(() => {})
      const both = (listeners.includes(first) && listeners.includes(second)) || (first === 'next' && second === 'next')
      if (both) {
        const more = takeToo(socket)
        if (more instanceof Promise) more.catch(() => {})
        t.pass(`${first}, then ${second}`)
      } else {
        t.match(await fail(() => takeToo(socket)), { code: 'FST_WS_ERR_TAKEN' }, `${first}, then ${second}`)
      }
    }
  }
})

t.test('a place that is taken does not add the listener', async (t) => {
  const { socket } = openSocket()
  const iterator = socket[Symbol.asyncIterator]()
  t.match(thrown(() => socket.on('message', () => {})), { code: 'FST_WS_ERR_TAKEN', message: /an iteration/ })
  t.match(thrown(() => { socket.onmessage = () => {} }), { code: 'FST_WS_ERR_TAKEN' })
  t.equal(socket.listenerCount('message'), 0)
  t.equal(socket.onmessage, null)
  t.doesNotThrow(() => socket.on('close', () => {}).prependListener('ping', () => {}))
  await iterator.return!()
  socket.on('message', () => {})
  await t.rejects(socket.next(), { code: 'FST_WS_ERR_TAKEN', message: /message listeners/ })
  t.match(thrown(() => socket.stream()), { code: 'FST_WS_ERR_TAKEN' })
  t.match(thrown(() => socket[Symbol.asyncIterator]()), { code: 'FST_WS_ERR_TAKEN' })
  socket.removeAllListeners('message')
  socket.stream()
  await t.rejects(socket.next(), { code: 'FST_WS_ERR_TAKEN', message: /a stream/ })
})

t.test('leaving an iteration closes nothing, and what comes later waits for the next taker', async (t) => {
  const { socket, wire } = openSocket()
  wire.write(messages(3))
  for await (const message of socket) {
    t.equal(message, '0')
    break
  }
  t.equal(socket.readyState, socket.OPEN)
  await t.rejects((async () => {
    for await (const message of socket) throw new Error(message)
  })(), { message: '1' })
  wire.write(messages(3, 1, 3))
  await settle()
  t.equal(await socket.next(), '2')
  t.equal(String((await once(socket, 'message'))[0]), '3')
  const rest: unknown[] = []
  wire.close(1000)
  wire.end()
  for await (const message of socket) rest.push(message)
  t.strictSame(rest, ['4', '5'])
})

t.test('iteration ends when the connection has closed and what had arrived is taken', async (t) => {
  for (const how of ['close of the peer', 'own close', 'loss', 'broken frame', 'limit'] as const) {
    const { socket, wire } = openSocket({ limits: { maxMessageBytes: 100 } })
    wire.write(messages(3))
    await settle()
    if (how === 'close of the peer') wire.close(1000)
    if (how === 'own close') {
      socket.close(1000)
      await wire.frames(1)
      wire.close(1000)
    }
    if (how === 'loss') wire.destroy()
    if (how === 'broken frame') wire.write(Buffer.from([0xff, 0xff]))
    if (how === 'limit') wire.text('x'.repeat(101))
    if (how !== 'loss') {
      await wire.untilEnd()
      wire.end()
    }
    await socket.closed
    const got: unknown[] = []
    for await (const message of socket) got.push(message)
    t.strictSame(got, ['0', '1', '2'], how)
    await t.rejects(socket.next(), { code: 'FST_WS_ERR_CLOSED' })
  }
})

t.test('an iteration that waits ends with the connection, not before', async (t) => {
  const { socket, wire } = openSocket()
  const iterator = socket[Symbol.asyncIterator]()
  const [first, second, third] = [iterator.next(), iterator.next(), iterator.next()]
  let ended = false
  third.then(() => { ended = true }, () => {})
  wire.text('one')
  t.same(await first, { done: false, value: 'one' })
  socket.close(1000)
  await wire.frames(1)
  t.equal(ended, false, 'the Close of the peer has not come')
  wire.close(1000)
  wire.end()
  t.same(await second, { done: true, value: undefined })
  t.same(await third, { done: true, value: undefined })
  t.same(await iterator.next(), { done: true, value: undefined })
  t.equal((await socket.closed).code, 1000)
})

t.test('leaving an iteration settles the calls of next that wait', async (t) => {
  const { socket, wire } = openSocket()
  const iterator = socket[Symbol.asyncIterator]()
  const waiting = [iterator.next(), iterator.next()]
  t.same(await iterator.return!(), { done: true, value: undefined })
  for (const one of waiting) t.same(await one, { done: true, value: undefined })
  t.same(await iterator.return!(), { done: true, value: undefined })
  wire.text('x')
  t.equal(await socket.next(), 'x', 'and takes nothing any more')
})

t.test('an iterator iterates itself', async (t) => {
  const { socket, wire } = openSocket()
  wire.text('x')
  const iterator = socket[Symbol.asyncIterator]()
  for await (const message of iterator) {
    t.equal(message, 'x')
    break
  }
  t.equal(iterator[Symbol.asyncIterator](), iterator)
})

t.test('calls of next are answered in order', async (t) => {
  const { socket, wire } = openSocket()
  const waiting = [socket.next(), socket.next(), socket.next()]
  wire.write(messages(4))
  t.strictSame(await Promise.all(waiting), ['0', '1', '2'])
  t.equal(await socket.next(), '3')
})

t.test('next gives what had arrived, and then rejects with the close code', async (t) => {
  const { socket, wire } = openSocket()
  wire.write(messages(2))
  wire.close(4020, 'over')
  wire.end()
  await socket.closed
  t.equal(await socket.next(), '0')
  t.equal(await socket.next(), '1')
  await t.rejects(socket.next(), { code: 'FST_WS_ERR_CLOSED', closeCode: 4020, reason: 'over' })

  const waiting = openSocket()
  const next = waiting.socket.next()
  waiting.wire.close(4021, 'now')
  await t.rejects(next, { code: 'FST_WS_ERR_CLOSED', closeCode: 4021, reason: 'now' })

  const own = openSocket()
  const pending = own.socket.next()
  own.socket.close(4022)
  await t.rejects(pending, { code: 'FST_WS_ERR_CLOSED', closeCode: 4022 }, 'already when it is closing')
})

t.test('the signal of next', async (t) => {
  const { socket, wire } = openSocket()
  const reason = new Error('enough waiting')
  await t.rejects(socket.next({ signal: AbortSignal.abort(reason) }), reason)
  const abort = new AbortController()
  const first = socket.next({ signal: abort.signal })
  const second = socket.next()
  abort.abort(reason)
  await t.rejects(first, reason)
  wire.text('for the second')
  t.equal(await second, 'for the second', 'nothing is lost by it')

  const late = new AbortController()
  wire.text('x')
  t.equal(await socket.next({ signal: late.signal }), 'x')
  late.abort()
  socket.on('message', () => {})
  t.pass('after an answer, or an abort, the place is free')

  const alone = openSocket()
  const controller = new AbortController()
  const given = alone.socket.next({ signal: controller.signal })
  controller.abort(reason)
  await t.rejects(given, reason)
  alone.socket.on('message', () => {})
  t.pass('the last one to give up frees the place')
})

t.test('once takes one message, and the next ones wait', async (t) => {
  const { socket, wire } = openSocket()
  const got: string[] = []
  wire.write(messages(3))
  socket.once('message', (data) => { got.push(String(data)) })
  await settle()
  t.strictSame(got, ['0'])
  socket.prependOnceListener('message', (data) => { got.push(String(data)) })
  await settle()
  t.strictSame(got, ['0', '1'])
  socket.addEventListener('message', ({ data }) => { got.push(data) }, { once: true })
  await settle()
  t.strictSame(got, ['0', '1', '2'])
  const [data, isBinary] = await Promise.all([once(socket, 'message'), wire.text('3')]).then(([args]) => args)
  t.strictSame([String(data), isBinary], ['3', false])
})

t.test('within a message the next one can be asked for', async (t) => {
  const { socket, wire } = openSocket()
  wire.write(messages(3))
  await settle()
  const next = new Promise((resolve, reject) => {
    socket.once('message', (data) => {
      t.equal(String(data), '0')
      socket.next().then(resolve, reject)
    })
  })
  t.equal(await next, '1')
  t.equal(await socket.next(), '2')
})

t.test('events.on takes all', async (t) => {
  const { socket, wire } = openSocket()
  wire.write(messages(300))
  const got: number[] = []
  for await (const [data] of on(socket, 'message')) {
    got.push(Number(data))
    if (got.length === 300) break
  }
  t.strictSame(got, numbers(300))
})

t.test('two listeners hear the same message', async (t) => {
  const { socket, wire } = openSocket()
  const got: string[] = []
  socket.on('message', (data) => { got.push(`a ${data}`) })
  socket.addEventListener('message', ({ data }) => { got.push(`b ${data}`) })
  wire.write(messages(2))
  await settle()
  t.strictSame(got, ['a 0', 'b 0', 'a 1', 'b 1'])
})

t.test('a listener that was removed in the middle leaves the rest for others', async (t) => {
  const { socket, wire } = openSocket()
  const got: string[] = []
  wire.write(messages(5))
  await settle()
  socket.on('message', function listener (data) {
    got.push(String(data))
    if (got.length === 2) socket.off('message', listener)
  })
  await settle()
  t.strictSame(got, ['0', '1'])
  t.equal(await socket.next(), '2')
})

t.test('the close event comes at once, even if messages wait, and they can still be taken', async (t) => {
  const { socket, wire } = openSocket()
  wire.write(messages(2))
  wire.close(1000)
  wire.end()
  const [code] = await once(socket, 'close')
  t.equal(code, 1000)
  const got: string[] = []
  socket.on('message', (data) => { got.push(String(data)) })
  await settle()
  t.strictSame(got, ['0', '1'])
})

t.test('a full queue pauses reading, and half an empty one resumes it', async (t) => {
  const { socket, wire, connection } = openSocket({ limits: { queueBytes: 10_000 } })
  const sent = wire.duplex
  wire.write(messages(1000, 936))
  await settle(200)
  t.equal(connection.reading, false)
  const received = connection.messagesReceived
  t.ok(received >= 8 && received < 100, `${received} messages of about 1000 bytes wait`)
  t.ok(sent.writableLength > 500_000, 'the rest is with the sender')
  t.equal(socket.isPaused, false, 'it is not the application that has paused')
  const got: number[] = []
  for await (const message of socket) {
    got.push(Number.parseInt(message))
    if (got.length === 1000) break
  }
  t.strictSame(got, numbers(1000))
  t.equal(connection.reading, true)
})

t.test('empty messages count: a flood of them pauses reading too', async (t) => {
  const { wire, connection } = openSocket({ limits: { queueBytes: 10_000 } })
  wire.write(Buffer.concat(Array.from({ length: 20_000 }, () => frame({ opcode: 2, masked: true }))))
  await settle(300)
  t.equal(connection.reading, false)
  t.ok(connection.messagesReceived < 1_000, `${connection.messagesReceived} messages`)
})

t.test('one message fits always, however small the bound', async (t) => {
  const { socket, wire } = openSocket({ limits: { queueBytes: 1 } })
  wire.write(messages(50, 2000))
  await settle()
  const got: number[] = []
  socket.on('message', (data) => { got.push(Number.parseInt(String(data))) })
  await settle(100)
  t.strictSame(got, numbers(50))
})

t.test('a queue that fails instead of pausing', async (t) => {
  const { socket, wire, faults } = openSocket({ limits: { queueBytes: 10_000, whenFull: 'fail' } })
  wire.write(messages(1000, 936))
  t.same(await wire.lines(1), ['close 1008 "too many messages that nobody takes"'])
  t.match(faults, [{ kind: 'limit', error: { code: 'FST_WS_ERR_LIMIT', closeCode: 1008 } }])
  t.equal(socket.readyState, socket.CLOSING)
})

t.test('a full queue holds only what nobody takes: Close and pings behind it are seen when there is room', async (t) => {
  const { socket, wire } = openSocket({ limits: { queueBytes: 1_000 } })
  wire.write(messages(20, 200))
  wire.ping('behind')
  wire.close(1000)
  wire.end()
  await settle()
  t.equal(socket.readyState, socket.OPEN)
  const got: unknown[] = []
  for await (const message of socket) got.push(message)
  t.equal(got.length, 20)
  t.strictSame(await wire.linesUntilEnd(), ['pong "behind"', 'close 1000 ""'])
})

t.test('nothing is lost when the peer ends behind a full queue', async (t) => {
  const { socket, wire } = openSocket({ limits: { queueBytes: 1_000 } })
  wire.write(messages(60, 100))
  wire.end()
  await settle(100)
  const got: unknown[] = []
  for await (const message of socket) got.push(Number.parseInt(message))
  t.strictSame(got, numbers(60))
})

t.test('nothing is lost when the peer ends behind more messages than a turn takes', async (t) => {
  const { socket, wire } = openSocket()
  const got: unknown[] = []
  socket.on('message', (data) => { got.push(Number(data)) })
  wire.write(Buffer.concat([messages(1000), frame({ opcode: 8, masked: true, payload: Buffer.from([0x03, 0xe8]) })]))
  wire.end()
  t.same(await socket.closed, { code: 1000, reason: '', wasClean: true })
  t.strictSame(got, numbers(1000))
})

t.test('a push-only handler: a full queue is thrown away once told, and the connection lives', async (t) => {
  const { socket, wire, receiver, connection, discarded } = openSocket({ limits: { queueBytes: 10_000 } })
  wire.write(messages(15, 936))
  await settle()
  t.equal(connection.reading, false, 'the handler may still want them')
  receiver.handlerSettled()
  t.equal(connection.reading, true)
  wire.write(messages(100, 936))
  wire.ping('alive')
  t.strictSame(await wire.lines(1), ['pong "alive"'])
  t.equal(discarded.length, 1, 'one warning')
  t.ok(discarded[0]! >= 8 && discarded[0]! <= 15)
  socket.send('push')
  t.strictSame(await wire.lines(1), ['text "push"'])
  wire.close(1000)
  wire.end()
  t.equal((await socket.closed).code, 1000)
})

t.test('while there is a taker nothing is thrown away, although the handler has settled', async (t) => {
  const takers: Array<(socket: AnySocket, got: number[], done: () => void) => void> = [
    async (socket, got, done) => {
      for await (const message of socket) if (got.push(Number.parseInt(message)) === 2000) break
      done()
    },
    (socket, got, done) => {
      const take = async () => { while (got.length < 2000) got.push(Number.parseInt(await socket.next())) }
      take().then(done, ignore)
    },
    (socket, got, done) => {
      socket.on('message', (data) => { if (got.push(Number.parseInt(String(data))) === 2000) done() })
    },
    async (socket, got, done) => {
      for await (const data of socket.stream().setEncoding('utf8')) {
        for (const one of data.split('.').filter(Boolean)) got.push(Number(one))
        if (got.length === 2000) return done()
      }
    }
  ]
  for (const [index, take] of takers.entries()) {
    const { socket, wire, receiver, discarded } = openSocket()
    const got: number[] = []
    const done = deferred()
    take(socket, got, done.resolve)
    receiver.handlerSettled()
    wire.write(messages(2000, 400))
    await Promise.race([done.promise, settle(2000)])
    t.strictSame(discarded, [], `taker ${index}`)
    t.strictSame(got, numbers(2000), `taker ${index}`)
  }
})

t.test('a handler that took the first messages and has settled is push-only from then on', async (t) => {
  const first: Array<(socket: AnySocket) => Promise<unknown>> = [
    (socket) => socket.next(),
    (socket) => once(socket, 'message'),
    async (socket) => { for await (const message of socket) return message },
    (socket) => socket[Symbol.asyncIterator]().return!()
  ]
  for (const [index, take] of first.entries()) {
    const { socket, wire, receiver, discarded } = openSocket({ limits: { queueBytes: 10_000 } })
    wire.text('authentication')
    await take(socket)
    receiver.handlerSettled()
    wire.write(messages(100, 936))
    wire.ping('alive')
    t.strictSame(await Promise.race([wire.lines(1), settle(200)]), ['pong "alive"'], `way ${index}`)
    t.equal(discarded.length, 1)
  }
})

t.test('a long queue is taken in order while more arrives', async (t) => {
  const { socket, wire } = openSocket({ limits: { queueBytes: 10_000_000 } })
  wire.write(messages(3000))
  await settle(50)
  const got: number[] = []
  for (let i = 0; i < 1500; i++) got.push(Number(await socket.next()))
  wire.write(messages(1000, 1, 3000))
  for (let i = 0; i < 2500; i++) got.push(Number(await socket.next()))
  t.strictSame(got, numbers(4000))
})

t.test('messages that wait when the last listener goes are not thrown away before the queue is full', async (t) => {
  const { socket, wire, receiver, discarded } = openSocket({ limits: { queueBytes: 10_000 } })
  receiver.handlerSettled()
  wire.write(messages(5, 936))
  await settle()
  t.strictSame(discarded, [])
  t.equal(Number.parseInt(await socket.next()), 0)
})

t.test('pause holds back messages at once, and everything behind them', async (t) => {
  const { socket, wire } = openSocket()
  const got: string[] = []
  socket.on('message', (data) => {
    got.push(String(data))
    if (got.length === 2) socket.pause()
  })
  wire.write(messages(4))
  wire.ping()
  wire.close(1000)
  await settle()
  t.strictSame(got, ['0', '1'])
  t.equal(socket.isPaused, true)
  t.equal(socket.readyState, socket.OPEN)
  t.equal(wire.received.length, 0)
  socket.pause()
  socket.resume()
  t.equal(socket.isPaused, false)
  socket.resume()
  t.strictSame(await wire.linesUntilEnd(), ['pong ""', 'close 1000 ""'])
  t.strictSame(got, ['0', '1', '2', '3'])
})

t.test('pause holds back what waits in the queue too', async (t) => {
  const { socket, wire } = openSocket()
  wire.write(messages(4))
  await settle()
  socket.pause()
  const next = socket.next()
  let taken = false
  next.then(() => { taken = true }, () => {})
  await settle()
  t.equal(taken, false)
  socket.resume()
  t.equal(await next, '0')
  const got: string[] = []
  socket.on('message', (data) => {
    got.push(String(data))
    socket.pause()
  })
  await settle()
  t.strictSame(got, ['1'])
  socket.resume()
  socket.pause()
  await settle()
  t.strictSame(got, ['1'])
  socket.resume()
  await settle()
  socket.resume()
  await settle()
  t.strictSame(got, ['1', '2', '3'])
})

t.test('resume within the message that paused', async (t) => {
  const { socket, wire } = openSocket()
  const got: string[] = []
  socket.on('message', (data) => {
    got.push(String(data))
    socket.pause()
    socket.resume()
  })
  wire.write(messages(600))
  await settle(100)
  t.equal(got.length, 600)
})

t.test('resume with a full queue reads on only when there is room', async (t) => {
  const { socket, wire, connection } = openSocket({ limits: { queueBytes: 5_000 } })
  wire.write(messages(100, 936))
  await settle()
  socket.pause()
  socket.resume()
  await settle()
  t.equal(connection.reading, false)
  const got: unknown[] = []
  for await (const message of socket) if (got.push(message) === 100) break
  t.equal(got.length, 100)
})

t.test('our own close ends a pause: what had arrived is still to be had', async (t) => {
  const { socket, wire } = openSocket()
  const got: string[] = []
  socket.on('message', (data) => {
    got.push(String(data))
  })
  socket.pause()
  wire.write(messages(2))
  await settle()
  socket.close(1000)
  t.equal(socket.isPaused, false)
  wire.close(1000)
  t.strictSame(await wire.linesUntilEnd(), ['close 1000 ""'])
})

t.test('pause does nothing on a connection that is not open: what waits stays to be had', async (t) => {
  const { socket, wire } = openSocket()
  wire.write(messages(2))
  wire.close(1000)
  wire.end()
  await socket.closed
  socket.pause()
  const got: unknown[] = []
  for await (const message of socket) got.push(message)
  t.strictSame(got, ['0', '1'])
})

t.test('what a listener throws or rejects with goes to the fault sink, with what was being handled', async (t) => {
  const { socket, wire, faults } = openSocket({ contract: json() })
  const add: Array<(throwing: (message: any) => unknown) => void> = [
    (throwing) => socket.on('message', throwing),
    (throwing) => socket.addEventListener('message', ({ data }) => throwing(data)),
    (throwing) => socket.addEventListener('message', { handleEvent: ({ data }) => throwing(data) }),
    (throwing) => { socket.onmessage = ({ data }) => throwing(data) }
  ]
  for (const [index, addListener] of add.entries()) {
    for (const later of [false, true]) {
      const error = new Error(`${index} ${later}`)
      addListener(later ? async () => { throw error } : () => { throw error })
      wire.text('{"n":1}')
      await settle()
      const fault = faults.pop()!
      t.equal(fault.kind, 'listener', `${index} ${later}`)
      t.equal(fault.error, error)
      t.strictSame(fault.message, { n: 1 })
      socket.removeAllListeners('message')
    }
  }
  t.strictSame(faults, [])
})

t.test('a listener that throws does not keep the next message from being heard', async (t) => {
  const { socket, wire, faults } = openSocket()
  const got: string[] = []
  socket.on('message', (data) => {
    got.push(String(data))
    throw new Error('always')
  })
  wire.write(messages(3))
  await settle()
  t.strictSame(got, ['0', '1', '2'])
  t.equal(faults.length, 3)
})

t.test('listeners of other events are looked after as well', async (t) => {
  const { socket, wire, faults } = openSocket({ limits: { highWaterMarkBytes: 10 } })
  for (const event of ['open', 'ping', 'pong', 'drain', 'close']) {
    socket.on(event, () => { throw new Error(`thrown in ${event}`) })
    socket.on(event, async () => { throw new Error(`never: the one before has thrown in ${event}`) })
    socket.prependListener(event, async () => { throw new Error(`rejected in ${event}`) })
  }
  socket.send('more than ten bytes')
  wire.ping()
  wire.pong()
  await settle()
  wire.close(1000)
  wire.end()
  await socket.closed
  await settle()
  t.ok(faults.every(({ kind, message }) => kind === 'listener' && message === undefined))
  t.strictSame(faults.map(({ error }) => error.message).sort(), ['close', 'drain', 'open', 'ping', 'pong'].flatMap((event) => [`rejected in ${event}`, `thrown in ${event}`]).sort())
})

t.test('the error event carries faults of protocol, limits and network, and crashes nothing for want of a listener', async (t) => {
  const broken: Array<[string, (wire: ReturnType<typeof openSocket>['wire']) => void, string, number | undefined]> = [
    ['FST_WS_ERR_PROTOCOL', (wire) => wire.write(Buffer.from([0xff, 0xff])), 'protocol', 1002],
    ['FST_WS_ERR_PROTOCOL', (wire) => wire.text(Buffer.from([0xff])), 'protocol', 1007],
    ['FST_WS_ERR_LIMIT', (wire) => wire.text('x'.repeat(1001)), 'limit', 1009],
    ['FST_WS_ERR_LIMIT', (wire) => { wire.text('a', false); for (let i = 0; i < 300; i++) wire.frame({ opcode: 0, fin: false }) }, 'limit', 1008]
  ]
  for (const [code, breakIt, kind, closeCode] of broken) {
    for (const listening of [true, false]) {
      const { socket, wire, faults } = openSocket({ limits: { maxMessageBytes: 1000 } })
      const errors: any[] = []
      if (listening) socket.on('error', (error) => { errors.push(error) })
      const states: number[] = []
      socket.on('error', () => { states.push(socket.readyState) })
      if (!listening) socket.removeAllListeners('error')
      breakIt(wire)
      const [close] = await wire.frames(1)
      t.equal(close!.payload.readUInt16BE(0), closeCode)
      t.match(faults, [{ kind, error: { code, closeCode }, message: undefined }])
      if (listening) {
        t.strictSame(errors, [faults[0]!.error])
        t.strictSame(states, [socket.CLOSING])
      }
      wire.end()
      t.equal((await socket.closed).code, 1006)
      t.equal(faults.length, 1)
    }
  }
})

t.test('an error listener that throws or rejects is a fault of a listener', async (t) => {
  for (const later of [false, true]) {
    const { socket, wire, faults } = openSocket()
    socket.on('error', later ? async () => { throw new Error('in the listener') } : () => { throw new Error('in the listener') })
    wire.write(Buffer.from([0xff, 0xff]))
    await wire.frames(1)
    await settle()
    t.match(faults.map(({ kind }) => kind).sort(), ['listener', 'protocol'])
  }
})

t.test('an invalid message goes to its handler in its place, never to the taker, which goes on', async (t) => {
  const contract = json({ receive: Say })
  const takers: Record<string, (socket: AnySocket, got: any[]) => void> = {
    on: (socket, got) => socket.on('message', (message) => { got.push(message) }),
    iteration: async (socket, got) => { for await (const message of socket) got.push(message) },
    next: async (socket, got) => { for (let i = 0; i < 2; i++) got.push(await socket.next()) },
    stream: (socket, got) => socket.stream().on('data', (message) => { got.push(message) })
  }
  for (const early of [true, false]) {
    for (const [name, take] of Object.entries(takers)) {
      const seen: unknown[] = []
      const { socket, wire } = openSocket({ contract, onInvalidMessage: ({ message }) => { seen.push(message) } })
      if (!early) take(socket, seen)
      for (const text of [say('a'), '{"text":1}', say('b')]) wire.text(text)
      await settle()
      if (early) {
        t.strictSame(seen, [], 'not decoded before somebody takes it')
        take(socket, seen)
        await settle()
      }
      // A stream reads ahead of whoever reads it.
      if (name === 'stream') seen.sort((a: any, b: any) => seen.length === 3 && String(a.text) < String(b.text) ? -1 : 1)
      t.strictSame(seen, name === 'stream' ? [{ text: 1 }, { text: 'a' }, { text: 'b' }] : [{ text: 'a' }, { text: 1 }, { text: 'b' }], `${name}, ${early ? 'from the queue' : 'as it comes'}`)
      t.equal(socket.readyState, socket.OPEN)
    }
  }
})

t.test('the taker goes on after an invalid message that closes: what had arrived before and after is taken', async (t) => {
  const { socket, wire, invalid } = openSocket({ contract: json({ receive: Say }) })
  for (const text of [say('a'), '{"text":1}', say('b')]) wire.text(text)
  await settle()
  const got: unknown[] = []
  const iterating = (async () => { for await (const message of socket) got.push(message) })()
  t.strictSame(await wire.lines(1), ['close 1008 "invalid message"'])
  wire.close(1008)
  wire.end()
  await iterating
  t.equal(invalid.length, 1)
  t.strictSame(got, [{ text: 'a' }, { text: 'b' }])
})

t.test('an invalid message at the front of a queue that next waits for behind a pause', async (t) => {
  const { socket, wire } = openSocket({ contract: json({ receive: Say }) })
  for (const text of ['{"text":1}', say('a'), say('b')]) wire.text(text)
  await settle()
  socket.pause()
  const next = socket.next()
  socket.resume()
  t.strictSame(await next, { text: 'a' })
  await settle()
  t.strictSame(await socket.next(), { text: 'b' }, 'each message once')
})

t.test('an invalid message at the front of a queue that an iteration waits for behind a pause', async (t) => {
  const { socket, wire } = openSocket({ contract: json({ receive: Say }) })
  for (const text of ['{"text":1}', say('a'), say('b')]) wire.text(text)
  await settle()
  socket.pause()
  const got: unknown[] = []
  const iterating = (async () => { for await (const message of socket) got.push(message) })()
  socket.resume()
  await settle()
  t.strictSame(got, [{ text: 'a' }, { text: 'b' }])
  wire.close(1008)
  wire.end()
  await Promise.race([iterating, settle(100)])
})

t.test('a contract that fails on the server is a fault of the handler', async (t) => {
  const { socket, wire, faults } = openSocket({ contract: { codec: { name: 'later', wire: 'text', encode: String, decode: async () => 'x' }, receive: undefined, send: undefined } as never })
  socket.on('message', () => t.fail('not heard'))
  wire.text('x')
  await settle()
  t.match(faults, [{ kind: 'handler', error: { code: 'FST_WS_ERR_INVALID_CONTRACT' } }])
})

t.test('text of a typed socket is a string', async (t) => {
  const { socket, wire } = openSocket({ contract: text() })
  const heard = once(socket, 'message')
  wire.text('häß')
  t.strictSame(await heard, ['häß', false])
  wire.text('fragm', false)
  wire.frame({ opcode: 0, payload: 'ented' })
  t.equal(await socket.next(), 'fragmented')
})

t.test('nothing in all this was left unhandled', async (t) => {
  await settle()
  t.strictSame(unhandled, [])
})
