/**
 * GraphQL with subscriptions: the server of graphql-ws on a route of its subprotocol.
 *
 *   npm install graphql graphql-ws
 *   node examples/graphql-ws.js
 *
 * The messages are those of graphql-transport-ws, which graphql-ws parses and checks itself: so the contract is `raw()`. Who may
 * connect is decided by a hook, as in auth.js, or by the option `onConnect` of graphql-ws.
 */
import { EventEmitter } from 'node:events'
import Fastify from 'fastify'
import duplex, { raw } from 'fastify-duplex'
import { buildSchema } from 'graphql'
import { makeServer } from 'graphql-ws'

const SDL = `
  type Price { symbol: String!, value: Float! }
  type Query { price (symbol: String!): Price }
  type Subscription { price (symbol: String!): Price! }
`

/** @typedef {{ symbol: string, value: number }} Price */

/** The prices as they are now; an event with the name of its symbol for each that changes. */
export class Prices extends EventEmitter {
  /** @type {Map<string, Price>} */
  #prices = new Map()

  constructor () {
    super()
    // A listener for each subscription.
    this.setMaxListeners(0)
  }

  /** @param {string} symbol */
  get (symbol) { return this.#prices.get(symbol) }

  /** @param {Price} price */
  set (price) {
    this.#prices.set(price.symbol, price)
    this.emit(`price of ${price.symbol}`, price)
  }

  /**
   * The price, whenever it has changed, as long as somebody takes it. Who takes slowly gets the newest, and nothing is kept for
   * it in between. (`on` of node:events would keep all of it. A generator that waits could not be ended.)
   * @param {string} symbol
   * @returns {AsyncIterableIterator<Price>}
   */
  changes (symbol) {
    const event = `price of ${symbol}`
    /** @type {Price | undefined} */
    let newest
    /** @type {((result: IteratorResult<Price>) => void) | undefined} */
    let taker
    /** @param {Price} price */
    const listener = (price) => {
      if (taker === undefined) newest = price
      else taker({ value: price, done: false })
      taker = undefined
    }
    this.on(event, listener)
    return {
      [Symbol.asyncIterator] () { return this },
      next: async () => {
        const value = newest
        newest = undefined
        return value === undefined ? await new Promise((resolve) => { taker = resolve }) : { value, done: false }
      },
      return: async () => {
        this.off(event, listener)
        taker?.({ value: undefined, done: true })
        return { value: undefined, done: true }
      }
    }
  }
}

/** @param {Prices} prices */
function schemaOf (prices) {
  const schema = buildSchema(SDL)
  /** @typedef {{ symbol: string }} Args */
  Object.assign(schema.getQueryType()?.getFields().price ?? {}, {
    resolve: (/** @type {unknown} */ _root, /** @type {Args} */ { symbol }) => prices.get(symbol)
  })
  Object.assign(schema.getSubscriptionType()?.getFields().price ?? {}, {
    subscribe: (/** @type {unknown} */ _root, /** @type {Args} */ { symbol }) => prices.changes(symbol),
    resolve: (/** @type {Price} */ price) => price
  })
  return schema
}

/** @param {{ prices: Prices } & import('fastify').FastifyServerOptions} options */
export function build ({ prices, ...options }) {
  const app = Fastify(options)
  const server = makeServer({ schema: schemaOf(prices) })
  app.register(duplex)

  app.get('/graphql', { websocket: true, subprotocols: { 'graphql-transport-ws': raw() } }, (socket, request) => {
    const closed = server.opened({
      protocol: socket.protocol,
      // The next result is asked for when the client has room for it.
      send: async (data) => { if (!socket.send(data)) await socket.drained() },
      close: (code, reason) => socket.close(code, reason),
      // What `take` rejects with is a fault of the listener: logged, and the connection closed with 1011.
      onMessage: (take) => { socket.on('message', (data) => take(String(data))) }
    }, { request })
    socket.once('close', (code, reason) => { closed(code, String(reason)) })
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const prices = new Prices()
  const app = build({ prices, logger: true })
  const ticking = setInterval(() => prices.set({ symbol: 'ACME', value: 100 + Math.random() }), 500)
  app.addHook('onClose', async () => clearInterval(ticking))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
