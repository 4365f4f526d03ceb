/**
 * The soak: a server under mixed traffic and all kinds of faults for a long time, whose memory and descriptors have to stay
 * as they are. It fails when they do not, when an answer is wrong, or when a connection ends otherwise than it should.
 *
 *   npm run soak
 *
 * SOAK_SECONDS (600), SOAK_CONNECTIONS (5000), SOAK_SEED (1). A run with the numbers as they are, or with SOAK_REPORT=1,
 * writes its section of docs/reliability.md, and its chart.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { chart } from './chart.js'
import { startChild } from './child.js'
import { circumstances, median, mib, slope, table, writeSection } from './report.js'

const numberOf = (name, usual) => Number(process.env[name] ?? usual)
const SECONDS = numberOf('SOAK_SECONDS', 600)
const CONNECTIONS = numberOf('SOAK_CONNECTIONS', 5000)
const SEED = numberOf('SOAK_SEED', 1)
const WRITES_REPORT = process.env.SOAK_REPORT === '1' || (SECONDS === 600 && CONNECTIONS === 5000)
const SAMPLE_MS = 5_000
/** Before a sample nothing new is begun, so that it does not count what just happens to be on its way. */
const REST_MS = 700
/** Until code is compiled, buffers have their sizes and those that wait for a reconnect are as many as ever. */
const WARM_UP_SECONDS = Math.min(120, SECONDS / 3)
/** A black hole that has just been made is found after that. */
const TIMES = { heartbeat: { intervalMs: 10_000, timeoutMs: 10_000 }, messageTimeoutMs: 8_000, closeTimeoutMs: 3_000 }
const CHART = new URL('../../docs/reliability-soak.svg', import.meta.url)

/** What may be added from the end of the warm-up to the end of the run, by the slope of the curve: a share of it, or at least so much. */
const BOUNDS = [
  { what: 'heap and external memory after gc', of: ({ heapUsed, external }) => heapUsed + external, share: 0.03, least: 2 * 2 ** 20, unit: mib },
  { what: 'descriptors', of: ({ descriptors }) => descriptors, share: 0.01, least: 5, unit: (count) => String(Math.round(count)) },
  // The young generation of V8, and the allocator, take a step now and then.
  { what: 'RSS', of: ({ rss }) => rss, share: 0.1, least: 32 * 2 ** 20, unit: mib }
]

checkDescriptors()
const server = await startChild('soak-server.js', JSON.stringify(TIMES))
const port = await server.ask('port')
const load = await startChild('soak-load.js', JSON.stringify({ port, connections: CONNECTIONS, seed: SEED, times: TIMES }))
const before = await server.ask('sample')
console.log(`${CONNECTIONS} connections for ${SECONDS} s, seed ${SEED}; ${circumstances()}`)

await load.ask('open')
await load.ask('talk')
const samples = []
const start = performance.now()
while (performance.now() - start < SECONDS * 1000) {
  await setTimeout(SAMPLE_MS - REST_MS)
  await load.ask('rest')
  await setTimeout(REST_MS)
  const [ofServer, ofLoad] = await Promise.all([server.ask('sample'), load.ask('sample')])
  await load.ask('goOn')
  const sample = { seconds: (performance.now() - start) / 1000, ...ofServer, load: ofLoad }
  samples.push(sample)
  console.log([
    `${Math.round(sample.seconds)} s: ${sample.open} open`, `heap ${mib(sample.heapUsed)}`, `external ${mib(sample.external)}`, `RSS ${mib(sample.rss)}`,
    `${sample.descriptors} descriptors`, `loop p99 ${sample.delayMs.toFixed(0)} ms`, `${ofLoad.messages} messages`,
    `echo p50 ${ofLoad.p50?.toFixed(1)} ms, p99 ${ofLoad.p99?.toFixed(1)} ms`, JSON.stringify(sample.resources), `${ofLoad.wrong ?? 0} wrong`
  ].join(', '))
}

const stats = await server.ask('stats')
await load.ask('stop')
await server.ask('close')
// Those of the load that have nothing more to say end with theirs.
await setTimeout(1000)
const after = await server.ask('sample')
const results = await load.ask('results')
await Promise.all([server.end(), load.end()])

const judged = samples.filter(({ seconds }) => seconds > WARM_UP_SECONDS)
const window = judged.at(-1).seconds - judged[0].seconds
const verdicts = BOUNDS.map(({ what, of, share, least, unit }) => {
  const points = judged.map((sample) => [sample.seconds, of(sample)])
  const typical = median(points.map(([, value]) => value))
  const growth = slope(points) * window
  const bound = Math.max(share * typical, least)
  return { what, unit, typical, most: Math.max(...points.map(([, value]) => value)), growth, bound, holds: growth <= bound }
})
const checks = [
  ...verdicts.map(({ what, unit, growth, bound, holds }) => ({ what: `${what}: grows by ${unit(growth)} at most ${unit(bound)}`, holds })),
  { what: `every message that came back was the one that was awaited, and every connection ended as it should; exceptions: ${results.totals.wrong ?? 0}`, holds: results.totals.wrong === undefined },
  { what: `connections after app.close(): ${after.open}`, holds: after.open === 0 },
  { what: `descriptors after app.close(), ${after.descriptors}, are not more than before the first connection, ${before.descriptors}`, holds: after.descriptors <= before.descriptors }
]

for (const one of results.wrong) console.log(`wrong: ${one}`)
console.log('faults:', results.faults)
console.log('ends:', results.ends)
for (const { what, holds } of checks) console.log(`${holds ? 'ok' : 'NOT OK'}: ${what}`)
if (WRITES_REPORT) {
  const panels = BOUNDS.map(({ what, of, unit }) => ({ title: what, unit, points: samples.map((sample) => [sample.seconds, of(sample)]) }))
  writeFileSync(CHART, chart(panels, WARM_UP_SECONDS))
  writeSection('soak', report())
}
process.exitCode = checks.every(({ holds }) => holds) ? 0 : 1

/** Node raises its soft limit to the hard one. */
function checkDescriptors () {
  let hard = Infinity
  try {
    hard = Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1])
  } catch {
    // Not Linux: if there are too few, connections fail.
  }
  const needed = CONNECTIONS * 1.3 + 200
  if (hard < needed) throw new Error(`${CONNECTIONS} connections need ${needed} descriptors, and this shell allows ${hard}: raise it (ulimit -Hn), or set SOAK_CONNECTIONS`)
}

function report () {
  const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0)
  const messagesIn = sum(Object.values(stats).map(({ messagesReceived }) => messagesReceived))
  const messagesOut = sum(Object.values(stats).map(({ messagesSent }) => messagesSent))
  const bytes = sum(Object.values(stats).map(({ bytesReceived, bytesSent }) => bytesReceived + bytesSent))
  return [
    `Written by \`npm run soak\` (${circumstances()}; seed ${SEED}). ${CONNECTIONS} connections, for ${SECONDS} s after all were open;`,
    `${results.totals.opened} were opened in all. The server received ${messagesIn} messages and sent ${messagesOut}, ${mib(bytes)} together. Its process was`,
    `sampled every ${SAMPLE_MS / 1000} s, when nothing new was begun for ${REST_MS} ms and garbage was collected, and is judged from ${Math.round(WARM_UP_SECONDS)} s on.`,
    '',
    '![Heap, descriptors and RSS over time](reliability-soak.svg)',
    '',
    ...table(['', 'typical', 'most', 'growth', 'may grow by', ''], verdicts.map(({ what, unit, typical, most, growth, bound, holds }) => (
      [what, unit(typical), unit(most), unit(growth), unit(bound), holds ? 'flat' : 'NOT FLAT']
    ))),
    '',
    'Growth is the slope (Theil–Sen) times the time that is judged.',
    '',
    ...table(['checked', ''], checks.slice(verdicts.length).map(({ what, holds }) => [what, holds ? 'yes' : 'NO'])),
    '',
    ...table(['what happened to a connection', 'how often'], Object.entries(results.faults).sort(([, one], [, other]) => other - one)),
    '',
    'What a client got where its connection ended; 1006 is the end of TCP without a Close:',
    '',
    ...table(['what was done, and the code', 'how often'], Object.entries(results.ends).sort(([, one], [, other]) => other - one)),
    '',
    `Echo of small messages meanwhile: p50 ${median(judged.map(({ load }) => load.p50)).toFixed(1)} ms, p99 ${median(judged.map(({ load }) => load.p99)).toFixed(1)} ms (medians of the samples; the pauses of the`,
    'collections are in them).'
  ]
}
