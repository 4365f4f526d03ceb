import { Buffer } from 'node:buffer'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Duplex } from 'node:stream'
import t from 'tap'
import type { DeflateSettings } from '../../lib/protocol/deflate.ts'
import { broadcast } from '../../lib/socket/broadcast.ts'
import { bytes, custom, json, text, type Codec } from '../../lib/subprotocol/contract.ts'
import { prepare } from '../../lib/subprotocol/prepared.ts'
import { Transport } from '../../lib/transport/transport.ts'
import { thrown } from '../helpers/app.ts'
import { compressed, noise, words } from '../helpers/frames.ts'
import { openSocket, settle, type OpenedSocket, type SocketOptions } from '../helpers/open-socket.ts'

const Say = { type: 'object', required: ['text'], properties: { text: { type: 'string' } }, additionalProperties: false }

const DEFLATE: DeflateSettings = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 12,
  clientMaxWindowBits: 15,
  thresholdBytes: 1024,
  level: 1,
  memLevel: 5,
  maxConcurrentJobs: 4
}

function openMany (count: number, options: SocketOptions = {}): OpenedSocket[] {
  return Array.from({ length: count }, () => openSocket(options))
}

const socketsOf = (opened: readonly OpenedSocket[]) => opened.map(({ socket }) => socket)

const linesOf = (opened: readonly OpenedSocket[], count: number): Promise<string[][]> => Promise.all(opened.map(({ wire }) => wire.lines(count)))

/** A codec that counts. */
function counting (): { codec: Codec, encoded: unknown[] } {
  const encoded: unknown[] = []
  const codec: Codec = {
    name: 'counting',
    wire: 'text',
    encode (message: unknown) {
      encoded.push(message)
      return `<${String(message)}>`
    },
    decode: (data) => data
  }
  return { codec, encoded }
}

/** The chunks that are written to a stream from now on, by call. */
function writesOf (duplex: Duplex): string[] {
  const writes: string[] = []
  const { write } = duplex
  duplex.write = function (this: Duplex, ...args: Parameters<typeof write>) {
    writes.push(args[0].toString('latin1'))
    return write.apply(this, args)
  } as Duplex['write']
  return writes
}

/** Makes more than `bytes` wait for a peer that does not read. */
async function fill (opened: OpenedSocket, bytes: number): Promise<void> {
  opened.wire.duplex.pause()
  await settle()
  while (opened.socket.bufferedAmount <= bytes) {
    opened.socket.sendRaw(Buffer.alloc(8 * 1024))
    await settle()
  }
}

t.test('one message to sockets of every contract, each in its encoding', async (t) => {
  const opened = [
    openSocket(), openSocket({ contract: text() }), openSocket({ contract: json() }), openSocket(), openSocket({ contract: json({ binary: true }) }),
    openSocket({ contract: custom({ codec: counting().codec }) }), openSocket({ role: 'client' })
  ]
  for (const message of ['hi', prepare('hi')]) {
    t.strictSame(broadcast(socketsOf(opened), message), { sent: 7, skipped: 0 })
    t.strictSame((await linesOf(opened, 1)).flat(), ['text "hi"', 'text "hi"', 'text "\\"hi\\""', 'text "hi"', 'text "\\"hi\\""', 'text "<hi>"', 'text "hi"'])
  }
  broadcast([opened[6]!.socket], 'x')
  t.match((await opened[6]!.wire.frames(1))[0], { masked: true }, 'a client masks it')

  const binary = [openSocket(), openSocket({ contract: bytes() }), openSocket({ contract: json({ binary: true }) })]
  t.strictSame(broadcast(socketsOf(binary), Buffer.from('bytes')), { sent: 3, skipped: 0 })
  t.strictSame((await linesOf(binary, 1)).flat(), Array(3).fill('binary "bytes"'))
})

t.test('takes any iterable, each socket as often as it is in it', async (t) => {
  const opened = openMany(3)
  const sockets = socketsOf(opened)
  t.strictSame(broadcast(new Set(sockets), 'set'), { sent: 3, skipped: 0 })
  t.strictSame(broadcast(new Map(sockets.map((socket, i) => [i, socket])).values(), 'map'), { sent: 3, skipped: 0 })
  t.strictSame(broadcast((function * () { yield * sockets }()), 'generator'), { sent: 3, skipped: 0 })
  t.strictSame(broadcast([sockets[0]!, sockets[0]!, sockets[1]!, sockets[2]!], 'list'), { sent: 4, skipped: 0 })
  t.strictSame(broadcast([], 'nobody'), { sent: 0, skipped: 0 })
  const [first, ...others] = await Promise.all(opened.map(({ wire }, i) => wire.lines(i === 0 ? 5 : 4)))
  t.strictSame(first, ['text "set"', 'text "map"', 'text "generator"', 'text "list"', 'text "list"'])
  for (const lines of others) t.strictSame(lines, first!.slice(0, 4))
})

t.test('is encoded once for each codec, and not at all for nobody', async (t) => {
  const { codec, encoded } = counting()
  const opened = [...openMany(2, { contract: custom({ codec }) }), openSocket(), ...openMany(2, { contract: custom({ codec }) }), openSocket()]
  broadcast(socketsOf(opened), 'a')
  t.strictSame(encoded, ['a'])
  const message = prepare('b')
  for (let i = 0; i < 3; i++) broadcast(socketsOf(opened), message)
  t.strictSame(encoded, ['a', 'b'])
  broadcast([], 'c')
  opened[0]!.socket.terminate()
  broadcast([opened[0]!.socket], 'c')
  t.strictSame(encoded, ['a', 'b'])
})

t.test('a message that is not as a contract wants it throws what send throws, and is sent to nobody', async (t) => {
  const [raw, strings] = [openSocket(), openSocket({ contract: text() })]
  const strict = openSocket({ contract: json({ send: Say }), validateSend: true })
  const failure = new Error('the codec fails')
  const failing = openSocket({ contract: custom({ codec: { name: 'failing', wire: 'text', encode () { throw failure }, decode: (data) => data } }) })
  const cases: Array<[OpenedSocket[], unknown, unknown]> = [
    [[strings], { text: 1 }, 'FST_WS_ERR_DATA_TYPE'],
    [[strings, raw], { text: 1 }, 'FST_WS_ERR_DATA_TYPE'],
    [[strict, strings], { text: 'x' }, 'FST_WS_ERR_DATA_TYPE'],
    [[raw, strict], 'x', 'FST_WS_ERR_INVALID_SEND'],
    [[strict, raw], prepare('x'), 'FST_WS_ERR_INVALID_SEND'],
    [[raw, strings, failing], 'x', undefined]
  ]
  for (const [opened, message, code] of cases) {
    const error = thrown(() => broadcast(socketsOf(opened), message))
    if (code === undefined) t.equal(error, failure)
    else t.equal(error.code, code)
  }
  t.strictSame(broadcast(socketsOf([strict]), { text: 'x' }), { sent: 1, skipped: 0 })
  broadcast(socketsOf([raw, strings]), 'the end')
  t.strictSame(await strict.wire.lines(1), ['text "{\\"text\\":\\"x\\"}"'], 'the first and only message')
  t.strictSame((await linesOf([raw, strings], 1)).flat(), ['text "the end"', 'text "the end"'])
  t.equal(raw.connection.messagesSent, 1)
})

t.test('what is no socket, no iterable or no option throws, and nothing is sent', async (t) => {
  const opened = openSocket()
  const { socket } = opened
  const given = { code: 'FST_WS_ERR_INVALID_OPTION', name: 'FastifyError' }
  for (const sockets of [undefined, null, 5, {}, socket, 'ab', [socket, undefined], [socket, null], [socket, {}], [[1, socket]], new Map([[1, socket]]), [new WebSocketOfAnotherKind()]]) {
    const error = thrown(() => broadcast(sockets as never, 'x'))
    t.match(error, given)
    t.match(error.message, "'sockets' must be an iterable of WebSockets of this package")
  }
  for (const [options, message] of [
    [null, "'options' must be an object"],
    ['skip', "'options' must be an object"],
    [{ slow: 'drop' }, "'slow' must be 'send', 'skip' or 'close'"],
    [{ slow: null }, "'slow' must be 'send', 'skip' or 'close'"],
    [{ slow: 'skip', compress: false }, "'compress' must be left out"]
  ] as const) {
    const error = thrown(() => broadcast([socket], 'x', options as never))
    t.match(error, given)
    t.match(error.message, message)
  }
  const failure = new Error('the iteration fails')
  t.equal(thrown(() => broadcast((function * () {
    yield socket
    throw failure
  }()), 'x')), failure)
  t.strictSame(broadcast([socket], 'the first', { slow: undefined } as never), { sent: 1, skipped: 0 })
  t.strictSame(await opened.wire.lines(1), ['text "the first"'])
})

class WebSocketOfAnotherKind {
  readonly readyState = 1
  send (): never { throw new Error('it was called') }
}

t.test('who is not open is skipped, whatever its contract says of the message', async (t) => {
  const [open, closing, lost, closed] = openMany(4) as [OpenedSocket, OpenedSocket, OpenedSocket, OpenedSocket]
  const closingText = openSocket({ contract: text() })
  closing.socket.close()
  closingText.socket.close()
  lost.socket.terminate()
  closed.socket.terminate()
  await closed.socket.closed
  const opened = [closingText, closing, lost, open, closed]
  t.strictSame(broadcast(socketsOf(opened), Buffer.from('x')), { sent: 1, skipped: 4 })
  t.strictSame(await open.wire.lines(1), ['binary "x"'])
  t.equal(closing.socket.bufferedAmount, 0, 'nor is it counted there, as nobody sent it on that socket')
})

t.test('who is closed by the broadcast itself is skipped, and may leave the set', async (t) => {
  const opened = openMany(4)
  const sockets = new Set(socketsOf(opened))
  const onSent = (): void => {
    for (const socket of [...sockets].slice(1)) {
      socket.terminate()
      sockets.delete(socket)
    }
  }
  subscribe('fastify.websocket.message.sent', onSent)
  t.teardown(() => unsubscribe('fastify.websocket.message.sent', onSent))
  t.strictSame(broadcast(sockets, 'x'), { sent: 1, skipped: 3 })
  t.strictSame(await opened[0]!.wire.lines(1), ['text "x"'])
})

t.test('who is closed while the message is encoded is skipped, or has left the set before its turn came', async (t) => {
  const contract = custom({ codec: { name: 'text of it', wire: 'text', encode: String, decode: String } })
  const [first, second, third] = openMany(3, { contract }) as [OpenedSocket, OpenedSocket, OpenedSocket]
  const members = new Set(socketsOf([first, second]))
  const leaves = { toString () { second.socket.close(); members.delete(second.socket); return 'x' } }
  t.strictSame(broadcast(members, leaves), { sent: 1, skipped: 0 })
  const closes = { toString () { first.socket.close(); return 'y' } }
  t.strictSame(broadcast(socketsOf([first, third]), closes), { sent: 1, skipped: 1 })
  t.strictSame(await first.wire.lines(2), ['text "x"', 'close 1000 ""'])
  t.strictSame(await third.wire.lines(1), ['text "y"'])
})

t.test('drain comes for whoever is above the mark by it', async (t) => {
  const { socket } = openSocket({ limits: { highWaterMarkBytes: 1000 } })
  broadcast([socket], Buffer.alloc(2000))
  t.equal(socket.writableNeedDrain, true)
  await socket.drained()
  t.equal(socket.writableNeedDrain, false)
})

t.test('who is sending fragments is skipped: it would become part of their message', async (t) => {
  const [one, two] = openMany(2) as [OpenedSocket, OpenedSocket]
  const sockets = socketsOf([one, two])
  one.socket.send('a', { fin: false })
  t.strictSame(broadcast(sockets, 'x', { slow: 'close' }), { sent: 1, skipped: 1 })
  one.socket.send('b', { fin: false })
  t.strictSame(broadcast(sockets, 'x'), { sent: 1, skipped: 1 })
  one.socket.send('c')
  t.strictSame(broadcast(sockets, 'y'), { sent: 2, skipped: 0 })
  t.strictSame(await one.wire.lines(4), ['text… "a"', 'continuation… "b"', 'continuation "c"', 'text "y"'])
  t.strictSame(await two.wire.lines(3), ['text "x"', 'text "x"', 'text "y"'])
})

t.test('tracers see it on each socket, as it was given', async (t) => {
  const opened = openMany(2)
  const seen: unknown[] = []
  const onSent = (message: unknown): void => { seen.push(message) }
  subscribe('fastify.websocket.message.sent', onSent)
  t.teardown(() => unsubscribe('fastify.websocket.message.sent', onSent))
  const message = { text: 'x' }
  const typed = [openSocket({ contract: json() }), openSocket({ contract: json() })]
  broadcast(socketsOf(typed), message)
  t.strictSame(seen, typed.map(({ socket }) => ({ socket, message })))
  const prepared = prepare('x')
  broadcast(socketsOf(opened), prepared)
  t.equal((seen[3] as { message: unknown }).message, prepared)
})

t.test('what is broadcast and sent in one tick leaves in order, and in one write for each socket', async (t) => {
  const opened = openMany(3)
  await settle()
  const writes = opened.map(({ near }) => writesOf(near))
  for (let i = 0; i < 8; i++) Transport.writeTogether(() => broadcast(socketsOf(opened), `message ${i}`))
  t.strictSame(writes, [[], [], []], 'not before the end of the tick')
  await settle()
  const all = Array.from({ length: 8 }, (_, i) => `\x81\x09message ${i}`).join('')
  t.strictSame(writes, [[all], [all], [all]])

  const { socket } = opened[0]!
  socket.send('own 1')
  Transport.writeTogether(() => broadcast(socketsOf(opened), 'to all'))
  socket.send('own 2')
  t.strictSame((await linesOf(opened, 9)).map((lines) => lines.slice(8)), Array(3).fill(['text "to all"']).with(0, ['text "own 1"']))
  t.strictSame(await opened[0]!.wire.lines(2), ['text "to all"', 'text "own 2"'])
})

t.test('a message of 100 KiB goes by reference, to all of them whole', async (t) => {
  const opened = openMany(5)
  const message = noise(100 * 1024)
  broadcast(socketsOf(opened), message)
  for (const { wire } of opened) t.ok((await wire.frames(1))[0]!.payload.equals(message))
})

t.test('slow', async (t) => {
  const limits = { highWaterMarkBytes: 16 * 1024 }

  t.test("'send', the default: send's false, drain and limit hold for each socket", async (t) => {
    const [fast, slow, dead] = openMany(3, { limits: { ...limits, maxUnsentBytes: 200 * 1024 } }) as [OpenedSocket, OpenedSocket, OpenedSocket]
    await fill(slow, 100 * 1024)
    await fill(dead, 199 * 1024)
    t.equal(dead.socket.readyState, dead.socket.OPEN)
    const opened = [dead, slow, fast]
    t.strictSame(broadcast(socketsOf(opened), 'x'), { sent: 2, skipped: 1 })
    t.equal(slow.socket.writableNeedDrain, true)
    t.equal(fast.socket.writableNeedDrain, false)
    t.equal((await dead.socket.closed).code, 1006)
    t.match(dead.faults, [{ kind: 'limit', error: { code: 'FST_WS_ERR_LIMIT', closeCode: 1006 } }])
    t.strictSame(await fast.wire.lines(1), ['text "x"'], 'the others have it')
    const drained = slow.socket.drained()
    slow.wire.duplex.resume()
    await drained
    t.strictSame(broadcast(socketsOf(opened), 'y', { slow: 'send' }), { sent: 2, skipped: 1 })
    await slow.wire.until(() => slow.wire.received.includes('y'))
  })

  t.test("'skip' leaves out who is above the mark, until it has drained", async (t) => {
    const [fast, slow] = openMany(2, { limits }) as [OpenedSocket, OpenedSocket]
    await fill(slow, 100 * 1024)
    const waiting = slow.socket.bufferedAmount
    t.strictSame(broadcast(socketsOf([slow, fast]), 'x', { slow: 'skip' }), { sent: 1, skipped: 1 })
    t.equal(slow.socket.bufferedAmount, waiting)
    t.equal(slow.socket.readyState, slow.socket.OPEN)
    slow.wire.duplex.resume()
    await slow.socket.drained()
    await settle()
    t.strictSame(broadcast(socketsOf([slow, fast]), 'y', { slow: 'skip' }), { sent: 2, skipped: 0 })
    t.strictSame(await fast.wire.lines(2), ['text "x"', 'text "y"'])
    const frames = await slow.wire.frames(slow.connection.messagesSent)
    t.equal(frames.at(-1)!.payload.toString(), 'y')
    t.notOk(frames.some(({ payload }) => payload.toString() === 'x'))
  })

  t.test("'close' closes it with 1013, behind what waits", async (t) => {
    const [fast, slow] = openMany(2, { limits }) as [OpenedSocket, OpenedSocket]
    await fill(slow, 100 * 1024)
    t.strictSame(broadcast(socketsOf([slow, fast]), 'x', { slow: 'close' }), { sent: 1, skipped: 1 })
    t.equal(slow.socket.readyState, slow.socket.CLOSING)
    t.strictSame(slow.faults, [], 'which is no fault')
    t.strictSame(broadcast(socketsOf([slow, fast]), 'y', { slow: 'close' }), { sent: 1, skipped: 1 })
    slow.wire.duplex.resume()
    const sent = slow.connection.messagesSent
    const frames = await slow.wire.frames(sent + 1)
    t.match(frames.at(-1), { opcode: 8, payload: Buffer.concat([Buffer.from([1013 >> 8, 1013 & 0xff]), Buffer.from('too slow')]) })
    t.ok(frames.slice(0, -1).every(({ payload }) => payload.length === 8 * 1024))
    slow.wire.close(1013)
    await slow.wire.untilClosed()
    t.match(await slow.socket.closed, { code: 1013, wasClean: true })
    t.strictSame(await fast.wire.lines(2), ['text "x"', 'text "y"'])
  })

  t.test('nobody is slow who is below the mark, or for what is sent in this tick', async (t) => {
    for (const slow of ['skip', 'close'] as const) {
      const [blocked, fast] = openMany(2, { limits: { highWaterMarkBytes: 200 * 1024 } }) as [OpenedSocket, OpenedSocket]
      await fill(blocked, 100 * 1024)
      t.ok(blocked.connection.output.blocked)
      t.strictSame(broadcast(socketsOf([blocked, fast]), 'x', { slow }), { sent: 2, skipped: 0 })
      for (let i = 0; i < 10; i++) t.strictSame(broadcast([fast.socket], Buffer.alloc(100 * 1024), { slow }), { sent: 1, skipped: 0 })
      t.equal(fast.socket.writableNeedDrain, true, 'though send would say false')
      t.equal((await fast.wire.frames(11)).length, 11)
    }
  })

  t.test('nor for what waits to be compressed', async (t) => {
    const opened = openMany(2, { deflate: DEFLATE, limits: { highWaterMarkBytes: 1024 } })
    const message = words(100_000)
    for (let i = 0; i < 3; i++) t.strictSame(broadcast(socketsOf(opened), message, { slow: 'close' }), { sent: 2, skipped: 0 })
    for (const { wire, socket } of opened) {
      t.equal((await wire.frames(3)).length, 3)
      t.equal(socket.readyState, socket.OPEN)
    }

    const [blocked] = openMany(1, { deflate: DEFLATE, limits: { highWaterMarkBytes: 200 * 1024 } }) as [OpenedSocket]
    await fill(blocked, 100 * 1024)
    t.ok(blocked.connection.output.blocked)
    blocked.socket.send(words(300_000))
    t.ok(blocked.connection.pendingBytes >= 300_000)
    t.strictSame(broadcast([blocked.socket], 'x', { slow: 'skip' }), { sent: 1, skipped: 0 }, 'behind something else as well')
  })
})

t.test('permessage-deflate', async (t) => {
  const small = words(2000)
  const large = words(100_000)

  t.test('one compressed form for all who compress alike, the frame as it is for the others', async (t) => {
    const alike = openMany(3, { deflate: DEFLATE })
    const plain = openSocket()
    const narrow = openSocket({ deflate: { ...DEFLATE, serverMaxWindowBits: 9 } })
    for (const message of [small, large]) {
      t.strictSame(broadcast(socketsOf([plain, ...alike, narrow]), message), { sent: 5, skipped: 0 })
      broadcast(socketsOf([plain, ...alike, narrow]), 'after')
      const expected = compressed(message, { level: 1, memLevel: 5, windowBits: 12 })
      for (const { wire } of alike) {
        const [frame, after] = await wire.frames(2)
        t.match(frame, { rsv: 4, payload: expected })
        t.equal(after!.payload.toString(), 'after', 'what is sent later is behind it')
      }
      const [own] = await narrow.wire.frames(2)
      t.match(own, { rsv: 4, payload: compressed(message, { level: 1, memLevel: 5, windowBits: 9 }) })
      const [asItIs] = await plain.wire.frames(2)
      t.match(asItIs, { rsv: 0, payload: message })
    }
  })

  t.test('several in one tick are one write', async (t) => {
    const opened = openMany(2, { deflate: { ...DEFLATE, thresholdBytes: 0 } })
    await settle()
    const writes = opened.map(({ near }) => writesOf(near))
    for (let i = 0; i < 8; i++) broadcast(socketsOf(opened), words(200))
    await settle()
    t.strictSame(writes.map(({ length }) => length), [1, 1])
    t.equal(writes[0]![0], writes[1]![0])
    for (const { wire } of opened) t.ok((await wire.frames(8)).every(({ rsv }) => rsv === 4))
  })

  t.test('with context takeover each connection compresses in its own context', async (t) => {
    const opened = openMany(2, { deflate: { ...DEFLATE, serverNoContextTakeover: false } })
    const [first, second] = opened as [OpenedSocket, OpenedSocket]
    first.socket.send(small)
    await first.wire.frames(1)
    t.strictSame(broadcast(socketsOf(opened), small), { sent: 2, skipped: 0 })
    const [ofFirst] = await first.wire.frames(1)
    const [ofSecond] = await second.wire.frames(1)
    t.match(ofSecond, { rsv: 4, payload: compressed(small, { level: 1, memLevel: 5, windowBits: 12 }) })
    t.equal(ofFirst!.rsv, 4)
    t.ok(ofFirst!.payload.length < ofSecond!.payload.length / 4, `${ofFirst!.payload.length} octets refer to what came before, ${ofSecond!.payload.length} stand alone`)
  })
})
