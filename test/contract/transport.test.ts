/**
 * What a pair of WebSockets does on every transport: one suite, run over TCP and over a connection in memory.
 */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { mock } from 'node:test'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import type { FaultKind } from '../../lib/socket/faults.ts'
import { openWebSocket, type OpenConnection, type OpenLimits } from '../../lib/socket/open.ts'
import { Ticker } from '../../lib/socket/ticker.ts'
import type { WebSocket } from '../../lib/socket/websocket.ts'
import { Subprotocol } from '../../lib/subprotocol/subprotocol.ts'
import { memoryPair } from '../../lib/transport/memory.ts'
import { frame } from '../helpers/frames.ts'
import { LIMITS as USUAL_LIMITS } from '../helpers/limits.ts'

/** The two ends of one connection: the server's, and the client's. */
type Pair = [server: Duplex, client: Duplex]

interface End extends OpenConnection {
  readonly socket: WebSocket<string, any, any>
  readonly duplex: Duplex
  readonly faults: Array<{ kind: FaultKind, error: any }>
}

interface Ends {
  readonly server: End
  readonly client: End
}

const LIMITS: OpenLimits = { ...USUAL_LIMITS, maxMessageBytes: 32 * 1024 * 1024, maxUnsentBytes: 64 * 1024 * 1024 }

function openEnd (role: 'server' | 'client', duplex: Duplex, limits: Partial<OpenLimits>): End {
  const faults: End['faults'] = []
  const subprotocol = new Subprotocol({ name: '', what: 'a test', codec: undefined })
  const open = openWebSocket(duplex, {
    role,
    subprotocol,
    extensions: '',
    deflate: undefined,
    url: 'ws://localhost/',
    limits: { ...LIMITS, ...limits },
    ticker: new Ticker(),
    faults: {
      onFault: (kind, error) => { faults.push({ kind, error }) },
      onInvalidMessage () {},
      onMessagesDiscarded () {},
      onClosed () {}
    }
  })
  return { ...open, duplex, faults }
}

async function tcpPair (): Promise<Pair> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [[socket]] = await Promise.all([once(server, 'connection') as Promise<[Socket]>, once(client, 'connect')])
  server.close()
  return [socket, client]
}

const patterned = (length: number): Buffer => Buffer.alloc(length, 'The quick brown fox jumps over the lazy dog, 0123456789. ')
const count = async (socket: WebSocket<string, any, any>): Promise<number> => {
  let messages = 0
  const iterator = socket[Symbol.asyncIterator]()
  while ((await iterator.next()).done !== true) messages++
  return messages
}

function suite (name: string, makePair: () => Promise<Pair> | Pair): void {
  /** Opens both ends and sees that nothing of them is left when the test is over. */
  const open = async (t: Test, limits: { server?: Partial<OpenLimits>, client?: Partial<OpenLimits> } = {}): Promise<Ends> => {
    const [serverDuplex, clientDuplex] = await makePair()
    const server = openEnd('server', serverDuplex, limits.server ?? {})
    const client = openEnd('client', clientDuplex, limits.client ?? {})
    for (const { start } of [server, client]) process.nextTick(start, Buffer.alloc(0))
    t.teardown(async () => {
      for (const { socket } of [server, client]) socket.terminate()
      await Promise.all([server.socket.closed, client.socket.closed])
    })
    return { server, client }
  }
  const test = (title: string, run: (t: Test) => Promise<void>): void => { t.test(`${name}: ${title}`, { timeout: 20_000 }, run) }

  test('messages of every size go both ways', async (t) => {
    const { server, client } = await open(t)
    server.socket.on('message', (data, isBinary) => server.socket.send(data, { binary: isBinary }))
    for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000]) {
      client.socket.send(patterned(length))
      t.ok(patterned(length).equals(await client.socket.next()), `${length} bytes`)
    }
    client.socket.send('täxt')
    t.equal(await client.socket.next(), 'täxt')
  })

  test('16 MiB go both ways in one message', async (t) => {
    const { server, client } = await open(t)
    server.socket.on('message', (data) => server.socket.send(data))
    client.socket.send(patterned(2 ** 24))
    t.ok(patterned(2 ** 24).equals(await client.socket.next()))
  })

  test('a thousand messages keep their order', async (t) => {
    const { server, client } = await open(t)
    server.socket.on('message', (data) => server.socket.send(data, { binary: false }))
    for (let i = 0; i < 1_000; i++) client.socket.send(String(i))
    for (let i = 0; i < 1_000; i++) if (await client.socket.next() !== String(i)) t.fail(`message ${i}`)
    t.equal(server.connection.messagesReceived, 1_000)
  })

  test('what was sent before terminate arrives, its Close too', async (t) => {
    for (const end of ['server', 'client'] as const) {
      const ends = await open(t)
      const { socket } = ends[end]
      const other = ends[end === 'server' ? 'client' : 'server'].socket
      const heard: string[] = []
      other.on('message', (data) => { heard.push(String(data)) })
      socket.on('message', () => {
        socket.send('a'.repeat(10_000))
        socket.send('last words')
        socket.close(4000, 'done')
        socket.terminate()
      })
      other.send('go')
      t.match(await socket.closed, { code: 1006, wasClean: false }, end)
      t.match(await other.closed, { code: 4000, reason: 'done' }, end)
      t.strictSame(heard.map((text) => text.slice(0, 10)), ['aaaaaaaaaa', 'last words'], end)
    }
  })

  for (const closer of ['server', 'client'] as const) {
    const other = closer === 'server' ? 'client' : 'server'
    test(`a close by the ${closer} is clean for both, and ends the transport`, async (t) => {
      const ends = await open(t)
      ends[closer].socket.close(4000, 'done')
      t.equal(ends[closer].socket.readyState, 2)
      t.strictSame(await ends[other].socket.closed, { code: 4000, reason: 'done', wasClean: true })
      t.strictSame(await ends[closer].socket.closed, { code: 4000, reason: 'done', wasClean: true })
      t.equal(ends[closer].socket.readyState, 3)
      await Promise.all([ends.server, ends.client].map(({ duplex }) => duplex.closed || once(duplex, 'close')))
      t.strictSame([ends.server.faults, ends.client.faults], [[], []])
    })

    test(`the ${closer} gets what was sent before a close by the ${other}`, async (t) => {
      const ends = await open(t)
      for (let i = 0; i < 100; i++) ends[other].socket.send(patterned(10_000))
      ends[other].socket.close()
      t.equal(await count(ends[closer].socket), 100)
      t.equal((await ends[closer].socket.closed).code, 1000)
    })

    test(`terminate by the ${closer} is a lost connection for both`, async (t) => {
      const ends = await open(t)
      ends[closer].socket.terminate()
      t.strictSame(await ends[closer].socket.closed, { code: 1006, reason: '', wasClean: false })
      t.strictSame(await ends[other].socket.closed, { code: 1006, reason: '', wasClean: false })
    })

    test(`an end of the ${closer}'s stream without a Close is a lost connection for both`, async (t) => {
      const ends = await open(t)
      ends[closer].duplex.end()
      t.strictSame(await ends[other].socket.closed, { code: 1006, reason: '', wasClean: false })
      t.strictSame(await ends[closer].socket.closed, { code: 1006, reason: '', wasClean: false })
    })

    test(`a broken rule makes the ${closer} close with 1002`, async (t) => {
      const ends = await open(t)
      // An opcode that is reserved.
      ends[other].duplex.write(frame({ opcode: 0x3, masked: closer === 'server' }))
      t.match(await ends[other].socket.closed, { code: 1002 })
      // Whoever fails a connection waits for nothing more.
      t.match(await ends[closer].socket.closed, { code: 1006, wasClean: false })
      t.match(ends[closer].faults, [{ kind: 'protocol', error: { code: 'FST_WS_ERR_PROTOCOL', closeCode: 1002 } }])
      t.strictSame(ends[other].faults, [])
    })

    test(`a message that is too big makes the ${closer} close with 1009`, async (t) => {
      const ends = await open(t, { [closer]: { maxMessageBytes: 1_000_000 } })
      ends[other].socket.send(patterned(2_000_000))
      t.match(await ends[other].socket.closed, { code: 1009 })
      t.match(ends[closer].faults, [{ kind: 'limit', error: { closeCode: 1009 } }])
    })

    test(`pings of the ${closer} are answered`, async (t) => {
      const ends = await open(t)
      const ping = once(ends[other].socket, 'ping')
      const pong = once(ends[closer].socket, 'pong')
      ends[closer].socket.ping('are you there')
      t.equal(String((await ping)[0]), 'are you there')
      t.equal(String((await pong)[0]), 'are you there')
    })

    test(`a slow reader holds up what the ${closer} sends, and drain says when to go on`, async (t) => {
      const ends = await open(t)
      const { socket } = ends[closer]
      ends[other].socket.pause()
      let sent = 0
      do {
        sent++
        await new Promise((resolve) => { setImmediate(resolve) })
      } while (socket.send(patterned(100_000)))
      t.ok(socket.writableNeedDrain)
      t.ok(socket.bufferedAmount > LIMITS.highWaterMarkBytes)
      const drained = [once(socket, 'drain'), socket.drained()]
      ends[other].socket.resume()
      const received = count(ends[other].socket)
      await Promise.all(drained)
      t.notOk(socket.writableNeedDrain)
      socket.close()
      t.equal(await received, sent)
      t.equal(socket.bufferedAmount, 0)
    })

    test(`a reader that never reads is dropped by the ${closer} above maxUnsentBytes`, async (t) => {
      const ends = await open(t, { [closer]: { maxUnsentBytes: 1_000_000 } })
      const { socket } = ends[closer]
      ends[other].socket.pause()
      while (socket.readyState === 1) {
        socket.send(patterned(500_000))
        await new Promise((resolve) => { setImmediate(resolve) })
      }
      t.match(ends[closer].faults, [{ kind: 'limit', error: { closeCode: 1006 } }])
      t.equal((await socket.closed).code, 1006)
    })

    test(`while the ${closer} is paused it gets nothing, and afterwards everything`, async (t) => {
      const ends = await open(t)
      const received: unknown[] = []
      ends[closer].socket.on('message', (data) => received.push(String(data)))
      ends[closer].socket.pause()
      t.ok(ends[closer].socket.isPaused)
      for (let i = 0; i < 10; i++) ends[other].socket.send(String(i))
      await new Promise((resolve) => { ends[other].socket.send('last', resolve) })
      await new Promise((resolve) => { setImmediate(resolve) })
      t.strictSame(received, [])
      ends[closer].socket.resume()
      ends[other].socket.close()
      await ends[closer].socket.closed
      t.strictSame(received, ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'last'])
    })

    test(`a full queue of the ${closer} holds up the sender until it is taken from`, async (t) => {
      const ends = await open(t, { [closer]: { queueBytes: 10_000 } })
      const { socket } = ends[other]
      for (let i = 0; i < 200; i++) socket.send(patterned(100_000))
      socket.close()
      const { connection } = ends[closer]
      while (connection.messagesReceived === 0) await new Promise((resolve) => { setImmediate(resolve) })
      t.equal(connection.reading, false)
      t.equal(await count(ends[closer].socket), 200)
    })

    test(`a peer that does not answer the close of the ${closer} is destroyed in time`, async (t) => {
      const ends = await open(t, { [closer]: { closeTimeoutMs: 20 } })
      ends[other].socket.pause()
      ends[closer].socket.close()
      t.strictSame(await ends[closer].socket.closed, { code: 1006, reason: '', wasClean: false })
      t.ok(ends[closer].duplex.destroyed)
    })
  }

  test('a close by both at once is clean', async (t) => {
    const { server, client } = await open(t)
    server.socket.close(4001)
    client.socket.close(4002)
    t.match(await server.socket.closed, { code: 4002, wasClean: true })
    t.match(await client.socket.closed, { code: 4001, wasClean: true })
  })

  test('a frame may come octet by octet', async (t) => {
    const { server, client } = await open(t)
    for (const octet of frame({ opcode: 0x1, payload: 'slowly', masked: true })) client.duplex.write(Buffer.of(octet))
    t.equal(await server.socket.next(), 'slowly')
  })

  test('what came behind the handshake is read first', async (t) => {
    const [serverDuplex, clientDuplex] = await makePair()
    const server = openEnd('server', serverDuplex, {})
    const message = frame({ opcode: 0x1, payload: 'early', masked: true })
    clientDuplex.write(message.subarray(3))
    server.start(message.subarray(0, 3))
    t.equal(await server.socket.next(), 'early')
    server.socket.terminate()
    clientDuplex.destroy()
  })

  test('every send calls back, in order, also when the connection is lost', async (t) => {
    const { server, client } = await open(t)
    client.socket.pause()
    const results: string[] = []
    server.socket.send('first', (error) => { results.push(`first ${error === undefined}`) })
    await new Promise((resolve) => { server.socket.send('second', resolve) })
    server.socket.send(patterned(10_000_000), (error) => { results.push(`large ${error === undefined}`) })
    server.socket.send('behind it', (error) => { results.push(`behind ${error === undefined}`) })
    await new Promise((resolve) => { setImmediate(resolve) })
    client.socket.terminate()
    await server.socket.closed
    await new Promise((resolve) => { setImmediate(resolve) })
    t.strictSame(results, ['first true', 'large false', 'behind false'])
    t.equal(server.socket.send('afterwards', (error: any) => { results.push(error.code) }), false)
    await new Promise((resolve) => { setImmediate(resolve) })
    t.equal(results.at(-1), 'FST_WS_ERR_CLOSED')
  })

  test('fake timers do not hold up messages, not even many of one read', async (t) => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] })
    t.teardown(() => mock.timers.reset())
    const { server, client } = await open(t)
    for (let i = 0; i < 2_000; i++) client.socket.send('m')
    client.socket.close()
    t.equal(await count(server.socket), 2_000)
    await client.socket.closed
  })
}

suite('tcp', tcpPair)
suite('memory', memoryPair)
