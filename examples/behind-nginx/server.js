/**
 * A server that nginx stands before: what is set on both sides, so that they agree on who a client is and how long it may be
 * silent. The other side is nginx.conf, in this folder.
 *
 *   node examples/behind-nginx/server.js
 */
import Fastify from 'fastify'
import duplex from 'fastify-duplex'

/** @param {import('fastify').FastifyHttpOptions<import('node:http').Server>} options */
export function build (options = {}) {
  const app = Fastify({
    // Where nginx connects from. Only from there X-Forwarded-For and X-Forwarded-Proto are believed.
    trustProxy: '127.0.0.1',
    // For the head of a request, looked at every second. nginx hands on what is complete; others on this machine may not be nginx.
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 1_000 },
    // At the end nobody waits for the connections that nginx keeps for its next request.
    forceCloseConnections: true,
    ...options
  })

  app.register(duplex, {
    // No `origin`: pages of the same origin may connect, and nginx hands on the Host that they are compared with.
    // By the address that nginx has seen. `limit_conn` there is above it: so clients get this answer, which says why.
    maxConnectionsPerAddress: 50,
    maxConnections: 10_000,
    // A ping after 30 s of silence, given up after 30 more: together below `proxy_read_timeout`, so it is the server that finds
    // who is gone, and nginx cuts nothing that is alive.
    heartbeat: { intervalMs: 30_000, timeoutMs: 30_000 },
    // At a restart not all clients come back at once.
    shutdown: { windowMs: 4_000 }
  })

  app.get('/whoami', { websocket: true }, (socket, request) => {
    // As the browser sees it: `wss:`, since nginx says that it came over TLS.
    socket.send(JSON.stringify({ address: request.ip, url: socket.url }))
    socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = build({ logger: true })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
  // Nobody but nginx reaches it: it listens on loopback alone.
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
