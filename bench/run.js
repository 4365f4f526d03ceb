/**
 * The benchmark:
 *
 *   npm run bench -- [scenario ...] [--peers ours,ws] [--starts 5] [--rounds 3] [--seconds 1] [--dist folder]
 *
 * Without a name all scenarios run. Another build of fastify-duplex is a peer as well, under a name of its own:
 * `--peers ours,before=/path/to/dist,ws`.
 */
import { parseArgs } from 'node:util'
import { makeCertificate } from './certificate.js'
import { pinned } from './measure.js'
import { peerOf } from './peers.js'
import { measureMemory, measureRounds } from './rounds.js'
import { writeResult } from './results.js'
import { scenarios } from './scenarios.js'
import { memoryTable, timeTable } from './tables.js'

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'string' },
    starts: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '1' },
    dist: { type: 'string' }
  }
})
const [starts, rounds, seconds] = [options.starts, options.rounds, options.seconds].map(Number)

const unknown = names.find((name) => scenarios[name] === undefined)
if (unknown !== undefined) throw new Error(`no scenario is called '${unknown}': there are ${Object.keys(scenarios).join(', ')}`)
if (!pinned) console.log('Server and generator are not pinned to cores of their own: that takes two cores and taskset.')

/** Those that are asked for, can do what the scenario wants, and are installed. */
function peersOf (scenario) {
  const given = options.peers?.split(',') ?? scenario.peers
  const peers = given.map((name) => peerOf(name, options.dist)).filter(({ name, dist }) => dist !== undefined || scenario.peers.includes(name))
  return peers.filter(({ name, missing }) => {
    if (missing !== undefined) console.log(`${name} is left out: ${missing} is not installed (npm run bench:peers)`)
    return missing === undefined
  })
}

for (const name of names.length > 0 ? names : Object.keys(scenarios)) {
  const scenario = scenarios[name]
  const measure = scenario.load === 'hold' ? measureMemory : measureRounds
  const peers = peersOf(scenario)
  const measured = await measure(peers, scenario, { starts, rounds, ms: 1000 * seconds, certificate: scenario.tls ? makeCertificate() : undefined })
  const versions = Object.fromEntries(peers.map(({ name, version }) => [name, version]))
  writeResult(options.peers === undefined ? name : `chosen/${name}`, { starts, rounds, seconds, versions, measured })
  console.log(`\n${name}: ${scenario.what}`)
  console.log(scenario.load === 'hold' ? memoryTable(measured) : timeTable(measured))
}
