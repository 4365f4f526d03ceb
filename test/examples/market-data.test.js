/**
 * examples/market-data.js: who hears what, and what becomes of a client that does not keep up.
 */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { build, market } from '../../examples/market-data.js'
import { closing, connected, listening, until } from './helpers.js'

const OFFER = { subprotocols: ['market.v1'] }

function start (t) {
  const feed = new EventEmitter()
  const app = closing(t, build({ feed, symbols: ['ACME', 'OIL'] }))
  return {
    app,
    feed,
    quote: (symbol, bid) => feed.emit('quote', { type: 'quote', symbol, bid, ask: bid + 1 }),
    trade: (symbol, size) => feed.emit('trade', { type: 'trade', symbol, price: 100, size })
  }
}

/** Subscribes, and waits until the server has it: the quote that it has already is the answer. */
async function subscribed (client, symbol, minSize) {
  client.send({ type: 'subscribe', symbol, minSize })
  return await client.next()
}

test('clients hear of what they have asked for, from their size on', async (t) => {
  const { app, quote, trade } = start(t)
  const all = await app.injectWebSocket(market, OFFER)
  const large = await app.injectWebSocket(market, OFFER)
  quote('ACME', 1)
  quote('OIL', 2)
  assert.deepEqual(await subscribed(all, 'ACME'), { type: 'quote', symbol: 'ACME', bid: 1, ask: 2 }, 'the last quote comes at once')
  await subscribed(all, 'OIL', 0)
  await subscribed(large, 'ACME', 500)

  trade('ACME', 499)
  trade('OIL', 1000)
  trade('ACME', 500)
  quote('ACME', 3)
  const heard = async (client, count) => {
    const messages = []
    while (messages.length < count) {
      const { symbol, size, bid } = await client.next()
      messages.push(`${symbol} ${size ?? bid}`)
    }
    return messages
  }
  assert.deepEqual(await heard(all, 4), ['ACME 499', 'OIL 1000', 'ACME 500', 'ACME 3'])
  assert.deepEqual(await heard(large, 2), ['ACME 500', 'ACME 3'])

  await subscribed(large, 'ACME', 10)
  trade('ACME', 10)
  assert.deepEqual(await heard(large, 1), ['ACME 10'], 'another filter takes the place of the first')
  assert.deepEqual(await heard(all, 1), ['ACME 10'])

  all.send({ type: 'unsubscribe', symbol: 'ACME' })
  await subscribed(all, 'OIL')
  quote('ACME', 5)
  quote('OIL', 6)
  assert.deepEqual(await heard(all, 1), ['OIL 6'])
})

test('what cannot be subscribed to is refused, and the connection stays', async (t) => {
  const { app, quote } = start(t)
  const client = await app.injectWebSocket(market, OFFER)
  client.send({ type: 'subscribe', symbol: 'NONE' })
  assert.deepEqual(await client.next(), { type: 'refused', symbol: 'NONE', why: 'unknown' })
  quote('OIL', 1)
  assert.equal((await subscribed(client, 'OIL')).type, 'quote')
})

test('another version than the server has is refused with 400, a wrong message closes with 1008', async (t) => {
  const { app } = start(t)
  await assert.rejects(app.injectWebSocket('/market'), { statusCode: 400 })
  await assert.rejects(app.injectWebSocket('/market', { subprotocols: ['market.v9'] }), { statusCode: 400 })
  const client = await app.injectWebSocket(market, OFFER)
  client.sendRaw('{"type":"subscribe","symbol":"acme"}')
  assert.equal((await client.closed).code, 1008)
})

test('a slow client misses quotes, is closed with 1013 for a trade, and holds up nobody', async (t) => {
  const { app, quote, trade } = start(t)
  const slow = await app.injectWebSocket(market, OFFER)
  const fast = await app.injectWebSocket(market, OFFER)
  quote('ACME', 0)
  quote('OIL', 0)
  await subscribed(slow, 'ACME')
  await subscribed(fast, 'ACME')
  await subscribed(slow, 'OIL')
  const [slowAtServer] = app.websockets

  let told = 0
  const tell = async () => {
    quote('ACME', ++told)
    assert.equal((await fast.next()).bid, told, 'the other client has each of them')
    await setImmediate()
  }
  slow.pause()
  const before = () => app.websockets.stats()[market.url].messagesSent
  let sent
  do {
    sent = before()
    await tell()
  } while (before() === sent + 2)
  assert.ok(slowAtServer.bufferedAmount >= 200 * 1024, `${slowAtServer.bufferedAmount} octets wait`)
  for (let i = 0; i < 10; i++) await tell()
  assert.equal(slowAtServer.readyState, slowAtServer.OPEN, 'quotes close nobody')

  // It catches up: what is missing is what was told last, and the next one tells it what counts now.
  slow.resume()
  await until(() => slowAtServer.bufferedAmount === 0)
  quote('ACME', -1)
  const bids = []
  do bids.push((await slow.next()).bid); while (bids.at(-1) !== -1)
  assert.deepEqual(bids, [...Array.from({ length: told - 11 }, (_, index) => index + 1), -1])
  await fast.next()

  // A trade that it cannot be told.
  slow.pause()
  do {
    sent = before()
    await tell()
  } while (before() === sent + 2)
  trade('OIL', 1)
  slow.resume()
  let messages = 0
  await assert.rejects(async () => { for (;; messages++) await slow.next() }, { code: 'FST_WS_ERR_CLOSED', closeCode: 1013 })
  assert.ok(messages > 1000, `${messages} messages that waited came before the Close`)
  assert.equal(fast.readyState, fast.OPEN)
  await until(() => app.websockets.size === 1)
})

test('a client of another package: two broadcasts of one tick', async (t) => {
  const { app, quote, trade } = start(t)
  const client = await connected(t, `ws://${await listening(t, app)}/market`, 'market.v1')
  quote('ACME', 1)
  const messages = []
  client.on('message', (data) => messages.push(JSON.parse(data).type))
  client.send('{"type":"subscribe","symbol":"ACME"}')
  await until(() => messages.length === 1)
  trade('ACME', 1)
  quote('ACME', 2)
  await until(() => messages.length === 3)
  assert.deepEqual(messages, ['quote', 'trade', 'quote'])
})

test('an application that has closed listens to its feed no more', async (t) => {
  const { app, feed } = start(t)
  await app.ready()
  assert.deepEqual(feed.eventNames(), ['quote', 'trade'])
  await app.close()
  assert.deepEqual(feed.eventNames(), [])
})
