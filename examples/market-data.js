/**
 * Market data: clients say what they want to hear of, and each message is encoded once for all who do.
 *
 *   node examples/market-data.js
 *
 * There are two kinds of messages, and two answers to a client that does not keep up. A quote is what a price is now:
 * who misses one gets the next. A trade has happened once: who misses one has a hole in its list, which it cannot see.
 */
import { EventEmitter } from 'node:events'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import duplex, { defineWebSocketRoute, json, prepare } from 'fastify-duplex'

const Name = Type.String({ pattern: '^[A-Z]{1,8}$' })
const Quote = Type.Object({ type: Type.Literal('quote'), symbol: Name, bid: Type.Number(), ask: Type.Number() })
const Trade = Type.Object({ type: Type.Literal('trade'), symbol: Name, price: Type.Number(), size: Type.Number() })

export const market = defineWebSocketRoute({
  url: '/market',
  subprotocols: {
    'market.v1': json({
      receive: Type.Union([
        // Trades below `minSize` are not told. Again, with another size, it takes the place of what was asked before.
        Type.Object({ type: Type.Literal('subscribe'), symbol: Name, minSize: Type.Optional(Type.Number({ minimum: 0 })) }),
        Type.Object({ type: Type.Literal('unsubscribe'), symbol: Name })
      ]),
      send: Type.Union([Quote, Trade, Type.Object({ type: Type.Literal('refused'), symbol: Name, why: Type.String() })])
    })
  }
})

/** What one client may ask for. */
const MAX_SYMBOLS = 100

/**
 * @typedef {import('fastify-duplex').SocketOf<typeof market, import('@fastify/type-provider-typebox').TypeBoxTypeProvider>} Socket
 * @typedef {import('@sinclair/typebox').Static<typeof Quote>} Quote
 * @typedef {import('@sinclair/typebox').Static<typeof Trade>} Trade
 * @typedef {EventEmitter<{ quote: [Quote], trade: [Trade] }>} Feed
 */

/** One symbol: who hears of it, from which size of trade on, and its last quote. */
class Topic {
  /** @type {Map<Socket, number>} */
  minSizes = new Map()
  /** @type {import('fastify-duplex').Prepared<Quote> | undefined} */
  lastQuote

  /** Any iterable of sockets can be told; this one chooses them as it goes. @param {number} size */
  * wanting (size) {
    for (const [socket, minSize] of this.minSizes) if (size >= minSize) yield socket
  }
}

/** @type {import('@fastify/type-provider-typebox').FastifyPluginAsyncTypebox<{ feed: Feed, symbols: string[] }>} */
async function marketRoutes (app, { feed, symbols }) {
  const topics = new Map(symbols.map((symbol) => [symbol, new Topic()]))

  app.get(market.url, market, async (socket) => {
    /** @type {Set<Topic>} */
    const subscribed = new Set()
    socket.once('close', () => {
      for (const topic of subscribed) topic.minSizes.delete(socket)
    })
    for await (const message of socket) {
      const topic = topics.get(message.symbol)
      if (topic === undefined || (message.type === 'subscribe' && subscribed.size >= MAX_SYMBOLS)) {
        socket.send({ type: 'refused', symbol: message.symbol, why: topic === undefined ? 'unknown' : 'too many symbols' })
      } else if (message.type === 'subscribe') {
        subscribed.add(topic)
        topic.minSizes.set(socket, message.minSize ?? 0)
        // What everybody else has heard already; encoded then.
        if (topic.lastQuote !== undefined) socket.send(topic.lastQuote)
      } else {
        subscribed.delete(topic)
        topic.minSizes.delete(socket)
      }
    }
  })

  /** @param {Quote} quote */
  function onQuote (quote) {
    const topic = topics.get(quote.symbol)
    if (topic === undefined) return
    topic.lastQuote = prepare(quote)
    app.websockets.broadcast(topic.minSizes.keys(), topic.lastQuote, { slow: 'skip' })
  }

  /** @param {Trade} trade */
  function onTrade (trade) {
    const topic = topics.get(trade.symbol)
    if (topic === undefined) return
    // Who is too slow gets what waits for it, and then a Close with 1013: it knows that it has to begin anew.
    app.websockets.broadcast(topic.wanting(trade.size), trade, { slow: 'close' })
  }

  feed.on('quote', onQuote)
  feed.on('trade', onTrade)
  app.addHook('onClose', async () => {
    feed.off('quote', onQuote)
    feed.off('trade', onTrade)
  })
}

/** @param {{ feed: Feed, symbols?: string[] } & import('fastify').FastifyServerOptions} options */
export function build ({ feed, symbols = ['ACME', 'OIL'], ...options }) {
  const app = Fastify(options)
  // Slow is who has more waiting than this: room for the messages of a busy second.
  app.register(duplex, { highWaterMarkBytes: 256 * 1024 })
  app.register(marketRoutes, { feed, symbols })
  return app
}

if (process.argv[1] === import.meta.filename) {
  /** @type {Feed} */
  const feed = new EventEmitter()
  const app = build({ feed, logger: true })
  const ticking = setInterval(() => {
    const price = 100 + Math.random()
    feed.emit('quote', { type: 'quote', symbol: 'ACME', bid: price - 0.01, ask: price + 0.01 })
    feed.emit('trade', { type: 'trade', symbol: 'ACME', price, size: Math.ceil(Math.random() * 1000) })
  }, 500)
  app.addHook('onClose', async () => clearInterval(ticking))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
