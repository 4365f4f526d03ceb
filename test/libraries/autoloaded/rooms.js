/** A file as @fastify/autoload takes it: its folder is the prefix. */
import { text } from 'fastify-duplex'

export default async function rooms (app) {
  app.get('/rooms/:name', { websocket: true, messages: text() }, (socket, request) => {
    socket.on('message', (message) => { socket.send(`${request.params.name}: ${message}`) })
  })
}
