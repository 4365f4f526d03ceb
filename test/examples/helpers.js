/**
 * What the tests of the examples share: an example that listens on loopback, and clients of another package.
 */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'

/** Longer than anything takes. */
const PATIENCE_MS = 15_000

/** Closes the example when its test ends. */
export function closing (t, app) {
  t.after(() => app.close())
  return app
}

/** Has the example listen, and returns its address, as `127.0.0.1:1234`. */
export async function listening (t, app) {
  await closing(t, app).listen({ host: '127.0.0.1', port: 0 })
  return `127.0.0.1:${app.server.address().port}`
}

/** A client of `ws` that is open. */
export async function connected (t, url, protocols, options) {
  const client = new WebSocket(url, protocols, options)
  t.after(() => client.terminate())
  await once(client, 'open')
  return client
}

/** Resolves as soon as `look ()` gives something; rejects when it has given nothing for long. */
export async function until (look) {
  for (const start = performance.now(); performance.now() - start < PATIENCE_MS; await setTimeout(5)) {
    const found = await look()
    if (found) return found
  }
  throw new Error(`after ${PATIENCE_MS} ms there is still nothing of ${look}`)
}
