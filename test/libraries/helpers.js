/**
 * An application on a free port of loopback, closed when its test ends.
 */
import Fastify from 'fastify'

/** `declare (app)` registers plugins and routes. Returns the application and its address, as `127.0.0.1:1234`. */
export async function start (t, declare, options) {
  const app = Fastify({ forceCloseConnections: true, ...options })
  t.after(() => app.close())
  await declare(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, host: `127.0.0.1:${app.server.address().port}` }
}

/** Resolves as soon as `look ()` gives something; the test's own time limit ends it otherwise. */
export async function until (look) {
  for (;;) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
