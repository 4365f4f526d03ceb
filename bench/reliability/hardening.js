/**
 * What the limits and timers of the package bound, and what they cost: measured, each against its bound.
 *
 *   npm run bench:hardening
 *   node bench/reliability/hardening.js [stalled] [flood] [idle] [limits]
 *
 * With HARDENING_REPORT=1 it writes its section of docs/reliability.md. Linux, for the peaks of RSS.
 */
import { setTimeout } from 'node:timers/promises'
import { startChild } from './child.js'
import { circumstances, median, mib, table, writeSection } from './report.js'

const MIB = 2 ** 20
const GIB = 2 ** 30
const DEFAULT_MAX_UNSENT = 16 * MIB
const DEFAULT_CLOSE_TIMEOUT_MS = 5_000
const MARGIN = 8 * MIB
/** How far the heap has grown when garbage is collected differs from process to process. */
const FLOODS = 7

const milliseconds = (ms) => `${ms.toFixed(ms < 10 ? 2 : 0)} ms`
const row = (what, figure, bound, unit) => ({ what, figure: unit(figure), bound: `< ${unit(bound)}`, holds: figure < bound })

const MEASUREMENTS = {
  /** A peer that reads nothing: it is dropped when more waits than may, and a shutdown does not wait for it. */
  async stalled () {
    const rows = []
    const [server, client] = await Promise.all([startChild('hardening-server.js', 'stalled'), startChild('hardening-client.js')])
    const port = await server.ask('port')
    const before = (await server.ask('held')).rss
    await server.ask('forgetPeak')
    await client.ask('stalled', { port, messages: 200 })
    let state
    do {
      await setTimeout(100)
      state = await server.ask('state')
    } while (state.closeCode === undefined && state.sent < 200)
    const peak = await server.ask('peak')
    console.log(`dropped with ${state.closeCode} after ${state.sent} messages; RSS ${mib(before)} before`)
    const what = `peak RSS that a peer costs which reads nothing of 200 messages of 1 MiB (dropped with ${state.closeCode} after ${state.sent})`
    rows.push(row(what, peak - before, DEFAULT_MAX_UNSENT + MARGIN, mib))
    await Promise.all([server.end(), client.end()])

    const closing = await startChild('hardening-server.js', 'stalled')
    const stalled = await startChild('hardening-client.js')
    await stalled.ask('stalled', { port: await closing.ask('port'), messages: 12 })
    while ((await closing.ask('state')).sent < 12) await setTimeout(50)
    rows.push(row('app.close() while 12 MiB wait for a peer that reads nothing', await closing.ask('close'), DEFAULT_CLOSE_TIMEOUT_MS + 1_000, milliseconds))
    await Promise.all([closing.end(), stalled.end()])
    return rows
  },

  /** A peer that sends more than the route takes: backpressure reaches it, and nobody else notices. */
  async flood () {
    // The samples collect garbage, which keeps RSS low and others waiting: so they have a flood of their own.
    const sampled = await flood('flood', true)
    const flooded = []
    const bare = []
    for (let i = 0; i < FLOODS; i++) {
      flooded.push(await flood('flood', false))
      bare.push(await flood('net', false))
    }
    console.log('sampled', sampled, 'flooded', flooded, 'bare', bare)
    const typical = (floods, of) => median(floods.map(of))
    const peaks = [flooded, bare].map((floods) => typical(floods, ({ peak }) => peak))
    const p99s = [flooded, bare].map((floods) => typical(floods, ({ p99 }) => p99))
    return [
      row(`heap and external memory that a flood of 1 GiB adds to a route with for await: the most of ${sampled.heaps.length} samples after gc meanwhile`, Math.max(...sampled.heaps), MIB, mib),
      row(`peak RSS that it adds (${mib(peaks[0])}) above what it adds to a net server that pauses likewise (${mib(peaks[1])}), medians of ${FLOODS}`, peaks[0] - peaks[1], MARGIN, mib),
      row(`p99 of an echo of 16 B on another connection meanwhile (net server: ${milliseconds(p99s[1])}), medians of ${FLOODS}`, p99s[0], 50, milliseconds)
    ]
  },

  /** 10,000 connections on which nothing happens. */
  async idle () {
    const CONNECTIONS = 10_000
    const quiet = await idle(CONNECTIONS, { intervalMs: 600_000, timeoutMs: 600_000 }, 30)
    const pinged = await idle(CONNECTIONS, { intervalMs: 10_000, timeoutMs: 10_000 }, 30)
    console.log('ticks', quiet.ticks)
    return [
      row(`CPU of a tick of the heartbeat, once a second, with ${CONNECTIONS} idle connections: the median of ${quiet.ticks.length}`, median(quiet.ticks), 5, milliseconds),
      row('CPU in a second, on the average, if each of them gets a ping every 10 s, and answers', pinged.cpu, 200, milliseconds)
    ]
  },

  /** What limits and heartbeat cost where they limit nothing: two servers in turn, one with the defaults, one with as little as can be set. */
  async limits () {
    const off = { heartbeat: false, messageTimeoutMs: 2 ** 31 - 1, maxMessageBytes: 2 ** 29 - 24, maxUnsentBytes: Number.MAX_SAFE_INTEGER, origin: true }
    const rows = []
    const cost = (microseconds) => `${microseconds.toFixed(2)} µs`
    for (const [depth, count] of [[1, 20_000], [16, 100_000]]) {
      const how = { depth, count, pairs: 8, rounds: 6 }
      const { ratio, costs } = await paired({}, off, how)
      const same = await paired({}, {}, { ...how, pairs: 4 })
      rows.push({
        what: `server CPU of an echo of 16 B, ${depth} at a time on each of 64 connections, with the default options (${cost(costs[0])}) against limits and ` +
          `heartbeat off (${cost(costs[1])}); the defaults against themselves: ${same.ratio.toFixed(3)}`,
        figure: `${ratio.toFixed(3)} times`,
        bound: '< 1.03 times',
        holds: ratio < 1.03
      })
    }
    return rows
  }
}

/** 1 GiB in messages of 64 KiB, beside a connection with an echo now and then. */
async function flood (name, isSampled) {
  const bare = name === 'net'
  const [server, client, prober] = await Promise.all([startChild('hardening-server.js', name), startChild('hardening-client.js'), startChild('hardening-client.js')])
  const port = await server.ask('port')
  const pour = (bytes) => client.ask('flood', { port, path: '/', bytes, messageBytes: 64 * 1024, bare })
  // What is compiled and allocated once does not belong to the flood.
  await pour(64 * MIB)
  await prober.ask('probe', { port, bare, everyMs: 5 })
  await setTimeout(500)
  const before = await server.ask('held')
  const received = (await server.ask('state')).received
  await server.ask('forgetPeak')
  const pouring = pour(GIB)
  const heaps = []
  while ((await server.ask('state')).received - received < GIB) {
    await setTimeout(250)
    if (!isSampled) continue
    const { heapUsed, external } = await server.ask('held')
    heaps.push(heapUsed + external - before.heapUsed - before.external)
  }
  await pouring
  const peak = await server.ask('peak')
  const { p50, p99, most, count } = await prober.ask('probed')
  await Promise.all([server.end(), client.end(), prober.end()])
  return { heaps, peak: peak - before.rss, p50, p99, most, count }
}

/** The CPU time of a second, in milliseconds, and of each tick meanwhile. */
async function idle (connections, heartbeat, seconds) {
  const [server, client] = await Promise.all([startChild('hardening-server.js', 'echo', JSON.stringify({ heartbeat })), startChild('hardening-client.js')])
  await client.ask('open', { port: await server.ask('port'), path: '/echo', count: connections })
  while (await server.ask('size') < connections) await setTimeout(50)
  await server.ask('held')
  await setTimeout(2_000)
  const used = async () => {
    const { user, system } = await server.ask('cpu')
    return { at: performance.now(), cpu: (user + system) / 1000 }
  }
  await server.ask('ticks')
  const before = await used()
  await setTimeout(seconds * 1000)
  const after = await used()
  const ticks = await server.ask('ticks')
  if (await server.ask('size') !== connections) throw new Error('connections were lost')
  await Promise.all([server.end(), client.end()])
  return { cpu: (after.cpu - before.cpu) / (after.at - before.at) * 1000, ticks }
}

/**
 * The median of the ratios of neighbouring rounds, and the medians of both, in microseconds. Of two processes with the same
 * options one may be faster by some hundredths as long as it lives, so there are several pairs of them.
 */
async function paired (one, other, { depth, count, pairs, rounds }) {
  const ratios = []
  const costs = [[], []]
  for (let pair = 0; pair < pairs; pair++) {
    const servers = await Promise.all([one, other].map((options) => startChild('hardening-server.js', 'echo', JSON.stringify(options))))
    const client = await startChild('hardening-client.js')
    const ports = await Promise.all(servers.map((server) => server.ask('port')))
    // By turns the one and the other comes first.
    const order = pair % 2 === 0 ? [0, 1] : [1, 0]
    for (const i of order) await client.ask('open', { port: ports[i], path: '/echo', count: 64 })
    const cost = async (i) => {
      const before = await servers[i].ask('cpu')
      await client.ask('exchange', { port: ports[i], depth, count })
      const after = await servers[i].ask('cpu')
      return (after.user + after.system - before.user - before.system) / count
    }
    // Compiled by then.
    for (const i of [...order, ...order]) await cost(i)
    for (let round = 0; round < rounds; round++) {
      const measured = []
      for (const i of order) costs[i].push(measured[i] = await cost(i))
      ratios.push(measured[0] / measured[1])
    }
    await Promise.all([...servers, client].map((child) => child.end()))
  }
  return { ratio: median(ratios), costs: costs.map(median) }
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(MEASUREMENTS)
const rows = []
for (const name of names) {
  const measured = await MEASUREMENTS[name]()
  for (const { what, figure, bound, holds } of measured) console.log(`${holds ? 'ok' : 'NOT OK'}: ${what}: ${figure} (${bound})`)
  rows.push(...measured)
}
if (process.env.HARDENING_REPORT === '1') {
  writeSection('hardening', [
    `Written by \`npm run bench:hardening\` (${circumstances()}). Every part has a process of its own.`,
    '',
    ...table(['measured', 'figure', 'bound', ''], rows.map(({ what, figure, bound, holds }) => [what, figure, bound, holds ? 'holds' : 'DOES NOT HOLD']))
  ])
}
process.exitCode = rows.every(({ holds }) => holds) ? 0 : 1
