/** An upload: JSON for control, binary for the bytes, and reading that waits for the disk. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { Type as T } from '@sinclair/typebox'
import type { TypeBoxTypeProvider as TB } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import duplex, { json, defineWebSocketRoute } from '../../index.ts'

export const upload = defineWebSocketRoute({
  url: '/upload/:id',
  schema: { params: T.Object({ id: T.String({ pattern: '^[a-z0-9]+$' }) }) },
  messages: json({
    receive: T.Object({ type: T.Literal('done'), size: T.Integer() }),
    send: T.Union([
      T.Object({ type: T.Literal('progress'), received: T.Integer() }),
      T.Object({ type: T.Literal('stored') })
    ]),
    binary: true
  })
})

export function build (folder = tmpdir()) {
  const app = Fastify().withTypeProvider<TB>()
  app.register(duplex)

  app.get(upload.url, upload, async (socket, request) => {
    const file = createWriteStream(join(folder, request.params.id))
    let received = 0
    for await (const message of socket) {
      if (Buffer.isBuffer(message)) {
        received += message.length
        if (!file.write(message)) await once(file, 'drain', { signal: socket.signal })
        socket.send({ type: 'progress', received })
      } else {
        if (message.size !== received) return socket.close(4000, 'size')
        file.end()
        await finished(file)
        socket.send({ type: 'stored' })
        return socket.close()
      }
    }
    file.destroy()
  })

  return app
}
