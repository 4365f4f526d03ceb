import { deflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { State } from '../../lib/protocol/connection.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import type { DeflateSettings } from '../../lib/protocol/deflate.ts'
import { copyAt } from '../helpers/every-cut.ts'
import { describe, framesTo, readFrames } from '../helpers/frames.ts'
import { connect, takeOutput, type ConnectionSettings } from '../helpers/pair.ts'

const ROLES: readonly Role[] = ['server', 'client']

/** A clock that the test moves. */
function fakeClock (t: Test): { now: number } {
  const clock = { now: 1_000 }
  t.intercept(performance, 'now', { value: () => clock.now })
  return clock
}

function subject (role: Role, options: ConnectionSettings = {}) {
  const { connection, recorder } = connect({ ...options, role })
  return {
    connection,
    recorder,
    events: recorder.events,
    peer: framesTo(role),
    receive: (...frames: Uint8Array[]) => {
      connection.receive(copyAt(Buffer.concat(frames), 1))
      while (connection.more) connection.continue()
    },
    out: () => readFrames(takeOutput(connection)).map(describe)
  }
}

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

t.test('control frames: 100 at once, the next one fails with 1008', async (t) => {
  fakeClock(t)
  for (const role of ROLES) {
    for (const [name, make] of [['ping', (peer: any) => peer.ping('p')], ['pong', (peer: any) => peer.pong('p')]] as const) {
      const { connection, events, peer, receive, out } = subject(role)
      receive(...times(100, () => make(peer)))
      t.equal(connection.state, State.Open)
      t.equal(events.length, 100)
      t.equal(out().length, name === 'ping' ? 100 : 0)
      receive(make(peer))
      t.strictSame(events.slice(100), ['closing', 'error 1008 too many control frames'], `${role} ${name}`)
      t.strictSame(out(), ['close 1008 "too many control frames"'])
    }
  }
})

t.test('control frames: 100 a second for ever', async (t) => {
  const clock = fakeClock(t)
  const { connection, events, peer, receive, out } = subject('server')
  for (let second = 0; second < 20; second++) {
    receive(...times(100, (i) => i % 2 === 0 ? peer.ping('') : peer.pong('')))
    clock.now += 1_000
  }
  t.equal(connection.state, State.Open)
  t.equal(events.length, 2_000)
  t.equal(out().length, 1_000)
  receive(...times(100, () => peer.ping('')))
  clock.now += 500
  receive(...times(60, () => peer.ping('')))
  t.equal(connection.state, State.Ending)
})

t.test('control frames: a Close is always taken, and messages are none', async (t) => {
  fakeClock(t)
  for (const role of ROLES) {
    const { connection, recorder, peer, receive } = subject(role)
    receive(...times(100, () => peer.ping('')), ...times(300, (i) => peer.text(String(i))), peer.close(1000))
    t.equal(recorder.messages.length, 300)
    t.equal(connection.closeCode, 1000)
    t.equal(connection.wasClean, true)
  }
})

t.test('control frames: a flood while we wait for the Close destroys', async (t) => {
  fakeClock(t)
  const { connection, events, peer, receive } = subject('server')
  connection.close(1000, '')
  receive(...times(101, () => peer.ping('')))
  t.equal(connection.state, State.Ending)
  t.equal(connection.shutdown, 'destroy')
  t.equal(events.at(-1), 'error 1008 too many control frames')
})

t.test('messages: burst seconds at once, then so many a second; what is above fails with 1008 and is not delivered', async (t) => {
  const clock = fakeClock(t)
  for (const role of ROLES) {
    const { connection, recorder, events, peer, receive, out } = subject(role, { rateLimit: { messagesPerSecond: 10, bytesPerSecond: Infinity, burst: 3 } })
    receive(...times(30, () => peer.text('m')))
    t.equal(recorder.messages.length, 30)
    clock.now += 200
    receive(peer.binary('m'), peer.text('m', false), peer.ping(''), peer.continuation('m'))
    t.equal(recorder.messages.length, 32, 'of fragments one message')
    t.equal(connection.state, State.Open)
    out()
    receive(peer.text('above'), peer.text('behind'))
    t.equal(recorder.messages.length, 32)
    t.equal(connection.messagesReceived, 32)
    t.strictSame(events.slice(-2), ['closing', 'error 1008 too many messages a second'])
    t.strictSame(out(), ['close 1008 "too many messages a second"'])
  }
})

t.test('messages: those that came compressed count too, inflated at once or later', async (t) => {
  fakeClock(t)
  const deflate: DeflateSettings = {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    serverMaxWindowBits: 15,
    clientMaxWindowBits: 15,
    thresholdBytes: 1024,
    level: 1,
    memLevel: 5,
    maxConcurrentJobs: 4
  }
  for (const size of [10, 500_000]) {
    const { connection, recorder, events, peer } = subject('server', { deflate, rateLimit: { messagesPerSecond: 2, bytesPerSecond: Infinity, burst: 1 } })
    const compressed = deflateRawSync(Buffer.alloc(size, 'text of the message'), { finishFlush: 2 }).subarray(0, -4)
    const woken = () => new Promise<void>((resolve) => { connection.driver = { onWake: resolve } })
    for (let i = 0; i < 3; i++) {
      connection.receive(copyAt(peer.frame({ opcode: 1, rsv: 4, payload: compressed }), 1))
      while (connection.state === State.Open && (!connection.reading || connection.more)) {
        if (!connection.more) await woken()
        connection.continue()
      }
    }
    t.equal(recorder.messages.length, 2, `${size} bytes`)
    t.equal(events.at(-1), 'error 1008 too many messages a second')
  }
})

t.test('messages: the time of a job that inflates one is granted to it', async (t) => {
  const clock = fakeClock(t)
  const deflate: DeflateSettings = { serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 15, clientMaxWindowBits: 15, thresholdBytes: 1024, level: 1, memLevel: 5, maxConcurrentJobs: 4 }
  const { connection, recorder, peer } = subject('server', { deflate, rateLimit: { messagesPerSecond: 10, bytesPerSecond: Infinity, burst: 1 } })
  const compressed = deflateRawSync(Buffer.alloc(500_000, 'text of the message'), { finishFlush: 2 }).subarray(0, -4)
  const woken = new Promise<void>((resolve) => { connection.driver = { onWake: resolve } })
  connection.receive(copyAt(Buffer.concat([...times(10, () => peer.text('m')), peer.frame({ opcode: 1, rsv: 4, payload: compressed })]), 1))
  t.equal(connection.reading, false)
  clock.now += 150
  await woken
  connection.continue()
  t.equal(recorder.messages.length, 11)
  t.equal(connection.state, State.Open)
})

t.test('messages and bytes without a limit need no clock, whatever control frames came before', async (t) => {
  let reads = 0
  t.intercept(performance, 'now', { value: () => { reads++; return 1_000 } })
  const { peer, receive } = subject('server')
  receive(peer.ping(''))
  reads = 0
  receive(peer.text('m'))
  t.equal(reads, 0)
})

t.test('bytes: those of the network, framing and dropped fragments included', async (t) => {
  const clock = fakeClock(t)
  for (const role of ROLES) {
    const { connection, recorder, events, peer, receive, out } = subject(role, { rateLimit: { messagesPerSecond: Infinity, bytesPerSecond: 1_000, burst: 2 } })
    const message = peer.binary(Buffer.alloc(100))
    receive(...times(Math.floor(1_999 / message.length), () => message))
    const { length } = recorder.messages
    receive(peer.binary(Buffer.alloc(5_000)))
    t.equal(recorder.messages.length, length + 1, 'one read may be larger than what is left')
    clock.now += 1_000
    t.equal(connection.state, State.Open)
    receive(peer.ping(''))
    t.strictSame(events.slice(-2), ['closing', 'error 1008 too many bytes a second'])
    t.strictSame(out(), ['close 1008 "too many bytes a second"'])
  }
})

t.test('bytes: a steady stream below the limit goes on for ever', async (t) => {
  const clock = fakeClock(t)
  const { connection, recorder, peer, receive } = subject('server', { rateLimit: { messagesPerSecond: Infinity, bytesPerSecond: 10_000, burst: 1 } })
  for (let i = 0; i < 500; i++) {
    receive(peer.binary(Buffer.alloc(9_000)))
    clock.now += 1_000
  }
  t.equal(recorder.messages.length, 500)
  t.equal(connection.state, State.Open)
})

t.test('bytes: above the limit while the connection is paused, it fails at once', async (t) => {
  fakeClock(t)
  const { connection, events, peer } = subject('server', { rateLimit: { messagesPerSecond: Infinity, bytesPerSecond: 10, burst: 1 } })
  connection.pause()
  connection.receive(peer.text('more than ten octets'))
  connection.receive(peer.text('x'))
  t.strictSame(events, ['closing', 'error 1008 too many bytes a second'])
})

t.test('bytes: after the end nothing is counted', async (t) => {
  fakeClock(t)
  const { connection, events, peer, receive } = subject('server', { rateLimit: { messagesPerSecond: Infinity, bytesPerSecond: 10, burst: 1 } })
  receive(peer.close(1000))
  const { length } = events
  for (let i = 0; i < 5; i++) connection.receive(peer.text('x'.repeat(100)))
  t.equal(events.length, length)
})

t.test('what the peer has begun and not finished: a header, a payload, a message of fragments', async (t) => {
  for (const role of ROLES) {
    const { connection, peer, receive } = subject(role)
    const feed = (bytes: Uint8Array): boolean => {
      receive(bytes)
      return connection.unfinished
    }
    t.equal(connection.unfinished, false)
    for (const frame of [peer.text('hello'), peer.binary(Buffer.alloc(70_000)), peer.ping('p')]) {
      t.equal(feed(frame.subarray(0, 1)), true, 'half a header')
      t.equal(feed(frame.subarray(1, frame.length - 1)), true, 'half a payload')
      t.equal(feed(frame.subarray(frame.length - 1)), false)
    }
    t.equal(feed(peer.text('a', false)), true, 'a fragment')
    t.equal(feed(peer.ping('p')), true, 'a control frame in between')
    t.equal(feed(peer.continuation('b')), false)
    t.equal(feed(Buffer.concat([peer.text('whole'), peer.binary('', false)])), true, 'an empty fragment')
  }
})

t.test('nor while we did not read and then began to close', async (t) => {
  const clock = fakeClock(t)
  for (const [reason, rateLimit, frameOf] of [
    ['too many control frames', undefined, (peer: any) => peer.ping('')],
    ['too many bytes a second', { messagesPerSecond: Infinity, bytesPerSecond: 10_000, burst: 1 }, (peer: any) => peer.binary(Buffer.alloc(100 - 6))]
  ] as const) {
    for (const above of [0, 2]) {
      const { connection, events, peer, receive } = subject('server', { rateLimit })
      connection.pause()
      clock.now += 5_000
      connection.close(1000, '')
      // 5 seconds' worth, and what may come at once besides.
      for (let i = 0; i < 600 + above; i++) receive(frameOf(peer))
      t.strictSame(events.filter((event) => event.startsWith('error')), above === 0 ? [] : [`error 1008 ${reason}`])
    }
  }
})

t.test('what came within its rates while we did not read fails nobody, and what came above them does', async (t) => {
  const clock = fakeClock(t)
  const rateLimit = { messagesPerSecond: 10, bytesPerSecond: 10_000, burst: 1 }
  for (const [what, make, reason] of [
    ['ping', (peer: any) => peer.ping(''), 'too many control frames'],
    ['message', (peer: any) => peer.text('m'), 'too many messages a second'],
    ['large message', (peer: any) => peer.binary(Buffer.alloc(1_000 - 8)), 'too many bytes a second']
  ] as const) {
    const perSecond = what === 'ping' ? 100 : 10
    for (const above of [0, 1]) {
      const { connection, events, peer, receive } = subject('server', { rateLimit: what === 'ping' ? undefined : rateLimit })
      connection.pause()
      clock.now += 5_000
      connection.resume()
      // 5 seconds' worth, and what may come at once besides.
      for (let i = 0; i < 6 * perSecond; i++) receive(make(peer))
      t.equal(connection.state, State.Open, what)
      t.equal(events.length, 6 * perSecond)
      if (above === 1) {
        receive(make(peer))
        t.strictSame(events.slice(6 * perSecond), ['closing', `error 1008 ${reason}`])
      } else {
        clock.now += 1_000
        for (let i = 0; i < perSecond; i++) receive(make(peer))
        t.equal(connection.state, State.Open, `${what}: and it goes on as ever`)
      }
    }
  }
})
