/**
 * tRPC 11 over WebSocket: `useWSS` on a plain WebSocket route, and `applyWSSHandler` on the server of compat.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client'
import { initTRPC, TRPCError } from '@trpc/server'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import duplex from 'fastify-duplex'
import websocket from 'fastify-duplex/compat'
import { WebSocket } from 'ws'
import { start, until } from './helpers.js'

function counting () {
  const t = initTRPC.context().create()
  const seen = { begun: 0, ended: 0 }
  const router = t.router({
    hello: t.procedure.input((value) => String(value)).query(({ input, ctx }) => `hello ${input} at ${ctx.url}`),
    fail: t.procedure.mutation(() => { throw new TRPCError({ code: 'FORBIDDEN', message: 'not you' }) }),
    count: t.procedure.subscription(async function * () {
      seen.begun++
      try {
        for (let i = 1; ; i++) {
          yield i
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        seen.ended++
      }
    })
  })
  return { router, seen, createContext: ({ req }) => ({ url: req.url }) }
}

const SERVERS = {
  'useWSS, on our own routes': async (app, { router, createContext }) => {
    await app.register(duplex)
    await app.register(fastifyTRPCPlugin, { prefix: '/trpc', useWSS: true, trpcOptions: { router, createContext, keepAlive: { enabled: true, pingMs: 20, pongWaitMs: 5_000 } } })
  },

  'useWSS, on compat': async (app, { router, createContext }) => {
    await app.register(websocket)
    await app.register(fastifyTRPCPlugin, { prefix: '/trpc', useWSS: true, trpcOptions: { router, createContext } })
  },

  'applyWSSHandler, on the websocketServer of compat': async (app, { router, createContext }) => {
    await app.register(websocket)
    app.get('/trpc', { websocket: true }, () => {})
    const handler = applyWSSHandler({ wss: app.websocketServer, router, createContext })
    app.addHook('preClose', async () => handler.broadcastReconnectNotification())
  }
}

for (const [name, declare] of Object.entries(SERVERS)) {
  test(name, async (t) => {
    const { seen, ...options } = counting()
    const { app, host } = await start(t, (app) => declare(app, options))
    const ws = createWSClient({ url: `ws://${host}/trpc`, WebSocket, retryDelayMs: () => 60_000 })
    t.after(() => ws.close())
    const client = createTRPCClient({ links: [wsLink({ client: ws })] })

    assert.equal(await client.hello.query('you'), 'hello you at /trpc')
    await assert.rejects(client.fail.mutate(), (error) => error.data.code === 'FORBIDDEN' && error.message === 'not you')

    const counted = []
    const subscription = client.count.subscribe(undefined, { onData: (value) => counted.push(value) })
    await until(() => counted.length >= 5)
    subscription.unsubscribe()
    await until(() => seen.ended === 1)
    assert.deepEqual(counted.slice(0, 5), [1, 2, 3, 4, 5])

    client.count.subscribe(undefined, { onData: (value) => counted.push(value), onError: () => {} })
    await until(() => seen.begun === 2)
    assert.equal(app.websockets.size, 1)
    await app.close()
    await until(() => seen.ended === 2)
  })
}
