/**
 * Where the time of a server goes: in the kernel, in Node, in our code, in the garbage collector.
 *
 *   npm run bench:profile -- [scenario ...] [--peers ours,net] [--dist folder] [--seconds 5]
 *
 * Time is sampled on the thread of JavaScript alone; the CPU time of a message is that of all threads.
 */
import { parseArgs } from 'node:util'
import { makeCertificate } from './certificate.js'
import { Generator, Server } from './measure.js'
import { peerOf } from './peers.js'
import { writeResult } from './results.js'
import { scenarios } from './scenarios.js'
import { align, digits } from './tables.js'

const OWNERS = ['native', 'node', 'ours', 'fastify', 'handler', 'gc']
/** Until code is compiled. */
const WARM_UP_MS = 2_000

const { values: { peers, dist, seconds }, positionals } = parseArgs({
  allowPositionals: true,
  options: { peers: { type: 'string', default: 'ours,net' }, dist: { type: 'string' }, seconds: { type: 'string', default: '5' } }
})
const timed = Object.keys(scenarios).filter((name) => scenarios[name].load !== 'hold')
const names = positionals.length > 0 ? positionals : timed
const ms = 1000 * Number(seconds)

async function profileOf (peer, scenario) {
  const certificate = scenario.tls ? makeCertificate() : undefined
  const server = await Server.start(peer, scenario, certificate)
  const generator = await Generator.start(server, { ...scenario, bare: peer.bare })
  try {
    await generator.measure(WARM_UP_MS)
    // The load goes on a little longer than it is looked at.
    const [profile, { perSecond }] = await Promise.all([server.profile(ms), generator.measure(ms + 500)])
    return { cpu: profile.cpu / (perSecond * ms / 1000), kernel: profile.kernel / profile.cpu, shares: profile.shares }
  } finally {
    await generator.stop()
    await server.stop()
  }
}

const percent = (share) => `${Math.round(100 * share)} %`
const results = {}
for (const name of names) {
  const scenario = scenarios[name]
  if (scenario === undefined) throw new Error(`no scenario is called '${name}': there are ${timed.join(', ')}`)
  const rows = []
  for (const given of peers.split(',')) {
    const peer = peerOf(given, dist)
    const takesPart = scenario.peers.includes(peer.name) || peer.dist !== undefined
    if (peer.missing !== undefined || !takesPart) continue
    const profile = await profileOf(peer, scenario)
    ;(results[name] ??= {})[peer.name] = profile
    rows.push([peer.name, digits(profile.cpu), percent(profile.kernel), ...OWNERS.map((owner) => percent(profile.shares[owner]))])
  }
  console.log(`\n${name}\n${align([['', 'CPU µs', 'kernel', ...OWNERS], ...rows])}`)
}
if (positionals.length === 0 && peers === 'ours,net') writeResult('profile', { seconds: Number(seconds), profiles: results })
