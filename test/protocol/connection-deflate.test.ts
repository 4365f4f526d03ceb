import { syncBuiltinESMExports } from 'node:module'
import zlib from 'node:zlib'
import t from 'tap'
import { Connection, State } from '../../lib/protocol/connection.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import { DeflateCodec } from '../../lib/protocol/deflate.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { SharedMessage } from '../../lib/protocol/shared-message.ts'
import { runZlibJob } from '../../lib/protocol/zlib-jobs.ts'
import { DEFLATE } from '../helpers/deflate.ts'
import { copyAt, cutAt, everyCut, type Subject } from '../helpers/every-cut.ts'
import { compressed, describe, framesTo, noise, readFrames, words } from '../helpers/frames.ts'
import { connect, Pair, takeOutput, type ConnectionSettings } from '../helpers/pair.ts'

// A turn ends after 5 ms: on a busy machine that would cut short what a test feeds at once.
// Whole milliseconds: five steps of one are five then.
let now = Math.round(performance.now())
performance.now = () => now

const ROLES: readonly Role[] = ['server', 'client']

/** Compressed by a job, and inflated by one. */
const LARGE = words(80_000)
const LARGE_TEXT = LARGE.toString()

/** Takes all the room there is for jobs until it is called. */
function hold (): () => void {
  let release: (() => void) | undefined
  runZlibJob({ maxConcurrentJobs: 1, isWanted: () => true, start (finished) { release = finished } })
  return release!
}

/** When all jobs that were added before are done: the room is taken in order, and by one at a time. */
function jobsDone (): Promise<void> {
  const codec = new DeflateCodec('server', DEFLATE)
  return new Promise((resolve) => codec.compressLater(Buffer.alloc(1), () => true, () => resolve()))
}

/** A message that is so long is written as its length. */
function brief (event: string): string {
  return event.length < 300 ? event : `${event.slice(0, event.indexOf(' '))} ${event.startsWith('text') ? event.length - 7 : (event.length - 7) / 2}`
}

function subject (role: Role, options: ConnectionSettings = {}) {
  const { connection, recorder } = connect({ deflate: DEFLATE, ...options, role })
  const peer = framesTo(role)
  let wakes = 0
  let woken: (() => void) | undefined
  connection.driver = {
    onWake () {
      wakes++
      woken?.()
    }
  }
  return {
    role,
    connection,
    recorder,
    get events (): string[] { return recorder.events.map(brief) },
    peer: {
      ...peer,
      compressed: (payload: string | Uint8Array, opcode = 1) => peer.frame({ opcode, rsv: 4, payload: compressed(payload) }),
      raw: (payload: Uint8Array, opcode = 1, fin = true) => peer.frame({ opcode, rsv: 4, payload, fin })
    },
    receive: (...frames: Uint8Array[]) => connection.receive(copyAt(Buffer.concat(frames), 1)),
    /** The frames that went out since the last call; of those that are compressed the length of the payload. */
    out: () => readFrames(takeOutput(connection)).map((frame) => frame.rsv === 4
      ? `compressed ${describe({ ...frame, payload: Buffer.alloc(0) }).replace(' ""', '')}`
      : brief(describe(frame))),
    get wakes () { return wakes },
    woken: () => new Promise<void>((resolve) => { woken = resolve })
  }
}

type ConnectionUnderTest = ReturnType<typeof subject>

/** For `everyCut`: what it tells, then what it sends. */
class Cut implements Subject<string> {
  readonly #subject: ConnectionUnderTest

  constructor (role: Role, options: ConnectionSettings = {}) {
    this.#subject = subject(role, options)
  }

  get events (): string[] { return [...this.#subject.recorder.events, ...this.#subject.out()] }

  feed (chunk: Buffer): void {
    this.#subject.connection.receive(chunk)
    while (this.#subject.connection.more) this.#subject.connection.continue()
  }
}

t.test('compressed messages', async t => {
  t.test('arrive among others, in order, however they are cut', async t => {
    for (const role of ROLES) {
      const { peer } = subject(role)
      const hello = compressed('Hello')
      const bytes = Buffer.concat([
        peer.text('a'), peer.raw(hello), peer.binary('b'), peer.raw(Buffer.from('f200110000', 'hex'), 2), peer.raw(Buffer.from([0])), peer.raw(Buffer.alloc(0)),
        peer.raw(hello.subarray(0, 1), 1, false), peer.ping('p'), peer.continuation(hello.subarray(1, 3), false), peer.continuation('', false),
        peer.pong('q'), peer.continuation(hello.subarray(3)), peer.raw(Buffer.from('f348cdc9c9070000', 'hex')), peer.compressed('é'), peer.close(1000)
      ])
      everyCut(t, bytes, () => new Cut(role), [
        'text "a"', 'text "Hello"', 'binary 62', 'binary 48656c6c6f', 'text ""', 'text ""', 'ping "p"', 'pong "q"', 'text "Hello"', 'text "Hello"', 'text "é"',
        'closing', 'pong "p"', 'close 1000 ""'
      ], role)
    }
  })

  t.test('as octets, if text is so wanted', async t => {
    for (const role of ROLES) {
      const { peer } = subject(role)
      everyCut(t, Buffer.concat([peer.compressed('é'), peer.compressed(Buffer.from([0xc3]))]), () => new Cut(role, { textAs: 'buffer' }), [
        'text c3a9', 'closing', 'error 1007 text that is not UTF-8', 'close 1007 "text that is not UTF-8"'
      ], role)
    }
  })

  t.test('count as messages and in the octets that came', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer } = subject(role)
      receive(peer.compressed('x'.repeat(1000)), peer.text('y'))
      t.equal(connection.messagesReceived, 2)
      t.ok(connection.bytesReceived < 100)
      receive(peer.compressed(LARGE))
      t.equal(connection.messagesReceived, 2, 'not before it is delivered')
      await jobsDone()
      connection.continue()
      t.equal(connection.messagesReceived, 3)
    }
  })
})

t.test('a peer that breaks a rule', async t => {
  const BOMB = compressed(Buffer.alloc(2000))
  for (const [what, send, code, rule] of [
    ['RSV1 on a ping', (peer) => [peer.frame({ opcode: 9, rsv: 4 })], 1002, 'RSV1 set on a control frame'],
    ['RSV1 on a Close', (peer) => [peer.frame({ opcode: 8, rsv: 4 })], 1002, 'RSV1 set on a control frame'],
    ['RSV1 on a continuation', (peer) => [peer.text('a', false), peer.frame({ opcode: 0, rsv: 4 })], 1002, 'RSV1 set on a continuation frame'],
    ['RSV1 on a continuation of a compressed message', (peer) => [peer.raw(compressed('abc'), 1, false), peer.frame({ opcode: 0, rsv: 4 })], 1002, 'RSV1 set on a continuation frame'],
    ['RSV2 beside it', (peer) => [peer.frame({ opcode: 1, rsv: 6 })], 1002, 'RSV2 or RSV3 set without an extension'],
    ['a compressed message among fragments', (peer) => [peer.text('a', false), peer.compressed('x')], 1002, 'new message before the last fragment of the one before'],
    ['compressed text that is not UTF-8', (peer) => [peer.compressed(Buffer.from([0x61, 0xff]))], 1007, 'text that is not UTF-8'],
    ['the same in fragments', (peer) => [peer.raw(compressed(Buffer.from([0xff])).subarray(0, 1), 1, false), peer.continuation(compressed(Buffer.from([0xff])).subarray(1))], 1007, 'text that is not UTF-8'],
    ['what cannot be inflated', (peer) => [peer.raw(Buffer.from([7]), 2)], 1007, 'data that cannot be inflated'],
    ['a message that is cut off', (peer) => [peer.raw(compressed('Hello').subarray(0, 3), 2)], 1007, 'data that cannot be inflated'],
    ['a message above the limit', (peer) => [peer.raw(BOMB)], 1009, 'message above the limit'],
    ['a message whose octets alone are above it', (peer) => [peer.raw(noise(1000 + 125 + 65))], 1009, 'message above the limit'],
    ['final blocks without end', (peer) => [peer.raw(Buffer.from('0300'.repeat(100), 'hex'))], 1008, 'too many final blocks in a compressed message']
  ] as Array<[string, (peer: ConnectionUnderTest['peer']) => Uint8Array[], number, string]>) {
    t.test(`${what}: ${code}`, async t => {
      for (const role of ROLES) {
        const on = subject(role)
        const bytes = Buffer.concat([on.peer.text('before'), ...send(on.peer), on.peer.text('after')])
        everyCut(t, bytes, () => new Cut(role, { maxMessageBytes: 1000 }), [
          'text "before"', 'closing', `error ${code} ${rule}`, `close ${code} ${JSON.stringify(rule)}`
        ], role)
      }
    })
  }

  t.test('RSV1 where nothing was negotiated: 1002', async t => {
    for (const role of ROLES) {
      const { peer } = subject(role)
      everyCut(t, Buffer.concat([peer.compressed('x'), peer.text('y')]), () => new Cut(role, { deflate: undefined }), [
        'closing', 'error 1002 RSV1 set without an extension', 'close 1002 "RSV1 set without an extension"'
      ], role)
    }
  })

  t.test('in a message that is inflated by a job: told when that is done, whether it pauses or not', async t => {
    for (const role of ROLES) {
      for (const paused of [false, true]) {
        for (const [payload, code] of [[LARGE, 1009], [Buffer.concat([LARGE.subarray(0, 70_000), Buffer.from([0xff])]), 1007], [noise(20_000), 1007]] as const) {
          const on = subject(role, { maxMessageBytes: 79_999 })
          on.receive(payload.length === 20_000 ? on.peer.raw(payload) : on.peer.compressed(payload), on.peer.text('behind'))
          if (paused) on.connection.pause()
          t.equal(on.connection.state, State.Open)
          await jobsDone()
          if (on.connection.state === State.Open) {
            t.strictSame(on.events, [], 'what is not UTF-8 is found when it is delivered')
            t.equal(on.connection.more, !paused)
            on.connection.resume()
            on.connection.continue()
          }
          t.match(on.events, ['closing', new RegExp(`^error ${code} `)])
          t.equal(on.events.length, 2)
          t.match(on.out(), [new RegExp(`^close ${code} `)])
          t.equal(on.connection.shutdown, 'end')
          t.equal(on.connection.more, false)
          t.equal(on.connection.reading, true)
        }
      }
    }
  })

  t.test('the limit is exact: at once and by a job', async t => {
    for (const role of ROLES) {
      for (const [size, limit] of [[1000, 1000], [80_000, 80_000], [0, 0]] as const) {
        const on = subject(role, { maxMessageBytes: limit })
        on.receive(on.peer.compressed(LARGE.subarray(0, size), 2))
        await jobsDone()
        on.connection.continue()
        t.strictSame(on.events, [brief(`binary ${LARGE.subarray(0, size).toString('hex')}`)])
      }
    }
  })

  t.test('a codec that fails: 1011', async t => {
    for (const role of ROLES) {
      for (const payload of ['x', LARGE]) {
        const on = subject(role, { deflate: { ...DEFLATE, serverMaxWindowBits: 99, clientMaxWindowBits: 99 } })
        on.receive(on.peer.compressed(payload), on.peer.text('behind'))
        t.strictSame(on.events, ['closing', 'error 1011 internal error'])
        t.strictSame(on.out(), ['close 1011 "internal error"'])
        t.equal(on.wakes, 0, 'within a turn')
        t.equal(on.connection.more, false)
      }
    }
  })
})

t.test('a message that is inflated by a job', async t => {
  const DELIVERED = `text ${LARGE.length}`

  t.test('holds up what is behind it, and is delivered by continue', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const { connection, peer } = on
      on.receive(peer.text('before'), peer.compressed(LARGE), peer.ping('p'), peer.text('behind'))
      t.strictSame(on.events, ['text "before"'])
      t.equal(connection.reading, false)
      t.equal(connection.more, false)
      t.strictSame(on.out(), [], 'no pong either')
      on.receive(peer.text('another chunk'))
      connection.continue()
      t.strictSame(on.events, ['text "before"'])
      await jobsDone()
      t.equal(on.wakes, 1)
      t.equal(connection.reading, false)
      t.equal(connection.more, true)
      t.strictSame(on.events, ['text "before"'])
      connection.continue()
      t.strictSame(on.events, ['text "before"', DELIVERED, 'ping "p"', 'text "behind"', 'text "another chunk"'])
      t.equal(on.recorder.messages[1], LARGE_TEXT)
      t.strictSame(on.out(), ['pong "p"'])
      t.equal(connection.reading, true)
      t.equal(connection.more, false)
      t.equal(on.wakes, 1)
    }
  })

  t.test('and another, and others in fragments behind it', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const { connection, peer } = on
      const octets = compressed(LARGE)
      on.receive(
        peer.compressed(LARGE, 2), peer.compressed('small'), peer.compressed(LARGE), peer.raw(octets.subarray(0, 1000), 2, false), peer.ping('p'),
        peer.continuation(octets.subarray(1000)), peer.text('end')
      )
      const seen: string[][] = []
      while (!connection.reading) {
        await jobsDone()
        t.equal(connection.more, true)
        connection.continue()
        seen.push(on.events)
      }
      t.strictSame(seen.at(-1), ['binary 80000', 'text "small"', DELIVERED, 'ping "p"', 'binary 80000', 'text "end"'])
      t.strictSame(seen.map(({ length }) => length), [2, 4, 6])
      t.strictSame(on.recorder.messages.map((message) => message.length), [80_000, 5, 80_000, 80_000, 3])
    }
  })

  t.test('its chunk is not kept: what is behind it is copied once', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const chunk = copyAt(Buffer.concat([on.peer.compressed(LARGE), on.peer.binary('x'.repeat(20_000))]), 0)
      on.connection.receive(chunk)
      chunk.fill(0)
      await jobsDone()
      on.connection.continue()
      t.equal(on.recorder.messages[0], LARGE_TEXT)
      t.equal(String(on.recorder.messages[1]), 'x'.repeat(20_000))
      t.not((on.recorder.messages[1] as Buffer).buffer, chunk.buffer)
    }
  })

  t.test('which small ones can become: it is seen when they are inflated', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.receive(on.peer.compressed(Buffer.alloc(70_000, 'a')), on.peer.text('behind'))
      t.equal(on.connection.reading, false)
      await jobsDone()
      on.connection.continue()
      t.strictSame(on.events, ['text 70000', 'text "behind"'])
    }
  })

  t.test('EOF behind it, and behind what is kept', async t => {
    for (const role of ROLES) {
      for (const behind of [false, true]) {
        const on = subject(role)
        on.receive(on.peer.compressed(LARGE), ...behind ? [on.peer.text('behind'), on.peer.close(1001, 'peer')] : [])
        on.connection.receiveEof()
        t.strictSame(on.events, [])
        await jobsDone()
        t.strictSame(on.events, [])
        on.connection.continue()
        t.strictSame(on.events, behind
          ? [DELIVERED, 'text "behind"', 'closing', 'close 1001 "peer" clean']
          : [DELIVERED, 'closing', 'close 1006 "" unclean'])
        t.equal(on.connection.state, State.Closed)
        t.equal(on.connection.shutdown, 'end')
        t.equal(on.connection.more, false)
      }
    }
  })

  t.test('pause and resume while it is inflated, and when it is, with something behind it or not', async t => {
    for (const role of ROLES) {
      for (const when of ['before', 'after', 'both'] as const) {
        for (const behind of [['behind'], []]) {
          const on = subject(role)
          const { connection, peer } = on
          on.receive(peer.compressed(LARGE), ...behind.map((text) => peer.text(text)))
          connection.pause()
          if (when !== 'after') connection.resume()
          t.equal(connection.reading, false)
          if (connection.more) connection.continue()
          t.strictSame(on.events, [])
          if (when === 'both') connection.pause()
          await jobsDone()
          t.equal(connection.more, when === 'before')
          t.equal(connection.reading, false)
          if (when !== 'before') {
            connection.continue()
            t.strictSame(on.events, [], 'nothing is delivered to one who has paused')
            connection.resume()
            t.equal(connection.more, true)
            t.equal(connection.reading, false, 'before it is delivered nothing is read')
          }
          connection.continue()
          t.strictSame(on.events, [DELIVERED, ...behind.map((text) => `text "${text}"`)])
          t.equal(connection.reading, true)
          t.equal(connection.more, false)
        }
      }
    }
  })

  t.test('pause when it is delivered: what is behind it is kept, EOF as well', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const { connection, peer, recorder } = on
      const { onMessage } = recorder
      recorder.onMessage = (data, isBinary) => {
        onMessage.call(recorder, data, isBinary)
        connection.pause()
        connection.resume()
        connection.pause()
      }
      on.receive(peer.compressed(LARGE), peer.text('behind'), peer.text('and behind'))
      connection.receiveEof()
      await jobsDone()
      const wakes = on.wakes
      connection.continue()
      t.equal(on.wakes, wakes, 'it is a turn')
      t.strictSame(on.events, [DELIVERED])
      t.equal(connection.more, false)
      t.equal(connection.reading, false)
      connection.resume()
      connection.continue()
      t.strictSame(on.events, [DELIVERED, 'text "behind"'])
      connection.resume()
      connection.continue()
      t.strictSame(on.events, [DELIVERED, 'text "behind"', 'text "and behind"', 'closing', 'close 1006 "" unclean'], 'with nothing kept EOF is seen at once')
      t.equal(connection.state, State.Closed)
    }
  })

  t.test('pause when it is delivered, with nothing but EOF behind it', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.receive(on.peer.compressed(LARGE))
      on.connection.receiveEof()
      await jobsDone()
      on.recorder.onMessage = () => on.connection.pause()
      on.connection.continue()
      t.equal(on.connection.state, State.Open)
      t.equal(on.connection.more, false)
      on.connection.resume()
      t.equal(on.connection.more, true)
      on.connection.continue()
      t.strictSame(on.events, ['closing', 'close 1006 "" unclean'])
    }
  })

  t.test('pause in the call that delivers what is before it', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const { connection, peer, recorder } = on
      const { onMessage } = recorder
      recorder.onMessage = (data, isBinary) => {
        onMessage.call(recorder, data, isBinary)
        connection.pause()
        connection.resume()
      }
      on.receive(peer.text('a'), peer.compressed(LARGE), peer.text('b'), peer.text('c'))
      t.strictSame(on.events, ['text "a"'])
      t.equal(connection.reading, false, 'resume does not go on past it')
      await jobsDone()
      connection.continue()
      t.strictSame(on.events, ['text "a"', DELIVERED, 'text "b"', 'text "c"'])
    }
  })

  t.test('deliversWhileClosing: close while it is inflated, or waits, paused: it is delivered, and what is behind it', async t => {
    for (const role of ROLES) {
      for (const waits of [false, true]) {
        const on = subject(role, { deliversWhileClosing: true })
        const { connection, peer } = on
        on.receive(peer.compressed(LARGE), peer.compressed('small'), peer.close(1000))
        if (waits) {
          connection.pause()
          await jobsDone()
        }
        connection.close(1000, '')
        t.equal(connection.state, State.CloseSent)
        t.strictSame(on.events, ['closing'])
        await jobsDone()
        t.equal(connection.more, true)
        connection.continue()
        t.strictSame(on.events, ['closing', DELIVERED, 'text "small"'])
        t.equal(connection.wasClean, true)
      }
    }
  })

  for (const waits of [false, true]) {
    t.test(`close ${waits ? 'when it is inflated and waits, paused' : 'while it is inflated'}: it is dropped, what is behind it is looked at for the Close`, async t => {
      for (const role of ROLES) {
        for (const hasClose of [true, false]) {
          const on = subject(role)
          const { connection, peer } = on
          on.receive(peer.compressed(LARGE), peer.text('behind'), peer.ping('p'), ...hasClose ? [peer.close(1001, 'peer')] : [])
          if (waits) {
            connection.pause()
            await jobsDone()
          }
          connection.close(1000, '')
          t.equal(connection.reading, true)
          t.equal(connection.more, true)
          connection.continue()
          t.equal(connection.more, false)
          t.strictSame(on.events, ['closing', 'ping "p"'])
          t.strictSame(on.out(), ['close 1000 ""', 'pong "p"'])
          t.equal(connection.state, hasClose ? State.Ending : State.CloseSent)
          t.equal(connection.wasClean, hasClose)
          const { wakes } = on
          await jobsDone()
          t.equal(on.wakes, wakes, 'nobody is woken for it')
          t.equal(connection.more, false)
          connection.continue()
          t.equal(on.events.length, 2)
          t.equal(connection.messagesReceived, 0)
        }
      }
    })

    for (const [what, end, told] of [
      ['fail', (on) => on.connection.fail(new ProtocolError(1008, 'enough')), ['closing', 'error 1008 enough']],
      ['abort', (on) => on.connection.abort(), ['closing']],
      ['the loss of the transport', (on) => on.connection.transportClosed(), ['closing', 'close 1006 "" unclean']]
    ] as Array<[string, (on: ConnectionUnderTest) => void, string[]]>) {
      t.test(`${what} ${waits ? 'when it is inflated and waits, paused' : 'while it is inflated'}: it is dropped, and all behind it`, async t => {
        for (const role of ROLES) {
          for (const eof of [false, true]) {
            const on = subject(role)
            const { connection, peer } = on
            on.receive(peer.compressed(LARGE), peer.text('behind'), peer.close(1001, 'peer'))
            if (eof) connection.receiveEof()
            if (waits) {
              connection.pause()
              await jobsDone()
            }
            end(on)
            t.strictSame(on.events, told)
            t.equal(connection.reading, true)
            t.equal(connection.more, false)
            const { wakes } = on
            await jobsDone()
            t.equal(on.wakes, wakes)
            t.equal(connection.more, false)
            connection.continue()
            on.receive(peer.text('more'))
            connection.receiveEof()
            t.equal(connection.state, State.Closed)
            t.strictSame(on.events.slice(0, told.length), told)
            t.strictSame(on.events.filter((event) => !told.includes(event)), what === 'the loss of the transport' ? [] : ['close 1006 "" unclean'])
          }
        }
      })
    }
  }

  t.test('is not even begun, if nobody waits for it when its turn comes', async t => {
    const { inflateRaw } = zlib
    const replace = (by: unknown): void => {
      zlib.inflateRaw = by as typeof inflateRaw
      syncBuiltinESMExports()
    }
    t.teardown(() => replace(inflateRaw))
    let jobs = 0
    replace((...args: Parameters<typeof inflateRaw>) => {
      jobs++
      return inflateRaw(...args)
    })
    for (const isGone of [false, true]) {
      const on = subject('server')
      const release = hold()
      on.receive(on.peer.compressed(LARGE))
      if (isGone) on.connection.abort()
      release()
      await jobsDone()
      t.equal(jobs, 1, isGone ? 'no second one' : 'one')
      t.strictSame(on.events, isGone ? ['closing'] : [])
    }
  })

  t.test('whose handler closes, fails, throws, gives up', async t => {
    for (const role of ROLES) {
      for (const [what, act, told, out] of [
        ['close', ({ connection }) => connection.close(1001, ''), ['closing', 'ping "p"'], ['close 1001 ""', 'pong "p"']],
        ['fail', ({ connection }) => connection.fail(new ProtocolError(1008, 'enough')), ['closing', 'error 1008 enough'], ['close 1008 "enough"']],
        ['throw', () => { throw new Error('of the handler') }, ['closing', 'error 1011 internal error'], ['close 1011 "internal error"']],
        ['abort', ({ connection }) => connection.abort(), ['closing'], []],
        ['loss', ({ connection }) => connection.transportClosed(), ['closing', 'close 1006 "" unclean'], []]
      ] as Array<[string, (on: ConnectionUnderTest) => void, string[], string[]]>) {
        const on = subject(role)
        on.receive(on.peer.compressed(LARGE), on.peer.text('behind'), on.peer.ping('p'))
        await jobsDone()
        const { wakes } = on
        on.recorder.onMessage = () => act(on)
        on.connection.continue()
        t.strictSame(on.events, told, `${role}: ${what}`)
        t.strictSame(on.out(), out)
        t.equal(on.connection.more, false)
        t.equal(on.wakes, wakes)
        on.connection.sendText('outside')
        t.equal(on.wakes, wakes, 'it is not open')
      }
      const on = subject(role)
      on.receive(on.peer.compressed(LARGE))
      await jobsDone()
      on.recorder.onMessage = () => { on.connection.sendText('reply') }
      const { wakes } = on
      on.connection.continue()
      t.equal(on.wakes, wakes)
      on.connection.sendText('outside')
      t.equal(on.wakes, wakes + 1, 'the turn is over')
      t.strictSame(on.out(), ['text "reply"', 'text "outside"'])
    }
  })

  t.test('a turn is over after 5 ms of it, looked at with each message', async t => {
    t.teardown(() => { performance.now = () => now })
    for (const role of ROLES) {
      for (const [ms, delivered] of [[1, 5], [4, 2], [6, 1], [0, 10]] as const) {
        const on = subject(role)
        // A millisecond, or whatever it takes, for each look at the clock.
        performance.now = () => (now += ms)
        on.receive(...Array.from({ length: 10 }, () => on.peer.compressed('abc')))
        t.equal(on.recorder.messages.length, delivered, `${role}: ${ms} ms each`)
        t.equal(on.connection.more, delivered < 10)
      }
    }
  })

  t.test('the turn begins anew behind it', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.receive(on.peer.compressed(LARGE), ...Array.from({ length: 300 }, (_, i) => on.peer.text(`${i}`)))
      await jobsDone()
      on.connection.continue()
      t.equal(on.recorder.messages.length, 257)
      t.equal(on.connection.more, true)
      t.equal(on.connection.reading, true)
      on.connection.continue()
      t.equal(on.recorder.messages.length, 301)
    }
  })
})

t.test('what is sent', async t => {
  t.test('is compressed from the threshold on, and not if so wanted', async t => {
    for (const role of ROLES) {
      const { connection, out } = subject(role)
      connection.sendText('a'.repeat(99))
      connection.sendText('a'.repeat(100))
      connection.sendText('a'.repeat(100), true, false)
      connection.sendBytes(Buffer.alloc(100), 2)
      connection.sendBytes(Buffer.alloc(200), 2, true, false)
      connection.sendShared(new SharedMessage(2, Buffer.alloc(100)))
      connection.sendShared(new SharedMessage(2, Buffer.alloc(200)), false)
      connection.sendText('b'.repeat(100), false)
      connection.sendText('c'.repeat(100))
      t.strictSame(out().map((line) => line.replace(/".{50,}"/, '…').replace(/ \d+$/, ' …')), [
        'text …', 'compressed text', 'text …', 'compressed binary', 'binary …', 'compressed binary', 'binary …', 'text… …', 'continuation …'
      ])
      t.equal(connection.messagesSent, 8)
    }
  })

  t.test('waits for a message that is being compressed, and wakes when it goes', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const { connection, peer } = on
      connection.sendText(LARGE_TEXT)
      connection.sendText('behind')
      connection.ping(Buffer.from('ours'))
      connection.pong(Buffer.from('ours'))
      t.equal(connection.pendingBytes, 80_006)
      t.equal(connection.unsentBytes, 80_006)
      t.equal(connection.output.payloadBytes, 0)
      t.equal(connection.messagesSent, 2)
      on.receive(peer.ping('theirs'))
      t.strictSame(on.out(), ['pong "theirs"'], 'an answer goes at once')
      const { wakes } = on
      await on.woken()
      t.equal(on.wakes, wakes + 1)
      t.equal(connection.pendingBytes, 0)
      t.equal(connection.output.payloadBytes, 80_006)
      t.strictSame(on.out(), ['compressed text', 'text "behind"', 'ping "ours"', 'pong "ours"'])
    }
  })

  t.test('callbacks stand behind it', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      const callback = (): void => {}
      on.connection.sendText(LARGE_TEXT)
      on.connection.addCallback(callback)
      t.equal(on.connection.output.take(), undefined)
      await on.woken()
      const batch = on.connection.output.take()!
      t.strictSame(batch.callbacks, [callback])
      t.equal(batch.payloadBytes, 80_000)
      batch.release()
      on.connection.addCallback(callback)
      t.strictSame(on.connection.output.take()!.callbacks, [callback], 'at once when nothing waits')
    }
  })
})

t.test('the end, while a message is being compressed', async t => {
  for (const [what, end, told, out] of [
    ['close', ({ connection }) => connection.close(1001, 'bye'), ['closing'], ['close 1001 "bye"']],
    ['fail', ({ connection }) => connection.fail(new ProtocolError(1008, 'enough')), ['closing', 'error 1008 enough'], ['close 1008 "enough"']],
    ['a Close', ({ receive, peer }) => receive(peer.close(4000, 'peer')), ['closing'], ['close 4000 "peer"']]
  ] as Array<[string, (on: ConnectionUnderTest) => void, string[], string[]]>) {
    t.test(`${what}: our Close goes behind it, and then the end`, async t => {
      for (const role of ROLES) {
        const on = subject(role)
        const { connection } = on
        connection.sendText(LARGE_TEXT)
        connection.sendText('behind')
        end(on)
        t.strictSame(on.events, told, 'it is told at once')
        t.strictSame(on.out(), [])
        t.equal(connection.shutdown, 'none')
        t.equal(connection.wasClean, false, 'ours has not gone')
        t.not(connection.sentCloseCode, 1006, 'but its code is known')
        t.equal(connection.sendText('late'), false)
        t.equal(connection.droppedBytes, 4)
        const { wakes } = on
        await on.woken()
        t.equal(on.wakes, wakes + 1)
        t.strictSame(on.out(), ['compressed text', 'text "behind"', ...out])
        const ends = what === 'fail' || (what === 'a Close' && role === 'server')
        t.equal(connection.shutdown, ends ? 'end' : 'none')
        t.equal(connection.wasClean, what === 'a Close')
        t.equal(connection.droppedBytes, 4)
      }
    })
  }

  t.test('close, then the Close of the peer: the end comes behind ours', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.connection.sendText(LARGE_TEXT)
      on.connection.close(1000, '')
      on.receive(on.peer.close(1000))
      t.equal(on.connection.state, State.Ending)
      t.equal(on.connection.shutdown, 'none')
      t.equal(on.connection.wasClean, false)
      await on.woken()
      t.strictSame(on.out(), ['compressed text', 'close 1000 ""'])
      t.equal(on.connection.shutdown, role === 'server' ? 'end' : 'none')
      t.equal(on.connection.wasClean, true)
    }
  })

  t.test('EOF: what was sent still goes out', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.connection.sendText(LARGE_TEXT)
      on.connection.receiveEof()
      t.strictSame(on.events, ['closing', 'close 1006 "" unclean'])
      t.equal(on.connection.shutdown, 'none')
      t.equal(on.connection.pendingBytes, 80_000)
      await on.woken()
      t.strictSame(on.out(), ['compressed text'])
      t.equal(on.connection.shutdown, 'end')
      on.connection.transportClosed()
      t.equal(on.connection.droppedBytes, 0)
      t.equal(on.events.length, 2)
    }
  })

  t.test('EOF behind the Close of the peer: both have passed when ours has gone', async t => {
    for (const role of ROLES) {
      for (const lost of [false, true]) {
        const on = subject(role)
        on.connection.sendText(LARGE_TEXT)
        on.receive(on.peer.close(4000, 'peer'))
        on.connection.receiveEof()
        on.connection.receiveEof()
        t.strictSame(on.events, ['closing'])
        t.equal(on.connection.state, State.Ending)
        if (lost) on.connection.transportClosed()
        else await on.woken()
        t.strictSame(on.out(), lost ? [] : ['compressed text', 'close 4000 "peer"'])
        t.equal(on.connection.shutdown, lost ? 'none' : 'end')
        t.strictSame(on.events, ['closing', `close 4000 "peer" ${lost ? 'unclean' : 'clean'}`])
        await jobsDone()
        t.equal(on.connection.state, State.Closed)
        t.equal(on.events.length, 2)
      }
    }
  })

  t.test('EOF behind our Close, which has not gone', async t => {
    for (const role of ROLES) {
      const on = subject(role)
      on.connection.sendText(LARGE_TEXT)
      on.connection.close(1000, '')
      on.connection.receiveEof()
      t.strictSame(on.events, ['closing', 'close 1006 "" unclean'])
      await on.woken()
      t.strictSame(on.out(), ['compressed text', 'close 1000 ""'])
      t.equal(on.connection.shutdown, 'end')
      t.equal(on.events.length, 2)
    }
  })

  for (const [what, end] of [
    ['nothing else', () => {}],
    ['close', ({ connection }) => connection.close(1000, '')],
    ['fail', ({ connection }) => connection.fail(new ProtocolError(1008, 'enough'))],
    ['a Close', ({ receive, peer }) => receive(peer.close(1000))],
    ['abort', ({ connection }) => connection.abort()]
  ] as Array<[string, (on: ConnectionUnderTest) => void]>) {
    t.test(`the transport is lost after ${what}: all is counted, and it was not clean`, async t => {
      for (const role of ROLES) {
        const on = subject(role)
        const { connection } = on
        const callback = (): void => {}
        connection.sendText(LARGE_TEXT)
        connection.sendText('behind')
        connection.addCallback(callback)
        end(on)
        connection.transportClosed()
        t.equal(connection.droppedBytes, 80_006)
        t.equal(connection.pendingBytes, 0)
        t.match(on.events.at(-1), /^close .* unclean$/)
        t.equal(connection.wasClean, false)
        const batch = connection.output.take()!
        t.strictSame(batch.callbacks, [callback])
        t.equal(batch.byteLength, 0)
        batch.release()
        const { wakes } = on
        await jobsDone()
        t.equal(on.wakes, wakes)
        t.equal(connection.output.take(), undefined)
        connection.transportClosed()
        t.equal(connection.droppedBytes, 80_006, 'once')
      }
    })
  }

  t.test('abort, and failing after our Close: nothing more is written', async t => {
    for (const role of ROLES) {
      for (const end of [
        ({ connection }: ConnectionUnderTest) => connection.abort(),
        ({ connection }: ConnectionUnderTest) => {
          connection.close(1000, '')
          connection.fail(new ProtocolError(1008, 'enough'))
        },
        ({ connection, receive, peer }: ConnectionUnderTest) => {
          receive(peer.close(1000))
          connection.abort()
        }
      ]) {
        const on = subject(role)
        on.connection.sendText(LARGE_TEXT)
        end(on)
        t.equal(on.connection.shutdown, 'destroy')
        await jobsDone()
        t.strictSame(on.out(), [])
        t.equal(on.connection.shutdown, 'destroy')
        t.equal(on.connection.pendingBytes, 80_000)
        on.connection.transportClosed()
        t.equal(on.connection.droppedBytes, 80_000)
      }
    }
  })
})

t.test('two connections joined', async t => {
  async function run (pair: Pair): Promise<void> {
    pair.run()
    for (let i = 0; i < 12; i++) {
      await jobsDone()
      pair.run()
    }
  }

  for (const takesOver of [true, false]) {
    for (const windowBits of [9, 15]) {
      t.test(`messages of all sizes, in order, ${takesOver ? 'taken over' : 'anew'}, ${windowBits} bits`, async t => {
        const deflate = { ...DEFLATE, serverNoContextTakeover: !takesOver, clientNoContextTakeover: !takesOver, serverMaxWindowBits: windowBits, clientMaxWindowBits: windowBits }
        const pair = new Pair({ deflate })
        pair.cut = (bytes) => cutAt(bytes, Array.from({ length: Math.ceil(bytes.length / 30_000) - 1 }, (_, i) => 30_000 * (i + 1)))
        const messages = [
          words(50), words(1000), LARGE, words(1000), noise(1000), noise(50_000), words(1000), LARGE, words(33_000), Buffer.alloc(0), words(1000), noise(1000)
        ]
        for (const [from, to] of [[pair.server, pair.client], [pair.client, pair.server]] as const) {
          messages.forEach((message, i) => {
            if (i % 3 === 0) from.connection.sendBytes(message, 2)
            else if (i % 3 === 1) from.connection.sendShared(new SharedMessage(2, message))
            else from.connection.sendBytes(message, 2, true, i % 2 === 0)
          })
          from.connection.sendText('fragm', false)
          from.connection.sendText('ents')
          from.connection.sendText(LARGE_TEXT)
          await run(pair)
          const found = to.recorder.messages
          t.equal(found.length, messages.length + 2)
          t.ok(messages.every((message, i) => message.equals(found[i] as Buffer)))
          t.equal(found.at(-2), 'fragments')
          t.equal(found.at(-1), LARGE_TEXT)
        }
        pair.server.connection.sendText(LARGE_TEXT)
        pair.server.connection.close(1000, 'done')
        pair.client.connection.sendText(LARGE_TEXT)
        await run(pair)
        t.equal(pair.client.recorder.messages.at(-1), LARGE_TEXT)
        t.equal(pair.server.recorder.events.at(-1), 'close 1000 "done" clean')
        t.equal(pair.client.recorder.events.at(-1), 'close 1000 "done" clean')
        t.strictSame(pair.endings, ['server', 'client'])
      })
    }
  }
})

t.test('a connection without it holds no codec, and masks what it shares', async t => {
  for (const role of ROLES) {
    const connection = new Connection({ role, textAs: 'string', limits: { maxMessageBytes: 10, highWaterMarkBytes: 10 }, deflate: undefined })
    connection.sendText('a'.repeat(2000))
    connection.sendShared(new SharedMessage(1, Buffer.from('b')))
    const frames = readFrames(takeOutput(connection))
    t.strictSame(frames.map(({ rsv, masked }) => [rsv, masked]), [[0, role === 'client'], [0, role === 'client']])
  }
})
