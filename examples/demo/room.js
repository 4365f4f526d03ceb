/**
 * A chat room: who is in it, and what they are told, each in the version that it speaks. It knows sockets and no routes.
 */
import { prepare } from 'fastify-duplex'

/**
 * @typedef {import('@fastify/type-provider-typebox').TypeBoxTypeProvider} TypeBox
 * @typedef {import('fastify-duplex').SocketOf<typeof import('./contract.js').chat, TypeBox>} Socket
 * @typedef {Extract<Socket, { protocol: 'chat.v1' }>} SocketV1
 * @typedef {Extract<Socket, { protocol: 'chat.v2' }>} SocketV2
 * @typedef {{ socket: Socket, name: string }} Member
 * @typedef {import('fastify-duplex').Prepared<any>} Prepared
 */

export class Room {
  /** @type {Set<Member>} */
  #members = new Set()

  get size () { return this.#members.size }

  /** @param {Member} member */
  join (member) {
    this.#members.add(member)
    this.#tellV2({ type: 'joined', name: member.name })
  }

  /** @param {Member} member */
  leave (member) {
    this.#members.delete(member)
    this.#tellV2({ type: 'left', name: member.name })
  }

  /** @param {Member} from @param {string} text */
  say ({ name: from, socket: { protocol } }, text) {
    this.#tellV1({ from, text })
    this.#tellV2({ type: 'said', from, text, at: Date.now(), protocol })
  }

  /** @param {Member} who */
  typing (who) {
    this.#tellV2({ type: 'typing', name: who.name }, who)
  }

  /** @param {number} server */
  count (server) {
    this.#tellV1({ room: this.size, server })
    this.#tellV2({ type: 'counts', room: this.size, server })
  }

  /** @param {Exclude<Parameters<SocketV1['send']>[0], Prepared>} message */
  #tellV1 (message) {
    // Encoded once, however many there are.
    const prepared = prepare(message)
    for (const { socket } of this.#members) {
      // `protocol` tells the sockets apart: here TypeScript knows what this one sends.
      if (socket.protocol === 'chat.v1') socket.send(prepared)
    }
  }

  /** @param {Exclude<Parameters<SocketV2['send']>[0], Prepared>} message @param {Member} [except] */
  #tellV2 (message, except) {
    const prepared = prepare(message)
    for (const member of this.#members) {
      if (member.socket.protocol === 'chat.v2' && member !== except) member.socket.send(prepared)
    }
  }
}
