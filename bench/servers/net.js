/** Bytes back as they came, without any protocol: the limit for whatever is written on the sockets of Node. */
import { createServer as createNetServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { ready, task } from './ready.js'

function echo (socket) {
  socket.setNoDelay(true)
  socket.on('data', (chunk) => { socket.write(chunk) })
  socket.on('error', () => {})
}

const server = task.tls === undefined ? createNetServer(echo) : createTlsServer(task.tls, echo)
server.listen(0, '127.0.0.1', () => { ready(server.address().port) })
