/**
 * An echo on a raw route: text comes back as text, binary as binary.
 *
 *   npm run build
 *   node examples/echo.js [port] [options of the plugin, as JSON]
 *   node examples/echo.js 9001 '{"maxMessageBytes":33554432,"deflate":true}'
 */
import Fastify from 'fastify'
import duplex from 'fastify-duplex'

const [port = '9001', options = '{}'] = process.argv.slice(2)

// Whoever opens a connection has 10 s to send the head of a request, looked at every second. (Node's own: 60 s and 30 s.)
// At the end nobody waits for connections that have sent nothing at all.
const app = Fastify({ http: { headersTimeout: 10_000, connectionsCheckingInterval: 1_000 }, forceCloseConnections: true })
await app.register(duplex, JSON.parse(options))

app.get('/ws', { websocket: true }, (socket) => {
  socket.on('message', (data, isBinary) => {
    // Who sends faster than it reads its echo has to wait.
    if (!socket.send(data, { binary: isBinary })) socket.pause()
  })
  socket.on('drain', () => socket.resume())
})

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())

const url = await app.listen({ host: '127.0.0.1', port: Number(port) })
console.log(`${url.replace('http', 'ws')}/ws`)
