/**
 * RFC 6455 §5, §6, §8 and §10: frames and messages, of an open connection in either role.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import t from 'tap'
import { prepare } from '../../index.ts'
import { describe, frame, framesTo, masked, type FrameOptions, type WireFrame } from '../helpers/frames.ts'
import { thrown } from '../helpers/app.ts'
import { allFail, closeCleanly, endpoints, fails, ROLES, settled, type Endpoint, type RawSocket } from './endpoints.ts'

const MAX_MESSAGE_BYTES = 200_000
const open = await endpoints(t, { maxMessageBytes: MAX_MESSAGE_BYTES })

const NOT_UTF8: Readonly<Record<string, Buffer>> = {
  'an octet that never occurs': Buffer.from([0x61, 0xff]),
  'a lone continuation': Buffer.from([0x80]),
  'a sequence that is cut off': Buffer.from([0xe2, 0x82]),
  'an overlong form': Buffer.from([0xc0, 0xaf]),
  'a surrogate': Buffer.from([0xed, 0xa0, 0x80]),
  'above U+10FFFF': Buffer.from([0xf4, 0x90, 0x80, 0x80])
}

/** Everything that an application can send on an open connection but for a Close. */
function sendAll (socket: RawSocket): void {
  socket.send('text')
  socket.send('')
  socket.send('é'.repeat(100))
  socket.send('x'.repeat(70_000))
  socket.send(Buffer.from('binary'))
  socket.send(Buffer.alloc(300, 1))
  socket.send(Buffer.alloc(70_000, 2))
  socket.send(Buffer.from('octets as text'), { binary: false })
  socket.send(prepare('prepared'))
  socket.send(prepare(Buffer.alloc(1000, 3)))
  socket.sendRaw('raw')
  socket.send('frag', { fin: false })
  socket.ping('ping')
  socket.send('', { fin: false })
  socket.send('ment')
  socket.pong('pong')
}

/** All frames of `sendAll`, and of the Close that follows. */
async function framesOfAll (endpoint: Endpoint): Promise<WireFrame[]> {
  sendAll(endpoint.socket)
  endpoint.socket.close(1000, 'bye')
  const frames = await endpoint.wire.frames(17)
  await closeCleanly(endpoint)
  return frames
}

/** A message in so many frames, of which the first has the opcode. */
function fragments (peer: Endpoint['peer'], opcode: number, ...payloads: Array<string | Uint8Array>): Buffer {
  return Buffer.concat(payloads.map((payload, i) => peer.frame({ opcode: i === 0 ? opcode : 0, payload, fin: i === payloads.length - 1 })))
}

/** What an endpoint tells of these octets. */
async function toldOf (endpoint: Endpoint, octets: Uint8Array): Promise<string[]> {
  endpoint.wire.write(octets)
  await settled(endpoint)
  return endpoint.told.splice(0)
}

// §5.1

t.test('§5.1 a client MUST mask every frame', async (t) => {
  for (const one of await framesOfAll(await open('client'))) t.ok(one.masked, describe(one).slice(0, 40))
  const answering = await open('client')
  answering.wire.write(Buffer.concat([answering.peer.ping('p'), answering.peer.close(1000)]))
  for (const one of await answering.wire.frames(2)) t.ok(one.masked, describe(one))
  answering.wire.end()
  await answering.socket.closed
})

t.test('§5.1 a server MUST close the connection upon a frame that is not masked', async (t) => {
  const cases: Record<string, FrameOptions> = {
    text: { opcode: 1, payload: 'hi' },
    'empty text': { opcode: 1 },
    binary: { opcode: 2, payload: Buffer.alloc(70_000) },
    ping: { opcode: 9 },
    close: { opcode: 8, payload: Buffer.from([3, 232]) }
  }
  await allFail(t, open, 1002, () => Object.fromEntries(Object.entries(cases).map(([what, options]) => [what, frame(options)])), ['server'])
})

t.test('§5.1 a server MUST NOT mask any frame', async (t) => {
  for (const one of await framesOfAll(await open('server'))) t.notOk(one.masked, describe(one).slice(0, 40))
  const answering = await open('server')
  answering.wire.write(Buffer.concat([answering.peer.ping('p'), answering.peer.close(1000)]))
  for (const one of await answering.wire.frames(2)) t.notOk(one.masked, describe(one))
  answering.wire.end()
  await answering.socket.closed
})

t.test('§5.1 a client MUST close the connection upon a masked frame', async (t) => {
  const cases: Record<string, FrameOptions> = { text: { opcode: 1, payload: 'hi' }, 'empty text': { opcode: 1 }, ping: { opcode: 9 }, close: { opcode: 8 }, 'with a key of zeros': { opcode: 2, key: [0, 0, 0, 0], payload: 'x' } }
  await allFail(t, open, 1002, () => Object.fromEntries(Object.entries(cases).map(([what, options]) => [what, frame({ ...options, masked: true })])), ['client'])
})

// §5.2

t.test('§5.2 RSV1, RSV2 and RSV3 MUST be 0 in what is sent without an extension', async (t) => {
  for (const role of ROLES) {
    for (const one of await framesOfAll(await open(role))) t.equal(one.rsv, 0, `${role}: ${describe(one).slice(0, 40)}`)
  }
})

t.test('§5.2 a reserved bit that no extension defines MUST fail the connection', async (t) => {
  await allFail(t, open, 1002, ({ frame }) => Object.fromEntries([1, 2, 8, 9, 10].flatMap((opcode) =>
    [1, 2, 3, 4, 5, 6, 7].map((rsv) => [`opcode ${opcode}, RSV ${rsv.toString(2)}`, frame({ opcode, rsv })]))))
})

t.test('§5.2 an unknown opcode MUST fail the connection', async (t) => {
  await allFail(t, open, 1002, ({ frame }) => Object.fromEntries([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, frame({ opcode, payload: 'x' })])))
})

t.test('§5.2 the topmost bit of a length of 64 bits MUST be 0', async (t) => {
  await allFail(t, open, 1002, ({ frame }) => ({
    '2^63': frame({ opcode: 2, length: 2n ** 63n }),
    '2^64 - 1': frame({ opcode: 2, length: 2n ** 64n - 1n }),
    '2^63 + 1': frame({ opcode: 1, length: 2n ** 63n + 1n, payload: 'x' })
  }))
})

t.test('§5.2 the minimal number of bytes MUST be used for a length that is sent', async (t) => {
  const forms = { 0: 'short', 1: 'short', 125: 'short', 126: '16', 127: '16', 65_535: '16', 65_536: '64', 70_000: '64' } as const
  for (const role of ROLES) {
    const endpoint = await open(role)
    for (const [length, form] of Object.entries(forms)) {
      const bytes = Number(length)
      for (const data of ['x'.repeat(bytes), Buffer.alloc(bytes, 1), prepare('x'.repeat(bytes)), ...(bytes % 2 === 0 ? ['é'.repeat(bytes / 2)] : [])]) {
        endpoint.socket.send(data)
        const [one] = await endpoint.wire.frames(1)
        t.equal(one!.payload.length, bytes)
        t.equal(one!.lengthForm, form, `${role}: ${length} octets`)
      }
    }
    await closeCleanly(endpoint)
  }
})

t.test('§5.2 a length that is not in its minimal number of bytes MUST NOT be taken', async (t) => {
  await allFail(t, open, 1002, ({ frame }) => ({
    '0 in 16 bits': frame({ opcode: 1, lengthForm: '16' }),
    '125 in 16 bits': frame({ opcode: 1, lengthForm: '16', payload: 'x'.repeat(125) }),
    '0 in 64 bits': frame({ opcode: 2, lengthForm: '64' }),
    '125 in 64 bits': frame({ opcode: 2, lengthForm: '64', payload: 'x'.repeat(125) }),
    '126 in 64 bits': frame({ opcode: 2, lengthForm: '64', payload: 'x'.repeat(126) }),
    '65535 in 64 bits': frame({ opcode: 2, lengthForm: '64', payload: 'x'.repeat(65_535) }),
    'a ping of 5 in 16 bits': frame({ opcode: 9, lengthForm: '16', payload: 'hello' })
  }))
})

// §5.3

t.test('§5.3 a masked frame MUST have its MASK bit set', async (t) => {
  const endpoint = await open('client')
  endpoint.socket.send('Hello')
  await endpoint.wire.until(() => endpoint.wire.received.length === 11, 'a frame of 11 octets')
  const octets = endpoint.wire.received
  t.equal(octets[1], 0x85)
  t.equal(masked(octets.subarray(6), [...octets.subarray(2, 6)]).toString(), 'Hello', 'and key and masked payload follow')
  await endpoint.wire.frames(1)
  await closeCleanly(endpoint)
})

t.test('§5.3 a client MUST pick a fresh masking key for each frame', async (t) => {
  const endpoint = await open('client')
  for (let i = 0; i < 500; i++) endpoint.socket.send('x')
  const keys = (await endpoint.wire.frames(500)).map(({ key }) => key)
  // Two of 500 are the same by chance once in 34 000 times, three pairs practically never.
  t.ok(new Set(keys).size > 497)
  const all = (await framesOfAll(endpoint)).map(({ key }) => key)
  t.ok(new Set(all).size >= all.length - 1, 'frames of every kind')
})

t.test('§5.3 the masking key MUST be derived from a strong source of entropy, and MUST NOT be predictable', async (t) => {
  // What node:crypto gives out is written down, the function that is imported replaced.
  const { randomFillSync, randomBytes } = crypto
  const given: Buffer[] = []
  const note = (view: unknown, offset = 0, size?: number): void => {
    const octets = view instanceof ArrayBuffer ? Buffer.from(view) : Buffer.from((view as Buffer).buffer, (view as Buffer).byteOffset, (view as Buffer).byteLength)
    given.push(Buffer.from(octets.subarray(offset, size === undefined ? undefined : offset + size)))
  }
  const replaced = crypto as { randomFillSync: unknown, randomBytes: unknown }
  replaced.randomFillSync = (view: Buffer, offset?: number, size?: number) => {
    const filled = randomFillSync(view, offset as number, size as number)
    note(filled, offset, size)
    return filled
  }
  replaced.randomBytes = (size: number) => {
    const octets = randomBytes(size)
    note(octets)
    return octets
  }
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(replaced, { randomFillSync, randomBytes })
    syncBuiltinESMExports()
  })
  const frames = await framesOfAll(await open('client'))
  const pool = Buffer.concat(given)
  for (const one of frames) t.not(pool.indexOf(Buffer.from(one.key, 'hex')), -1, `the key of ${describe(one).slice(0, 40)} is of the operating system's randomness`)
})

// §5.4

t.test('§5.4 an endpoint must not depend on frame boundaries', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer } = endpoint
    const text = Buffer.from('h\u00e9llo \u20ac \u{1f600}')
    const cuts = [[text], [...text].map((octet) => Buffer.from([octet])), [text, ''], ['', text], ['', text.subarray(0, 2), '', text.subarray(2), '']]
    for (const cut of cuts) t.strictSame(await toldOf(endpoint, fragments(peer, 1, ...cut)), [`text ${JSON.stringify(text.toString())}`], role)
    await closeCleanly(endpoint)
  }
})

t.test('§5.4 control frames MUST NOT be fragmented', async (t) => {
  for (const role of ROLES) {
    const controls = (await framesOfAll(await open(role))).filter(({ opcode }) => opcode >= 8)
    t.equal(controls.length, 3)
    t.ok(controls.every(({ fin }) => fin), `${role}: none that is sent is`)
  }
  await allFail(t, open, 1002, ({ frame }) => Object.fromEntries([8, 9, 10].flatMap((opcode) => [
    [`opcode ${opcode}`, frame({ opcode, fin: false })],
    [`opcode ${opcode}, with its second half`, Buffer.concat([frame({ opcode, fin: false, payload: 'a' }), frame({ opcode: 0, payload: 'b' })])]
  ])))
})

t.test('§5.4 fragments MUST be delivered in the order in which they were sent', async (t) => {
  const parts = Array.from({ length: 200 }, (_, i) => `${i},`)
  for (const role of ROLES) {
    const endpoint = await open(role)
    t.strictSame(await toldOf(endpoint, fragments(endpoint.peer, 1, ...parts)), [`text "${parts.join('')}"`], role)
    for (const [i, part] of parts.entries()) endpoint.socket.send(part, { fin: i === parts.length - 1 })
    const sent = await endpoint.wire.frames(parts.length)
    t.equal(sent.map(({ payload }) => payload).join(''), parts.join(''), role)
    await closeCleanly(endpoint)
  }
})

t.test('§5.4 fragments of two messages MUST NOT be interleaved', async (t) => {
  await allFail(t, open, 1002, ({ text, binary }) => ({
    'text within text': [text('a', false), text('b')],
    'binary within text': [text('a', false), binary('b')],
    'text within binary': [binary('a', false), text('b', false)],
    'after an empty fragment': [text('', false), text('b')]
  }))
  for (const role of ROLES) {
    const endpoint = await open(role)
    endpoint.socket.send('a', { fin: false })
    endpoint.socket.send(prepare('b'), { fin: false })
    endpoint.socket.send('c', { fin: false })
    endpoint.socket.send(Buffer.from('d'), { fin: false })
    endpoint.socket.send('e')
    endpoint.socket.send('f')
    // Until the last fragment, no frame begins another message.
    const frames = await endpoint.wire.frames(6)
    const within = frames.slice(0, frames.findIndex(({ fin }) => fin) + 1)
    t.strictSame(within.map(({ opcode }) => opcode === 0), within.map((_, i) => i > 0), role)
    for (const [i, { fin }] of frames.entries()) if (fin && i + 1 < frames.length) t.not(frames[i + 1]!.opcode, 0, role)
    await closeCleanly(endpoint)
  }
})

t.test('§5.4 an endpoint MUST be capable of control frames in the middle of a message', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer, wire } = endpoint
    wire.write(Buffer.concat([peer.text('a', false), peer.ping('1'), peer.pong('2'), peer.continuation('b', false), peer.ping('3')]))
    t.strictSame(await wire.lines(2), ['pong "1"', 'pong "3"'], role)
    t.strictSame(await toldOf(endpoint, peer.continuation('c')), ['ping "1"', 'pong "2"', 'ping "3"', 'text "abc"'], role)
    wire.write(Buffer.concat([peer.binary('half', false), peer.close(3000)]))
    t.strictSame(await wire.lines(1), ['close 3000 ""'], `${role}: a Close as well`)
    wire.end()
    await endpoint.socket.closed
  }
})

t.test('§5.4 an endpoint MUST support fragmented and unfragmented messages', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer } = endpoint
    const octets = Buffer.concat([peer.text('whole'), fragments(peer, 1, 'in ', 'three ', 'parts'), peer.binary('b'), fragments(peer, 2, 'b', 'c'), peer.text(''), fragments(peer, 1, '', '')])
    t.strictSame(await toldOf(endpoint, octets), ['text "whole"', 'text "in three parts"', 'binary "b"', 'binary "bc"', 'text ""', 'text ""'], role)
    await closeCleanly(endpoint)
  }
})

t.test('§5.4 the type of all fragments MUST be that of the first: text or binary', async (t) => {
  await allFail(t, open, 1002, ({ continuation, text, frame }) => ({
    'a continuation of nothing': continuation('x'),
    'a continuation of nothing, with more to come': continuation('x', false),
    'a fragment of a reserved type': frame({ opcode: 3, fin: false }),
    'a fragment of the same type again': [text('a', false), text('b', false)]
  }))
  for (const role of ROLES) {
    const endpoint = await open(role)
    await toldOf(endpoint, fragments(endpoint.peer, 1, 'a', 'b'))
    await fails(t, endpoint, endpoint.peer.continuation('c'), 1002, 'a continuation of what has ended')
    const sending = await open(role)
    for (const [i, part] of ['a', Buffer.from('b'), 'c'].entries()) sending.socket.send(part, { fin: i === 2 })
    sending.socket.send(Buffer.from('d'), { fin: false })
    sending.socket.send('e')
    t.strictSame((await sending.wire.frames(5)).map(({ opcode }) => opcode), [1, 0, 0, 2, 0], role)
    await closeCleanly(sending)
  }
})

// §5.5

t.test('§5.5 control frames MUST have 125 bytes of payload at most', async (t) => {
  await allFail(t, open, 1002, ({ frame }) => Object.fromEntries([8, 9, 10].flatMap((opcode) => [126, 127, 70_000].map((length) =>
    [`opcode ${opcode} with ${length}`, frame({ opcode, payload: Buffer.alloc(length, 3) })]))))
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer, socket, wire } = endpoint
    t.strictSame(await toldOf(endpoint, Buffer.concat([peer.ping('x'.repeat(125)), peer.pong('x'.repeat(125))])), [`ping "${'x'.repeat(125)}"`, `pong "${'x'.repeat(125)}"`], `${role}: 125 are taken`)
    for (const data of ['x'.repeat(126), 'é'.repeat(63), Buffer.alloc(126)]) {
      t.match(thrown(() => socket.ping(data)), { code: 'FST_WS_ERR_CONTROL_PAYLOAD' }, role)
      t.match(thrown(() => socket.pong(data)), { code: 'FST_WS_ERR_CONTROL_PAYLOAD' }, role)
    }
    for (const reason of ['x'.repeat(124), 'é'.repeat(62)]) t.match(thrown(() => socket.close(1000, reason)), { code: 'FST_WS_ERR_CLOSE_REASON' }, role)
    t.strictSame(await settled(endpoint), [], `${role}: nothing of it was sent`)
    socket.ping('é'.repeat(62))
    socket.close(1000, 'x'.repeat(123))
    t.strictSame((await wire.frames(2)).map(({ payload }) => payload.length), [124, 125], role)
    await closeCleanly(endpoint)
  }
})

t.test('§5.5 control frames MUST NOT be fragmented, in the middle of a message neither', async (t) => {
  await allFail(t, open, 1002, ({ frame, text }) => ({
    ping: [text('a', false), frame({ opcode: 9, fin: false })],
    pong: [text('a', false), frame({ opcode: 10, fin: false, payload: 'b' }), frame({ opcode: 0 })],
    close: [text('a', false), frame({ opcode: 8, fin: false })]
  }))
})

t.test('§5.5.2 upon a ping an endpoint MUST send a pong, unless it has received a Close', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer, wire, socket } = endpoint
    wire.write(Buffer.concat([peer.ping('1'), peer.ping(), peer.text('x'), peer.ping('3')]))
    t.strictSame(await wire.lines(3), ['pong "1"', 'pong ""', 'pong "3"'], role)
    wire.write(Buffer.concat([peer.close(1000), peer.ping('after')]))
    t.strictSame(await wire.lines(1), ['close 1000 ""'], role)
    wire.write(peer.ping('later'))
    wire.end()
    await socket.closed
    await wire.untilEnd()
    t.equal(wire.received.length, 0, `${role}: no pong after the Close`)
  }
  for (const role of ROLES) {
    const endpoint = await open(role)
    endpoint.socket.close(1000)
    endpoint.wire.write(endpoint.peer.ping('still'))
    t.strictSame(await endpoint.wire.lines(2), ['close 1000 ""', 'pong "still"'], `${role}: a Close of its own is none that was received`)
    await closeCleanly(endpoint)
  }
})

t.test('§5.5.3 a pong must have the application data of the ping', async (t) => {
  const payloads = ['', 'x', 'x'.repeat(125), Buffer.from([0, 255, 128, 10, 13])]
  for (const role of ROLES) {
    const endpoint = await open(role)
    for (const payload of payloads) {
      endpoint.wire.write(endpoint.peer.ping(payload))
      const [pong] = await endpoint.wire.frames(1)
      t.equal(pong!.opcode, 10, role)
      t.ok(pong!.payload.equals(Buffer.from(payload)), role)
    }
    await closeCleanly(endpoint)
  }
})

t.test('§5.6 a text message MUST contain valid UTF-8', async (t) => {
  await allFail(t, open, 1007, (peer) => Object.fromEntries(Object.entries(NOT_UTF8).flatMap(([what, octets]) => [
    [what, peer.text(octets)],
    [`${what}, in two fragments`, fragments(peer, 1, octets.subarray(0, 1), octets.subarray(1))],
    [`${what}, behind an octet that is right`, fragments(peer, 1, 'a', octets)]
  ])))
  for (const role of ROLES) {
    const endpoint = await open(role)
    // A string of JavaScript may hold half a pair.
    for (const text of ['\ud800', 'a\udfffb', '\udc00\ud800', `${'x'.repeat(70_000)}\ud83d`]) endpoint.socket.send(text)
    for (const one of await endpoint.wire.frames(4)) t.equal(Buffer.from(one.payload.toString()).compare(one.payload), 0, `${role}: what is sent is valid`)
    t.strictSame(await toldOf(endpoint, Buffer.concat([endpoint.peer.text('\u{10ffff}\ufffd\u0000'), endpoint.peer.binary(Buffer.from([0x61]))])), [`text ${JSON.stringify('\u{10ffff}\ufffd\u0000')}`, 'binary "a"'], role)
    await closeCleanly(endpoint)
  }
})

t.test('§5.8 the use of extensions MUST be negotiated during the opening handshake', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    t.equal(endpoint.socket.extensions, '', role)
    await fails(t, endpoint, endpoint.peer.frame({ opcode: 1, rsv: 4, payload: Buffer.from([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]) }), 1002, 'a compressed message without it')
  }
})

// §6.1

t.test('§6.1 to send a message an endpoint MUST perform these steps', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    endpoint.socket.send('one')
    endpoint.socket.send(Buffer.from('two'))
    t.strictSame(await endpoint.wire.lines(2), ['text "one"', 'binary "two"'], role)
    await closeCleanly(endpoint)
  }
})

t.test('§6.1, 1: an endpoint MUST ensure that the connection is open', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    endpoint.socket.close(1000)
    t.equal(endpoint.socket.send('closing'), false, role)
    endpoint.socket.ping('closing')
    t.strictSame(await endpoint.wire.lines(1), ['close 1000 ""'], role)
    await closeCleanly(endpoint)
    t.equal(endpoint.socket.send('closed'), false, role)
    t.equal(endpoint.wire.received.length, 0, role)
  }
})

t.test('§6.1, 1: if the state changes an endpoint MUST abort these steps', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    endpoint.socket.send('first', { fin: false })
    endpoint.socket.close(1000)
    endpoint.socket.send('second')
    t.strictSame(await endpoint.wire.lines(2), ['text… "first"', 'close 1000 ""'], role)
    await closeCleanly(endpoint)
    t.equal(endpoint.wire.received.length, 0, role)
  }
})

t.test('§6.1, 2: an endpoint MUST encapsulate the data in a frame', async (t) => {
  const server = await open('server')
  server.socket.send('Hello')
  await server.wire.until(() => server.wire.received.length >= 7)
  t.equal(server.wire.received.toString('hex'), '810548656c6c6f', 'the example of §5.7')
  await server.wire.frames(1)
  await closeCleanly(server)
  for (const role of ROLES) {
    const endpoint = await open(role)
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 150_000]) {
      const data = Buffer.alloc(length, 'pattern')
      endpoint.socket.send(data)
      const [one] = await endpoint.wire.frames(1)
      t.ok(one!.payload.equals(data), `${role}: ${length} octets`)
    }
    await closeCleanly(endpoint)
  }
})

t.test('§6.1, 3: the opcode of the first frame MUST say text or binary', async (t) => {
  for (const role of ROLES) {
    const { socket, wire, ...rest } = await open(role)
    socket.send('text')
    socket.send(Buffer.from('b'))
    socket.send(new Uint8Array([98]).buffer)
    socket.send('as octets', { binary: true })
    socket.send(Buffer.from('as text'), { binary: false })
    socket.send('first', { fin: false })
    socket.send('second')
    t.strictSame((await wire.frames(7)).map(({ opcode }) => opcode), [1, 2, 2, 2, 1, 1, 0], role)
    await closeCleanly({ socket, wire, ...rest })
  }
})

t.test('§6.1, 4: FIN of the last frame MUST be 1', async (t) => {
  for (const role of ROLES) {
    const { socket, wire, ...rest } = await open(role)
    socket.send('whole')
    socket.send('a', { fin: false })
    socket.send('b', { fin: false })
    socket.send('c')
    t.strictSame((await wire.frames(4)).map(({ fin }) => fin), [true, false, false, true], role)
    await closeCleanly({ socket, wire, ...rest })
  }
})

t.test('§6.1, 5: what a client sends MUST be masked', async (t) => {
  const endpoint = await open('client')
  const plain = Buffer.alloc(40_000, 'plain')
  endpoint.socket.send(plain)
  endpoint.socket.send('plain'.repeat(10))
  await endpoint.wire.until(() => endpoint.wire.received.length > 40_050)
  t.equal(endpoint.wire.received.indexOf('plain'), -1, 'nothing of it is to be seen on the wire')
  t.ok((await endpoint.wire.frames(2))[0]!.payload.equals(plain))
  await closeCleanly(endpoint)
})

t.test('§6.1, 7: the frames MUST be transmitted over the network connection', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    for (let i = 0; i < 100; i++) endpoint.socket.send(`${i}`)
    endpoint.socket.close(1000)
    t.strictSame(await endpoint.wire.lines(101), [...Array.from({ length: 100 }, (_, i) => `text "${i}"`), 'close 1000 ""'], role)
    await closeCleanly(endpoint)
  }
})

// §6.2

t.test('§6.2 incoming data MUST be parsed as frames', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer, wire } = endpoint
    const octets = Buffer.concat([peer.text('h\u00e9'), peer.binary(Buffer.alloc(130, 98)), peer.ping('p'), fragments(peer, 1, 'a', 'b')])
    const whole = ['text "h\u00e9"', `binary "${'b'.repeat(130)}"`, 'ping "p"', 'text "ab"']
    t.strictSame(await toldOf(endpoint, octets), whole, `${role}: in one piece`)
    // One octet at a time, each of which has arrived before the next is written.
    const before = endpoint.told.length
    for (const octet of octets) {
      wire.write(Buffer.from([octet]))
      await new Promise((resolve) => { setImmediate(resolve) })
    }
    await settled(endpoint)
    t.strictSame(endpoint.told.slice(before), whole, `${role}: octet by octet`)
    await closeCleanly(endpoint)
  }
})

t.test('§6.2 control frames MUST be handled as §5.5 says', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer, wire, told, socket } = endpoint
    wire.write(Buffer.concat([peer.ping('1'), peer.pong('2'), peer.close(1001, 'bye')]))
    t.strictSame(await wire.lines(2), ['pong "1"', 'close 1001 "bye"'], role)
    wire.end()
    await socket.closed
    t.strictSame(told, ['ping "1"', 'pong "2"', 'close 1001 "bye"'], `${role}: none is taken for a message`)
  }
})

t.test('§6.2 an endpoint MUST note the type of the data', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer } = endpoint
    const octets = Buffer.concat([peer.text('a'), peer.binary('a'), fragments(peer, 1, 'a', 'b', ''), fragments(peer, 2, 'a', 'b', ''), peer.binary(''), peer.text('')])
    t.strictSame(await toldOf(endpoint, octets), ['text "a"', 'binary "a"', 'text "ab"', 'binary "ab"', 'binary ""', 'text ""'], role)
    await closeCleanly(endpoint)
  }
})

t.test('§6.2 data frames after the last fragment MUST be taken as belonging to a new message', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { peer } = endpoint
    t.strictSame(await toldOf(endpoint, Buffer.concat([fragments(peer, 1, 'a', 'b'), fragments(peer, 1, 'c', 'd'), peer.binary('e'), peer.text('f')])), ['text "ab"', 'text "cd"', 'binary "e"', 'text "f"'], role)
    await closeCleanly(endpoint)
  }
})

t.test('§6.2 a server MUST remove the masking', async (t) => {
  const endpoint = await open('server')
  for (const key of [[0, 0, 0, 0], [1, 2, 3, 4], [255, 254, 253, 252], [0x80, 0, 0, 0x7f]]) {
    for (const length of [0, 1, 2, 3, 4, 5, 130, 1000]) {
      const payload = 'masked '.repeat(150).slice(0, length)
      t.strictSame(await toldOf(endpoint, endpoint.peer.frame({ opcode: 1, key, payload })), [`text "${payload}"`], `${key}: ${length}`)
    }
  }
  t.strictSame(await toldOf(endpoint, Buffer.from('818537fa213d7f9f4d5158', 'hex')), ['text "Hello"'], 'the example of §5.7')
  await closeCleanly(endpoint)
})

// §8 and §10

t.test('§8.1 what is to be UTF-8 and is not MUST fail the connection', async (t) => {
  await allFail(t, open, 1007, ({ text, frame }) => Object.fromEntries(Object.entries(NOT_UTF8).flatMap(([what, octets]) => [
    [`${what}, in a message`, text(octets)],
    [`${what}, in a message of 5000 octets`, text(Buffer.concat([Buffer.alloc(5000, 'x'), octets]))],
    [`${what}, in the reason of a Close`, frame({ opcode: 8, payload: Buffer.concat([Buffer.from([3, 232]), octets]) })]
  ])))
})

t.test('§10.3 a client MUST choose a new masking key for each frame, which an application cannot predict', async (t) => {
  const endpoint = await open('client')
  for (let i = 0; i < 64; i++) endpoint.socket.send('GET / HTTP/1.1')
  const keys = (await endpoint.wire.frames(64)).map(({ key }) => Number.parseInt(key, 16))
  t.ok(new Set(keys).size > 62, 'no key twice')
  const steps = keys.slice(1).map((key, i) => (key - keys[i]!) >>> 0)
  t.ok(new Set(steps).size > 60, 'no step twice')
  for (const bit of Array.from({ length: 32 }, (_, i) => i)) t.equal(new Set(keys.map((key) => (key >>> bit) & 1)).size, 2, `bit ${bit} is not always the same`)
  await closeCleanly(endpoint)
})

t.test('§10.3 the payload of a frame whose sending has begun must not be modifiable', async (t) => {
  const endpoint = await open('client')
  for (const length of [10, 1000, 20_000, 150_000]) {
    const data = Buffer.alloc(length, 0)
    endpoint.socket.send(data)
    data.fill('X')
    const [one] = await endpoint.wire.frames(1)
    t.ok(one!.payload.equals(Buffer.alloc(length, 0)), `${length} octets`)
  }
  await closeCleanly(endpoint)
})

t.test('§10.4 an endpoint MUST protect itself against frames and messages above its limits', async (t) => {
  await allFail(t, open, 1009, (peer) => ({
    'a frame of 2^60 that is announced': peer.frame({ opcode: 2, length: 2n ** 60n }),
    'a frame of 2^32 that is announced': peer.frame({ opcode: 2, length: 2n ** 32n }),
    'one octet too many, announced': peer.frame({ opcode: 2, length: MAX_MESSAGE_BYTES + 1 }),
    'one octet too many': peer.binary(Buffer.alloc(MAX_MESSAGE_BYTES + 1)),
    'many small fragments': fragments(peer, 2, ...Array.from({ length: 201 }, () => Buffer.alloc(1000))),
    'text as well': fragments(peer, 1, 'x'.repeat(MAX_MESSAGE_BYTES), 'x')
  }))
  await allFail(t, open, 1008, (peer) => ({ 'fragments without end, all empty': fragments(peer, 2, 'x', ...Array.from({ length: 10_000 }, () => '')) }))
  for (const role of ROLES) {
    const endpoint = await open(role)
    t.strictSame((await toldOf(endpoint, endpoint.peer.binary(Buffer.alloc(MAX_MESSAGE_BYTES, 98)))).map((line) => line.length), [MAX_MESSAGE_BYTES + 'binary ""'.length], `${role}: the limit itself is no more than the limit`)
    await closeCleanly(endpoint)
  }
})

t.test('§10.7 incoming data MUST always be validated', async (t) => {
  for (const role of ROLES) {
    // Right for a while, and then something of another protocol.
    for (const garbage of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'EHLO example.com\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '\x00\x00\x00\x00']) {
      const endpoint = await open(role)
      await toldOf(endpoint, framesTo(role).text('right'))
      await fails(t, endpoint, Buffer.from(garbage, 'latin1'), 1002, JSON.stringify(garbage))
    }
  }
})
