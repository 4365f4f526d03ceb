/**
 * The limits on the number of connections: of a whole server, and of each address.
 */
import { addressKey } from './address.ts'

/** A limit that keeps a connection out, named as its option. */
export type ConnectionLimit = 'maxConnections' | 'maxConnectionsPerAddress'

/** The places of one server, which handshakes take as well as the connections that they become. */
export class Places {
  #taken = 0
  /** Of each address that was counted. */
  readonly #takenByAddress = new Map<string, number>()

  /** Takes a place, or says which limit is reached. */
  admit ({ maxConnections, maxConnectionsPerAddress }: Readonly<Record<ConnectionLimit, number>>, peer: { readonly ip: string }): Place | ConnectionLimit {
    if (this.#taken >= maxConnections) return 'maxConnections'
    // Asked for only if it is wanted: Fastify finds out whom it trusts, and node:net keeps the address (1.6 us, 90 B).
    const key = maxConnectionsPerAddress === Infinity ? undefined : addressKey(peer.ip)
    if (key !== undefined) {
      const taken = this.#takenByAddress.get(key) ?? 0
      if (taken >= maxConnectionsPerAddress) return 'maxConnectionsPerAddress'
      this.#takenByAddress.set(key, taken + 1)
    }
    this.#taken++
    return new Place(this, key)
  }

  /** To be called by the place alone. */
  giveBack (key: string | undefined): void {
    this.#taken--
    if (key === undefined) return
    const taken = this.#takenByAddress.get(key)! - 1
    if (taken === 0) this.#takenByAddress.delete(key)
    else this.#takenByAddress.set(key, taken)
  }
}

/** The place of one handshake, and of the connection that it may become. */
export class Place {
  #places: Places | undefined
  readonly #key: string | undefined

  constructor (places: Places, key: string | undefined) {
    this.#places = places
    this.#key = key
  }

  /** Gives it back; from the second call on nothing happens. */
  release (): void {
    this.#places?.giveBack(this.#key)
    this.#places = undefined
  }
}
