/**
 * A bad network between a client and a server: a TCP proxy that slows, slices, damages, cuts and loses what it carries, as a
 * test tells it, each direction by itself. Told nothing, it is a good one: ends and resets are carried on too.
 */
import type { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'

/** What becomes of a direction when the octets are through that may pass: they end, both ends are reset, or nothing comes any more. */
export type Cut = 'end' | 'reset' | 'lose'

/** So long a piece takes at most to write, if the rate is limited. */
const RATE_STEP_MS = 10

/** One direction of a connection. */
export class Flow {
  /** The size of the next piece that is handed on. Pieces arrive one by one, each in a read of its own. */
  pieceBytes: () => number = () => Infinity
  /** How long a read waits before it is handed on; what comes meanwhile is in the next. */
  latencyMs = 0
  bytesPerSecond = Infinity
  /** After so many octets, from the beginning of the connection, `cut` happens. */
  cutAfterBytes = Infinity
  cut: Cut = 'lose'
  /** The octet at this offset arrives with its lowest bit turned over. */
  damagedOffset = Infinity
  /** What comes is lost, ends and resets with it. */
  lost = false

  /** Octets that were handed on. */
  passedBytes = 0

  readonly #from: Socket
  readonly #to: Socket
  #stalled: { promise: Promise<void>, resolve: () => void } | undefined

  constructor (from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
    from.on('error', () => { if (!this.lost) to.resetAndDestroy() })
    this.#carry()
  }

  /** Reads nothing until `resume`: what the sender goes on sending fills the kernel. */
  stall (): void {
    if (this.#stalled !== undefined) return
    let resolve!: () => void
    this.#stalled = { promise: new Promise<void>((_resolve) => { resolve = _resolve }), resolve }
  }

  resume (): void {
    this.#stalled?.resolve()
    this.#stalled = undefined
  }

  /** The receiver sees the sender's end, who knows nothing of it: what it sends from now on is lost. */
  end (): void {
    this.lost = true
    this.#to.end()
  }

  async #carry (): Promise<void> {
    try {
      if (this.#to.connecting) await once(this.#to, 'connect')
      for await (const chunk of this.#from.iterator({ destroyOnReturn: false })) await this.#handOn(chunk as Buffer)
      if (!this.lost) this.#to.end()
    } catch {
      // A reset: carried on above, where it is seen at once.
    }
  }

  async #handOn (chunk: Buffer): Promise<void> {
    if (this.latencyMs > 0) await setTimeout(this.latencyMs)
    await this.#stalled?.promise
    let rest = chunk
    while (rest.length > 0 && !this.lost && this.#to.writable) {
      const size = Math.min(rest.length, this.pieceBytes(), Math.ceil(this.bytesPerSecond * RATE_STEP_MS / 1000), this.cutAfterBytes - this.passedBytes)
      await this.#write(rest.subarray(0, size))
      rest = rest.subarray(size)
      const isCut = this.passedBytes >= this.cutAfterBytes
      // libuv takes a reset that comes together with octets for an end.
      if (rest.length > 0 || isCut) await aTurn()
      if (isCut) this.#cut()
    }
  }

  async #write (piece: Buffer): Promise<void> {
    const damaged = this.damagedOffset - this.passedBytes
    if (damaged < piece.length) piece[damaged]! ^= 1
    if (this.bytesPerSecond < Infinity) await setTimeout(piece.length / this.bytesPerSecond * 1000)
    this.passedBytes += piece.length
    if (!this.#to.write(piece)) await Promise.race([once(this.#to, 'drain'), once(this.#to, 'close')])
  }

  #cut (): void {
    this.lost = true
    if (this.cut === 'end') this.#to.end()
    if (this.cut !== 'reset') return
    this.#to.resetAndDestroy()
    this.#from.resetAndDestroy()
  }
}

/** Long enough for the other end, should it be in this process, to read: from one check phase of the event loop to the next. */
async function aTurn (): Promise<void> {
  await setImmediate()
  await setImmediate()
}

/** One connection through the proxy. */
export class Link {
  /** From the client to the server. */
  readonly up: Flow
  /** From the server to the client. */
  readonly down: Flow
  readonly #client: Socket
  readonly #server: Socket

  constructor (client: Socket, server: Socket) {
    this.#client = client
    this.#server = server
    this.up = new Flow(client, server)
    this.down = new Flow(server, client)
  }

  /** Both see ECONNRESET, or one of them, and the other nothing. */
  reset (whom: 'both' | 'client' | 'server' = 'both'): void {
    this.lose()
    if (whom !== 'server') this.#client.resetAndDestroy()
    if (whom !== 'client') this.#server.resetAndDestroy()
  }

  /** A black hole: nothing that either sends arrives any more, and neither is told. */
  lose (): void {
    this.up.lost = this.down.lost = true
  }

  destroy (): void {
    this.lose()
    this.up.resume()
    this.down.resume()
    this.#client.destroy()
    this.#server.destroy()
  }
}

/** Listens on a port of its own, and connects every client to the port of the server. */
export class FaultProxy {
  /** In the order in which they were opened; those that are over too. */
  readonly links: Link[] = []
  /** Called with each new connection before its first octet. */
  onLink: (link: Link) => void = () => {}
  readonly #server: Server

  private constructor (port: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const link = new Link(client, connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }))
      this.links.push(link)
      this.onLink(link)
    })
  }

  /** In front of this port, until the test ends. */
  static async start (t: Test, port: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(port)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    t.teardown(() => proxy.close())
    return proxy
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The last connection. */
  get link (): Link {
    return this.links.at(-1)!
  }

  /** Resolves when of all its connections nothing is left. */
  async close (): Promise<void> {
    for (const link of this.links) link.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }
}
