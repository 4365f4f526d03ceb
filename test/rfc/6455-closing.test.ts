/**
 * RFC 6455 §5.5.1 and §7: how an open connection ends, in either role.
 */
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { thrown } from '../helpers/app.ts'
import { masked } from '../helpers/frames.ts'
import { allFail, closeCleanly, endpoints, fails, Listener, openClient, ROLES, settled, type Endpoint } from './endpoints.ts'

/** Far above what a test takes, and below what it waits for: whoever ends by it is late. */
const CLOSE_TIMEOUT_MS = 9_000
const LATE_MS = 4_000

const open = await endpoints(t, { closeTimeoutMs: CLOSE_TIMEOUT_MS })

const CLEAN = { code: 1000, reason: '', wasClean: true }
const LOST = { code: 1006, reason: '', wasClean: false }

/** A reserved code: it is in no Close that is sent, and a Close that has it is wrong. */
async function isNeverSet (t: Test, code: number): Promise<void> {
  for (const role of ROLES) {
    const endpoint = await open(role)
    t.match(thrown(() => endpoint.socket.close(code)), { code: 'FST_WS_ERR_CLOSE_CODE' }, role)
    t.strictSame(await settled(endpoint), [], `${role}: nothing was sent`)
    await closeCleanly(endpoint)
  }
  await allFail(t, open, 1002, ({ close }) => ({ 'it came': close(code), 'with a reason': close(code, 'reason') }))
}

t.test('§5.5.1 if a Close has a body, its first two bytes MUST be the code', async (t) => {
  await allFail(t, open, 1002, ({ frame }) => ({
    'one octet': frame({ opcode: 8, payload: Buffer.from([3]) }),
    'text in the place of the code': frame({ opcode: 8, payload: 'bye' })
  }))
  for (const role of ROLES) {
    const endpoint = await open(role)
    endpoint.socket.close(4001, 'bye é')
    const [close] = await endpoint.wire.frames(1)
    t.strictSame(close!.payload, Buffer.concat([Buffer.from([0x0f, 0xa1]), Buffer.from('bye é')]), role)
    await closeCleanly(endpoint)
  }
})

t.test('§5.5.1 a Close from a client must be masked', async (t) => {
  const endpoint = await open('client')
  endpoint.socket.close(1000)
  await endpoint.wire.until(() => endpoint.wire.received.length === 8, 'a Close of 8 octets')
  const octets = endpoint.wire.received
  t.strictSame([octets[0], octets[1]], [0x88, 0x82])
  t.strictSame(masked(octets.subarray(6), [...octets.subarray(2, 6)]), Buffer.from([0x03, 0xe8]))
  await endpoint.wire.frames(1)
  await closeCleanly(endpoint)
})

t.test('§5.5.1 an application MUST NOT send data frames after a Close', async (t) => {
  const sendAll = ({ socket }: Endpoint): void => {
    for (const data of ['text', Buffer.from('binary'), Buffer.alloc(70_000)]) t.equal(socket.send(data), false)
    socket.send('frag', { fin: false })
    socket.sendRaw('raw')
  }
  for (const role of ROLES) {
    const closing = await open(role)
    closing.socket.send('before')
    closing.socket.close(1000)
    sendAll(closing)
    t.strictSame((await settled(closing)).length, 2, `${role}: the text before and the Close`)
    sendAll(closing)
    t.strictSame(await settled(closing), [], `${role}: nothing behind its own Close`)
    await closeCleanly(closing)

    const answering = await open(role)
    answering.wire.write(answering.peer.close(1000))
    t.strictSame(await answering.wire.lines(1), ['close 1000 ""'])
    sendAll(answering)
    answering.wire.end()
    await answering.socket.closed
    await answering.wire.untilEnd()
    t.equal(answering.wire.received.length, 0, `${role}: nothing behind its answer`)
  }
})

t.test('§5.5.1 an endpoint that gets a Close and has sent none MUST send one', async (t) => {
  for (const role of ROLES) {
    for (const [code, reason, line] of [[1000, '', 'close 1000 ""'], [4999, 'why', 'close 4999 "why"'], [undefined, '', 'close']] as const) {
      const endpoint = await open(role)
      endpoint.wire.write(endpoint.peer.close(code, reason))
      t.strictSame(await endpoint.wire.lines(1), [line], role)
      endpoint.wire.end()
      t.strictSame(await endpoint.socket.closed, { code: code ?? 1005, reason, wasClean: true }, role)
    }
    const both = await open(role)
    both.socket.close(1001)
    both.wire.write(both.peer.close(1000))
    t.strictSame(await both.wire.lines(1), ['close 1001 ""'])
    both.wire.end()
    t.strictSame(await both.socket.closed, CLEAN, role)
    await both.wire.untilEnd()
    t.equal(both.wire.received.length, 0, `${role}: whoever has sent one sends no second`)
  }
})

t.test('§5.5.1 after both Close frames an endpoint MUST close the TCP connection', async (t) => {
  for (const role of ROLES) {
    for (const first of ['we', 'the peer'] as const) {
      const endpoint = await open(role)
      if (first === 'we') {
        endpoint.socket.close(1000)
        t.strictSame(await endpoint.wire.lines(1), ['close 1000 ""'])
      }
      endpoint.wire.write(endpoint.peer.close(1000))
      // The client waits for the server to end first.
      if (role === 'client') endpoint.wire.end()
      await endpoint.wire.untilEnd()
      await endpoint.wire.untilClosed()
      t.strictSame(await endpoint.socket.closed, CLEAN, `${role}: ${first} began`)
    }
  }
  const listener = await Listener.start(t)
  const limits = { maxMessageBytes: 1024, closeTimeoutMs: 50, highWaterMarkBytes: 1024, maxUnsentBytes: 1024 * 1024, queueBytes: 1024, whenFull: 'pause', heartbeat: false, messageTimeoutMs: 0 } as const
  const waiting = await openClient(listener, { limits })
  waiting.wire.write(waiting.peer.close(1000))
  t.strictSame(await waiting.wire.lines(1), ['close 1000 ""'])
  await waiting.wire.untilEnd()
  t.strictSame(await waiting.socket.closed, CLEAN, 'a client whose server does not end does not wait for ever')
  waiting.wire.destroy()
})

t.test('§5.5.1 a server MUST close the TCP connection immediately', async (t) => {
  for (const first of ['the client', 'the server'] as const) {
    const { socket, wire, peer } = await open('server')
    if (first === 'the server') socket.close(1000)
    const start = performance.now()
    wire.write(peer.close(1000))
    // The client does not end its side.
    await wire.untilEnd()
    t.ok(performance.now() - start < LATE_MS, first)
    await wire.untilClosed()
  }
})

t.test('§7.1.2 to start the closing handshake an endpoint MUST send a Close with code and reason', async (t) => {
  for (const role of ROLES) {
    for (const [code, reason] of [[1000, ''], [1001, 'going away'], [1011, ''], [3000, 'x'.repeat(123)], [4999, 'é']] as const) {
      const endpoint = await open(role)
      endpoint.socket.close(code, reason)
      t.strictSame(await endpoint.wire.lines(1), [`close ${code} ${JSON.stringify(reason)}`], role)
      await closeCleanly(endpoint)
    }
    const endpoint = await open(role)
    endpoint.socket.close()
    t.strictSame(await endpoint.wire.lines(1), ['close 1000 ""'], role)
    await closeCleanly(endpoint)
  }
})

t.test('§7.1.7 a client that fails the connection MUST close it', async (t) => {
  const endpoint = await open('client')
  const start = performance.now()
  // The server does not end its side.
  await fails(t, endpoint, endpoint.peer.frame({ opcode: 3 }), 1002, 'an unknown opcode')
  t.ok(performance.now() - start < LATE_MS)

  const closing = await open('client')
  closing.socket.close(1000)
  await closing.wire.lines(1)
  const closingSince = performance.now()
  closing.wire.write(closing.peer.frame({ opcode: 3 }))
  t.strictSame(await closing.socket.closed, LOST, 'in the place of the answer to its Close')
  t.ok(performance.now() - closingSince < LATE_MS)
  closing.wire.destroy()
})

t.test('§7.1.7 a server that fails the connection MUST close it', async (t) => {
  const endpoint = await open('server')
  const start = performance.now()
  await fails(t, endpoint, endpoint.peer.frame({ opcode: 3 }), 1002, 'an unknown opcode')
  t.ok(performance.now() - start < LATE_MS)

  const closing = await open('server')
  closing.socket.close(1000)
  await closing.wire.lines(1)
  const closingSince = performance.now()
  closing.wire.write(closing.peer.frame({ opcode: 3 }))
  t.strictSame(await closing.socket.closed, LOST, 'in the place of the answer to its Close')
  t.ok(performance.now() - closingSince < LATE_MS)
  closing.wire.destroy()
})

t.test('§7.1.7 after a failure an endpoint MUST NOT go on to process data, a Close neither', async (t) => {
  for (const role of ROLES) {
    const { wire, peer, socket, told } = await open(role)
    wire.write(Buffer.concat([peer.text('before'), peer.frame({ opcode: 3 }), peer.text('behind'), peer.ping('behind'), peer.frame({ opcode: 4 }), peer.close(1000)]))
    await wire.untilEnd()
    wire.write(Buffer.concat([peer.text('later'), peer.ping('later'), peer.close(1000)]))
    t.match((await wire.linesUntilEnd()).join(), /^close 1002 "[^"]*"$/, role)
    wire.end()
    t.strictSame(await socket.closed, LOST, role)
    t.strictSame(told, ['text "before"', 'error 1002', 'close 1006 ""'], role)
  }
})

t.test('§7.2.1 a client whose connection is lost MUST fail it', async (t) => {
  for (const lose of ['resetAndDestroy', 'destroy', 'end'] as const) {
    const { wire, socket, told } = await open('client')
    ;(wire.duplex as Socket)[lose]()
    t.strictSame(await socket.closed, LOST, lose)
    t.equal(told.at(-1), 'close 1006 ""', lose)
    await wire.untilEnd()
    t.equal(wire.received.length, 0, `${lose}: nothing was sent`)
    t.equal(socket.readyState, socket.CLOSED)
  }
})

t.test('§7.4.1 1005 MUST NOT be set in a Close', async (t) => {
  await isNeverSet(t, 1005)
  for (const role of ROLES) {
    const { wire, peer, socket } = await open(role)
    wire.write(peer.close())
    const [close] = await wire.frames(1)
    t.equal(close!.payload.length, 0, `${role}: a Close without a code is answered by one without`)
    wire.end()
    t.equal((await socket.closed).code, 1005, `${role}: it is for the application alone`)
  }
})

t.test('§7.4.1 1006 MUST NOT be set in a Close', async (t) => {
  await isNeverSet(t, 1006)
  for (const role of ROLES) {
    const { wire, socket } = await open(role)
    wire.end()
    t.equal((await socket.closed).code, 1006, `${role}: it is for the application alone`)
    await wire.untilEnd()
    t.equal(wire.received.length, 0, role)
  }
})

t.test('§7.4.1 1015 MUST NOT be set in a Close', async (t) => {
  await isNeverSet(t, 1015)
})
