/**
 * A file in binary messages, straight to the disk, with answers on how far it is.
 *
 *   node examples/file-upload.js
 *
 * The client sends the file in pieces and at the end what it was: `{ "type": "done", "sha256": "..." }`. Nobody has to
 * wait for the answers in between: whoever sends faster than the disk writes is held up by TCP.
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import duplex, { defineWebSocketRoute, json } from 'fastify-duplex'

/** A piece; it is also about as much as waits for the disk in memory. */
const MAX_PIECE_BYTES = 256 * 1024

export const upload = defineWebSocketRoute({
  url: '/upload',
  messages: json({
    // Beside the JSON, bytes come in binary messages.
    binary: true,
    receive: Type.Object({ type: Type.Literal('done'), sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) }),
    send: Type.Union([
      Type.Object({ type: Type.Literal('progress'), received: Type.Integer() }),
      Type.Object({ type: Type.Literal('stored'), id: Type.String(), size: Type.Integer() })
    ])
  })
})

/** @type {import('@fastify/type-provider-typebox').FastifyPluginAsyncTypebox<{ folder: string, maxFileBytes: number }>} */
async function uploadRoutes (app, { folder, maxFileBytes }) {
  await mkdir(folder, { recursive: true })

  app.get(upload.url, {
    ...upload,
    // A larger piece is refused by its header, before it is in memory; who takes an hour for a file is not waited for.
    websocketOptions: { maxMessageBytes: MAX_PIECE_BYTES, maxLifetimeMs: 3_600_000 }
  }, async (socket) => {
    // A name of our own: what a client calls its file is no path.
    const id = randomUUID()
    const part = join(folder, `${id}.part`)
    const file = await open(part, 'wx')
    try {
      const hash = createHash('sha256')
      let size = 0
      // The next message is taken when this one has been written. Meanwhile a few wait, then reading pauses.
      for await (const message of socket) {
        if (Buffer.isBuffer(message)) {
          size += message.length
          if (size > maxFileBytes) return socket.close(1009, 'the file is too large')
          await file.appendFile(message)
          hash.update(message)
          // Backpressure the other way: a client that does not read its answers gets no new ones.
          if (!socket.send({ type: 'progress', received: size })) await socket.drained()
        } else {
          if (hash.digest('hex') !== message.sha256) return socket.close(4000, 'not what was sent')
          await file.close()
          await rename(part, join(folder, id))
          socket.send({ type: 'stored', id, size })
          return socket.close()
        }
      }
      // The iteration has ended: the client has left before it was done.
    } finally {
      // However it went, no half of a file stays. An error of the disk goes on from here: it is logged, and closes with 1011.
      await file.close()
      await rm(part, { force: true })
    }
  })
}

/** @param {{ folder?: string, maxFileBytes?: number } & import('fastify').FastifyServerOptions} options */
export function build ({ folder = join(tmpdir(), 'uploads'), maxFileBytes = 1024 ** 3, ...options } = {}) {
  const app = Fastify(options)
  app.register(duplex)
  app.register(uploadRoutes, { folder, maxFileBytes })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = build({ logger: true })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
