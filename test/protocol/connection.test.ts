import t, { type Test } from 'tap'
import fc from 'fast-check'
import { Connection, State, type Shutdown } from '../../lib/protocol/connection.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { SharedMessage } from '../../lib/protocol/shared-message.ts'
import { copyAt, cutAt, everyCut, type Subject } from '../helpers/every-cut.ts'
import { describe, frame, framesTo, readFrames } from '../helpers/frames.ts'
import { connect, Pair, Recorder, takeOutput, type ConnectionSettings } from '../helpers/pair.ts'

// A turn ends after 5 ms: on a busy machine that would cut short what a test feeds at once. The test of the clock has its own.
const now = performance.now()
performance.now = () => now

const ROLES: readonly Role[] = ['server', 'client']

function shared (payload: string | Uint8Array, opcode: 1 | 2 = 2): SharedMessage {
  return new SharedMessage(opcode, Buffer.from(payload))
}

/** A connection, what it tells, and what its peer would send and see. */
function subject (role: Role, options: ConnectionSettings = {}) {
  const { connection, recorder } = connect({ ...options, role })
  return {
    role,
    connection,
    recorder,
    events: recorder.events,
    peer: framesTo(role),
    receive: (...frames: Uint8Array[]) => connection.receive(copyAt(Buffer.concat(frames), 1)),
    /** The frames that went out since the last call. */
    out: () => readFrames(takeOutput(connection)).map(describe)
  }
}

type ConnectionUnderTest = ReturnType<typeof subject>

/** For `everyCut`: what it tells, then what it sends. */
class Cut implements Subject<string> {
  readonly #subject: ConnectionUnderTest

  constructor (role: Role, options: ConnectionSettings = {}) {
    this.#subject = subject(role, options)
  }

  get events (): string[] { return [...this.#subject.events, ...this.#subject.out()] }

  close (): void { this.#subject.connection.close(1001, 'bye') }

  feed (chunk: Buffer): void {
    this.#subject.connection.receive(chunk)
    while (this.#subject.connection.more) this.#subject.connection.continue()
  }
}

// The table on top of connection.ts

interface Cell {
  /** The state afterwards; the same if not given. */
  readonly becomes?: keyof typeof State
  readonly shutdown?: Shutdown | Readonly<Record<Role, Shutdown>>
  readonly out?: readonly string[]
  readonly tells?: readonly string[]
  readonly dropped?: number
}

const ACTIONS: Readonly<Record<string, (on: ConnectionUnderTest) => void>> = {
  'text is sent': ({ connection }) => connection.sendText('héllo'),
  'a fragment is sent': ({ connection }) => connection.sendText('hé', false),
  'binary is sent': ({ connection }) => connection.sendBytes(Buffer.from('abc'), 2),
  'octets are sent as text': ({ connection }) => connection.sendBytes(Buffer.from('abc'), 1),
  'a shared message is sent': ({ connection }) => connection.sendShared(shared('shared')),
  'a ping is sent': ({ connection }) => connection.ping(Buffer.from('p')),
  'a pong is sent': ({ connection }) => connection.pong(Buffer.from('p')),
  'close is called': ({ connection }) => connection.close(1001, 'bye'),
  'close without a code is called': ({ connection }) => connection.close(1005, ''),
  'fail is called': ({ connection }) => connection.fail(new ProtocolError(1008, 'enough')),
  'abort is called': ({ connection }) => connection.abort(),
  'pause is called': ({ connection }) => connection.pause(),
  'resume is called': ({ connection }) => connection.resume(),
  'continue is called': ({ connection }) => connection.continue(),
  'the output has drained': ({ connection }) => connection.outputDrained(),
  'a Close arrives': ({ receive, peer }) => receive(peer.close(1000, 'done')),
  'a Close without a code arrives': ({ receive, peer }) => receive(peer.close()),
  'a bad Close arrives': ({ receive, peer }) => receive(peer.close(1005)),
  'text arrives': ({ receive, peer }) => receive(peer.text('hi')),
  'binary arrives': ({ receive, peer }) => receive(peer.binary('hi')),
  'text arrives in parts': ({ connection, peer }) => { for (const chunk of cutAt(peer.text('hi'), [1, 3, 7])) connection.receive(chunk) },
  'bad text arrives': ({ receive, peer }) => receive(peer.text(Buffer.from([0xff]))),
  'a message above the limit arrives': ({ receive, peer }) => receive(peer.binary('x'.repeat(101))),
  'a message above the limit arrives in parts': ({ receive, peer }) => receive(peer.binary('x'.repeat(101)).subarray(0, 20)),
  'a continuation of nothing arrives': ({ receive, peer }) => receive(peer.continuation('x')),
  'a continuation of nothing arrives in parts': ({ receive, peer }) => receive(peer.continuation('xy').subarray(0, -1)),
  'a ping arrives': ({ receive, peer }) => receive(peer.ping('p')),
  'a pong arrives': ({ receive, peer }) => receive(peer.pong('p')),
  'a bad frame arrives': ({ receive, peer }) => receive(peer.frame({ opcode: 3 })),
  'nothing arrives': ({ receive }) => receive(),
  'EOF arrives': ({ connection }) => connection.receiveEof(),
  'the transport is lost': ({ connection }) => connection.transportClosed()
}

const OF_NOTHING: Cell = {
  becomes: 'Ending',
  shutdown: 'end',
  out: ['close 1002 "continuation frame without a message to continue"'],
  tells: ['closing', 'error 1002 continuation frame without a message to continue']
}
const SERVER_ENDS = { server: 'end', client: 'none' } as const
const DROPPED = {
  'text is sent': { dropped: 6 },
  'a fragment is sent': { dropped: 3 },
  'binary is sent': { dropped: 3 },
  'octets are sent as text': { dropped: 3 },
  'a shared message is sent': { dropped: 6 }
}

interface Row {
  /** Brings an open connection there. */
  readonly setUp: (on: ConnectionUnderTest) => void
  readonly state: keyof typeof State
  /** What is not named here does nothing. */
  readonly cells: Readonly<Record<string, Cell>>
}

const TABLE: Readonly<Record<string, Row>> = {
  Open: {
    setUp: () => {},
    state: 'Open',
    cells: {
      'text is sent': { out: ['text "héllo"'] },
      'a fragment is sent': { out: ['text… "hé"'] },
      'binary is sent': { out: ['binary "abc"'] },
      'octets are sent as text': { out: ['text "abc"'] },
      'a shared message is sent': { out: ['binary "shared"'] },
      'a ping is sent': { out: ['ping "p"'] },
      'a pong is sent': { out: ['pong "p"'] },
      'close is called': { becomes: 'CloseSent', out: ['close 1001 "bye"'], tells: ['closing'] },
      'close without a code is called': { becomes: 'CloseSent', out: ['close'], tells: ['closing'] },
      'fail is called': { becomes: 'Ending', shutdown: 'end', out: ['close 1008 "enough"'], tells: ['closing', 'error 1008 enough'] },
      'abort is called': { becomes: 'Ending', shutdown: 'destroy', tells: ['closing'] },
      'a Close arrives': { becomes: 'Ending', shutdown: SERVER_ENDS, out: ['close 1000 "done"'], tells: ['closing'] },
      'a Close without a code arrives': { becomes: 'Ending', shutdown: SERVER_ENDS, out: ['close'], tells: ['closing'] },
      'a bad Close arrives': {
        becomes: 'Ending',
        shutdown: 'end',
        out: ['close 1002 "Close frame with a code that must not be sent"'],
        tells: ['closing', 'error 1002 Close frame with a code that must not be sent']
      },
      'text arrives': { tells: ['text "hi"'] },
      'binary arrives': { tells: ['binary 6869'] },
      'text arrives in parts': { tells: ['text "hi"'] },
      'bad text arrives': { becomes: 'Ending', shutdown: 'end', out: ['close 1007 "text that is not UTF-8"'], tells: ['closing', 'error 1007 text that is not UTF-8'] },
      'a message above the limit arrives': { becomes: 'Ending', shutdown: 'end', out: ['close 1009 "message above the limit"'], tells: ['closing', 'error 1009 message above the limit'] },
      'a message above the limit arrives in parts': { becomes: 'Ending', shutdown: 'end', out: ['close 1009 "message above the limit"'], tells: ['closing', 'error 1009 message above the limit'] },
      'a continuation of nothing arrives': OF_NOTHING,
      'a continuation of nothing arrives in parts': OF_NOTHING,
      'a ping arrives': { out: ['pong "p"'], tells: ['ping "p"'] },
      'a pong arrives': { tells: ['pong "p"'] },
      'a bad frame arrives': { becomes: 'Ending', shutdown: 'end', out: ['close 1002 "reserved opcode"'], tells: ['closing', 'error 1002 reserved opcode'] },
      'EOF arrives': { becomes: 'Closed', shutdown: 'end', tells: ['closing', 'close 1006 "" unclean'] },
      'the transport is lost': { becomes: 'Closed', tells: ['closing', 'close 1006 "" unclean'] }
    }
  },
  CloseSent: {
    setUp: ({ connection }) => connection.close(1000, ''),
    state: 'CloseSent',
    cells: {
      ...DROPPED,
      'fail is called': { becomes: 'Ending', shutdown: 'destroy', tells: ['error 1008 enough'] },
      'abort is called': { becomes: 'Ending', shutdown: 'destroy' },
      'a Close arrives': { becomes: 'Ending', shutdown: SERVER_ENDS },
      'a Close without a code arrives': { becomes: 'Ending', shutdown: SERVER_ENDS },
      'a bad Close arrives': { becomes: 'Ending', shutdown: 'destroy', tells: ['error 1002 Close frame with a code that must not be sent'] },
      'a ping arrives': { out: ['pong "p"'], tells: ['ping "p"'] },
      'a pong arrives': { tells: ['pong "p"'] },
      'a bad frame arrives': { becomes: 'Ending', shutdown: 'destroy', tells: ['error 1002 reserved opcode'] },
      'EOF arrives': { becomes: 'Closed', shutdown: 'end', tells: ['close 1006 "" unclean'] },
      'the transport is lost': { becomes: 'Closed', tells: ['close 1006 "" unclean'] }
    }
  },
  'Ending, both Close frames have passed': {
    setUp: ({ receive, peer }) => receive(peer.close(4000, 'peer')),
    state: 'Ending',
    cells: {
      ...DROPPED,
      'abort is called': { shutdown: 'destroy' },
      'EOF arrives': { becomes: 'Closed', shutdown: 'end', tells: ['close 4000 "peer" clean'] },
      'the transport is lost': { becomes: 'Closed', tells: ['close 4000 "peer" clean'] }
    }
  },
  'Ending, the peer has broken a rule': {
    setUp: ({ receive, peer }) => receive(peer.frame({ opcode: 15 })),
    state: 'Ending',
    cells: {
      ...DROPPED,
      'abort is called': { shutdown: 'destroy' },
      'EOF arrives': { becomes: 'Closed', tells: ['close 1006 "" unclean'] },
      'the transport is lost': { becomes: 'Closed', tells: ['close 1006 "" unclean'] }
    }
  },
  'Ending, aborted': {
    setUp: ({ connection }) => connection.abort(),
    state: 'Ending',
    cells: {
      ...DROPPED,
      'EOF arrives': { becomes: 'Closed', tells: ['close 1006 "" unclean'] },
      'the transport is lost': { becomes: 'Closed', tells: ['close 1006 "" unclean'] }
    }
  },
  'Closed, lost': {
    setUp: ({ connection }) => connection.transportClosed(),
    state: 'Closed',
    cells: DROPPED
  },
  'Closed by EOF': {
    setUp: ({ connection }) => connection.receiveEof(),
    state: 'Closed',
    cells: DROPPED
  },
  'Closed, clean': {
    setUp: ({ connection, receive, peer }) => {
      receive(peer.close(1000, ''))
      connection.transportClosed()
    },
    state: 'Closed',
    cells: DROPPED
  }
}

function nameOf (state: number): string | undefined {
  return Object.entries(State).find(([, value]) => value === state)?.[0]
}

t.test('the state machine', async t => {
  for (const [name, { setUp, state, cells }] of Object.entries(TABLE)) {
    t.test(name, async t => {
      for (const [action, act] of Object.entries(ACTIONS)) {
        for (const role of ROLES) {
          const on = subject(role, { maxMessageBytes: 100 })
          setUp(on)
          t.equal(nameOf(on.connection.state), state)
          const before = on.connection.shutdown
          on.out()
          on.events.length = 0
          act(on)
          const cell: Cell = cells[action] ?? {}
          const shutdown = typeof cell.shutdown === 'object' ? cell.shutdown[role] : cell.shutdown ?? before
          const paused = state === 'Open' && action === 'pause is called'
          t.strictSame({
            state: nameOf(on.connection.state),
            shutdown: on.connection.shutdown,
            out: on.out(),
            tells: on.events,
            dropped: on.connection.droppedBytes,
            reading: on.connection.reading,
            more: on.connection.more
          }, {
            state: cell.becomes ?? state,
            shutdown,
            out: cell.out ?? [],
            tells: cell.tells ?? [],
            dropped: cell.dropped ?? 0,
            reading: !paused,
            more: false
          }, `${role}: ${action}`)
        }
      }
    })
  }

  // Our Close is in the output already when `onClosing` is called.
  t.test('while a Close is being answered', async t => {
    const cells: Record<string, Cell> = {
      ...DROPPED,
      'abort is called': { shutdown: 'destroy' },
      'EOF arrives': { becomes: 'Closed', shutdown: 'end', tells: ['close 4000 "peer" clean'] },
      'the transport is lost': { becomes: 'Closed', tells: ['close 4000 "peer" clean'] }
    }
    for (const [action, act] of Object.entries(ACTIONS)) {
      for (const role of ROLES) {
        const on = subject(role)
        on.recorder.onClosing = () => {
          t.not(on.connection.state, State.Open)
          on.out()
          act(on)
        }
        on.receive(on.peer.close(4000, 'peer'))
        const cell: Cell = cells[action] ?? {}
        t.strictSame({
          state: nameOf(on.connection.state),
          shutdown: on.connection.shutdown,
          out: on.out(),
          tells: on.events,
          dropped: on.connection.droppedBytes,
          reading: on.connection.reading
        }, {
          state: cell.becomes ?? 'Ending',
          shutdown: cell.shutdown ?? SERVER_ENDS[role],
          out: [],
          tells: cell.tells ?? [],
          dropped: cell.dropped ?? 0,
          reading: true
        }, `${role}: ${action}`)
      }
    }
  })

  t.test('what is sent tells whether the connection was open', async t => {
    for (const role of ROLES) {
      const { connection } = subject(role)
      const sends = (): boolean[] => [
        connection.sendText('a'), connection.sendText('b', false), connection.sendBytes(Buffer.from('c'), 2),
        connection.sendBytes(Buffer.from('d'), 1, false), connection.sendShared(shared('e'))
      ]
      t.strictSame(sends(), [true, true, true, true, true])
      connection.close(1000, '')
      t.strictSame(sends(), [false, false, false, false, false])
      connection.abort()
      t.strictSame(sends(), [false, false, false, false, false])
      connection.transportClosed()
      t.strictSame(sends(), [false, false, false, false, false])
    }
  })
})

t.test('the Close frames', async t => {
  t.test('the code is echoed, and the reason with it, if it may stand there', async t => {
    for (const role of ROLES) {
      const wrong: number[] = []
      // All 65536 are tried in close-payload.test.ts.
      const codes = [0, 1, 999, ...Array.from({ length: 120 }, (_, i) => 1000 + i), 1999, 2000, 2999, 3000, 3001, 3999, 4000, 4999, 5000, 65535]
      for (const code of codes) {
        const permitted = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)
        const { connection, receive, peer, out, events } = subject(role)
        receive(peer.close(code, 'why'))
        connection.transportClosed()
        const expected = !permitted
          ? ['close 1002 "Close frame with a code that must not be sent"', 'closing', 'error 1002 Close frame with a code that must not be sent', 'close 1006 "" unclean']
          // §7.4.1: a server has no use for 1010.
          : [role === 'server' && code === 1010 ? 'close 1000 ""' : `close ${code} "why"`, 'closing', `close ${code} "why" clean`]
        if ([...out(), ...events].join() !== expected.join()) wrong.push(code)
      }
      t.strictSame(wrong, [], role)
    }
  })

  t.test('a server that is told 1010 does not send it back', async t => {
    const { connection, receive, peer, out } = subject('server')
    receive(peer.close(1010, 'extension'))
    t.strictSame(out(), ['close 1000 ""'])
    t.equal(connection.closeCode, 1010)
    t.equal(connection.sentCloseCode, 1000)
  })

  const ENDS: ReadonlyArray<{ what: string, act: (on: ConnectionUnderTest) => void, closes: string, sent: number }> = [
    { what: 'we close, the peer answers', act: ({ connection, receive, peer }) => { connection.close(1001, 'a'); receive(peer.close(1001)) }, closes: '1001 "" clean', sent: 1001 },
    { what: 'we close, the peer answers with a code of its own', act: ({ connection, receive, peer }) => { connection.close(1001, 'a'); receive(peer.close(3000, 'b')) }, closes: '3000 "b" clean', sent: 1001 },
    { what: 'we close without a code, the peer too', act: ({ connection, receive, peer }) => { connection.close(1005, ''); receive(peer.close()) }, closes: '1005 "" clean', sent: 1005 },
    { what: 'we close, the peer does not', act: ({ connection }) => connection.close(1000, ''), closes: '1006 "" unclean', sent: 1000 },
    { what: 'the peer closes', act: ({ receive, peer }) => receive(peer.close(4999, 'é')), closes: '4999 "é" clean', sent: 4999 },
    { what: 'the peer closes without a code', act: ({ receive, peer }) => receive(peer.close()), closes: '1005 "" clean', sent: 1005 },
    { what: 'the peer closes twice', act: ({ receive, peer }) => { receive(peer.close(1000)); receive(peer.close(1001)) }, closes: '1000 "" clean', sent: 1000 },
    { what: 'nobody closes', act: () => {}, closes: '1006 "" unclean', sent: 1006 },
    { what: 'the peer breaks a rule', act: ({ receive, peer }) => { receive(peer.frame({ opcode: 7 })); receive(peer.close(1000)) }, closes: '1006 "" unclean', sent: 1002 },
    { what: 'the peer breaks a rule instead of answering', act: ({ connection, receive, peer }) => { connection.close(1000, ''); receive(peer.frame({ opcode: 7 })) }, closes: '1006 "" unclean', sent: 1000 },
    { what: 'we give up', act: ({ connection, receive, peer }) => { connection.abort(); receive(peer.close(1000)) }, closes: '1006 "" unclean', sent: 1006 }
  ]
  for (const { what, act, closes, sent } of ENDS) {
    t.test(`${what}: ${closes}`, async t => {
      for (const role of ROLES) {
        for (const lose of ['receiveEof', 'transportClosed'] as const) {
          const on = subject(role)
          act(on)
          on.connection[lose]()
          on.connection.transportClosed()
          on.connection.receiveEof()
          t.equal(on.events.at(-1), `close ${closes}`)
          t.equal(on.events.filter((event) => event.startsWith('close ')).length, 1, 'once')
          t.equal(on.events.filter((event) => event === 'closing').length, 1, 'closing once')
          t.equal(on.connection.sentCloseCode, sent)
          t.equal(on.connection.wasClean, closes.endsWith(' clean'))
        }
      }
    })
  }

  t.test('a reason may be as long as fits', async t => {
    for (const role of ROLES) {
      const { connection, out } = subject(role)
      connection.close(4000, 'x'.repeat(123))
      t.strictSame(out(), [`close 4000 "${'x'.repeat(123)}"`])
    }
  })

  t.test('a Close that straddles chunks', async t => {
    for (const role of ROLES) everyCut(t, framesTo(role).close(3001, 'straddles'), () => new Cut(role), ['closing', 'close 3001 "straddles"'], role)
  })

  t.test('nothing behind a Close is looked at', async t => {
    for (const role of ROLES) {
      const peer = framesTo(role)
      const bytes = Buffer.concat([peer.text('a'), peer.close(1000), peer.text('b'), peer.ping('c'), peer.frame({ opcode: 3 }), peer.close(1001)])
      everyCut(t, bytes, () => new Cut(role), ['text "a"', 'closing', 'close 1000 ""'], role)
    }
  })

  t.test('state and what was sent are there when it is told', async t => {
    for (const role of ROLES) {
      const seen: unknown[] = []
      const { connection, recorder, out } = subject(role)
      recorder.onClosing = () => seen.push(connection.state, connection.sentCloseCode, connection.output.byteLength > 0)
      connection.close(1001, '')
      t.strictSame(seen, [State.CloseSent, 1001, true])
      out()
      recorder.onClose = () => seen.push(connection.state)
      connection.transportClosed()
      t.equal(seen.at(-1), State.Closed)
    }
  })
})

t.test('messages', async t => {
  t.test('arrive as they were sent, in order, however they are cut', async t => {
    for (const role of ROLES) {
      const peer = framesTo(role)
      const bytes = Buffer.concat([
        peer.text('héllo'), peer.binary(Buffer.from([0, 255])), peer.text(''), peer.binary(''),
        peer.text('a', false), peer.ping('between'), peer.continuation('', false), peer.pong('unasked'), peer.continuation('€'),
        peer.binary('x'.repeat(200))
      ])
      everyCut(t, bytes, () => new Cut(role), [
        'text "héllo"', 'binary 00ff', 'text ""', 'binary ', 'ping "between"', 'pong "unasked"', 'text "a€"', `binary ${'78'.repeat(200)}`,
        'pong "between"'
      ], role)
    }
  })

  t.test('text as octets, if so wanted', async t => {
    for (const role of ROLES) {
      const peer = framesTo(role)
      const bytes = Buffer.concat([peer.text('é'), peer.text('a', false), peer.continuation('b'), peer.text(Buffer.from([0xc3]))])
      everyCut(t, bytes, () => new Cut(role, { textAs: 'buffer' }), [
        'text c3a9', 'text 6162', 'closing', 'error 1007 text that is not UTF-8', 'close 1007 "text that is not UTF-8"'
      ], role)
    }
  })

  t.test('are the receiver\'s to keep', async t => {
    for (const role of ROLES) {
      const { recorder, connection, peer } = subject(role)
      const chunk = copyAt(Buffer.concat([peer.binary('small'), peer.ping('ping'), peer.binary('x', false), peer.continuation('y')]), 2)
      const pings: Buffer[] = []
      recorder.onPing = recorder.onPong = (payload) => pings.push(payload)
      connection.receive(chunk)
      chunk.fill(0)
      for (const payload of ['one', 'two']) {
        for (const part of cutAt(peer.pong(payload), [3, 8])) {
          connection.receive(part)
          part.fill(0)
        }
      }
      t.strictSame(recorder.messages.map(String), ['small', 'xy'])
      t.strictSame(pings.map(String), ['ping', 'one', 'two'])
    }
  })

  t.test('large ones are handed on where they lie', async t => {
    for (const role of ROLES) {
      const { recorder, connection, peer } = subject(role)
      const chunk = copyAt(peer.binary('x'.repeat(20000)), 0)
      connection.receive(chunk)
      t.equal((recorder.messages[0] as Buffer).buffer, chunk.buffer)
    }
  })

  t.test('are counted, with the octets of all that arrives', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer } = subject(role)
      const bytes = Buffer.concat([peer.text('a'), peer.binary('b', false), peer.continuation('c'), peer.ping('d')])
      receive(bytes)
      t.equal(connection.messagesReceived, 2)
      t.equal(connection.bytesReceived, bytes.length)
      connection.close(1000, '')
      receive(bytes)
      t.equal(connection.messagesReceived, 2)
      t.equal(connection.bytesReceived, 2 * bytes.length)
      receive(peer.close(1000))
      receive(bytes)
      t.equal(connection.messagesReceived, 2)
      t.equal(connection.bytesReceived, 3 * bytes.length + peer.close(1000).length)
    }
  })
})

t.test('a peer that breaks a rule', async t => {
  type Peer = ReturnType<typeof framesTo>
  const BROKEN: ReadonlyArray<{ what: string, send: (peer: Peer, role: Role) => Uint8Array[], code: number, rule?: string }> = [
    { what: 'RSV1', send: (peer) => [peer.frame({ opcode: 1, rsv: 4, payload: 'x' })], code: 1002 },
    { what: 'RSV2', send: (peer) => [peer.frame({ opcode: 1, rsv: 2, payload: 'x' })], code: 1002 },
    { what: 'RSV3', send: (peer) => [peer.frame({ opcode: 9, rsv: 1 })], code: 1002 },
    { what: 'a reserved data opcode', send: (peer) => [peer.frame({ opcode: 5, payload: 'x' })], code: 1002, rule: 'reserved opcode' },
    { what: 'a reserved control opcode', send: (peer) => [peer.frame({ opcode: 11, payload: 'x' })], code: 1002, rule: 'reserved opcode' },
    { what: 'the wrong masking', send: (_peer, role) => [frame({ opcode: 1, masked: role === 'client', payload: 'x' })], code: 1002 },
    { what: 'a fragmented ping', send: (peer) => [peer.frame({ opcode: 9, fin: false })], code: 1002, rule: 'fragmented control frame' },
    { what: 'a long ping', send: (peer) => [peer.frame({ opcode: 9, payload: 'x'.repeat(126) })], code: 1002, rule: 'control frame above 125 octets' },
    { what: 'a length that is too long', send: (peer) => [peer.frame({ opcode: 2, payload: 'x', lengthForm: '64' })], code: 1002, rule: 'length not in its shortest form' },
    { what: 'a continuation of nothing', send: (peer) => [peer.continuation('x')], code: 1002, rule: 'continuation frame without a message to continue' },
    { what: 'an empty continuation of nothing', send: (peer) => [peer.continuation('', false)], code: 1002, rule: 'continuation frame without a message to continue' },
    { what: 'a new message among fragments', send: (peer) => [peer.text('a', false), peer.text('b')], code: 1002, rule: 'new message before the last fragment of the one before' },
    { what: 'a Close with one octet', send: (peer) => [peer.frame({ opcode: 8, payload: 'x' })], code: 1002, rule: 'Close frame with a payload of one octet' },
    { what: 'a Close whose reason is not UTF-8', send: (peer) => [peer.close(1000, Buffer.from([0xff]))], code: 1007, rule: 'Close frame with a reason that is not UTF-8' },
    { what: 'text that is not UTF-8', send: (peer) => [peer.text(Buffer.from('61eda08062', 'hex'))], code: 1007, rule: 'text that is not UTF-8' },
    { what: 'text in fragments that is not UTF-8', send: (peer) => [peer.text(Buffer.from([0xc3]), false), peer.ping('p'), peer.continuation('x')], code: 1007, rule: 'text that is not UTF-8' },
    { what: 'text whose end is missing', send: (peer) => [peer.text(Buffer.from([0xf0, 0x9f]), false), peer.continuation('')], code: 1007, rule: 'text that is not UTF-8' },
    { what: 'a message above the limit', send: (peer) => [peer.binary('x'.repeat(301))], code: 1009, rule: 'message above the limit' },
    { what: 'fragments above the limit', send: (peer) => [peer.binary('x'.repeat(150), false), peer.continuation('x'.repeat(151))], code: 1009, rule: 'message above the limit' },
    { what: 'a length of 2^32', send: (peer) => [peer.frame({ opcode: 2, length: 1n << 32n })], code: 1009, rule: 'message above the limit' }
  ]
  for (const { what, send, code, rule } of BROKEN) {
    t.test(`${what}: Close with ${code}, an error, the end of the transport, and nothing more is delivered`, async t => {
      for (const role of ROLES) {
        const peer = framesTo(role)
        const bytes = Buffer.concat([peer.text('before'), ...send(peer, role), peer.text('after'), peer.ping('after'), peer.close(1000)])
        const whole = everyCut(t, bytes, () => new Cut(role, { maxMessageBytes: 300 }), undefined, `${role}: the same in every cut`)
        const found = whole.filter((event) => !/^p[io]ng "p"$/.test(event))
        t.equal(found[0], 'text "before"')
        t.equal(found[1], 'closing')
        const [, message] = /^error \d+ (.*)$/.exec(found[2]!) ?? []
        t.equal(found[2], `error ${code} ${message}`)
        t.equal(found[3], `close ${code} "${message}"`)
        t.equal(found.length, 4)
        if (rule !== undefined) t.equal(message, rule)

        const { connection, receive } = subject(role, { maxMessageBytes: 300 })
        receive(...send(peer, role))
        t.equal(connection.state, State.Ending)
        t.equal(connection.shutdown, 'end')
        t.equal(connection.sentCloseCode, code)
      }
    })
  }

  t.test('257 empty fragments', async t => {
    for (const role of ROLES) {
      const { receive, peer, events, out } = subject(role)
      receive(peer.text('', false), ...Array.from({ length: 255 }, () => peer.continuation('', false)))
      t.strictSame(events, [])
      receive(peer.continuation('', false))
      t.strictSame(events, ['closing', 'error 1008 too many empty fragments'])
      t.strictSame(out(), ['close 1008 "too many empty fragments"'])
    }
  })

  t.test('text fails with the octet that is wrong, before the next one arrives', async t => {
    for (const [good, bad] of [['61', 'ff'], ['61c3', '61'], ['e0', '9f'], ['ed', 'a0'], ['f0', '8f'], ['f4', '90'], ['', '80'], ['', 'f5'], ['', 'c1'], ['f09f98', 'ff']] as const) {
      for (const role of ROLES) {
        for (const textAs of ['string', 'buffer'] as const) {
          for (const fragmented of [false, true]) {
            const { connection, peer, events } = subject(role, { textAs })
            const octets = Buffer.from(good + bad + '61'.repeat(10), 'hex')
            const header = fragmented ? peer.text('', false) : Buffer.alloc(0)
            const whole = Buffer.concat([header, peer.frame({ opcode: fragmented ? 0 : 1, payload: octets })])
            const at = whole.length - 10
            for (let i = 0; i < at - 1; i++) connection.receive(copyAt(whole.subarray(i, i + 1), 0))
            t.strictSame(events, [], `${role}: not before ${bad}`)
            connection.receive(copyAt(whole.subarray(at - 1, at), 0))
            t.equal(events[1], 'error 1007 text that is not UTF-8', `${role}: at ${bad} after ${good}`)
          }
        }
      }
    }
  })

  t.test('a size is judged by the header, before any payload arrives', async t => {
    for (const role of ROLES) {
      const { receive, peer, events } = subject(role, { maxMessageBytes: 65536 })
      receive(peer.frame({ opcode: 2, length: 65537 }))
      t.equal(events[1], 'error 1009 message above the limit')
      const exact = subject(role, { maxMessageBytes: 65536 })
      exact.receive(peer.frame({ opcode: 2, length: 65536 }))
      t.strictSame(exact.events, [])
    }
  })

  t.test('an exception that is none of ours becomes 1011, with its cause', async t => {
    for (const role of ROLES) {
      const { connection, recorder, receive, peer, events, out } = subject(role)
      const cause = new Error('of the handler')
      recorder.onMessage = () => { throw cause }
      let seen: ProtocolError | undefined
      const { onError } = recorder
      recorder.onError = (error) => {
        seen = error
        onError.call(recorder, error)
      }
      receive(peer.text('x'), peer.text('y'))
      t.strictSame(events, ['closing', 'error 1011 internal error'])
      t.strictSame(out(), ['close 1011 "internal error"'])
      t.equal(seen?.cause, cause)
      t.equal(connection.shutdown, 'end')
    }
  })

  t.test('an error of our own making is handed on as it is', async t => {
    for (const role of ROLES) {
      const { connection, recorder } = subject(role)
      const error = new ProtocolError(1008, 'too many messages')
      let seen: ProtocolError | undefined
      recorder.onError = (error) => { seen = error }
      connection.fail(error)
      t.equal(seen, error)
    }
  })

  t.test('nothing is allocated for what it has announced', async t => {
    const sizes: number[] = []
    for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
      const original = Buffer[name]
      Buffer[name] = (size: number) => {
        sizes.push(size)
        return original(size)
      }
      t.teardown(() => { Buffer[name] = original })
    }
    for (const role of ROLES) {
      for (const opcode of [1, 2]) {
        const { connection, peer } = subject(role, { maxMessageBytes: 2 ** 31 })
        const header = copyAt(peer.frame({ opcode, length: 2 ** 31 }), 0)
        const part = Buffer.from('part')
        sizes.length = 0
        connection.receive(header)
        connection.receive(part)
        t.ok(sizes.includes(128) && Math.max(...sizes) === 128, `${role}, opcode ${opcode}: ${sizes}`)
      }
    }
  })
})

t.test('what a handler does in its call', async t => {
  t.test('close: the messages behind it are dropped, pings are answered, the Close is seen', async t => {
    for (const role of ROLES) {
      const { connection, recorder, receive, peer, events, out } = subject(role)
      const { onMessage } = recorder
      recorder.onMessage = (data, isBinary) => {
        onMessage.call(recorder, data, isBinary)
        connection.close(1001, 'enough')
      }
      receive(peer.text('a'), peer.text('b'), peer.ping('p'), peer.text(Buffer.from([0xff])), peer.continuation('of nothing'), peer.close(1001), peer.text('c'))
      t.strictSame(events, ['text "a"', 'closing', 'ping "p"'])
      t.strictSame(out(), ['close 1001 "enough"', 'pong "p"'])
      t.equal(connection.state, State.Ending)
      t.equal(connection.wasClean, true)
    }
  })

  t.test('close in the middle of a message that straddles chunks: its rest is dropped', async t => {
    for (const role of ROLES) {
      const { connection, peer, events } = subject(role)
      const [head, tail] = cutAt(Buffer.concat([peer.text('straddles'), peer.close(1000)]), [9]) as [Buffer, Buffer]
      connection.receive(head)
      connection.close(1000, '')
      connection.receive(tail)
      t.strictSame(events, ['closing'])
      t.equal(connection.wasClean, true)
    }
  })

  for (const [what, act, told] of [
    ['fail', (connection) => connection.fail(new ProtocolError(1008, 'enough')), ['closing', 'error 1008 enough']],
    ['abort', (connection) => connection.abort(), ['closing']],
    ['the loss of the transport', (connection) => connection.transportClosed(), ['closing', 'close 1006 "" unclean']],
    ['EOF', (connection) => connection.receiveEof(), ['closing', 'close 1006 "" unclean']]
  ] as Array<[string, (connection: Connection) => void, string[]]>) {
    t.test(`${what}: all that is behind it is dropped`, async t => {
      for (const role of ROLES) {
        const { connection, recorder, receive, peer, events } = subject(role)
        const { onMessage } = recorder
        recorder.onMessage = (data, isBinary) => {
          onMessage.call(recorder, data, isBinary)
          act(connection)
        }
        receive(peer.text('a'), peer.text('b'), peer.ping('p'), peer.close(1000))
        receive(peer.text('c'))
        t.strictSame(events, ['text "a"', ...told])
        t.equal(connection.more, false)
      }
    })
  }

  t.test('fail in onPing and onPong: all that is behind it is dropped', async t => {
    for (const role of ROLES) {
      for (const opcode of [9, 10]) {
        const { connection, recorder, receive, peer, events } = subject(role)
        recorder.onPing = recorder.onPong = () => connection.fail(new ProtocolError(1008, 'enough'))
        receive(peer.frame({ opcode }), peer.text('b'))
        t.strictSame(events, ['closing', 'error 1008 enough'])
      }
    }
  })

  t.test('abort in onClosing is not undone', async t => {
    for (const role of ROLES) {
      for (const [what, leave] of [
        ['close', ({ connection }) => connection.close(1000, '')],
        ['fail', ({ connection }) => connection.fail(new ProtocolError(1008, 'enough'))],
        ['a Close', ({ receive, peer }) => receive(peer.close(1000))],
        ['a bad frame', ({ receive, peer }) => receive(peer.frame({ opcode: 3 }))]
      ] as Array<[string, (on: ConnectionUnderTest) => void]>) {
        const on = subject(role)
        on.recorder.onClosing = () => on.connection.abort()
        leave(on)
        t.equal(on.connection.shutdown, 'destroy', `${role}: ${what}`)
        t.equal(on.connection.state, State.Ending)
      }
    }
  })

  t.test('replies of one read stand together in the output', async t => {
    for (const role of ROLES) {
      const { connection, recorder, receive, peer } = subject(role)
      recorder.onMessage = (data) => connection.sendText(String(data))
      receive(...Array.from({ length: 16 }, (_, i) => peer.text(`message ${i}`)))
      const batch = connection.output.take()!
      t.equal(batch.chunks.length, 1)
      t.strictSame(readFrames(batch.chunks[0]!).map(({ payload }) => payload.toString()), Array.from({ length: 16 }, (_, i) => `message ${i}`))
      batch.release()
    }
  })
})

t.test('pause', async t => {
  /** Pauses at the first message. */
  function pausing (role: Role): ConnectionUnderTest {
    const on = subject(role)
    const { onMessage } = on.recorder
    on.recorder.onMessage = (data, isBinary) => {
      onMessage.call(on.recorder, data, isBinary)
      on.connection.pause()
    }
    return on
  }

  t.test('in a call: what is behind it is kept until resume, then continue', async t => {
    for (const role of ROLES) {
      const on = pausing(role)
      const { connection, receive, peer, events, out } = on
      receive(peer.text('a'), peer.ping('p'), peer.text('b'), peer.text('c'))
      t.strictSame(events, ['text "a"'])
      t.equal(connection.reading, false)
      t.equal(connection.more, false)
      t.strictSame(out(), [], 'no pong either')
      connection.continue()
      t.strictSame(events, ['text "a"'], 'continue does not deliver to one who has paused')

      connection.resume()
      t.equal(connection.reading, true)
      t.equal(connection.more, true)
      t.strictSame(events, ['text "a"'], 'nothing within resume')
      connection.continue()
      t.equal(connection.more, false)
      t.strictSame(events, ['text "a"', 'ping "p"', 'text "b"'])
      t.strictSame(out(), ['pong "p"'])
      connection.resume()
      connection.continue()
      t.strictSame(events, ['text "a"', 'ping "p"', 'text "b"', 'text "c"'])
      connection.resume()
      t.equal(connection.reading, true)
      t.equal(connection.more, false, 'there is nothing left')
    }
  })

  t.test('wherever the bytes are cut, nothing is lost', async t => {
    for (const role of ROLES) {
      const peer = framesTo(role)
      const bytes = Buffer.concat([peer.text('a'), peer.binary('b', false), peer.ping('p'), peer.continuation('c'), peer.text('d'), peer.text('e'), peer.close(1000)])
      everyCut(t, bytes, () => {
        const { connection, events, out } = pausing(role)
        return {
          feed (chunk) {
            // A paused transport may still have read once or twice.
            if (connection.reading) connection.receive(chunk)
            else connection.receive(Buffer.from(chunk))
            connection.resume()
            while (connection.more) {
              connection.continue()
              connection.resume()
            }
          },
          get events () { return [...events, ...out()] }
        }
      }, ['text "a"', 'ping "p"', 'binary 6263', 'text "d"', 'text "e"', 'closing', 'pong "p"', 'close 1000 ""'], role)
    }
  })

  t.test('outside a call: what arrives all the same is kept, in order', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, events } = subject(role)
      connection.pause()
      t.equal(connection.reading, false)
      const bytes = Buffer.concat([peer.text('a'), peer.text('b'), peer.text('c')])
      for (const chunk of cutAt(bytes, [4, 11, 12])) connection.receive(chunk)
      t.strictSame(events, [])
      connection.resume()
      t.equal(connection.more, true)
      receive(peer.text('d'))
      t.strictSame(events, [], 'what arrives now is behind what is kept')
      connection.continue()
      t.strictSame(events, ['text "a"', 'text "b"', 'text "c"', 'text "d"'])
      receive(peer.text('e'))
      t.equal(events.at(-1), 'text "e"')
    }
  })

  t.test('and resume in one call: it goes on at once', async t => {
    for (const role of ROLES) {
      const { connection, recorder, receive, peer, events } = subject(role)
      const { onMessage } = recorder
      recorder.onMessage = (data, isBinary) => {
        onMessage.call(recorder, data, isBinary)
        connection.pause()
        connection.resume()
      }
      receive(peer.text('a'), peer.text('b'), peer.text('c'))
      t.strictSame(events, ['text "a"', 'text "b"', 'text "c"'])
      t.equal(connection.more, false)
    }
  })

  t.test('and resume without anything kept', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, events } = subject(role)
      connection.pause()
      connection.resume()
      t.equal(connection.reading, true)
      t.equal(connection.more, false)
      receive(peer.text('a'), peer.text('b'))
      t.strictSame(events, ['text "a"', 'text "b"'])
    }
  })

  t.test('in the last message of a chunk', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, events } = pausing(role)
      receive(peer.text('a'))
      t.equal(connection.reading, false)
      connection.resume()
      t.equal(connection.more, false)
      receive(peer.text('b'))
      t.strictSame(events, ['text "a"', 'text "b"'])
    }
  })

  t.test('what is kept is a copy, as it may be kept long', async t => {
    for (const role of ROLES) {
      const { connection, recorder, peer } = pausing(role)
      const chunk = copyAt(Buffer.concat([peer.text('a'), peer.binary('x'.repeat(20000))]), 0)
      connection.receive(chunk)
      chunk.fill(0)
      connection.resume()
      connection.continue()
      t.equal(recorder.messages[1]!.toString(), 'x'.repeat(20000))
      t.not((recorder.messages[1] as Buffer).buffer, chunk.buffer)
    }
  })

  t.test('ends when the connection ceases to be open: the Close of the peer is in what was kept', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, events, out } = pausing(role)
      receive(peer.text('a'), peer.text('b'), peer.close(1001, 'peer'))
      connection.close(1000, '')
      t.equal(connection.reading, true)
      t.equal(connection.more, true)
      connection.continue()
      t.strictSame(events, ['text "a"', 'closing'])
      t.strictSame(out(), ['close 1000 ""'])
      t.equal(connection.state, State.Ending)
      t.equal(connection.closeCode, 1001)
      t.equal(connection.more, false)
    }
  })

  t.test('and close in one call: the Close behind it is seen at once', async t => {
    for (const role of ROLES) {
      const { connection, recorder, receive, peer } = subject(role)
      recorder.onMessage = () => {
        connection.pause()
        connection.close(1000, '')
      }
      receive(peer.text('a'), peer.text('b'), peer.close(1000))
      t.equal(connection.reading, true)
      t.equal(connection.state, State.Ending)
      t.equal(connection.more, false)
    }
  })

  t.test('ends with fail: what was kept is dropped', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, events } = pausing(role)
      receive(peer.text('a'), peer.text('b'), peer.close(1001, 'peer'))
      connection.fail(new ProtocolError(1008, 'enough'))
      t.equal(connection.reading, true)
      while (connection.more) connection.continue()
      t.strictSame(events, ['text "a"', 'closing', 'error 1008 enough'])
      t.equal(connection.closeCode, 1006)
    }
  })

  t.test('ends with abort and with the loss of the transport: what was kept is dropped', async t => {
    for (const role of ROLES) {
      for (const lose of ['abort', 'transportClosed'] as const) {
        const { connection, receive, peer, events } = pausing(role)
        receive(peer.text('a'), peer.text('b'))
        connection.resume()
        t.equal(connection.more, true)
        connection[lose]()
        t.equal(connection.reading, true)
        t.equal(connection.more, false)
        connection.continue()
        receive(peer.text('c'))
        t.notMatch(events, ['text "a"', 'text "b"'])
        t.equal(events.filter((event) => event.startsWith('text')).length, 1)
      }
    }
  })

  t.test('nothing is gathered behind what was kept when the connection has ended, and EOF is seen at once', async t => {
    let gathered = 0
    const { concat } = Buffer
    t.teardown(() => { Buffer.concat = concat })
    for (const role of ROLES) {
      for (const [what, end] of [
        ['fail', (connection) => connection.fail(new ProtocolError(1008, 'enough'))],
        ['abort', (connection) => connection.abort()],
        ['loss', (connection) => connection.transportClosed()]
      ] as Array<[string, (connection: Connection) => void]>) {
        const { connection, receive, peer, events } = pausing(role)
        receive(peer.text('a'), peer.text('b'))
        end(connection)
        const chunk = peer.text('c')
        Buffer.concat = (...args) => {
          gathered++
          return concat(...args)
        }
        connection.receive(chunk)
        Buffer.concat = concat
        t.equal(gathered, 0, `${role}: ${what}`)
        connection.receiveEof()
        t.equal(events.at(-1), 'close 1006 "" unclean')
        t.equal(connection.state, State.Closed)
      }
    }
  })

  t.test('EOF with nothing kept is seen at once', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, events } = pausing(role)
      receive(peer.text('a'))
      connection.receiveEof()
      t.strictSame(events, ['text "a"', 'closing', 'close 1006 "" unclean'])
      t.equal(connection.reading, true)
    }
  })

  t.test('EOF behind what was kept comes after it', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, events, out } = pausing(role)
      receive(peer.text('a'), peer.text('b'), peer.close(1001, 'peer'))
      connection.receiveEof()
      t.strictSame(events, ['text "a"'], 'not before it')
      connection.resume()
      while (connection.more) {
        connection.continue()
        connection.resume()
      }
      t.strictSame(events, ['text "a"', 'text "b"', 'closing', 'close 1001 "peer" clean'])
      t.strictSame(out(), ['close 1001 "peer"'])
      t.equal(connection.state, State.Closed)
      t.equal(connection.shutdown, 'end')
    }
  })
})

/** A clock that stands still until it is moved. */
function stopClock (t: Test): { now: number, reads: number } {
  const clock = { now: 1000, reads: 0 }
  const original = performance.now
  performance.now = () => {
    clock.reads++
    return clock.now
  }
  t.teardown(() => { performance.now = original })
  return clock
}

t.test('memory of a message that is transferred to another thread takes nothing along', async t => {
  for (const length of [16, 600, 5000]) {
    const { connection, recorder, peer } = subject('server')
    const sizes: number[] = []
    recorder.onMessage = (data) => {
      sizes.push(data.length)
      try {
        structuredClone(data, { transfer: [(data as Buffer).buffer as ArrayBuffer] })
      } catch {
        // What is in a pool cannot be transferred.
      }
    }
    const frames = [peer.binary(Buffer.alloc(length)), peer.binary(Buffer.alloc(length + 1)), peer.binary(Buffer.alloc(length + 2))]
    connection.receive(copyAt(Buffer.concat(frames), 0))
    connection.receive(copyAt(peer.binary('next'), 0))
    t.strictSame(sizes, [length, length + 1, length + 2, 4])
    t.equal(connection.state, State.Open)
  }
})

t.test('deliversWhileClosing: what arrives between our Close and that of the peer is delivered', async t => {
  for (const role of ROLES) {
    const arrives = Buffer.concat([
      framesTo(role).text('whole'), framesTo(role).text('frag', false), framesTo(role).ping('p'), framesTo(role).frame({ opcode: 0, payload: 'ments' }),
      framesTo(role).close(1000), framesTo(role).text('after its Close')
    ])
    everyCut(t, arrives, () => {
      const cut = new Cut(role, { deliversWhileClosing: true })
      cut.close()
      return cut
    }, ['closing', 'text "whole"', 'ping "p"', 'text "fragments"', 'close 1001 "bye"', 'pong "p"'])

    const on = subject(role, { deliversWhileClosing: true })
    on.receive(on.peer.text('begun ', false))
    on.connection.close(1005, '')
    on.receive(on.peer.frame({ opcode: 0, payload: 'before' }), on.peer.text(new Uint8Array([0xff])))
    t.strictSame(on.events, ['closing', 'text "begun before"', 'error 1007 text that is not UTF-8'])
    t.equal(on.connection.shutdown, 'destroy')
  }
})

t.test('a turn', async t => {
  function texts (peer: ReturnType<typeof framesTo>, count: number, first = 0): Buffer[] {
    return Array.from({ length: count }, (_, i) => peer.text(`${first + i}`))
  }

  t.test('is 256 frames; what is behind them is kept until continue', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, receive, peer } = subject(role)
      receive(...texts(peer, 600))
      t.equal(recorder.messages.length, 256)
      t.equal(connection.more, true)
      t.equal(connection.reading, true)
      receive(...texts(peer, 10, 600))
      t.equal(recorder.messages.length, 256, 'what arrives meanwhile is behind what is kept')
      connection.continue()
      t.equal(recorder.messages.length, 512)
      t.equal(connection.more, true)
      connection.continue()
      t.equal(connection.more, false)
      t.strictSame(recorder.messages, Array.from({ length: 610 }, (_, i) => `${i}`))
    }
  })

  t.test('counts control frames and fragments', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, receive, peer, events } = subject(role)
      receive(...Array.from({ length: 100 }, () => [peer.ping(''), peer.text('a', false), peer.continuation('b')]).flat())
      t.equal(connection.more, true)
      t.equal(events.length, 86 + 85)
      connection.continue()
      t.equal(recorder.messages.length, 100)
    }
  })

  t.test('is counted anew with each read', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, receive, peer } = subject(role)
      for (let read = 0; read < 4; read++) {
        receive(...texts(peer, 255))
        t.equal(connection.more, false)
      }
      t.equal(recorder.messages.length, 4 * 255)
    }
  })

  t.test('is over after 5 ms, looked at every 16 frames from the sixteenth on', async t => {
    const clock = stopClock(t)
    for (const role of ROLES) {
      for (const [elapsed, delivered] of [[0, 100], [0.31, 48], [0.3125, 32], [1000, 32]] as const) {
        const { connection, recorder, receive, peer } = subject(role)
        const { onMessage } = recorder
        recorder.onMessage = (data, isBinary) => {
          onMessage.call(recorder, data, isBinary)
          clock.now += elapsed
        }
        receive(...texts(peer, 100))
        t.equal(recorder.messages.length, delivered, `${role}: ${elapsed} ms each`)
        t.equal(connection.more, delivered < 100)
        recorder.onMessage = onMessage
        connection.continue()
        t.equal(recorder.messages.length, 100, 'the next turn has its own time')
      }
    }
  })

  t.test('reads the clock every 16 frames', async t => {
    const clock = stopClock(t)
    for (const role of ROLES) {
      for (const [frames, reads] of [[1, 0], [15, 0], [16, 1], [31, 1], [32, 2], [63, 3], [64, 4], [255, 15]] as const) {
        const { receive, peer } = subject(role)
        clock.reads = 0
        receive(...texts(peer, frames))
        t.equal(clock.reads, reads, `${role}: ${frames} frames`)
      }
    }
  })

  t.test('what it keeps is where it was', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, peer } = subject(role)
      const chunk = copyAt(Buffer.concat([...texts(peer, 256), peer.binary('x'.repeat(20000))]), 0)
      connection.receive(chunk)
      connection.continue()
      t.equal((recorder.messages[256] as Buffer).buffer, chunk.buffer)
    }
  })

  t.test('pause at its end: nothing is lost', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, receive, peer } = subject(role)
      const { onMessage } = recorder
      recorder.onMessage = (data, isBinary) => {
        onMessage.call(recorder, data, isBinary)
        if (data === '255') connection.pause()
      }
      receive(...texts(peer, 300))
      connection.continue()
      t.equal(recorder.messages.length, 256)
      t.equal(connection.more, false)
      connection.resume()
      t.equal(connection.more, true)
      connection.continue()
      t.strictSame(recorder.messages, Array.from({ length: 300 }, (_, i) => `${i}`))
    }
  })

  t.test('pause after it: what is kept stays until resume', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, receive, peer } = subject(role)
      receive(...texts(peer, 300))
      connection.pause()
      connection.continue()
      t.equal(recorder.messages.length, 256)
      t.equal(connection.more, false)
      connection.resume()
      t.equal(connection.more, true)
      connection.continue()
      t.equal(recorder.messages.length, 300)
    }
  })

  t.test('EOF behind what was kept comes after it', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, receive, peer, events } = subject(role)
      receive(...texts(peer, 300), peer.close(1001, 'peer'))
      connection.receiveEof()
      t.equal(recorder.messages.length, 256)
      t.equal(events.length, 256, 'not before it')
      while (connection.more) connection.continue()
      t.equal(recorder.messages.length, 300)
      t.strictSame(events.slice(300), ['closing', 'close 1001 "peer" clean'])
    }
  })

  t.test('a Close in what was kept is seen after close() too', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, recorder, receive, peer } = subject(role)
      receive(...texts(peer, 300), peer.close(1000))
      connection.close(1000, '')
      t.equal(connection.more, true)
      connection.continue()
      t.equal(recorder.messages.length, 256)
      t.equal(connection.state, State.Ending)
    }
  })

  t.test('is 256 frames while we wait for the Close too, and what is behind them is kept', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const { connection, receive, peer, events } = subject(role)
      connection.close(1000, '')
      receive(...Array.from({ length: 300 }, (_, i) => i < 250 ? peer.text('t') : peer.ping('p')), peer.close(1000))
      t.equal(events.length, 1 + 6)
      t.equal(connection.more, true)
      connection.continue()
      t.equal(events.length, 1 + 50)
      t.equal(connection.state, State.Ending)
      t.equal(connection.wasClean, true)
    }
  })

  t.test('wants nothing more when the connection has ended within it', async t => {
    const clock = stopClock(t)
    for (const role of ROLES) {
      for (const [what, end] of [
        ['a Close', (peer: ReturnType<typeof framesTo>) => peer.close(1000)],
        ['fail', (peer: ReturnType<typeof framesTo>) => peer.text('fail')],
        ['abort', (peer: ReturnType<typeof framesTo>) => peer.text('abort')]
      ] as const) {
        for (const before of [31, 255]) {
          const { connection, recorder, receive, peer } = subject(role)
          recorder.onMessage = (data) => {
            clock.now += 1
            if (data === 'fail') connection.fail(new ProtocolError(1008, 'enough'))
            else if (data === 'abort') connection.abort()
          }
          if (before === 255) recorder.onMessage = ((onMessage) => (data: string | Buffer, isBinary: boolean) => { onMessage(data, isBinary); clock.now -= 1 })(recorder.onMessage)
          receive(...texts(peer, before), end(peer), peer.text('behind'))
          t.equal(connection.state, State.Ending)
          t.equal(connection.more, false, `${role}: ${what} as frame ${before + 1}`)
        }
      }
    }
  })
})

t.test('pings', async t => {
  t.test('are answered with what they held, in order', async t => {
    for (const role of ROLES) {
      const { receive, peer, out, events } = subject(role)
      receive(peer.ping(''), peer.ping('a'), peer.ping('x'.repeat(125)))
      t.strictSame(out(), ['pong ""', 'pong "a"', `pong "${'x'.repeat(125)}"`])
      t.strictSame(events, ['ping ""', 'ping "a"', `ping "${'x'.repeat(125)}"`])
    }
  })

  t.test('are not answered if so wanted', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer, out, events } = subject(role, { autoPong: false })
      receive(peer.ping('a'))
      connection.output.blocked = true
      connection.sendText('x'.repeat(100_000))
      receive(peer.ping('b'))
      connection.outputDrained()
      t.strictSame(out().filter((line) => line.startsWith('pong')), [])
      t.strictSame(events, ['ping "a"', 'ping "b"'])
    }
  })

  t.test('that meet a blocked output above the mark: only the newest is answered, when it has drained', async t => {
    for (const role of ROLES) {
      const { connection, peer, out, events } = subject(role, { highWaterMarkBytes: 1000 })
      connection.output.blocked = true
      connection.sendBytes(Buffer.alloc(1001), 2)
      const chunk = copyAt(Buffer.concat([peer.ping('one'), peer.ping('two'), peer.ping('three')]), 0)
      connection.receive(chunk)
      chunk.fill(0)
      t.strictSame(events, ['ping "one"', 'ping "two"', 'ping "three"'], 'the handler is told of all')
      t.equal(out().length, 1, 'no pong yet')
      connection.output.blocked = false
      connection.outputDrained()
      t.strictSame(out(), ['pong "three"'])
      connection.outputDrained()
      t.strictSame(out(), [], 'once')
    }
  })

  t.test('are answered at once while the output is not blocked, or not above the mark', async t => {
    for (const role of ROLES) {
      const overhead = role === 'client' ? 6 : 2
      for (const [what, blocked, size, waits] of [
        ['not blocked', false, 101, false], ['at the mark', true, 100, false], ['above the mark', true, 101, true]
      ] as const) {
        const { connection, receive, peer, out } = subject(role, { highWaterMarkBytes: 100 })
        connection.output.blocked = blocked
        connection.sendBytes(Buffer.alloc(size - overhead), 2)
        t.equal(connection.output.byteLength, size)
        receive(peer.ping('p'))
        t.equal(out().length, waits ? 1 : 2, `${role}: ${what}`)
      }
    }
  })

  t.test('that wait are answered after our Close, and not after the peer\'s', async t => {
    for (const role of ROLES) {
      for (const [what, end, answered] of [
        ['close', ({ connection }) => connection.close(1000, ''), true],
        ['a Close', ({ receive, peer }) => receive(peer.close(1000)), false],
        ['fail', ({ connection }) => connection.fail(new ProtocolError(1008, 'enough')), false],
        ['abort', ({ connection }) => connection.abort(), false],
        ['loss', ({ connection }) => connection.transportClosed(), false]
      ] as Array<[string, (on: ConnectionUnderTest) => void, boolean]>) {
        const on = subject(role, { highWaterMarkBytes: 0 })
        on.connection.output.blocked = true
        on.connection.sendText('waits')
        on.receive(on.peer.ping('p'))
        end(on)
        on.out()
        on.connection.outputDrained()
        t.strictSame(on.out(), answered ? ['pong "p"'] : [], `${role}: ${what}`)
      }
    }
  })
})

t.test('sending', async t => {
  t.test('fragments: the first has the opcode, the others are continuations, the last has FIN', async t => {
    for (const role of ROLES) {
      const { connection, out } = subject(role)
      connection.sendText('a', false)
      connection.sendText('b', false)
      connection.ping(Buffer.from('between'))
      connection.sendBytes(Buffer.from('c'), 1, false)
      connection.sendText('d')
      connection.sendBytes(Buffer.from('e'), 2, false)
      connection.sendBytes(Buffer.from('f'), 2)
      connection.sendText('g')
      connection.sendBytes(Buffer.from('h'), 2)
      t.strictSame(out(), [
        'text… "a"', 'continuation… "b"', 'ping "between"', 'continuation… "c"', 'continuation "d"',
        'binary… "e"', 'continuation "f"', 'text "g"', 'binary "h"'
      ])
    }
  })

  t.test('a Close may stand between fragments', async t => {
    for (const role of ROLES) {
      const { connection, out } = subject(role)
      connection.sendText('a', false)
      connection.close(1000, '')
      t.equal(connection.sendText('b'), false)
      t.strictSame(out(), ['text… "a"', 'close 1000 ""'])
    }
  })

  t.test('shared messages: one frame for all connections of a server, between messages; a client masks', async t => {
    const message = shared('to all', 1)
    for (let i = 0; i < 2; i++) {
      const { connection } = subject('server')
      t.equal(connection.sendShared(message), true)
      t.equal(connection.output.payloadBytes, 6)
      const batch = connection.output.take()!
      t.equal(batch.chunks[0], message.frame, 'it is not copied')
      batch.release()
    }
    for (const role of ROLES) {
      const { connection } = subject(role)
      connection.sendText('a', false)
      connection.sendShared(message)
      connection.sendShared(message)
      const frames = readFrames(takeOutput(connection))
      t.strictSame(frames.map(describe), ['text… "a"', 'continuation "to all"', 'text "to all"'], 'among fragments it is the last of them')
      t.strictSame(frames.map(({ masked }) => masked), Array(3).fill(role === 'client'))
      t.not(frames[1]!.key === frames[2]!.key, role === 'client', 'each with its own key')
    }
    t.equal(message.frame.toString('hex'), `8106${Buffer.from('to all').toString('hex')}`, 'it is as it was')
  })

  t.test('what waits is counted by its payload; control frames do not count', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer } = subject(role)
      connection.sendText('é')
      connection.sendText('€', false)
      connection.sendText('', true)
      connection.sendBytes(Buffer.alloc(20000), 2)
      connection.sendShared(shared(Buffer.alloc(10)))
      t.equal(connection.output.payloadBytes, 2 + 3 + 20000 + 10)
      connection.ping(Buffer.alloc(100))
      connection.pong(Buffer.alloc(100))
      receive(peer.ping('x'.repeat(100)))
      connection.close(1000, 'reason')
      t.equal(connection.output.payloadBytes, 2 + 3 + 20000 + 10)
      connection.sendText('dropped')
      t.equal(connection.output.payloadBytes, 2 + 3 + 20000 + 10)
      takeOutput(connection)
      t.equal(connection.output.payloadBytes, 0)
    }
  })

  t.test('what is sent too late is counted by its octets, in every state', async t => {
    for (const role of ROLES) {
      const { connection, receive, peer } = subject(role)
      const send = (): void => {
        connection.sendText('€')
        connection.sendBytes(Buffer.alloc(10), 2)
        connection.sendShared(shared(Buffer.alloc(100)))
        connection.ping(Buffer.alloc(50))
        connection.pong(Buffer.alloc(50))
      }
      send()
      t.equal(connection.droppedBytes, 0)
      connection.close(1000, '')
      send()
      t.equal(connection.droppedBytes, 113)
      receive(peer.close(1000))
      send()
      t.equal(connection.droppedBytes, 226)
      connection.transportClosed()
      send()
      t.equal(connection.droppedBytes, 339)
    }
  })

  t.test('messages are counted, not their fragments, nor control frames, nor what is dropped', async t => {
    for (const role of ROLES) {
      const { connection } = subject(role)
      connection.sendText('one')
      connection.sendBytes(Buffer.from('two'), 2)
      connection.sendShared(shared('three'))
      connection.ping(Buffer.alloc(0))
      t.equal(connection.messagesSent, 3)
      connection.sendText('fo', false)
      connection.sendBytes(Buffer.from('u'), 1, false)
      connection.sendText('r')
      t.equal(connection.messagesSent, 4)
      connection.close(1000, '')
      connection.sendText('late')
      connection.sendBytes(Buffer.from('late'), 2)
      connection.sendShared(shared('late'))
      t.equal(connection.messagesSent, 4)
    }
  })
})

t.test('onWake', async t => {
  const CALLS: Array<[string, (on: ConnectionUnderTest) => void]> = [
    ['sendText', ({ connection }) => connection.sendText('a')],
    ['sendBytes', ({ connection }) => connection.sendBytes(Buffer.from('a'), 2)],
    ['sendShared', ({ connection }) => connection.sendShared(shared('a'))],
    ['ping', ({ connection }) => connection.ping(Buffer.alloc(0))],
    ['pong', ({ connection }) => connection.pong(Buffer.alloc(0))],
    ['pause', ({ connection }) => connection.pause()],
    ['resume', ({ connection }) => connection.resume()],
    ['close', ({ connection }) => connection.close(1000, '')],
    ['fail', ({ connection }) => connection.fail(new ProtocolError(1008, 'enough'))]
  ]

  t.test('is called once for each call outside a turn that changes anything', async t => {
    for (const role of ROLES) {
      for (const [what, call] of CALLS) {
        const on = subject(role)
        if (what === 'resume') on.connection.pause()
        let wakes = 0
        on.connection.driver = { onWake: () => { wakes++ } }
        call(on)
        t.equal(wakes, 1, `${role}: ${what}`)
        on.connection.abort()
        wakes = 0
        call(on)
        t.equal(wakes, 0, `${role}: ${what} after the end`)
      }
      const on = subject(role)
      on.connection.close(1000, '')
      let wakes = 0
      on.connection.driver = { onWake: () => { wakes++ } }
      on.connection.fail(new ProtocolError(1008, 'enough'))
      t.equal(wakes, 1, `${role}: fail while closing`)
    }
  })

  t.test('is not called within a turn, at whose end the transport looks anyway', async t => {
    for (const role of ROLES) {
      for (const [what, call] of CALLS) {
        const on = subject(role)
        let wakes = 0
        on.connection.driver = { onWake: () => { wakes++ } }
        on.recorder.onMessage = () => {
          if (what === 'resume') on.connection.pause()
          call(on)
        }
        on.receive(on.peer.text('a'), on.peer.ping('p'))
        t.equal(wakes, 0, `${role}: ${what}`)
        if (what !== 'sendText') continue
        on.connection.sendText('outside')
        t.equal(wakes, 1, 'the turn is over')
        on.recorder.onMessage = () => { throw new Error('of the handler') }
        on.receive(on.peer.text('a'))
        t.equal(wakes, 1, `${role}: an exception`)
      }
    }
  })

  t.test('is not called within continue', async t => {
    stopClock(t)
    for (const role of ROLES) {
      const on = subject(role)
      on.receive(...Array.from({ length: 257 }, () => on.peer.text('a')))
      let wakes = 0
      on.connection.driver = { onWake: () => { wakes++ } }
      on.recorder.onMessage = () => { on.connection.sendText('reply') }
      on.connection.continue()
      t.equal(on.out().length, 1)
      t.equal(wakes, 0)
    }
  })

  t.test('need not be set', async t => {
    for (const role of ROLES) {
      const connection = new Connection({ role, textAs: 'string', limits: { maxMessageBytes: 10, highWaterMarkBytes: 10 } })
      connection.handler = new Recorder()
      t.equal(connection.sendText('a'), true)
      t.equal(connection.role, role)
      takeOutput(connection)
    }
  })
})

t.test('two connections joined', async t => {
  const CUTS: Array<[string, (bytes: Buffer) => Buffer[]]> = [
    ['whole', (bytes) => [bytes]],
    ['octet by octet', (bytes) => cutAt(bytes, Array.from({ length: bytes.length - 1 }, (_, i) => i + 1))],
    ['by sevens', (bytes) => cutAt(bytes, Array.from({ length: Math.ceil(bytes.length / 7) - 1 }, (_, i) => 7 * (i + 1)))]
  ]
  for (const [what, cut] of CUTS) {
    t.test(`what one sends the other receives: ${what}`, async t => {
      const pair = new Pair()
      pair.cut = cut
      for (const [from, to] of [[pair.server, pair.client], [pair.client, pair.server]] as const) {
        from.connection.sendText('héllo')
        from.connection.sendBytes(Buffer.from([1, 2]), 2)
        from.connection.sendText('in ', false)
        from.connection.ping(Buffer.from('p'))
        from.connection.sendText('fragments')
        from.connection.sendText('x'.repeat(5000))
        pair.run()
        t.strictSame(to.recorder.events.splice(0), ['text "héllo"', 'binary 0102', 'ping "p"', 'text "in fragments"', `text "${'x'.repeat(5000)}"`])
        t.strictSame(from.recorder.events.splice(0), ['pong "p"'])
      }
    })

    for (const role of ROLES) {
      t.test(`the ${role} closes: both are told the same, the server ends first: ${what}`, async t => {
        const pair = new Pair()
        pair.cut = cut
        const [closer, other] = role === 'server' ? [pair.server, pair.client] : [pair.client, pair.server]
        other.connection.sendText('on the way')
        closer.connection.close(4001, 'enough')
        pair.run()
        t.strictSame(closer.recorder.events, ['closing', 'close 4001 "enough" clean'])
        t.strictSame(other.recorder.events, ['closing', 'close 4001 "enough" clean'])
        t.strictSame(pair.endings, ['server', 'client'])
      })

      t.test(`the ${role} sends what is not permitted: the other fails the connection: ${what}`, async t => {
        const pair = new Pair()
        pair.cut = cut
        const [bad, other] = role === 'server' ? [pair.server, pair.client] : [pair.client, pair.server]
        bad.connection.output.append(frame({ opcode: 11, masked: role === 'client', payload: 'x' }), 0)
        pair.run()
        t.strictSame(other.recorder.events.slice(0, 2), ['closing', 'error 1002 reserved opcode'])
        t.match(other.recorder.events[2], /^close 1006 "" unclean$/)
        t.strictSame(bad.recorder.events, ['closing', 'close 1002 "reserved opcode" clean'])
      })
    }

    t.test(`both close at once: ${what}`, async t => {
      const pair = new Pair()
      pair.cut = cut
      pair.server.connection.close(1001, 'server')
      pair.client.connection.close(1000, 'client')
      pair.run()
      t.strictSame(pair.server.recorder.events, ['closing', 'close 1000 "client" clean'])
      t.strictSame(pair.client.recorder.events, ['closing', 'close 1001 "server" clean'])
      t.strictSame(pair.endings, ['server', 'client'])
    })
  }

  t.test('one gives up: both are told 1006', async t => {
    for (const role of ROLES) {
      const pair = new Pair()
      pair[role].connection.abort()
      pair.run()
      t.strictSame(pair.server.recorder.events, ['closing', 'close 1006 "" unclean'])
      t.strictSame(pair.client.recorder.events, ['closing', 'close 1006 "" unclean'])
    }
  })

  t.test('a thousand messages in one write arrive in several turns', async t => {
    for (const role of ROLES) {
      const pair = new Pair()
      const [from, to] = role === 'server' ? [pair.server, pair.client] : [pair.client, pair.server]
      for (let i = 0; i < 1000; i++) from.connection.sendText(`${i}`)
      from.connection.close(1000, '')
      pair.run()
      t.strictSame(to.recorder.messages, Array.from({ length: 1000 }, (_, i) => `${i}`))
      t.equal(to.recorder.events.at(-1), 'close 1000 "" clean')
    }
  })
})

t.test('any messages, in any fragments, with pings among them, in any chunking, arrive as they were sent', async t => {
  const message = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }).map((text) => ({ opcode: 1, bytes: Buffer.from(text) })),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ opcode: 2, bytes: Buffer.from(bytes) })),
    fc.constantFrom(125, 126, 16383, 16384, 65536).map((length) => ({ opcode: 2, bytes: Buffer.alloc(length, length) }))
  )
  const plan = fc.array(fc.record({ message, cuts: fc.array(fc.nat(100), { maxLength: 5 }), control: fc.constantFrom(undefined, 'ping', 'pong') }), { maxLength: 6 })

  for (const role of ROLES) {
    for (const textAs of ['string', 'buffer'] as const) {
      fc.assert(fc.property(plan, fc.array(fc.nat(500), { maxLength: 30 }), (plan, sizes) => {
        const { connection, events, peer, out } = subject(role, { textAs })
        const frames: Buffer[] = []
        const expected: string[] = []
        const pongs: string[] = []
        for (const { message: { opcode, bytes }, cuts, control } of plan) {
          const ends = [...cuts.filter((cut) => cut <= bytes.length).sort((a, b) => a - b), bytes.length]
          ends.forEach((end, i) => {
            frames.push(peer.frame({ opcode: i === 0 ? opcode : 0, fin: i === ends.length - 1, payload: bytes.subarray(i === 0 ? 0 : ends[i - 1]!, end) }))
            if (control === undefined) return
            // Before the last fragment it comes before the message, else after it.
            frames.push(peer[control](`${control} ${i}`))
            if (i < ends.length - 1) expected.push(`${control} "${control} ${i}"`)
            if (control === 'ping') pongs.push(`pong "ping ${i}"`)
          })
          expected.push(opcode === 2 || textAs === 'buffer' ? `${opcode === 2 ? 'binary' : 'text'} ${bytes.toString('hex')}` : `text ${JSON.stringify(bytes.toString())}`)
          if (control !== undefined) expected.push(`${control} "${control} ${ends.length - 1}"`)
        }
        const bytes = Buffer.concat(frames)
        let at = 0
        const positions = sizes.map((size) => (at += size)).filter((position) => position < bytes.length)
        for (const chunk of cutAt(bytes, positions)) {
          connection.receive(chunk)
          chunk.fill(0xee)
        }
        return events.join() === expected.join() && out().join() === pongs.join()
      }), { numRuns: 300 })
      t.pass(`${role}, text as ${textAs}`)
    }
  }
})

t.test('says whether a message that it sends in fragments is complete', async t => {
  for (const role of ROLES) {
    const { connection } = subject(role)
    t.equal(connection.sendingFragments, false)
    connection.sendText('a', false)
    t.equal(connection.sendingFragments, true)
    connection.sendText('b')
    t.equal(connection.sendingFragments, false)
  }
})
