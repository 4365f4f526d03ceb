/**
 * The load of the soak: keeps so many connections open, talks on them, and has all kinds of things happen to them. What comes
 * back is compared with what was sent, and how a connection ends with what was done to it.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { answer } from './child.js'
import { compress, frame, inflate, Peer, upgradeRequest } from './peer.js'
import { percentile } from './report.js'

const { port, connections, seed, times } = JSON.parse(process.argv[2])
const OPENING_AT_ONCE = 100
const STEP_MS = 10
/** Of all connections, so many exchanges and so many faults in a second. */
const EXCHANGES = connections / 10
const FAULTS = connections / 100
/** Some time for a server that has much to do. */
const GRACE_MS = 20_000
const MOST_TO_LIST = 20

const [TEXT, BINARY, PING] = [1, 2, 9]
const BYTES = randomBytes(512 * 1024)

/** Mulberry32. */
let state = seed
function random (below) {
  state = (state + 0x6d2b79f5) >>> 0
  let t = state
  t = Math.imul(t ^ (t >>> 15), t | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) % below
}
const oneOf = (list) => list[random(list.length)]

let ids = 0
const rows = (count) => JSON.stringify(Array.from({ length: count }, () => ({ id: random(1e9), name: `name ${random(1e6)}`, active: true })))

/** What is sent on each kind of connection: the octets, and what has to come back. */
const KINDS = {
  echo: {
    share: 40,
    path: '/echo',
    next () {
      const at = random(100_000)
      const payload = Buffer.from(BYTES.toString('base64', at, at + 1 + random(90)))
      return { bytes: frame(TEXT, payload), matches: (_opcode, echoed) => echoed.equals(payload) }
    }
  },
  binary: {
    share: 10,
    path: '/binary',
    next () {
      const payload = BYTES.subarray(0, 20_000 + random(400_000))
      return { bytes: frame(BINARY, payload), matches: (_opcode, echoed) => echoed.equals(payload) }
    }
  },
  typed: {
    share: 20,
    path: '/typed',
    next () {
      const id = ++ids
      const text = 'x'.repeat(random(500))
      return {
        bytes: frame(TEXT, Buffer.from(JSON.stringify({ id, text }))),
        matches: (_opcode, payload) => String(payload) === JSON.stringify({ id, length: text.length })
      }
    }
  },
  deflate: {
    share: 10,
    path: '/deflate',
    headers: ['Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover'],
    next () {
      // Most are done at once, some are jobs of the thread pool.
      const text = rows(random(20) === 0 ? 1500 : 40)
      return {
        bytes: frame(TEXT, compress(text), { rsv1: true }),
        matches: (_opcode, payload, rsv1) => rsv1 && inflate(payload).equals(Buffer.from(text))
      }
    }
  },
  broadcast: { share: 15, path: '/broadcast', unasked: (payload) => String(payload.subarray(0, 8)) === '{"tick":' },
  feed: { share: 5, path: '/feed', deadAfterMs: 120_000, unasked: (payload) => payload.length === 16 * 1024 }
}

const totals = { opened: 0, exchanges: 0, messages: 0 }
const faults = {}
const ends = {}
const wrong = []
let latencies = []
/** Whether nothing new is begun for the moment; and whether it is over: the server closes. */
const run = { rests: false, stops: false }

/** All that are there, in an array, to pick from. */
const members = []

function fail (what) {
  if (wrong.length < MOST_TO_LIST) wrong.push(what)
  totals.wrong = (totals.wrong ?? 0) + 1
}

function note (counts, what) {
  counts[what] = (counts[what] ?? 0) + 1
}

/** One place among the connections: as often as one ends, another takes it. */
class Member {
  #kind
  #name
  #peer
  /** What has to come back, in order, and since when. */
  #awaited = []
  /** What was done to it, and the codes that it may end with then. */
  #fault
  #stalled = false

  constructor (name) {
    this.#name = name
    this.#kind = KINDS[name]
    members.push(this)
  }

  get deadAfterMs () {
    return this.#kind.deadAfterMs ?? times.heartbeat.intervalMs + times.heartbeat.timeoutMs
  }

  get mayTalk () {
    return this.#peer?.isOpen === true && this.#fault === undefined && !this.#stalled
  }

  /** Resolves when it is open. */
  async open () {
    this.#awaited = []
    this.#fault = undefined
    this.#stalled = false
    const peer = this.#peer = new Peer(port, this.#kind.path, this.#kind.headers)
    peer.onMessage = (opcode, payload, rsv1) => this.#onMessage(opcode, payload, rsv1)
    await new Promise((resolve) => {
      peer.onOpen = () => {
        totals.opened++
        resolve()
      }
      peer.onClose = () => {
        resolve()
        this.#onClose(peer)
      }
    })
    if (this.#name === 'feed') this.#readSlowly(peer)
  }

  exchange () {
    if (!this.mayTalk || this.#kind.next === undefined) return
    const { bytes, matches } = this.#kind.next()
    this.#awaited.push({ matches, since: performance.now() })
    totals.exchanges++
    return bytes
  }

  write (bytes) {
    this.#peer.socket.write(bytes)
  }

  #onMessage (opcode, payload, rsv1) {
    totals.messages++
    if (this.#kind.unasked !== undefined) {
      if (!this.#kind.unasked(payload)) fail(`${this.#name}: a message that was never sent`)
      return
    }
    const awaited = this.#awaited.shift()
    if (awaited === undefined || !awaited.matches(opcode, payload, rsv1)) return fail(`${this.#name}: a message of ${payload.length} octets is not what was sent`)
    if (this.#name === 'echo' && !awaited.isHeldUp) latencies.push(performance.now() - awaited.since)
  }

  #onClose (peer) {
    const { name, codes } = this.#fault ?? { name: run.stops ? 'the server closes' : 'nothing was done', codes: run.stops ? [1001] : [] }
    if (!run.stops) note(ends, `${name}: ${peer.closeCode}`)
    // In the middle of something else the end of the server is seen, or not.
    const maySeeAnything = run.stops && (this.#fault !== undefined || this.#stalled || peer.statusCode !== 101)
    if (!codes.includes(peer.closeCode) && !maySeeAnything) fail(`${this.#name}: closed with ${peer.closeCode}, ${name}`)
    if (!run.stops) setTimeout(random(2000), undefined, { ref: false }).then(() => this.open())
  }

  /** Takes some of what has come, from time to time. */
  async #readSlowly ({ socket }) {
    while (!socket.destroyed && this.#fault === undefined && !run.stops) {
      socket.pause()
      await setTimeout(300)
      socket.resume()
      await setTimeout(20)
    }
    socket.resume()
  }

  /** Does something to it, after which it has to end with one of these codes. */
  breaks (name, codes, how, withinMs = GRACE_MS) {
    const peer = this.#peer
    this.#fault = { name, codes }
    note(faults, name)
    how(peer)
    setTimeout(withinMs, undefined, { ref: false }).then(() => {
      if (peer.socket.closed) return
      fail(`${this.#name}: not over within ${withinMs} ms: ${name}`)
      peer.socket.destroy()
    })
  }

  /** Reads nothing for some time; nothing is lost. */
  async stall (ms) {
    const { socket } = this.#peer
    this.#holdUp('stall')
    socket.pause()
    await setTimeout(ms)
    socket.resume()
    this.#stalled = false
  }

  /** Says nothing new meanwhile; and what it waits for does not count for the times of echoes. */
  #holdUp (name) {
    note(faults, name)
    this.#stalled = true
    for (const awaited of this.#awaited) awaited.isHeldUp = true
  }

  /** Octet by octet. */
  async slice (bytes) {
    const peer = this.#peer
    const { socket } = peer
    this.#holdUp('slices')
    peer.isWithinFrame = true
    for (const octet of bytes.subarray(0, 200)) {
      socket.write(Buffer.from([octet]))
      await setTimeout(1)
    }
    socket.write(bytes.subarray(200))
    peer.isWithinFrame = false
    this.#stalled = false
  }
}

const half = (bytes) => bytes.subarray(0, bytes.length >> 1)

const FAULT_LIST = {
  reset: (member) => member.breaks('reset', [1006], ({ socket }) => socket.resetAndDestroy()),
  resetWithin: (member) => member.breaks('reset within a frame', [1006], ({ socket }) => {
    socket.write(half(frame(BINARY, BYTES.subarray(0, 1000))))
    setImmediate(() => socket.resetAndDestroy())
  }),
  halfClose: (member) => member.breaks('half close', [1006], ({ socket }) => socket.end()),
  halfCloseWithin: (member) => member.breaks('half close within a frame', [1006], ({ socket }) => socket.end(half(frame(BINARY, BYTES.subarray(0, 1000))))),
  blackHole: (member) => member.breaks('black hole', [1006], (peer) => {
    // It acknowledges what comes, as the kernel of a frozen process does, and says nothing any more.
    peer.answers = false
    peer.socket.pause()
    // What has become of it is seen when it reads.
    setTimeout(member.deadAfterMs + 5_000, undefined, { ref: false }).then(() => peer.socket.resume())
  }, member.deadAfterMs + 5_000 + GRACE_MS),
  unfinished: (member) => member.breaks('a message is not finished', [1008], (peer) => peer.send(TEXT, Buffer.from('x'), { fin: false })),
  protocol: (member) => member.breaks('the protocol is broken', [1002], (peer) => peer.send(3)),
  tooLarge: (member) => member.breaks('a message above the limit', [1009], ({ socket }) => socket.write(Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))),
  unanswered: (member) => member.breaks('closed by the client', [1000], (peer) => peer.close(1000)),
  stall: (member) => { member.stall(3_000) },
  slices: (member) => {
    const bytes = member.exchange()
    if (bytes !== undefined) member.slice(bytes)
  },
  pings: (member) => {
    note(faults, 'pings')
    for (let i = 0; i < 20; i++) member.write(frame(PING))
  },
  handshakeCut () {
    note(faults, 'a handshake is cut')
    const { socket } = new Peer(port, '/echo')
    socket.removeAllListeners('connect')
    socket.on('connect', () => {
      socket.write(upgradeRequest('/echo').slice(0, 60))
      setImmediate(() => socket.resetAndDestroy())
    })
  },
  hookAbandoned () {
    note(faults, 'a client leaves while a hook runs')
    const { socket } = new Peer(port, '/hook')
    setTimeout(random(400)).then(() => socket.resetAndDestroy())
  },
  refused () {
    note(faults, 'refused')
    const peer = new Peer(port, '/refused')
    peer.onClose = () => { if (peer.statusCode !== 401 && !run.stops) fail(`refused with ${peer.statusCode}`) }
  }
}

/** Calls so many times a second. */
function atRate (perSecond, what) {
  let due = 0
  setInterval(() => {
    if (run.rests || run.stops) return
    for (due += perSecond * STEP_MS / 1000; due >= 1; due--) what()
  }, STEP_MS).unref()
}

answer({
  async open () {
    const list = Object.entries(KINDS).flatMap(([name, { share }]) => Array.from({ length: Math.round(connections * share / 100) }, () => new Member(name)))
    let next = 0
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, async () => { while (next < list.length) await list[next++].open() }))
  },
  talk () {
    atRate(EXCHANGES, () => {
      const member = oneOf(members)
      const bytes = member.exchange()
      if (bytes !== undefined) member.write(bytes)
    })
    const kinds = Object.values(FAULT_LIST)
    atRate(FAULTS, () => {
      const member = oneOf(members)
      if (member.mayTalk) oneOf(kinds)(member)
    })
  },
  sample () {
    const sampled = latencies
    latencies = []
    return { ...totals, p50: percentile(sampled, 0.5), p99: percentile(sampled, 0.99) }
  },
  rest () { run.rests = true },
  goOn () { run.rests = false },
  results: () => ({ totals, faults, ends, wrong }),
  stop () { run.stops = true }
})
