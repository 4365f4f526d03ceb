/**
 * Calls and answers on one connection. A call that fails is answered with its error, and the connection stays.
 *
 *   node examples/rpc.js
 *
 *   > { "id": 1, "method": "divide", "params": { "by": 2, "what": 7 } }
 *   < { "id": 1, "result": 3.5 }
 *
 * Calls run side by side, and are answered as they finish: the `id` says which one an answer belongs to.
 */
import { setTimeout } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import duplex, { defineWebSocketRoute, json } from 'fastify-duplex'

const Id = Type.Integer({ minimum: 0 })

export const rpc = defineWebSocketRoute({
  url: '/rpc',
  messages: json({
    receive: Type.Union([
      Type.Object({ id: Id, method: Type.Literal('divide'), params: Type.Object({ what: Type.Number(), by: Type.Number() }) }),
      Type.Object({ id: Id, method: Type.Literal('lookUp'), params: Type.Object({ name: Type.String({ maxLength: 100 }) }) })
    ]),
    send: Type.Union([
      Type.Object({ id: Id, result: Type.Unknown() }),
      // Null where the call was too broken to have one.
      Type.Object({ id: Type.Union([Id, Type.Null()]), error: Type.Object({ code: Type.String(), message: Type.String() }) })
    ])
  })
})

/**
 * @typedef {import('fastify-duplex').SocketOf<typeof rpc, import('@fastify/type-provider-typebox').TypeBoxTypeProvider>} Socket
 * @typedef {(name: string, signal: AbortSignal) => Promise<unknown>} LookUp a question to somebody else, such as a database
 */

/** What the caller may know. Whatever else is thrown stays here, and in the log. */
class CallError extends Error {
  /** @param {string} code @param {string} message */
  constructor (code, message) {
    super(message)
    this.code = code
  }
}

/** How many calls of one connection run at once. */
const MAX_CALLS = 16

/** @type {import('@fastify/type-provider-typebox').FastifyPluginAsyncTypebox<{ lookUp: LookUp }>} */
async function rpcRoutes (app, { lookUp }) {
  app.get(rpc.url, {
    ...rpc,
    websocketOptions: {
      // A message that does not fit the schema. One that is no JSON at all is answered too, but then the connection is closed
      // with 1007: who sends that speaks something else.
      onInvalidMessage: (error, socket, _request, message) => {
        answerError(socket, idOf(message), new CallError('INVALID_CALL', error.message))
      },
      // What the listener below throws has the call as its `message`, and the connection is open: nothing closes it but this.
      // The other kinds are faults of the peer or the network, and it is closing already.
      errorHandler: (error, socket, request, message) => {
        if (error.kind !== 'listener') return request.log.info(error)
        if (error instanceof CallError) return answerError(socket, idOf(message), error)
        request.log.error(error)
        answerError(socket, idOf(message), new CallError('INTERNAL', 'the call failed'))
      }
    }
  }, (socket) => {
    let running = 0
    // Nobody waits for what a listener returns, so calls run side by side; `for await` would run one after the other.
    socket.on('message', async (call) => {
      if (running >= MAX_CALLS) throw new CallError('BUSY', `${MAX_CALLS} calls are running already`)
      running++
      try {
        // Narrowed by its method: TypeScript knows the parameters of each.
        const result = call.method === 'divide' ? divide(call.params) : await lookUp(call.params.name, socket.signal)
        socket.send({ id: call.id, result })
      } finally {
        running--
      }
    })
  })
}

/** @param {{ what: number, by: number }} params */
function divide ({ what, by }) {
  if (by === 0) throw new CallError('DIVISION_BY_ZERO', 'nothing can be divided by 0')
  return what / by
}

/** @param {Socket} socket @param {number | null} id @param {CallError} error */
function answerError (socket, id, { code, message }) {
  socket.send({ id, error: { code, message } })
}

/** The id of a call of which nothing is certain. @param {unknown} message */
function idOf (message) {
  const { id } = /** @type {{ id?: unknown }} */ (Object(message))
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 ? id : null
}

/** @param {{ lookUp?: LookUp } & import('fastify').FastifyServerOptions} options */
export function build ({ lookUp = slowly, ...options } = {}) {
  const app = Fastify(options)
  // Wrong calls cost as much as right ones: who sends too many of either is closed with 1008.
  app.register(duplex, { rateLimit: { messagesPerSecond: 100, burst: 3 } })
  app.register(rpcRoutes, { lookUp })
  return app
}

/** In the place of a database. It gives up when its caller has left. @type {LookUp} */
async function slowly (name, signal) {
  return await setTimeout(1000, `what is known of ${name}`, { signal })
}

if (process.argv[1] === import.meta.filename) {
  const app = build({ logger: true })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
