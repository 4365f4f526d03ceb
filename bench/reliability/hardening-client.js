/**
 * The clients of bench/reliability/hardening.js, in a process of their own.
 */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { answer } from './child.js'
import { frame, Peer } from './peer.js'
import { percentile } from './report.js'

const BINARY = 2
const peers = []

async function open (port, path) {
  const peer = new Peer(port, path)
  await new Promise((resolve, reject) => {
    peer.onOpen = resolve
    peer.onClose = () => reject(new Error(`refused with ${peer.statusCode}`))
  })
  peer.onClose = () => {}
  peers.push(peer)
  return peer
}

/** Writes the same octets so often, as fast as they are taken. */
async function pour (socket, octets, times) {
  for (let i = 0; i < times; i++) {
    if (!socket.write(octets)) await once(socket, 'drain')
  }
}

/** Sends so many messages, `depth` at a time on each connection, and waits for their echoes. */
async function exchange (own, payload, depth, count) {
  const bytes = frame(BINARY, payload)
  let toSend = count
  let toCome = count
  await new Promise((resolve) => {
    for (const peer of own) {
      peer.onMessage = () => {
        if (--toCome === 0) resolve()
        if (toSend-- > 0) peer.socket.write(bytes)
      }
    }
    for (const peer of own) {
      const first = Array.from({ length: depth }, () => toSend-- > 0 ? bytes : Buffer.alloc(0))
      peer.socket.write(Buffer.concat(first))
    }
  })
}

answer({
  /** Opens one that reads no more, and says how many messages it wants. */
  async stalled ({ port, messages }) {
    const { socket } = await open(port, '/')
    socket.write(frame(BINARY, Buffer.from(String(messages))))
    socket.pause()
  },
  async flood ({ port, path, bytes, messageBytes, bare }) {
    const octets = bare ? Buffer.alloc(messageBytes) : frame(BINARY, Buffer.alloc(messageBytes))
    const socket = bare ? connect(port, '127.0.0.1') : (await open(port, path)).socket
    await pour(socket, octets, bytes / messageBytes)
    socket.end()
  },
  /** The times of echoes, until told to stop; every few milliseconds one. */
  async probe ({ port, bare, everyMs }) {
    const socket = bare ? connect({ port, host: '127.0.0.1', noDelay: true }) : (await open(port, '/echo')).socket
    const octets = bare ? Buffer.from('echo') : frame(BINARY, Buffer.alloc(16))
    const times = []
    let since
    const probe = { times, stops: false, done: undefined }
    probe.done = (async () => {
      while (!probe.stops) {
        since = performance.now()
        socket.write(octets)
        await once(socket, 'data')
        times.push(performance.now() - since)
        await setTimeout(everyMs)
      }
      socket.destroy()
    })()
    probes.push(probe)
  },
  async probed () {
    const [probe] = probes.splice(0)
    probe.stops = true
    await probe.done
    return { count: probe.times.length, p50: percentile(probe.times, 0.5), p99: percentile(probe.times, 0.99), most: Math.max(...probe.times) }
  },
  async open ({ port, path, count }) {
    let left = count
    await Promise.all(Array.from({ length: 100 }, async () => { while (left-- > 0) await open(port, path) }))
  },
  /** On all that are open to this port. */
  async exchange ({ port, depth, count }) {
    await exchange(peers.filter(({ socket }) => socket.remotePort === port), Buffer.alloc(16), depth, count)
  },
  leave () {
    for (const { socket } of peers.splice(0)) socket.destroy()
  }
})

const probes = []
