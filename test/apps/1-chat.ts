/** Chat rooms, with two versions of the messages in one room: a subprotocol for each. */
import { Type as T } from '@sinclair/typebox'
import type { TypeBoxTypeProvider as TB } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import duplex, { json, prepare, defineWebSocketRoute, type SocketOf } from '../../index.ts'

export const chat = defineWebSocketRoute({
  url: '/chat/:room',
  schema: { params: T.Object({ room: T.String() }) },
  subprotocols: {
    'chat.v2': json({
      receive: T.Union([
        T.Object({ type: T.Literal('say'), text: T.String() }),
        T.Object({ type: T.Literal('typing') })
      ]),
      send: T.Object({ type: T.Literal('said'), from: T.String(), text: T.String() })
    }),
    'chat.v1': json({
      receive: T.Object({ text: T.String() }),
      send: T.Object({ text: T.String() })
    })
  }
})

type ChatSocket = SocketOf<typeof chat, TB>

const rooms = new Map<string, Set<ChatSocket>>()

function say (room: string, from: string, text: string) {
  const v2 = prepare({ type: 'said', from, text })
  const v1 = prepare({ text })
  for (const socket of rooms.get(room) ?? []) {
    if (socket.protocol === 'chat.v2') socket.send(v2)
    else socket.send(v1)
  }
}

export function build () {
  const app = Fastify().withTypeProvider<TB>()
  app.register(duplex)

  app.get(chat.url, chat, async (socket, request) => {
    const { room } = request.params
    let sockets = rooms.get(room)
    if (sockets === undefined) rooms.set(room, sockets = new Set<ChatSocket>())
    sockets.add(socket)
    try {
      if (socket.protocol === 'chat.v2') {
        for await (const message of socket) {
          if (message.type === 'say') say(room, request.ip, message.text)
        }
      } else {
        for await (const message of socket) say(room, request.ip, message.text)
      }
    } finally {
      sockets.delete(socket)
      if (sockets.size === 0) rooms.delete(room)
    }
  })

  // The same messages, with a handler for each subprotocol.
  app.get('/map', { websocket: true, subprotocols: chat.subprotocols }, {
    'chat.v1': (socket) => {
      socket.on('message', (message) => { socket.send({ text: message.text }) })
    },
    'chat.v2': async (socket) => {
      for await (const message of socket) {
        if (message.type === 'say') socket.send({ type: 'said', from: '', text: message.text })
      }
    }
  })

  return app
}
