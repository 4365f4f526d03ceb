/**
 * Writes docs/performance.md and its charts from what was measured: `npm run bench:report`. What stands below the line
 * that begins with BY_HAND is left as it is.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { bars, lines } from './plot.js'
import { peerNamed } from './peers.js'
import { readResult } from './results.js'
import { scenarios } from './scenarios.js'
import { digits, mediansOf, ratioOf } from './tables.js'

const DOCS = new URL('../docs/', import.meta.url)
const CHARTS = new URL('performance/', DOCS)
const BY_HAND = '<!-- Above: written by the run.'
const KIB = 1024
/** The chart is about parts of ws; what takes longer is cut. */
const MOST_OF_WS = 1.6

const missing = [...Object.keys(scenarios), 'growth', 'memory', 'profile'].filter((name) => readResult(name) === undefined)
if (missing.length > 0) throw new Error(`not measured yet: ${missing.join(', ')} (npm run bench, bench:growth, bench:memory, bench:profile)`)

const measured = Object.entries(scenarios).map(([name, scenario]) => ({ ...scenario, ...readResult(name) }))
const timed = measured.filter(({ load }) => load !== 'hold')
const held = measured.filter(({ load }) => load === 'hold')
const growth = readResult('growth')
const memory = readResult('memory')
const profile = readResult('profile')

/** All results must be of one machine, or their ratios say nothing of each other. */
function circumstances () {
  const all = [...measured, growth, memory, profile]
  const only = (key) => {
    const values = [...new Set(all.map((result) => result[key]))]
    if (values.length > 1) throw new Error(`the results are of different machines: ${values.join(', ')}. Measure those again that are older`)
    return values[0]
  }
  const dates = all.map(({ date }) => date).sort()
  const when = dates[0] === dates.at(-1) ? `on ${dates[0]}` : `from ${dates[0]} to ${dates.at(-1)}`
  return `${when} with Node ${only('node')} on ${only('cores')} cores of ${only('cpu')}`
}

function table (head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, column) => column === 0 ? '---' : '---:')), ...rows.map(line), '']
}

function versionOf (peer) {
  return measured.find(({ versions }) => versions[peer] !== undefined)?.versions[peer] ?? ''
}

/** Peers in the order of the scenarios, those that were measured. */
function peersIn (results) {
  const order = [...new Set(Object.values(scenarios).flatMap(({ peers }) => peers))]
  return order.filter((peer) => results.some(({ measured: [first] }) => first[peer] !== undefined))
}

function targetRows () {
  return measured.map(({ what, targets, load, measured: rounds }) => {
    const ours = mediansOf(rounds).find(({ name }) => name === 'ours')
    const of = (key) => load === 'hold' ? ours[key] : ratioOf(rounds, 'ours', key)
    const shown = (key, value) => load === 'hold' ? `${key === 'rss' ? 'RSS' : 'heap'} ${digits(value / KIB)} KiB` : `${value.toFixed(2)} of ${key}`
    const keys = Object.keys(targets)
    return [
      what,
      load === 'hold' ? '' : `${digits(ours.cpu)} µs`,
      keys.map((key) => shown(key, of(key))).join(', ') || '–',
      keys.map((key) => shown(key, targets[key])).join(', ') || '–',
      keys.length === 0 ? '' : keys.every((key) => of(key) <= targets[key]) ? 'yes' : 'no'
    ]
  })
}

/** A row for each timed scenario, a column for each peer. */
function peerTable (cell) {
  const peers = peersIn(timed)
  return table(['', ...peers], timed.map(({ what, measured: rounds }) => {
    const medians = Object.fromEntries(mediansOf(rounds).map((figures) => [figures.name, figures]))
    return [what, ...peers.map((peer) => medians[peer] === undefined ? '' : cell(medians[peer], rounds))]
  }))
}

/** A row for each timed scenario: where the time of ours goes, and that of net. */
function profileRows () {
  const percent = (share) => `${Math.round(100 * share)} %`
  return timed.map(({ what }) => {
    const [name] = Object.entries(scenarios).find(([, scenario]) => scenario.what === what)
    const { ours, net } = profile.profiles[name]
    const cell = (of) => net === undefined ? percent(of(ours)) : `${percent(of(ours))} (${percent(of(net))})`
    const alone = (owner) => percent(ours.shares[owner])
    return [what, cell(({ kernel }) => kernel), cell(({ shares }) => shares.native), cell(({ shares }) => shares.node), alone('ours'), alone('fastify'), alone('handler'), cell(({ shares }) => shares.gc)]
  })
}

function growthTable (rows, first, label, peers, cell) {
  return table([first, ...peers], rows.map((row) => [label(row.at), ...peers.map((peer) => cell(row[peer]))]))
}

const number = (value) => value.toLocaleString('en-US')
const bytes = (value) => value < KIB ? `${value} B` : value < KIB * KIB ? `${value / KIB} KiB` : `${value / KIB / KIB} MiB`
const cpu = (figures) => `${digits(figures.cpu)} µs`

function chart (name, title, svg) {
  mkdirSync(CHARTS, { recursive: true })
  writeFileSync(new URL(`${name}.svg`, CHARTS), svg)
  return [`![${title}](performance/${name}.svg)`, '']
}

function lineChart (name, title, axes, rows, peers, key) {
  return chart(name, title, lines(title, axes, rows.map((row) => ({ at: row.at, ...Object.fromEntries(peers.map((peer) => [peer, row[peer][key]])) })), peers))
}

function ratioChart () {
  const title = "CPU time of the server for each message, as part of ws's"
  const peers = peersIn(timed)
  const groups = timed.map(({ what, measured: rounds }) => ({
    label: what,
    values: Object.fromEntries(Object.keys(rounds[0]).map((peer) => [peer, ratioOf(rounds, peer, 'ws')]))
  }))
  return chart('cpu', title, bars(title, groups, peers, MOST_OF_WS))
}

const STARTED = ['ours', 'fastify', 'fastify-websocket']
const GROWN = ['ours', 'ws', 'net']
const { starts, rounds, seconds } = timed[0]

const page = [
  '# Performance',
  '',
  `What fastify-duplex costs, and what others cost for the same. Written by \`npm run bench:report\` from what was measured ${circumstances()}.`,
  '',
  'Server and load have a process and a core each. The figure to trust is the **CPU time of the server for each message** (user and system, of all',
  'its threads, as the kernel counts it); ratios are medians of the ratios of single rounds, in which all peers met the same machine.',
  `Rounds: ${starts} starts of ${rounds} each, ${seconds} s for each peer. [How it is measured, and what it does not say](#how-it-is-measured) stands below.`,
  '',
  ...peersIn(measured).map((name) => `- **${name}**: ${peerNamed(name).what} ${versionOf(name)}`.trimEnd()),
  '',
  '## Targets',
  '',
  ...table(['', 'CPU time', 'is', 'wanted: at most', 'met'], targetRows()),
  '## CPU time for each message',
  '',
  ...ratioChart(),
  'In brackets: as part of that of ws.',
  '',
  ...peerTable((figures, rounds) => `${cpu(figures)} (${ratioOf(rounds, figures.name, 'ws').toFixed(2)})`),
  '## Where the time goes',
  '',
  'Of ours, and in brackets of net, which does nothing but give bytes back. The kernel and the threads beside that of JavaScript (garbage',
  'collection, the thread pool) are in the CPU time as the kernel counts it; the other columns are shares of the samples on the thread of',
  'JavaScript, whose native part has the kernel in it. Profiling makes everything a little dearer.',
  '',
  ...table(['', 'in the kernel', 'native', "Node's JavaScript", 'ours', 'Fastify', 'handler', 'garbage'], profileRows()),
  '## Messages each second',
  '',
  'On one core. Where the server has time left (its CPU time times this is well below 1 s), the load was the limit, and this says little.',
  '',
  ...peerTable(({ perSecond }) => number(Math.round(perSecond))),
  '## Latency',
  '',
  'Median and 99th percentile, under the same load: as much as the server can take, so that most of it is waiting for others.',
  '',
  ...peerTable(({ p50, p99 }) => `${digits(p50 / 1000)} / ${digits(p99 / 1000)} ms`),
  '## Memory under load',
  '',
  'RSS of the server, in MB.',
  '',
  ...peerTable(({ rss }) => Math.round(rss / 1e6)),
  '## Memory of idle connections',
  '',
  'RSS and JavaScript heap, after the garbage is collected, for each of 10,000.',
  '',
  ...table(['', ...peersIn(held)], held.map(({ what, measured: rounds }) => [what, ...mediansOf(rounds).map(({ rss, heap }) => `${digits(rss / KIB)} / ${digits(heap / KIB)} KiB`)])),
  `The heap of one of ${number(memory.connections)} idle connections, by class, without what is shared by all:`,
  '',
  ...table(['class', 'bytes', 'objects'], memory.rows.filter(({ bytes }) => bytes >= 30).map(({ name, bytes, count }) => [`\`${name}\``, Math.round(bytes), count.toFixed(1)])),
  '## Growth',
  '',
  ...lineChart('connections', 'CPU time of an echo of 16 B, by number of connections', { xTitle: 'connections', yTitle: 'µs', xLabel: number }, growth.connections, GROWN, 'cpu'),
  ...growthTable(growth.connections, 'connections', number, GROWN, cpu),
  ...lineChart('sizes', 'CPU time of an echo, by size of the message', { xTitle: 'size', yTitle: 'µs', xLabel: bytes }, growth.sizes, GROWN, 'cpu'),
  ...growthTable(growth.sizes, 'size', bytes, GROWN, cpu),
  ...lineChart('starts', 'From the start of the process until it listens, by number of routes', { xTitle: 'routes', yTitle: 'ms', xLabel: number }, growth.starts, STARTED, 'startMs'),
  'Routes of ours have a schema each for what they receive; those of Fastify alone (POST) one for the body and one for the answer; those of @fastify/websocket none.',
  '',
  ...growthTable(growth.starts, 'routes', number, STARTED, ({ startMs, heap }) => `${Math.round(startMs)} ms, heap ${Math.round(heap / 1e6)} MB`),
  'A connection, an echo and a close, by number of routes:',
  '',
  ...growthTable(growth.routes, 'routes', number, ['ours', 'fastify-websocket'], cpu)
].join('\n')

const file = new URL('performance.md', DOCS)
const before = readFileSync(file, 'utf8')
const byHand = before.indexOf(BY_HAND)
if (byHand === -1) throw new Error(`docs/performance.md has lost the line that begins with '${BY_HAND}'`)
writeFileSync(file, page + '\n' + before.slice(byHand))
