import { Buffer } from 'node:buffer'
import { on, once } from 'node:events'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { createWebSocketStream } from 'ws'
import { WebSocket } from '../../lib/socket/websocket.ts'
import { bytes, custom, json, text } from '../../lib/subprotocol/contract.ts'
import { prepare } from '../../lib/subprotocol/prepared.ts'
import { thrown } from '../helpers/app.ts'
import { openSocket, settle } from '../helpers/open-socket.ts'

const Say = { type: 'object', required: ['text'], properties: { text: { type: 'string' } }, additionalProperties: false }

t.test('what a socket says of itself', async (t) => {
  const { socket, wire, start } = openSocket({ protocol: 'chat.v1', start: false })
  t.strictSame([WebSocket.CONNECTING, WebSocket.OPEN, WebSocket.CLOSING, WebSocket.CLOSED], [0, 1, 2, 3])
  t.strictSame([socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED], [0, 1, 2, 3])
  t.equal(socket.readyState, socket.OPEN, 'a handler starts at OPEN')
  t.equal(socket.protocol, 'chat.v1')
  t.equal(socket.extensions, '')
  t.equal(socket.url, 'ws://localhost/chat')
  t.equal(socket.bufferedAmount, 0)
  t.equal(socket.binaryType, 'nodebuffer')
  t.equal(socket.isPaused, false)
  t.equal(socket.writableNeedDrain, false)
  start(Buffer.alloc(0))

  socket.close()
  t.equal(socket.readyState, socket.CLOSING)
  t.strictSame(await wire.lines(1), ['close 1000 ""'])
  wire.close(1000)
  wire.end()
  t.same(await socket.closed, { code: 1000, reason: '', wasClean: true })
  t.equal(socket.readyState, socket.CLOSED)
})

t.test('what an application keeps on a socket, under whatever name, is there', async (t) => {
  const { socket, wire } = openSocket()
  const owner: Record<string, unknown> = socket as never
  const other = openSocket().socket
  for (const name of ['data', 'closed', 'signal', 'latencyMs', 'isAlive', 'user', 'id', 'next', 'stream']) {
    const own = { name }
    owner[name] = own
    t.equal(owner[name], own, name)
    t.not((other as unknown as typeof owner)[name], own, 'on that socket alone')
  }
  for (const nothing of [null, undefined, 0]) {
    owner['data'] = nothing
    t.equal(owner['data'], nothing)
  }
  t.ok(other.closed instanceof Promise)
  t.strictSame(other.data, {})
  t.throws(() => { owner['readyState'] = 3 }, TypeError, 'as on a socket of the browser')
  wire.close(1000)
  wire.end()
  await socket[Symbol.asyncDispose]()
  t.equal(socket.readyState, socket.CLOSED, 'what waits for the end still does')
})

t.test('readyState is CLOSING as soon as the peer has begun to close', async (t) => {
  const { socket, wire } = openSocket()
  const states: number[] = []
  socket.signal.addEventListener('abort', () => { states.push(socket.readyState) })
  socket.on('close', () => { states.push(socket.readyState) })
  wire.close(4000, 'enough')
  wire.end()
  t.same(await socket.closed, { code: 4000, reason: 'enough', wasClean: true })
  t.strictSame(states, [socket.CLOSING, socket.CLOSED])
})

t.test('a raw socket sends text and bytes of every kind', async (t) => {
  const { socket, wire } = openSocket()
  const memory = new Uint8Array([0, 0x61, 0x62, 0x63, 0x64, 0]).buffer
  t.equal(socket.send('häß'), true)
  socket.send(Buffer.from('buffer'))
  socket.send(memory.slice(1, 5))
  socket.send(new Uint8Array(memory, 1, 2))
  socket.send(new Uint16Array(memory, 2, 1))
  socket.send(new DataView(memory, 1, 3))
  socket.send(42)
  socket.send('')
  socket.send(Buffer.alloc(0))
  t.strictSame(await wire.lines(9), [
    'text "häß"', 'binary "buffer"', 'binary "abcd"', 'binary "ab"', 'binary "bc"', 'binary "abc"', 'text "42"', 'text ""', 'binary ""'
  ])
})

t.test('bytes of another realm, and shared ones, are bytes on raw and on typed sockets alike', async (t) => {
  for (const contract of [undefined, bytes()]) {
    const { socket, wire } = openSocket(contract === undefined ? {} : { contract })
    socket.send(runInNewContext('new Uint8Array([0x61, 0x62])'))
    socket.send(runInNewContext('new Uint8Array([0x61, 0x62]).buffer'))
    const shared = new SharedArrayBuffer(2)
    new Uint8Array(shared).set([0x63, 0x64])
    socket.send(shared)
    socket.send(new Uint8Array(shared))
    t.strictSame(await wire.lines(4), ['binary "ab"', 'binary "ab"', 'binary "cd"', 'binary "cd"'])
  }
})

t.test('what cannot be sent throws where it is sent, and sends nothing', async (t) => {
  const { socket, wire } = openSocket()
  const error = { code: 'FST_WS_ERR_DATA_TYPE', name: 'FastifyError' }
  for (const data of [{}, [], null, undefined, true, Symbol('x'), 1n, new Blob(['x']), () => {}]) {
    t.throws(() => socket.send(data), error, Object.prototype.toString.call(data))
    t.ok(thrown(() => socket.send(data)) instanceof TypeError)
    t.throws(() => socket.sendRaw(data as never), error)
  }
  socket.send('after')
  t.strictSame(await wire.lines(1), ['text "after"'])

  const typed = openSocket({ contract: text() })
  t.throws(() => typed.socket.send(1), error)
  const object = openSocket({ contract: json() })
  t.throws(() => object.socket.send(undefined), error)
})

t.test('binary and fin of the options', async (t) => {
  const { socket, wire } = openSocket()
  socket.send('text', { binary: true })
  socket.send(Buffer.from('bytes'), { binary: false })
  socket.send(7, { binary: true })
  socket.send('a', { fin: false })
  socket.send('b', { fin: false })
  socket.send('c')
  socket.send(Buffer.from('x'), { fin: false })
  socket.ping('between')
  socket.send(Buffer.from('y'), { fin: true })
  socket.send('whole', { compress: false })
  t.strictSame(await wire.lines(10), [
    'binary "text"', 'text "bytes"', 'binary "7"',
    'text… "a"', 'continuation… "b"', 'continuation "c"',
    'binary… "x"', 'ping "between"', 'continuation "y"',
    'text "whole"'
  ])
})

t.test('the callback comes when the message has left, as second or as third argument', async (t) => {
  const { socket, wire } = openSocket()
  const order: string[] = []
  const done = new Promise<void>((resolve, reject) => {
    socket.send('a', (error) => { order.push(`a ${error}`) })
    socket.send('b', {}, (error) => { order.push(`b ${error}`) })
    socket.send('c', undefined, (error) => error === undefined ? resolve() : reject(error))
    order.push('sent')
  })
  await done
  t.strictSame(order, ['sent', 'a undefined', 'b undefined'], 'never within send')
  t.strictSame(await wire.lines(3), ['text "a"', 'text "b"', 'text "c"'])
})

t.test('what a callback of send throws goes to the fault sink', async (t) => {
  const { socket, wire, faults } = openSocket()
  socket.send('a', () => { throw new Error('in the callback') })
  await wire.frames(1)
  await settle()
  socket.close()
  socket.send('b', () => { throw new Error('after the close') })
  await settle()
  t.match(faults, [{ kind: 'listener', error: { message: 'in the callback' } }, { kind: 'listener', error: { message: 'after the close' } }])
})

t.test('a message that is lost tells its callback', async (t) => {
  const { socket, wire, near } = openSocket({ limits: { highWaterMarkBytes: 1024 } })
  await settle()
  wire.duplex.pause()
  const lost = new Promise<Error | undefined>((resolve) => { socket.send(Buffer.alloc(1_000_000), resolve) })
  const behind = new Promise<Error | undefined>((resolve) => { socket.send('behind', resolve) })
  await settle(3)
  near.destroy()
  t.ok(await lost)
  t.ok(await behind)
})

t.test('after the close nothing throws: false, a coded error in the callback, and bufferedAmount', async (t) => {
  for (const contract of [undefined, json({ send: Say })]) {
    const { socket, wire } = openSocket({ ...contract && { contract }, validateSend: true })
    socket.close(4001, 'done')
    const message = contract === undefined ? 'hello' : { text: 'hello' }
    const size = contract === undefined ? 5 : 16
    const errors: any[] = []
    t.equal(socket.send(message, (error) => { errors.push(error) }), false)
    t.equal(socket.bufferedAmount, size)
    t.strictSame(errors, [], 'later')
    t.equal(socket.send(message, {}, (error) => { errors.push(error) }), false)
    t.equal(socket.send(prepare(message)), false)
    t.equal(socket.bufferedAmount, 3 * size)
    t.equal(socket.sendRaw('hello'), false)
    t.equal(socket.bufferedAmount, 3 * size + 5)
    t.equal(socket.send(Symbol('unsendable')), false)
    t.equal(socket.send(undefined), false)
    t.doesNotThrow(() => socket.sendRaw('x'))
    socket.ping()
    socket.pong()
    socket.pong('x'.repeat(126))
    await settle()
    t.equal(errors.length, 2)
    t.match(errors[0], { code: 'FST_WS_ERR_CLOSED', closeCode: 4001 })
    t.strictSame(await wire.lines(1), ['close 4001 "done"'])
    wire.close(4001)
    t.strictSame(await wire.linesUntilEnd(), [], 'the Close was the last')
    await wire.untilClosed()
    t.match(await new Promise((resolve) => { socket.send(message, resolve) }), { code: 'FST_WS_ERR_CLOSED', closeCode: 4001 })
    const before = socket.bufferedAmount
    socket.send(message)
    t.equal(socket.bufferedAmount, before + size, 'it never goes down again')
  }
})

t.test('bufferedAmount is the payload that waits, without framing', async (t) => {
  const { socket, wire } = openSocket()
  socket.send('12345')
  socket.send(Buffer.alloc(1000))
  socket.send(prepare('123'))
  t.equal(socket.bufferedAmount, 1008)
  await wire.frames(3)
  await settle()
  t.equal(socket.bufferedAmount, 0)
})

t.test('above the high-water mark send returns false, and drain follows', async (t) => {
  const { socket, wire } = openSocket({ limits: { highWaterMarkBytes: 1000 } })
  await settle()
  wire.duplex.pause()
  t.equal(socket.send(Buffer.alloc(300_000)), false)
  t.equal(socket.writableNeedDrain, true)
  t.equal(socket.sendRaw('more'), false)
  let drains = 0
  socket.on('drain', () => {
    drains++
    t.equal(socket.writableNeedDrain, false)
    t.ok(socket.send('after drain'))
  })
  const waiting = [socket.drained(), socket.drained()]
  await settle()
  t.equal(drains, 0)
  t.equal(socket.writableNeedDrain, true)
  wire.duplex.resume()
  await Promise.all(waiting)
  t.equal(drains, 1)
  await wire.frames(3)
  await socket.drained()
  t.pass('at once when there is nothing to wait for')
})

t.test('drain waits until what was sent meanwhile is below the mark too', async (t) => {
  const { socket, wire } = openSocket({ limits: { highWaterMarkBytes: 1000 } })
  await settle()
  wire.duplex.pause()
  socket.send(Buffer.alloc(300_000))
  await settle(3)
  socket.send(Buffer.alloc(300_000))
  let drains = 0
  socket.on('drain', () => {
    drains++
    t.equal(socket.bufferedAmount, 0)
  })
  wire.duplex.resume()
  await wire.frames(2)
  await settle()
  t.equal(drains, 1)
})

t.test('a message that is above the mark alone still brings drain', async (t) => {
  const { socket, wire } = openSocket({ limits: { highWaterMarkBytes: 10 } })
  t.equal(socket.send('longer than ten bytes'), false)
  await once(socket, 'drain')
  await wire.frames(1)
})

t.test('drained rejects when the connection is not open any more', async (t) => {
  for (const how of ['close', 'terminate', 'peer'] as const) {
    const { socket, wire } = openSocket({ limits: { highWaterMarkBytes: 1000 } })
    await settle()
    wire.duplex.pause()
    socket.send(Buffer.alloc(300_000))
    const waiting = [socket.drained(), socket.drained()]
    if (how === 'close') socket.close(4002, 'x')
    else if (how === 'terminate') socket.terminate()
    else wire.close(4002, 'x')
    for (const one of waiting) await t.rejects(one, { code: 'FST_WS_ERR_CLOSED', closeCode: how === 'terminate' ? 1006 : 4002 })
    await t.rejects(socket.drained(), { code: 'FST_WS_ERR_CLOSED' }, 'also later')
    wire.destroy()
  }
})

t.test('above maxUnsentBytes a further message terminates the connection', async (t) => {
  const { socket, wire, faults } = openSocket({ limits: { highWaterMarkBytes: 1000, maxUnsentBytes: 200_000 } })
  await settle()
  wire.duplex.pause()
  const errors: Error[] = []
  socket.on('error', (error) => { errors.push(error) })
  t.equal(socket.send(Buffer.alloc(500_000)), false, 'one of any size goes to a peer that nothing waits for')
  t.equal(socket.readyState, socket.OPEN)
  const told = new Promise<any>((resolve) => { socket.send('x', resolve) })
  t.equal(socket.readyState, socket.CLOSING)
  t.match(await told, { code: 'FST_WS_ERR_CLOSED', closeCode: 1006 })
  t.match(faults, [{ kind: 'limit', error: { code: 'FST_WS_ERR_LIMIT', closeCode: 1006 }, message: undefined }])
  t.equal(errors[0], faults[0]!.error)
  t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  t.equal(faults.length, 1)
})

t.test('sendRaw, ping and pong stop at maxUnsentBytes too', async (t) => {
  for (const send of ['sendRaw', 'ping', 'pong'] as const) {
    const { socket, wire, faults } = openSocket({ limits: { highWaterMarkBytes: 1000, maxUnsentBytes: 200_000 } })
    await settle()
    wire.duplex.pause()
    socket.send(Buffer.alloc(500_000))
    socket[send]('x')
    t.match(faults, [{ kind: 'limit', error: { closeCode: 1006 } }])
    t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  }
})

t.test('close takes the codes that an endpoint may send, and no others', async (t) => {
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
    const { socket, wire } = openSocket()
    socket.close(code)
    t.strictSame(await wire.lines(1), [`close ${code} ""`])
    wire.destroy()
  }
  const { socket } = openSocket()
  for (const code of [0, 999, 1004, 1005, 1006, 1010, 1015, 1016, 1999, 2000, 2999, 5000, -1, 1000.5, NaN, Infinity, '1000', null, {}]) {
    t.ok(thrown(() => socket.close(code as never)) instanceof TypeError, String(code))
    t.throws(() => socket.close(code as never), { code: 'FST_WS_ERR_CLOSE_CODE', message: typeof code === 'string' ? `${code} (a string) is not` : /is not a close code/ })
  }
  const client = openSocket({ role: 'client' })
  client.socket.close(1010)
  t.equal(client.socket.readyState, client.socket.CLOSING, 'a client may miss an extension')
})

t.test('a close reason holds 123 bytes of UTF-8', async (t) => {
  const { socket, wire } = openSocket()
  t.ok(thrown(() => socket.close(1000, 'ä'.repeat(62))) instanceof RangeError)
  t.throws(() => socket.close(1000, 'x'.repeat(124)), { code: 'FST_WS_ERR_CLOSE_REASON' })
  t.equal(socket.readyState, socket.OPEN, 'nothing has happened')
  socket.close(1000, 'ä'.repeat(61) + 'x')
  socket.close(4000, 'again')
  t.strictSame(await wire.lines(1), [`close 1000 "${'ä'.repeat(61)}x"`], 'the second close does nothing')
  t.ok(thrown(() => socket.close(1)) instanceof TypeError, 'a mistake is one at any time')
})

t.test('what was sent before terminate is handed over', async (t) => {
  const { socket, wire } = openSocket()
  socket.send('last words')
  socket.terminate()
  socket.send('too late')
  t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  await wire.untilEnd()
  t.ok(wire.received.includes('last words'))
  t.notOk(wire.received.includes('too late'))
})

t.test('terminate ends a connection whose stream throws', async (t) => {
  const { socket, wire } = openSocket()
  const failure = new Error('no write')
  socket._socket.write = () => { throw failure }
  let told: unknown
  socket.send('last words', (error) => { told = error })
  t.equal(thrown(() => socket.terminate()), failure)
  t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  await wire.untilEnd()
  t.match(told, { code: 'FST_WS_ERR_CLOSED' })
})

t.test('terminate drops the connection at once', async (t) => {
  const { socket, wire, closedCount } = openSocket()
  let closes = 0
  socket.on('close', (code, reason) => {
    closes++
    t.equal(code, 1006)
    t.ok(Buffer.isBuffer(reason))
    t.equal(reason.length, 0)
  })
  socket.terminate()
  t.equal(socket.readyState, socket.CLOSING)
  socket.terminate()
  t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  socket.terminate()
  await wire.untilEnd()
  t.equal(wire.received.length, 0)
  t.equal(closes, 1)
  t.equal(closedCount(), 1)
})

t.test('a Close from the peer is answered with the same, and its code and reason are told', async (t) => {
  for (const [code, reason, seen] of [[1000, 'bye', 1000], [undefined, undefined, 1005], [4711, '', 4711]] as const) {
    const { socket, wire } = openSocket()
    const event = once(socket, 'close')
    wire.close(code, reason)
    t.strictSame(await wire.linesUntilEnd(), [code === undefined ? 'close' : `close ${code} "${reason}"`])
    wire.end()
    t.strictSame(await event, [seen, Buffer.from(reason ?? '')])
    t.same(await socket.closed, { code: seen, reason: reason ?? '', wasClean: true })
  }
})

t.test('a lost connection is 1006', async (t) => {
  const { socket, wire, faults } = openSocket()
  await settle()
  wire.destroy()
  t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  t.match(faults, [{ kind: 'socket', error: { code: 'FST_WS_ERR_SOCKET', cause: { code: 'ECONNRESET' } }, message: undefined }])

  const ended = openSocket()
  ended.wire.end()
  t.same(await ended.socket.closed, { code: 1006, reason: '', wasClean: false })
  await ended.wire.untilEnd()
  t.strictSame(ended.faults, [], 'an end of file is no fault')
})

t.test('when a network fault is told, the connection is not open any more', async (t) => {
  const { socket, wire } = openSocket()
  const states: number[] = []
  socket.on('error', () => { states.push(socket.readyState) })
  await settle()
  wire.destroy()
  await socket.closed
  t.equal(states.length, 1)
  t.not(states[0], socket.OPEN)
})

t.test('ping and pong', async (t) => {
  const { socket, wire } = openSocket()
  socket.ping()
  socket.ping('text')
  socket.ping(Buffer.from('bytes'))
  socket.pong(new Uint8Array([0x61]).buffer)
  socket.pong(5)
  socket.ping('x'.repeat(125))
  t.strictSame(await wire.lines(6), ['ping ""', 'ping "text"', 'ping "bytes"', 'pong "a"', 'pong "5"', `ping "${'x'.repeat(125)}"`])
  t.ok(thrown(() => socket.ping('x'.repeat(126))) instanceof RangeError)
  t.throws(() => socket.pong('ä'.repeat(63)), { code: 'FST_WS_ERR_CONTROL_PAYLOAD' })
  t.throws(() => socket.ping({} as never), { code: 'FST_WS_ERR_DATA_TYPE' })

  const pinged = once(socket, 'ping')
  const ponged = once(socket, 'pong')
  wire.ping('are you there')
  wire.pong('I am')
  t.strictSame(await pinged, [Buffer.from('are you there')])
  t.strictSame(await ponged, [Buffer.from('I am')])
  t.strictSame(await wire.lines(1), ['pong "are you there"'])
})

t.test('data is an object of its own for each socket, made when first touched', async (t) => {
  const { socket } = openSocket()
  const other = openSocket().socket
  const data = socket.data as { user?: string }
  t.strictSame(data, {})
  data.user = 'a'
  t.equal(socket.data, data)
  t.strictSame(other.data, {})
})

t.test('closed and signal may be asked for before and after', async (t) => {
  const { socket, wire } = openSocket()
  const { signal } = socket
  t.equal(signal.aborted, false)
  t.equal(socket.signal, signal)
  t.equal(socket.closed, socket.closed)
  socket.close(4010, 'why')
  t.equal(signal.aborted, true, 'as soon as it is not open')
  t.match(signal.reason, { code: 'FST_WS_ERR_CLOSED', closeCode: 4010 })
  wire.close(4011, 'because')
  wire.end()
  t.same(await socket.closed, { code: 4011, reason: 'because', wasClean: true })

  const late = openSocket()
  late.wire.close(4012, 'late')
  late.wire.end()
  await once(late.socket, 'close')
  t.same(await late.socket.closed, { code: 4012, reason: 'late', wasClean: true })
  t.equal(late.socket.signal.aborted, true)
  t.match(late.socket.signal.reason, { code: 'FST_WS_ERR_CLOSED', closeCode: 4012, reason: 'late' })
})

t.test('await using closes with 1000 and waits for the end', async (t) => {
  const { socket, wire } = openSocket()
  let disposed = false
  const block = (async () => {
    await using ws = socket
    ws.send('in the block')
  })().then(() => { disposed = true })
  t.strictSame(await wire.lines(2), ['text "in the block"', 'close 1000 ""'])
  await settle()
  t.equal(disposed, false)
  wire.close(1000)
  wire.end()
  await block
  t.equal(socket.readyState, socket.CLOSED)
  await socket[Symbol.asyncDispose]()
})

t.test('binaryType says what binary messages of a raw socket come as', async (t) => {
  const { socket, wire } = openSocket()
  t.ok(thrown(() => { socket.binaryType = 'blob' as never }) instanceof TypeError)
  t.ok(thrown(() => { socket.binaryType = undefined as never }) instanceof TypeError)
  t.equal(socket.binaryType, 'nodebuffer')
  wire.binary('abc')
  t.strictSame(await socket.next(), Buffer.from('abc'))
  socket.binaryType = 'arraybuffer'
  t.equal(socket.binaryType, 'arraybuffer')
  wire.binary('abc')
  wire.text('text')
  const buffer = await socket.next()
  t.ok(buffer instanceof ArrayBuffer)
  t.equal(buffer.byteLength, 3, 'and no octet of its neighbours')
  t.equal(await socket.next(), 'text', 'text is text')
  socket.binaryType = 'fragments'
  wire.binary('abc')
  t.strictSame(await socket.next(), [Buffer.from('abc')])

  const typed = openSocket({ contract: bytes() })
  typed.socket.binaryType = 'arraybuffer'
  typed.wire.binary('abc')
  t.strictSame(await typed.socket.next(), Buffer.from('abc'), 'a contract says what its messages are')
})

t.test('sendRaw goes past codec and schema', async (t) => {
  const { socket, wire } = openSocket({ contract: json({ send: Say }), validateSend: true })
  t.equal(socket.sendRaw('{"not": "in the schema"'), true)
  t.equal(socket.sendRaw(Buffer.from('bytes')), true)
  t.throws(() => socket.send({ text: 1 }), { code: 'FST_WS_ERR_INVALID_SEND', validationContext: 'message' })
  t.throws(() => socket.send(prepare({ text: 1 })), { code: 'FST_WS_ERR_INVALID_SEND' })
  socket.send({ text: 'fits' })
  t.strictSame(await wire.lines(3), ['text "{\\"not\\": \\"in the schema\\""', 'binary "bytes"', 'text "{\\"text\\":\\"fits\\"}"'])
})

t.test('a prepared message is encoded once for each codec, and goes to sockets of all contracts', async (t) => {
  let encoded = 0
  const upper = { name: 'upper', wire: 'text', encode: (message: unknown) => { encoded++; return String(message).toUpperCase() }, decode: String } as const
  const sockets = [
    openSocket(),
    openSocket({ contract: text() }),
    openSocket({ contract: json() }),
    openSocket({ contract: custom({ codec: upper }) }),
    openSocket({ contract: custom({ codec: upper }) }),
    openSocket({ role: 'client' })
  ]
  const message = prepare('hi')
  for (let i = 0; i < 2; i++) for (const { socket } of sockets) t.equal(socket.send(message), true)
  const lines = await Promise.all(sockets.map(({ wire }) => wire.lines(2)))
  t.strictSame(lines.map(([first]) => first), ['text "hi"', 'text "hi"', 'text "\\"hi\\""', 'text "HI"', 'text "HI"', 'text "hi"'])
  for (const [first, second] of lines) t.equal(first, second)
  t.equal(encoded, 1)

  const bytesMessage = prepare(Buffer.from('bytes'))
  const sent = new Promise<Error | undefined>((resolve) => { sockets[0]!.socket.send(bytesMessage, resolve) })
  sockets[5]!.socket.send(bytesMessage)
  t.equal(await sent, undefined, 'with a callback')
  t.strictSame(await sockets[0]!.wire.lines(1), ['binary "bytes"'])
  const [masked] = await sockets[5]!.wire.frames(1)
  t.match(masked, { masked: true, opcode: 2 }, 'a client masks it')
})

t.test('a prepared message between fragments continues them', async (t) => {
  const { socket, wire } = openSocket()
  socket.send('a', { fin: false })
  socket.send(prepare('b'))
  socket.send(prepare('c'))
  t.strictSame(await wire.lines(3), ['text… "a"', 'continuation "b"', 'text "c"'])
})

t.test('what is sent in one tick leaves in one write', async (t) => {
  const { socket, wire } = openSocket()
  const chunks: number[] = []
  wire.duplex.on('data', (chunk: Buffer) => { chunks.push(chunk.length) })
  for (let i = 0; i < 100; i++) socket.send('x')
  await wire.frames(100)
  t.strictSame(chunks, [300])
})

t.test('a peer that does not answer our Close is dropped after closeTimeoutMs', async (t) => {
  const { socket, wire } = openSocket({ limits: { closeTimeoutMs: 20 } })
  socket.close(1000)
  t.same(await socket.closed, { code: 1006, reason: '', wasClean: false })
  await wire.untilEnd()
})

t.test('FST_WS_ERR_CLOSED says the code that closed says, also when our own Close was never answered', async (t) => {
  const { socket, wire } = openSocket()
  socket.close(4001)
  await wire.frames(1)
  wire.destroy()
  const { code } = await socket.closed
  t.equal(code, 1006)
  await t.rejects(socket.next(), { code: 'FST_WS_ERR_CLOSED', closeCode: 1006 })
})

// What libraries call that were written for `ws`.

t.test('ping and pong with a mask and a callback, in every place', async (t) => {
  const { socket, wire } = openSocket()
  const called: unknown[] = []
  const named = (name: string) => (...args: unknown[]) => { called.push([name, ...args]) }
  socket.ping(named('ping'))
  socket.ping('a', named('data'))
  socket.ping('b', true, named('mask'))
  socket.pong('c', undefined, named('pong'))
  socket.pong(undefined, false)
  t.strictSame(await wire.lines(5), ['ping ""', 'ping "a"', 'ping "b"', 'pong "c"', 'pong ""'])
  await settle()
  t.strictSame(called, [['ping', undefined], ['data', undefined], ['mask', undefined], ['pong', undefined]])
  socket.close()
  socket.ping('x'.repeat(126), named('closed'))
  await settle()
  t.match(called.at(-1), ['closed', { code: 'FST_WS_ERR_CLOSED' }])
})

t.test('what a callback of ping throws goes to the fault sink', async (t) => {
  const { socket, faults } = openSocket()
  socket.ping(() => { throw new Error('of a callback') })
  await settle()
  t.match(faults, [{ kind: 'listener', error: { message: 'of a callback' } }])
})

t.test('close without a code, and with nothing for code and reason', async (t) => {
  for (const close of [(socket: WebSocket) => socket.close(), (socket: WebSocket) => socket.close(undefined, undefined)]) {
    const own = openSocket()
    close(own.socket)
    t.strictSame(await own.wire.lines(1), ['close 1000 ""'])
    const asWs = openSocket({ limits: { closeCode: 1005 } })
    close(asWs.socket)
    t.strictSame(await asWs.wire.lines(1), ['close'], 'an empty Close, where the route says so')
  }
  const { socket, wire } = openSocket({ limits: { closeCode: 1005 } })
  t.throws(() => socket.close(1005), { code: 'FST_WS_ERR_CLOSE_CODE' })
  socket.close(undefined, 'a reason needs a code')
  t.strictSame(await wire.lines(1), ['close'])
  const bytes = openSocket()
  bytes.socket.close(4000, Buffer.from('of octets'))
  t.strictSame(await bytes.wire.lines(1), ['close 4000 "of octets"'])
})

t.test('events that are emitted by hand, and properties of its own', async (t) => {
  const { socket } = openSocket()
  const heard: unknown[] = []
  socket.on('message', (data) => { heard.push(data) })
  socket.addEventListener('message', ({ data }) => { heard.push(data) })
  socket.emit('message', Buffer.from('text'))
  t.strictSame(heard, [Buffer.from('text'), 'text'], 'octets without a kind are text')
  const extended = socket as typeof socket & { isAlive: boolean }
  extended.isAlive = true
  t.equal(extended.isAlive, true)
})

t.test("on and off of node's events", async (t) => {
  const { socket, wire } = openSocket()
  wire.text('first')
  wire.binary('second')
  const messages = []
  for await (const [data, isBinary] of on(socket, 'message')) {
    messages.push([data, isBinary])
    if (messages.length === 2) break
  }
  t.strictSame(messages, [[Buffer.from('first'), false], [Buffer.from('second'), true]])
  t.equal(socket.listenerCount('message'), 0)
  const never = (): void => { t.fail('it was taken away') }
  socket.on('message', never).off('message', never).once('message', never).removeListener('message', never)
  wire.text('third')
  t.equal(await socket.next(), 'third')
})

t.test('createWebSocketStream of ws', async (t) => {
  const { socket, wire, near } = openSocket()
  t.equal(socket._socket, near)
  t.throws(() => { (socket as { _socket: unknown })._socket = null }, TypeError, 'which is read-only')
  const stream = createWebSocketStream(socket, { readableHighWaterMark: 4 })
  wire.text('a message')
  wire.binary('and another')
  await once(stream, 'readable')
  await settle()
  t.equal(socket.isPaused, true, 'nobody reads it')
  const read: Buffer[] = []
  stream.on('data', (chunk: Buffer) => { read.push(chunk) })
  stream.write('out')
  t.strictSame(await wire.lines(1), ['binary "out"'])
  await settle()
  t.equal(Buffer.concat(read).toString(), 'a messageand another')
  t.equal(socket.isPaused, false)
  const finished = once(stream, 'finish')
  stream.end()
  t.strictSame(await wire.lines(1), ['close 1000 ""'])
  wire.close(1000)
  await finished
  wire.end()
  await once(stream, 'close')
  t.equal(socket.readyState, socket.CLOSED)

  const dropped = openSocket()
  const other = createWebSocketStream(dropped.socket)
  other.destroy()
  await once(other, 'close')
  t.equal((await dropped.socket.closed).code, 1006)
})

t.test('deliversWhileClosing: messages come until the peer has closed, and a full queue takes no more', async (t) => {
  const { socket, wire, receiver } = openSocket({ limits: { deliversWhileClosing: true, queueBytes: 1_000 } })
  socket.close()
  for (let i = 0; i < 100; i++) wire.text('x'.repeat(100))
  await settle()
  t.equal(receiver.isPaused, false)
  const heard: Buffer[] = []
  socket.on('message', (data) => { heard.push(data as Buffer) })
  await settle()
  wire.text('last')
  wire.close(1000)
  wire.end()
  t.same(await socket.closed, { code: 1000, reason: '', wasClean: true })
  t.equal(heard.at(-1)!.toString(), 'last')
  t.ok(heard.length > 1 && heard.length < 12, `${heard.length} messages`)
})
