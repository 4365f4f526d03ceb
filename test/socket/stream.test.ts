import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { json } from '../../lib/subprotocol/contract.ts'
import { deferred, thrown } from '../helpers/app.ts'
import { openSocket, settle } from '../helpers/open-socket.ts'

const Say = { type: 'object', required: ['text'], properties: { text: { type: 'string' } } }

const unhandled: unknown[] = []
const note = (error: unknown): void => { unhandled.push(error) }
process.on('unhandledRejection', note)
process.on('uncaughtException', note)
t.teardown(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

t.test('a raw stream carries bytes, whatever frames they come in', async (t) => {
  const { socket, wire } = openSocket()
  const stream = socket.stream()
  t.equal(stream.readableObjectMode, false)
  t.equal(stream.writableObjectMode, false)
  wire.text('text,')
  wire.binary('')
  wire.text('')
  wire.binary('bytes,')
  wire.binary('end')
  wire.close(1000)
  wire.end()
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  t.equal(Buffer.concat(chunks).toString(), 'text,bytes,end')
  t.ok(chunks.every((chunk) => Buffer.isBuffer(chunk)))
})

t.test('a raw stream carries bytes whatever binaryType says', async (t) => {
  for (const binaryType of ['arraybuffer', 'fragments'] as const) {
    const { socket, wire } = openSocket()
    socket.binaryType = binaryType
    const stream = socket.stream()
    const errors: Error[] = []
    stream.on('error', (error) => { errors.push(error) })
    stream.on('data', () => {})
    const data = once(stream, 'data').catch((error) => error)
    wire.binary('bytes')
    await Promise.race([data, settle(50)])
    t.strictSame(errors, [], binaryType)
    t.strictSame(await Promise.race([data, settle()]), [Buffer.from('bytes')], binaryType)
  }
})

t.test('a typed stream carries messages', async (t) => {
  const { socket, wire } = openSocket({ contract: json({ receive: Say }) })
  const stream = socket.stream()
  t.equal(stream.readableObjectMode, true)
  t.equal(stream.writableObjectMode, true)
  wire.text('{"text":"a"}')
  wire.text('{"text":""}')
  stream.write({ any: 'message' })
  stream.write('text')
  t.strictSame(await wire.lines(2), ['text "{\\"any\\":\\"message\\"}"', 'text "\\"text\\""'])
  wire.close(1000)
  wire.end()
  const messages: unknown[] = []
  for await (const message of stream) messages.push(message)
  t.strictSame(messages, [{ text: 'a' }, { text: '' }])
})

t.test('null cannot pass a stream: it fails and says so', async (t) => {
  const { socket, wire } = openSocket({ contract: json() })
  const stream = socket.stream()
  stream.resume()
  const failed = once(stream, 'error')
  wire.text('null')
  const [error] = await failed
  t.match(error, { code: 'FST_WS_ERR_DATA_TYPE' })
  t.equal((await socket.closed).code, 1006)
})

t.test('an echo is the stream piped into itself', async (t) => {
  const { socket, wire } = openSocket()
  const stream = socket.stream()
  const upperCase = new Transform({ transform: (chunk, _encoding, callback) => callback(null, String(chunk).toUpperCase()) })
  stream.pipe(upperCase).pipe(stream)
  wire.text('a')
  wire.text('b')
  t.strictSame(await wire.lines(2), ['binary "A"', 'binary "B"'])
  wire.close(1000)
  t.strictSame(await wire.linesUntilEnd(), ['close 1000 ""'])
  wire.end()
  await once(stream, 'close')
})

t.test('pipeline into the socket keeps to the pace of the peer, and closes with 1000', async (t) => {
  const { socket, wire, near } = openSocket()
  await settle()
  wire.duplex.pause()
  let made = 0
  const source = new Readable({ read () { this.push(made === 1000 ? null : Buffer.alloc(10_000, ++made)) } })
  const sending = pipeline(source, socket.stream())
  await settle(100)
  t.ok(made < 100, `${made} chunks were read of the source`)
  t.ok(socket.bufferedAmount + near.writableLength < 1_000_000)
  wire.duplex.resume()
  const frames = await wire.frames(1001)
  t.equal(frames.filter(({ opcode }) => opcode === 2).length, 1000)
  t.equal(frames.at(-1)!.opcode, 8)
  t.equal(frames.at(-1)!.payload.readUInt16BE(0), 1000)
  wire.close(1000)
  wire.end()
  await sending
  t.equal((await socket.closed).code, 1000)
})

t.test('pipeline out of the socket keeps to the pace of the sink', async (t) => {
  const { socket, wire, connection } = openSocket({ limits: { queueBytes: 10_000 } })
  const gate = deferred()
  let bytes = 0
  const sink = new Writable({
    highWaterMark: 1,
    write (chunk: Buffer, _encoding, callback) {
      bytes += chunk.length
      gate.promise.then(() => callback(), callback)
    }
  })
  const reading = pipeline(socket.stream(), sink)
  for (let i = 0; i < 1000; i++) wire.binary(Buffer.alloc(1000))
  wire.close(1000)
  await settle(200)
  t.equal(connection.reading, false)
  t.ok(wire.duplex.writableLength > 100_000, 'the rest is with the sender')
  gate.resolve()
  await wire.untilEnd()
  wire.end()
  await reading
  t.equal(bytes, 1_000_000)
})

t.test('ending the stream closes with 1000', async (t) => {
  const { socket, wire } = openSocket()
  const stream = socket.stream()
  stream.resume()
  stream.end('last')
  t.strictSame(await wire.lines(2), ['binary "last"', 'close 1000 ""'])
  wire.close(1000)
  wire.end()
  await once(stream, 'close')
  t.same(await socket.closed, { code: 1000, reason: '', wasClean: true })
})

t.test('destroying the stream terminates', async (t) => {
  const { socket, wire } = openSocket()
  const stream = socket.stream()
  stream.read()
  stream.destroy()
  t.equal((await socket.closed).code, 1006)
  await wire.untilEnd()
  t.equal(wire.received.length, 0)
})

t.test('the end of the connection ends the stream', async (t) => {
  for (const how of ['close', 'loss'] as const) {
    const { socket, wire } = openSocket()
    const stream = socket.stream()
    const events: string[] = []
    for (const event of ['end', 'finish', 'error', 'close']) stream.on(event, () => { events.push(event) })
    stream.resume()
    await settle()
    if (how === 'close') {
      wire.close(1000)
      wire.end()
    } else {
      wire.destroy()
    }
    await once(stream, 'close')
    t.strictSame(events.sort(), ['close', 'end', 'finish'], how)
  }
})

t.test('while the stream is there nobody else takes; after it is destroyed the place is free', async (t) => {
  const { socket } = openSocket()
  const stream = socket.stream()
  t.match(thrown(() => socket.stream()), { code: 'FST_WS_ERR_TAKEN' })
  stream.destroy()
  await once(stream, 'close')
  socket.on('message', () => {})
})

t.test('what cannot be encoded fails the stream, and nothing else', async (t) => {
  const { socket } = openSocket({ contract: json({ send: Say }), validateSend: true })
  const stream = socket.stream()
  const errors: any[] = []
  stream.on('error', (error) => { errors.push(error) })
  t.doesNotThrow(() => stream.write({ text: 1 }))
  await settle()
  t.match(errors, [{ code: 'FST_WS_ERR_INVALID_SEND' }])

  const piped = openSocket({ contract: json() })
  await t.rejects(Promise.race([
    pipeline(Readable.from([{ a: 1 }, () => {}, { b: 2 }]), piped.socket.stream()),
    settle(100).then(() => 'neither failed nor finished')
  ]), { code: 'FST_WS_ERR_DATA_TYPE' })
})

t.test('what a listener of the stream throws goes to the fault sink', async (t) => {
  const { socket, wire, faults } = openSocket()
  const stream = socket.stream()
  const failure = new Error('in the listener')
  stream.on('data', () => { throw failure })
  await settle()
  wire.text('x')
  await settle()
  t.match(faults, [{ kind: 'listener' }])
  t.equal(faults[0]!.error, failure)
})

t.test('writing when the peer has gone is an error of the stream', async (t) => {
  const { socket, wire } = openSocket()
  const stream = socket.stream()
  const failed = once(stream, 'error')
  socket.close(1000)
  stream.write('late')
  const [error] = await failed
  t.match(error, { code: 'FST_WS_ERR_CLOSED' })
  await wire.untilEnd()
})

t.test('nothing in all this was left unhandled', async (t) => {
  await settle()
  t.strictSame(unhandled, [])
})
