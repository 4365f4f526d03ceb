/**
 * A chat to try fastify-duplex with: two tabs, two versions of one protocol, and buttons that break its rules.
 *
 *   npm run demo                     http://localhost:3000
 *   PORT=8080 npm run demo           another port
 *   HOST=0.0.0.0 npm run demo        for the other machines of the network too
 *   LOG_LEVEL=info npm run demo      with a line for each connection and each mistake
 */
import { readFile } from 'node:fs/promises'
import Fastify from 'fastify'
import duplex from 'fastify-duplex'
import { chatRoutes } from './chat.js'

const { PORT = '3000', HOST = 'localhost', LOG_LEVEL = 'warn' } = process.env

const app = Fastify({
  logger: { level: LOG_LEVEL },
  // Whoever opens a connection has 10 s to send the head of a request, looked at every second. (Node's own: 60 s and 30 s.)
  http: { headersTimeout: 10_000, connectionsCheckingInterval: 1_000 },
  // At the end nobody waits for connections that have sent nothing at all.
  forceCloseConnections: true
})

// Small, so that the page can show what happens to a message that is too large.
await app.register(duplex, { maxMessageBytes: 16_384 })
await app.register(chatRoutes)

const page = await readFile(new URL('page.html', import.meta.url))
app.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(page))

// Every open socket gets a Close with 1001, and the page says so.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())

console.log(`The demo runs at ${await app.listen({ port: Number(PORT), host: HOST })} - open it in two tabs.`)
