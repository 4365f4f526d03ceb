/**
 * The benchmark:
 *
 *   npm run bench -- [scenario ...] [--peers ours,ws] [--rounds 5] [--seconds 2] [--dist folder]
 *
 * Without a name all scenarios run. Another build of fastify-duplex is a peer as well, under a name of its own:
 * `--peers ours,before=/path/to/dist,ws`.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measure, pinned } from './measure.js'
import { peerOf } from './peers.js'
import { scenarios } from './scenarios.js'
import { comparisonsOf, consoleTable } from './tables.js'

const RESULTS = new URL('results/', import.meta.url)

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    dist: { type: 'string', default: process.env.DUPLEX_DIST ?? fileURLToPath(new URL('../dist', import.meta.url)) }
  }
})
const rounds = Number(options.rounds)
const windowMs = 1000 * Number(options.seconds)

const unknown = names.find((name) => scenarios[name] === undefined)
if (unknown !== undefined) throw new Error(`no scenario is called '${unknown}': there are ${Object.keys(scenarios).join(', ')}`)
if (!pinned) console.log('Server and generator are not pinned to cores of their own: that takes two cores and taskset.')

/** A B C, C B A, and so on, so that what changes with time meets all alike. */
async function run (scenario) {
  const all = (options.peers?.split(',') ?? scenario.peers).map((given) => peerOf(given, options.dist))
  const peers = all.filter(({ name, missing }) => {
    if (missing !== undefined) console.log(`${name} is left out: ${missing} is not installed`)
    return missing === undefined
  })
  const measured = []
  for (let round = 0; round <= rounds; round++) {
    const results = Object.fromEntries(peers.map(({ name }) => [name, undefined]))
    for (const peer of round % 2 === 0 ? peers : peers.toReversed()) results[peer.name] = await measure(peer, scenario, { windowMs })
    // In the first round files come from the disk, and cores wake up.
    if (round > 0) measured.push(results)
  }
  return measured
}

mkdirSync(RESULTS, { recursive: true })
for (const name of names.length > 0 ? names : Object.keys(scenarios)) {
  const measured = await run(scenarios[name])
  const result = {
    name, date: new Date().toISOString().slice(0, 10), node: process.versions.node, cpu: cpus()[0].model, rounds, seconds: Number(options.seconds), measured
  }
  writeFileSync(new URL(`${name}.json`, RESULTS), JSON.stringify(result, null, 2) + '\n')
  console.log(`\n${name}: ${scenarios[name].what}`)
  console.log(consoleTable(comparisonsOf(measured)))
}
