/** The WebSocket server of Bun. */
/* global Bun */
import { ready, task } from './ready.js'

globalThis.gc = () => { Bun.gc(true) }
const compressed = task.work.startsWith('deflate')
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  tls: task.tls,
  fetch (request, server) {
    if (!server.upgrade(request)) return new Response('an upgrade, please', { status: 426 })
  },
  websocket: {
    perMessageDeflate: task.work === 'deflate-takeover' ? { compress: 'dedicated', decompress: 'dedicated' } : compressed,
    open (socket) { if (task.work === 'publish') socket.subscribe('all') },
    message (socket, message) {
      if (task.work === 'publish') server.publish('all', message)
      else socket.send(message, compressed)
    }
  }
})
ready(server.port)
