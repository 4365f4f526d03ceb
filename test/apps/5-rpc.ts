/** Calls and answers over one connection; a call that fails is answered, and the connection stays open. */
import { Type as T } from '@sinclair/typebox'
import type { TypeBoxTypeProvider as TB } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import duplex, { json, defineWebSocketRoute } from '../../index.ts'

const Call = T.Union([
  T.Object({ id: T.Integer(), method: T.Literal('add'), params: T.Tuple([T.Number(), T.Number()]) }),
  T.Object({ id: T.Integer(), method: T.Literal('fail') })
])

const Answer = T.Union([
  T.Object({ id: T.Integer(), result: T.Number() }),
  T.Object({ id: T.Union([T.Integer(), T.Null()]), error: T.Object({ code: T.String(), message: T.String() }) })
])

export const rpc = defineWebSocketRoute({ url: '/rpc', messages: json({ receive: Call, send: Answer }) })

function idOf (message: unknown): number | null {
  return typeof message === 'object' && message !== null && 'id' in message && Number.isInteger(message.id) ? message.id as number : null
}

export function build () {
  const app = Fastify().withTypeProvider<TB>()
  app.register(duplex)

  app.get(rpc.url, {
    ...rpc,
    websocketOptions: {
      onInvalidMessage: (error, socket, _request, message) => {
        socket.send({ id: idOf(message), error: { code: error.code, message: error.message } })
      },
      errorHandler: (error, socket, request, message) => {
        request.log.error(error)
        socket.send({ id: idOf(message), error: { code: 'INTERNAL', message: 'failed' } })
      }
    }
  }, (socket) => {
    socket.on('message', async (call) => {
      switch (call.method) {
        case 'add':
          socket.send({ id: call.id, result: call.params[0] + call.params[1] })
          break
        case 'fail':
          throw new Error('x')
      }
    })
  })

  return app
}
