/**
 * The chat, described once for the server, its tests and its clients: the path with its schemas, and two versions of
 * the messages, one contract for each subprotocol.
 */
import { Type } from '@sinclair/typebox'
import { defineWebSocketRoute, json } from 'fastify-duplex/contract'

const Name = Type.String({ minLength: 1, maxLength: 24 })
const Text = Type.String({ minLength: 1, maxLength: 500 })
const Count = Type.Integer({ minimum: 0 })
const only = { additionalProperties: false }

export const chat = defineWebSocketRoute({
  url: '/chat/:room',
  schema: {
    params: Type.Object({ room: Type.String({ pattern: '^[\\w-]{1,32}$' }) }),
    querystring: Type.Object({ name: Name })
  },
  // As seen from the server.
  subprotocols: {
    // The first version: a text is all that one can send.
    'chat.v1': json({
      receive: Type.Object({ text: Text }, only),
      send: Type.Union([
        Type.Object({ from: Name, text: Text }),
        Type.Object({ room: Count, server: Count })
      ])
    }),
    // The second: who comes and goes, who is typing, and when and by which version something was said.
    'chat.v2': json({
      receive: Type.Union([
        Type.Object({ type: Type.Literal('say'), text: Text }, only),
        Type.Object({ type: Type.Literal('typing') }, only)
      ]),
      send: Type.Union([
        Type.Object({ type: Type.Literal('said'), from: Name, text: Text, at: Type.Integer(), protocol: Type.String() }),
        Type.Object({ type: Type.Literal('joined'), name: Name }),
        Type.Object({ type: Type.Literal('left'), name: Name }),
        Type.Object({ type: Type.Literal('typing'), name: Name }),
        Type.Object({ type: Type.Literal('counts'), room: Count, server: Count })
      ])
    })
  }
})
