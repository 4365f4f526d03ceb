import t from 'tap'
import { Registry } from '../../lib/plugin/registry.ts'
import { custom, json, raw, text } from '../../lib/subprotocol/contract.ts'
import { prepare } from '../../lib/subprotocol/prepared.ts'
import { LIMITS, openSocket, settle, type OpenedSocket } from '../helpers/open-socket.ts'

// As `app.websockets` has it; the sockets are given, and need not be its own.
const registry = new Registry()
const broadcast: (sockets: Iterable<any>, message: unknown, options?: any) => { sent: number, skipped: number } =
  (sockets, message, options) => registry.broadcast(sockets, message, options)

const socketsOf = (opened: readonly OpenedSocket[]): any[] => opened.map(({ socket }) => socket)

/** Counts what is handed to the stream of a connection. */
function countWrites ({ near }: OpenedSocket): { writes: number } {
  const count = { writes: 0 }
  const { write } = near
  near.write = ((...args: Parameters<typeof write>) => {
    count.writes++
    return write.apply(near, args)
  }) as typeof write
  return count
}

t.test('each of them gets it, in the order of what is sent besides', async (t) => {
  const opened = [openSocket(), openSocket(), openSocket({ contract: text() })]
  await settle()
  for (const { socket } of opened) socket.send('before')
  t.strictSame(broadcast(socketsOf(opened), 'to all'), { sent: 3, skipped: 0 })
  for (const { socket } of opened) socket.send('after')
  for (const { wire } of opened) t.strictSame(await wire.lines(3), ['text "before"', 'text "to all"', 'text "after"'])
})

t.test('any iterable is taken, and a message that was prepared', async (t) => {
  const opened = [openSocket(), openSocket()]
  await settle()
  const set = new Set(socketsOf(opened))
  t.equal(broadcast(set.values(), prepare('one')).sent, 2)
  t.equal(broadcast(new Map(socketsOf(opened).map((socket, i) => [i, socket])).values(), Buffer.from('ab')).sent, 2)
  t.strictSame(broadcast([], 'nobody'), { sent: 0, skipped: 0 })
  for (const { wire } of opened) t.strictSame(await wire.lines(2), ['text "one"', 'binary "ab"'])
})

t.test('it is encoded once for each codec', async (t) => {
  let encoded = 0
  const reverse = custom({ codec: { name: 'reverse', wire: 'text', encode: (message) => { encoded++; return [...String(message)].reverse().join('') }, decode: String } })
  const opened = [openSocket({ contract: reverse }), openSocket({ contract: json() }), openSocket({ contract: json() })]
  const [first] = opened as [OpenedSocket, OpenedSocket, OpenedSocket]
  const alike = openSocket({ contract: reverse })
  await settle()
  t.equal(broadcast(socketsOf([...opened, alike]), 'abc').sent, 4)
  t.strictSame(await first.wire.lines(1), ['text "cba"'])
  t.strictSame(await alike.wire.lines(1), ['text "cba"'])
  for (const { wire } of opened.slice(1)) t.strictSame(await wire.lines(1), ['text "\\"abc\\""'])
  t.equal(encoded, 1)
})

t.test('of several in one tick each socket makes one write', async (t) => {
  const opened = [openSocket(), openSocket()]
  await settle()
  const counts = opened.map(countWrites)
  for (let i = 0; i < 8; i++) broadcast(socketsOf(opened), `message ${i}`)
  for (const { wire } of opened) t.strictSame(await wire.lines(8), Array.from({ length: 8 }, (_, i) => `text "message ${i}"`))
  t.strictSame(counts.map(({ writes }) => writes), [1, 1])
})

t.test('a socket that is not open is skipped', async (t) => {
  const opened = [openSocket(), openSocket(), openSocket()]
  const [closing, terminated, open] = opened as [OpenedSocket, OpenedSocket, OpenedSocket]
  await settle()
  closing.socket.close()
  terminated.socket.terminate()
  t.strictSame(broadcast(socketsOf(opened), 'hello'), { sent: 1, skipped: 2 })
  t.strictSame(await open.wire.lines(1), ['text "hello"'])
  t.strictSame(await closing.wire.lines(1), ['close 1000 ""'])
})

t.test('in the middle of a message of fragments it would become a part of it: skipped', async (t) => {
  const [opened, other] = [openSocket(), openSocket()]
  await settle()
  opened.socket.send('a', { fin: false })
  t.strictSame(broadcast(socketsOf([opened, other]), 'whole'), { sent: 1, skipped: 1 })
  opened.socket.send('b')
  t.equal(broadcast(socketsOf([opened]), 'whole').sent, 1)
  t.strictSame(await opened.wire.lines(3), ['text… "a"', 'continuation "b"', 'text "whole"'])
})

t.test('one whose peer is too slow', async (t) => {
  const slowOne = async (maxUnsentBytes = LIMITS.maxUnsentBytes): Promise<OpenedSocket> => {
    const opened = openSocket({ limits: { highWaterMarkBytes: 1000, maxUnsentBytes } })
    await settle()
    opened.wire.duplex.pause()
    // Until what lies between the two ends is full, and more waits.
    do {
      opened.socket.send(Buffer.alloc(50_000))
      await settle()
    } while (opened.socket.bufferedAmount < 1000)
    return opened
  }
  for (const [options, sent, code] of [[undefined, true, undefined], [{}, true, undefined], [{ slow: 'send' }, true, undefined], [{ slow: 'skip' }, false, undefined], [{ slow: 'close' }, false, 1013]] as const) {
    const [slow, healthy] = [await slowOne(), openSocket()]
    await settle()
    t.strictSame(broadcast(socketsOf([slow, healthy]), 'news', options), { sent: sent ? 2 : 1, skipped: sent ? 0 : 1 }, JSON.stringify(options))
    t.strictSame(await healthy.wire.lines(1), ['text "news"'])
    t.equal(slow.socket.readyState, code === undefined ? 1 : 2)
    if (code === undefined) continue
    slow.wire.duplex.resume()
    await slow.wire.until(() => slow.wire.received.includes('too slow'), 'the Close')
  }

  const [full, healthy] = [await slowOne(20_000), openSocket()]
  await settle()
  t.strictSame(broadcast(socketsOf([full, healthy]), 'news'), { sent: 1, skipped: 1 }, 'maxUnsentBytes holds')
  t.match(full.faults, [{ kind: 'limit' }])
  t.strictSame(await healthy.wire.lines(1), ['text "news"'])
})

t.test('what waits only for the end of the tick is no slowness', async (t) => {
  const opened = openSocket({ limits: { highWaterMarkBytes: 100 } })
  await settle()
  for (let i = 0; i < 3; i++) t.equal(broadcast(socketsOf([opened]), 'x'.repeat(200), { slow: 'skip' }).sent, 1)
  t.equal((await opened.wire.lines(3)).length, 3)
})

t.test('`drain` comes for whoever is above the mark by it', async (t) => {
  const opened = openSocket({ limits: { highWaterMarkBytes: 1000 } })
  await settle()
  broadcast(socketsOf([opened]), Buffer.alloc(2000))
  t.equal(opened.socket.writableNeedDrain, true)
  await opened.socket.drained()
})

t.test('a wrong message or argument throws, and nothing is sent', async (t) => {
  const [any, texts] = [openSocket(), openSocket({ contract: text() })]
  await settle()
  const sockets = socketsOf([any, texts])
  t.throws(() => broadcast(sockets, Buffer.from('octets')), { code: 'FST_WS_ERR_DATA_TYPE' })
  t.throws(() => broadcast(sockets, { an: 'object' }), { code: 'FST_WS_ERR_DATA_TYPE' })
  for (const wrong of [undefined, null, 5, {}, any.socket]) t.throws(() => broadcast(wrong as any, 'x'), { code: 'FST_WS_ERR_INVALID_OPTION', message: /sockets/ })
  t.throws(() => broadcast([any.socket, {}], 'x'), { code: 'FST_WS_ERR_INVALID_OPTION', message: /sockets/ })
  t.throws(() => broadcast(sockets, 'x', { slow: 'drop' }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /slow.*'skip'/ })
  t.throws(() => broadcast(sockets, 'x', { slwo: 'skip' }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /slwo/ })
  for (const wrong of [null, 5, 'skip']) t.throws(() => broadcast(sockets, 'x', wrong), { code: 'FST_WS_ERR_INVALID_OPTION' })
  t.equal(broadcast(sockets, 'right').sent, 2)
  for (const { wire } of [any, texts]) t.strictSame(await wire.lines(1), ['text "right"'])
})

t.test('whoever is closed while the message is encoded is skipped', async (t) => {
  const contract = custom({ codec: { name: 'text of it', wire: 'text', encode: String, decode: String } })
  const opened = [openSocket({ contract }), openSocket({ contract })]
  const [first, second] = opened as [OpenedSocket, OpenedSocket]
  await settle()
  const members = new Set(socketsOf(opened))
  const message = {
    toString () {
      second.socket.close()
      members.delete(second.socket)
      return 'x'
    }
  }
  t.strictSame(broadcast(members, message), { sent: 1, skipped: 0 }, 'it had left the set when its turn came')
  t.strictSame(await first.wire.lines(1), ['text "x"'])

  const others = [openSocket({ contract }), openSocket({ contract })]
  const [leaving, staying] = others as [OpenedSocket, OpenedSocket]
  await settle()
  t.strictSame(broadcast(socketsOf(others), { toString () { leaving.socket.close(); return 'y' } }), { sent: 1, skipped: 1 })
  t.strictSame(await leaving.wire.lines(1), ['close 1000 ""'])
  t.strictSame(await staying.wire.lines(1), ['text "y"'])
})

t.test('with permessage-deflate it is compressed', async (t) => {
  const deflate = (takeover: boolean) => ({
    serverNoContextTakeover: !takeover,
    clientNoContextTakeover: true,
    serverMaxWindowBits: 12,
    clientMaxWindowBits: 15,
    thresholdBytes: 100,
    level: 1,
    memLevel: 5,
    maxConcurrentJobs: 4
  })
  const opened = [openSocket({ deflate: deflate(false) }), openSocket({ deflate: deflate(false) }), openSocket({ deflate: deflate(true) }), openSocket({ contract: raw() })]
  await settle()
  const message = 'the same again and again, '.repeat(100)
  t.equal(broadcast(socketsOf(opened), message).sent, 4)
  const frames = await Promise.all(opened.map(async ({ wire }) => (await wire.frames(1))[0]!))
  t.strictSame(frames.map(({ rsv }) => rsv), [4, 4, 4, 0])
  t.ok(frames[0]!.payload.equals(frames[1]!.payload))
  t.ok(frames.slice(0, 3).every(({ payload }) => payload.length < 200))
  t.equal(frames[3]!.payload.toString(), message)
})
