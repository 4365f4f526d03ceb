/** The WebSocket server of Deno. */
/* global Deno */
import { ready, task } from './ready.js'

Deno.serve({
  hostname: '127.0.0.1',
  port: 0,
  ...task.tls,
  onListen ({ port }) { ready(port) }
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request)
  socket.binaryType = 'arraybuffer'
  socket.onmessage = ({ data }) => { socket.send(data) }
  return response
})
