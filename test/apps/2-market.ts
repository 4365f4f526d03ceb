/** Market data: each tick is encoded once for all clients, and a slow client gets the latest price of each symbol. */
import { Type as T, type Static } from '@sinclair/typebox'
import type { TypeBoxTypeProvider as TB } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import duplex, { json, prepare, defineWebSocketRoute, type SocketOf, type Prepared } from '../../index.ts'

const Tick = T.Object({ type: T.Literal('tick'), symbol: T.String(), price: T.Number() })
type PreparedTick = Prepared<Static<typeof Tick>>

export const market = defineWebSocketRoute({
  url: '/ticks',
  messages: json({
    receive: T.Object({ subscribe: T.Array(T.String(), { maxItems: 500 }) }),
    send: Tick
  })
})

type MarketSocket = SocketOf<typeof market, TB>

class Client {
  symbols = new Set<string>()
  readonly late = new Map<string, PreparedTick>()
  readonly socket: MarketSocket

  constructor (socket: MarketSocket) {
    this.socket = socket
    socket.on('drain', () => this.flush())
  }

  push (symbol: string, tick: PreparedTick) {
    if (!this.symbols.has(symbol)) return
    if (this.socket.writableNeedDrain) this.late.set(symbol, tick)
    else this.socket.send(tick)
  }

  flush () {
    for (const [symbol, tick] of this.late) {
      this.late.delete(symbol)
      if (!this.socket.send(tick)) return
    }
  }
}

const clients = new Set<Client>()

export function publish (symbol: string, price: number) {
  const tick = prepare({ type: 'tick' as const, symbol, price })
  for (const client of clients) client.push(symbol, tick)
}

export function build () {
  const app = Fastify().withTypeProvider<TB>()
  app.register(duplex)

  app.get(market.url, { ...market, websocketOptions: { maxUnsentBytes: 1 << 22 } }, async (socket) => {
    const client = new Client(socket)
    clients.add(client)
    for await (const message of socket) client.symbols = new Set(message.subscribe)
    clients.delete(client)
  })

  return app
}
