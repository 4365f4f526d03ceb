/** The WebSocket server of Bun. */
/* global Bun */
import { ready, task } from './ready.js'

globalThis.gc = () => { Bun.gc(true) }
const echo = (socket, message) => { socket.send(message) }
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  tls: task.tls,
  fetch (request, server) {
    if (!server.upgrade(request)) return new Response('an upgrade, please', { status: 426 })
  },
  websocket: {
    perMessageDeflate: task.work.startsWith('deflate'),
    open (socket) { if (task.work === 'publish') socket.subscribe('all') },
    message: task.work === 'publish' ? (socket, message) => { server.publish('all', message) } : echo
  }
})
ready(server.port)
