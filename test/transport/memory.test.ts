import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage } from 'node:http'
import { mock } from 'node:test'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { memoryPair, type MemoryDuplex } from '../../lib/transport/memory.ts'

const immediate = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })
const written = (end: MemoryDuplex, data: string | Buffer): Promise<void> =>
  new Promise((resolve, reject) => { end.write(data, (error) => error ? reject(error) : resolve()) })

const closed = (end: MemoryDuplex): Promise<void> => new Promise((resolve) => {
  if (end.closed) resolve()
  else end.once('close', resolve)
})

/** Reads to the end, and leaves the other direction open. */
async function readAll (end: MemoryDuplex): Promise<string> {
  const pieces = collect(end)
  await once(end, 'end')
  return Buffer.concat(pieces).toString()
}

/** Everything that is read, in the pieces in which it came. */
function collect (end: MemoryDuplex): Buffer[] {
  const pieces: Buffer[] = []
  end.on('data', (piece) => pieces.push(piece))
  return pieces
}

t.test('what is written to one end is read from the other, both ways', async (t) => {
  const [a, b] = memoryPair()
  a.write('to b')
  b.write(new Uint8Array([0x61]))
  t.equal(String((await once(b, 'data'))[0]), 'to b')
  t.equal(String((await once(a, 'data'))[0]), 'a')
  t.equal(a.peer, b)
  t.equal(b.peer, a)
  t.equal(a.bytesWritten, 4)
  t.equal(b.bytesRead, 4)
})

t.test('nothing arrives within the turn in which it was written', async (t) => {
  const [a, b] = memoryPair()
  const pieces = collect(b)
  a.write('later')
  await new Promise((resolve) => { process.nextTick(resolve) })
  await Promise.resolve()
  t.equal(pieces.length, 0)
  await immediate()
  t.equal(Buffer.concat(pieces).toString(), 'later')
})

t.test('the writer may reuse its memory as soon as the write has called back', async (t) => {
  const [a, b] = memoryPair()
  const pieces = collect(b)
  const memory = Buffer.alloc(200_000, 'x')
  await written(a, memory)
  memory.fill('y')
  t.ok(Buffer.concat(pieces).equals(Buffer.alloc(200_000, 'x')))
})

t.test('the reader may change what it has read', async (t) => {
  const [a, b] = memoryPair()
  const memory = Buffer.from('abc')
  b.on('data', (piece: Buffer) => piece.fill(0))
  await written(a, memory)
  t.equal(memory.toString(), 'abc')
})

t.test('large writes arrive in pieces, corked ones in one', async (t) => {
  const [a, b] = memoryPair()
  const pieces = collect(b)
  const large = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i & 0xff))
  await written(a, large)
  t.ok(pieces.length > 1)
  t.ok(Buffer.concat(pieces).equals(large))

  pieces.length = 0
  a.cork()
  a.write('one ')
  a.write('two ')
  const done = written(a, 'three')
  a.uncork()
  await done
  t.strictSame(pieces.map(String), ['one two three'])
})

t.test('an empty write calls back when what was before it has been taken', async (t) => {
  const [a, b] = memoryPair()
  const pieces = collect(b)
  a.write('x')
  await written(a, Buffer.alloc(0))
  t.strictSame(pieces.map(String), ['x'])
})

t.test('a reader that does not read holds up the writer', async (t) => {
  const [a, b] = memoryPair()
  let called = false
  const done = written(a, Buffer.alloc(1_000_000)).then(() => { called = true })
  for (let turn = 0; turn < 20; turn++) await immediate()
  t.notOk(called)
  t.ok(b.readableLength < 200_000, 'no more than the stream wants to hold')
  b.resume()
  await done
  t.ok(called)
  t.equal(b.bytesRead, 1_000_000)
})

t.test('a reader may read and pause from within its own listener', async (t) => {
  const [a, b] = memoryPair()
  let bytes = 0
  b.on('data', (piece: Buffer) => {
    bytes += piece.length
    b.pause()
    setImmediate(() => { bytes += b.read()?.length ?? 0; b.resume() })
  })
  await written(a, Buffer.alloc(1_000_000))
  a.end()
  await once(b, 'end')
  t.equal(bytes, 1_000_000)
})

t.test('the end of one is the end of file of the other, behind all data', async (t) => {
  const [a, b] = memoryPair()
  a.end(Buffer.alloc(300_000, 'e'))
  t.equal((await readAll(b)).length, 300_000)
  t.notOk(b.destroyed, 'half open')
  b.end('answer')
  t.equal(await readAll(a), 'answer')
  await Promise.all([a, b].map(closed))
})

t.test('streams can be piped through it', async (t) => {
  const [a, b] = memoryPair()
  const echo = pipeline(b, b)
  a.end(Buffer.alloc(500_000, 'p'))
  t.equal((await readAll(a)).length, 500_000)
  await echo
})

t.test('destroy is a lost network to the other end', async (t) => {
  const [a, b] = memoryPair()
  a.destroy()
  const [error] = await once(b, 'error')
  t.match(error, { code: 'ECONNRESET', syscall: 'read', message: 'read ECONNRESET' })
  t.ok(b.destroyed)
  t.notOk(a.errored)
})

t.test('an error of one end is a reset to the other', async (t) => {
  const [a, b] = memoryPair()
  const own = once(a, 'error')
  a.destroy(new Error('of a'))
  t.match((await own)[0], { message: 'of a' })
  t.match((await once(b, 'error'))[0], { code: 'ECONNRESET' })
})

t.test('what was on its way when an end was destroyed still arrives', async (t) => {
  const [a, b] = memoryPair()
  const pieces = collect(b)
  b.on('error', () => {})
  await immediate()
  const lost = written(a, 'last words')
  a.destroy()
  await t.rejects(lost, { code: 'ECANCELED' })
  await closed(b)
  t.strictSame(pieces.map(String), ['last words'])
})

t.test('a write that waits for the other end fails when that is destroyed', async (t) => {
  const [a, b] = memoryPair()
  a.on('error', () => {})
  const lost = written(a, Buffer.alloc(1_000_000))
  await immediate()
  b.destroy()
  await t.rejects(lost, { code: 'ECONNRESET' })
  t.ok(a.destroyed)
})

t.test('destroy after an end is no loss to whoever has read to the end', async (t) => {
  const [a, b] = memoryPair()
  a.resume()
  a.end('bye')
  await once(a, 'finish')
  a.destroy()
  t.equal(await readAll(b), 'bye')
  t.notOk(b.destroyed)
  const failure = once(b, 'error')
  b.write('too late')
  t.match((await failure)[0], { code: 'EPIPE' })
})

t.test('destroy after an end loses what the other has written and nobody has read', async (t) => {
  const [a, b] = memoryPair()
  a.end()
  b.resume()
  b.write(Buffer.alloc(300_000))
  await once(b, 'end')
  a.destroy()
  t.match((await once(b, 'error'))[0], { code: 'ECONNRESET' })
})

t.test('destroySoon lets everything out first', async (t) => {
  const [a, b] = memoryPair()
  a.write(Buffer.alloc(300_000))
  a.destroySoon()
  t.notOk(a.destroyed)
  t.equal((await readAll(b)).length, 300_000)
  await closed(a)

  const [c] = memoryPair()
  c.end()
  await once(c, 'finish')
  c.destroySoon()
  t.ok(c.destroyed)
})

t.test('an end has what a server asks of a socket', async (t) => {
  const [a] = memoryPair()
  t.equal(a.remoteAddress, '127.0.0.1')
  t.equal(a.encrypted, false)
  t.equal(a.alpnProtocol, false)
  t.equal(a.server, null)
  for (const method of ['setTimeout', 'setNoDelay', 'setKeepAlive', 'ref', 'unref'] as const) t.equal(a[method](), a)
})

t.test('one end can leave something for the other', async (t) => {
  const [a, b] = memoryPair()
  t.equal(b.peer.agreement, undefined)
  a.agreement = 'contract'
  t.equal(b.peer.agreement, 'contract')
})

t.test('node:http serves and asks over it, with keep-alive and a large body', async (t) => {
  const server = createServer(async (request, response) => {
    const body = await text(request)
    response.end(`${request.method} ${request.url} ${body.length} ${request.socket.remoteAddress}`)
  })
  const [client, end] = memoryPair()
  end.remoteAddress = '10.0.0.1'
  server.emit('connection', end)
  const agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), { createConnection: () => client })
  const ask = async (path: string, body: Buffer): Promise<string> => {
    const outgoing = request({ agent, path, method: 'POST' })
    outgoing.end(body)
    const [response] = await once(outgoing, 'response') as [IncomingMessage]
    return await text(response)
  }
  t.equal(await ask('/a', Buffer.alloc(1_000_000)), 'POST /a 1000000 10.0.0.1')
  t.equal(await ask('/b', Buffer.alloc(0)), 'POST /b 0 10.0.0.1')
  t.equal(end.server, server)
  agent.destroy()
  await closed(end)
})

t.test('fake timers do not touch it', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const [a, b] = memoryPair()
  a.end('real')
  t.equal(await readAll(b), 'real')
  a.on('error', () => {})
  b.destroy()
  await closed(a)
})
