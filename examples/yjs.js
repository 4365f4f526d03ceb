/**
 * Documents that several people edit at once: the server of y-websocket on a route, with its documents on the disk.
 *
 *   npm install yjs @y/websocket-server@0.1.1
 *   node examples/yjs.js
 *
 * Clients use `new WebsocketProvider('ws://localhost:3000/documents', 'minutes', new Y.Doc())` of y-websocket. Who may open which
 * document is decided by a hook, as in auth.js.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setPersistence, setupWSConnection } from '@y/websocket-server/utils'
import Fastify from 'fastify'
import duplex from 'fastify-duplex'
import { applyUpdate, encodeStateAsUpdate } from 'yjs'

/** A file for each document. @param {string} folder @param {import('fastify').FastifyBaseLogger} log */
function keepIn (folder, log) {
  mkdirSync(folder, { recursive: true })
  const fileOf = (/** @type {string} */ name) => join(folder, `${name}.yjs`)
  setPersistence({
    provider: null,
    // The first has come. Synchronous, so that nothing is written before all has been read.
    bindState: (name, doc) => {
      if (existsSync(fileOf(name))) applyUpdate(doc, readFileSync(fileOf(name)))
    },
    // The last has left: by itself, or because the server shuts down. What a crash must not take is written at each update,
    // `doc.on('update', ...)`.
    writeState: async (name, doc) => {
      try {
        writeFileSync(`${fileOf(name)}.new`, encodeStateAsUpdate(doc))
        renameSync(`${fileOf(name)}.new`, fileOf(name))
      } catch (error) {
        // The library looks after no rejection, and one that nobody looks after ends the process.
        log.error(error, `the document ${name} could not be written`)
      }
    }
  })
}

/** @param {{ folder?: string } & import('fastify').FastifyServerOptions} options */
export function build ({ folder = join(tmpdir(), 'documents'), ...options } = {}) {
  const app = Fastify(options)
  app.register(duplex)
  // Of the process, not of this application: the documents are those of the module.
  keepIn(folder, app.log)

  app.get('/documents/:name', {
    websocket: true,
    // It becomes the name of a file.
    schema: { params: { type: 'object', properties: { name: { type: 'string', pattern: '^[a-z0-9-]{1,64}$' } } } },
    // A client that was away for long sends much at once.
    websocketOptions: { maxMessageBytes: 16 * 1024 * 1024 }
  }, (socket, request) => {
    const { name } = /** @type {{ name: string }} */ (request.params)
    setupWSConnection(socket, request.raw, { docName: name })
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = build({ logger: true })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
