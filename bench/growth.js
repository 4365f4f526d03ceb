/**
 * How cost grows: with the number of connections, the size of messages, and the number of routes.
 *
 *   npm run bench:growth [-- --dist folder]
 */
import { parseArgs } from 'node:util'
import { Server } from './measure.js'
import { peerOf } from './peers.js'
import { measureRounds } from './rounds.js'
import { writeResult } from './results.js'
import { scenarios } from './scenarios.js'
import { align, digits, median, mediansOf } from './tables.js'

const KIB = 1024
const MIB = 1024 * KIB
const { values: { dist } } = parseArgs({ options: { dist: { type: 'string' } } })

const SIZES = [16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB]
const CONNECTIONS = [1, 64, 1000, 10_000]
const ROUTES = [1, 10, 100, 300, 1000]
const STARTS = 5

/** The peers' figures at every point. */
async function curve (title, points, names, scenarioAt, ms) {
  const peers = names.map((name) => peerOf(name, dist))
  const rows = []
  for (const at of points) {
    const rounds = await measureRounds(peers, scenarioAt(at), { starts: 1, rounds: 4, ms })
    rows.push({ at, ...Object.fromEntries(mediansOf(rounds).map(({ name, cpu, rss, p50, p99 }) => [name, { cpu, rss, p50, p99 }])) })
    console.log(title, at, ...names.map((name) => `${name} ${digits(rows.at(-1)[name].cpu)} µs`))
  }
  return rows
}

const connections = await curve('connections', CONNECTIONS, ['ours', 'ws', 'net'], (connections) => ({ ...scenarios['echo-16-d1'], connections }), 500)

// So that a quarter of a GiB at most is on its way.
const sizes = await curve('bytes', SIZES, ['ours', 'ws', 'net'], (bytes) => ({
  ...scenarios['echo-16-d1'], bytes, connections: Math.min(64, 256 * MIB / bytes), options: { maxMessageBytes: 16 * MIB }
}), 1000)

const routes = await curve('routes', ROUTES, ['ours', 'fastify-websocket'], (routes) => ({ ...scenarios.connect, routes }), 500)

const starts = []
for (const at of ROUTES) {
  const row = { at }
  for (const name of ['ours', 'fastify', 'fastify-websocket']) {
    const runs = []
    for (let i = 0; i < STARTS; i++) {
      const server = await Server.start(peerOf(name, dist), { work: 'echo', routes: at })
      const { rss, heap } = await server.memory()
      runs.push({ startMs: server.startMs, rss, heap })
      await server.stop()
    }
    row[name] = Object.fromEntries(['startMs', 'rss', 'heap'].map((key) => [key, median(runs.map((run) => run[key]))]))
  }
  starts.push(row)
}
console.log(align([['routes', 'ours ms', 'fastify ms', '@fastify/websocket ms'], ...starts.map((row) => [row.at, ...['ours', 'fastify', 'fastify-websocket'].map((name) => Math.round(row[name].startMs))])]))

writeResult('growth', { connections, sizes, routes, starts })
