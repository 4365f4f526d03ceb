/** What users of ws and @fastify/websocket write in their handlers, for both the same. */
import AjvCompiler from '@fastify/ajv-compiler'
import { receive, reply } from './typed.js'

/** The validator that fastify-duplex compiles of the same schema. */
const validate = AjvCompiler()({}, { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true } })({ schema: receive, httpPart: 'body' })

/** By the scenarios' `work`. `clients` are the sockets of the server. */
export function handlersOf (clients) {
  return {
    echo,
    'echo-async': echoAsync,
    // Neither has an iteration of its own: what costs them least in its place.
    'echo-iterate': echoAsync,
    text (socket) {
      socket.on('message', (data) => { socket.send(String(data)) })
    },
    typed (socket) {
      socket.on('message', (data) => {
        const message = JSON.parse(data)
        if (validate(message) !== true) return socket.close(1008)
        socket.send(JSON.stringify(reply(message)))
      })
    },
    deflate: echo,
    'deflate-takeover': echo,
    publish (socket) {
      socket.on('message', (data, isBinary) => {
        for (const client of clients()) client.send(data, { binary: isBinary })
      })
    }
  }
}

function echo (socket) {
  socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
}

function echoAsync (socket) {
  socket.on('message', async (data, isBinary) => {
    await undefined
    socket.send(data, { binary: isBinary })
  })
}

/** The options of ws for permessage-deflate. */
export const perMessageDeflate = {
  deflate: { serverNoContextTakeover: true, clientNoContextTakeover: true },
  'deflate-takeover': true
}
