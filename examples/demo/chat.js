/**
 * The chat's route: one handler for each version of the protocol, both in the same rooms.
 */
import { chat } from './contract.js'
import { Room } from './room.js'

/** @type {import('@fastify/type-provider-typebox').FastifyPluginAsyncTypebox} */
export async function chatRoutes (app) {
  /** @type {Map<string, Room>} */
  const rooms = new Map()
  let countsAreDue = false

  app.get(chat.url, chat, {
    'chat.v2': async (socket, request) => {
      const { room, member } = enter(socket, request)
      for await (const message of socket) {
        // Validated, and narrowed by its type.
        if (message.type === 'say') room.say(member, message.text)
        else room.typing(member)
      }
    },
    'chat.v1': async (socket, request) => {
      const { room, member } = enter(socket, request)
      for await (const { text } of socket) room.say(member, text)
    }
  })

  /**
   * @param {import('./room.js').Socket} socket
   * @param {{ params: { room: string }, query: { name: string } }} request
   */
  function enter (socket, { params, query }) {
    const room = rooms.get(params.room) ?? new Room()
    rooms.set(params.room, room)
    const member = { socket, name: query.name }
    room.join(member)
    countSoon()
    socket.once('close', () => {
      room.leave(member)
      if (room.size === 0) rooms.delete(params.room)
      countSoon()
    })
    return { room, member }
  }

  /** Everybody learns the new counts, once for all who come and go in the same turn. */
  function countSoon () {
    if (countsAreDue) return
    countsAreDue = true
    setImmediate(() => {
      countsAreDue = false
      for (const room of rooms.values()) room.count(app.websockets.size)
    })
  }
}
