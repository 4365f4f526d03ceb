/** The order of measurements: which peer, when, and how often. */
import { Generator, Server } from './measure.js'

/** Before connections are counted: what is made once does not belong to them. */
const WARMUP_CONNECTIONS = 200

/**
 * Starts all peers `starts` times, and lets them take turns each time: A B C, C B A, and so on, so that what changes
 * with time meets all alike. Resolves with the rounds, `{ [name]: figures }` each; the first of each start is left
 * out: there code is compiled, for which some scenarios need a longer one (`warmup`, in windows).
 */
export async function measureRounds (peers, scenario, { starts, rounds, ms, certificate }) {
  const { warmup = 1 } = scenario
  const measured = []
  for (let start = 0; start < starts; start++) {
    const all = []
    try {
      for (const peer of peers) {
        const server = await Server.start(peer, scenario, certificate)
        const running = { name: peer.name, server, generator: undefined }
        all.push(running)
        running.generator = await Generator.start(server, { ...scenario, bare: peer.bare })
      }
      for (let round = 0; round <= rounds; round++) {
        const results = Object.fromEntries(all.map(({ name }) => [name, undefined]))
        for (const { name, generator } of round % 2 === 0 ? all : all.toReversed()) results[name] = await generator.measure(round === 0 ? ms * warmup : ms)
        if (round > 0) measured.push(results)
      }
    } finally {
      for (const { server, generator } of all) {
        await generator?.stop()
        await server.stop()
      }
    }
  }
  return measured
}

/** What a connection costs that is held open, in bytes, as rounds; with new processes for each figure. */
export async function measureMemory (peers, scenario, { starts, certificate }) {
  const measured = []
  for (let round = 0; round < starts; round++) {
    const results = Object.fromEntries(peers.map(({ name }) => [name, undefined]))
    for (const peer of round % 2 === 0 ? peers : peers.toReversed()) results[peer.name] = await memoryOf(peer, scenario, certificate)
    measured.push(results)
  }
  return measured
}

async function memoryOf (peer, scenario, certificate) {
  const server = await Server.start(peer, scenario, certificate)
  try {
    await withConnections(server, { ...scenario, connections: WARMUP_CONNECTIONS, bare: peer.bare }, () => {})
    const before = await server.memory()
    const after = await withConnections(server, { ...scenario, bare: peer.bare }, () => server.memory())
    return { rss: (after.rss - before.rss) / scenario.connections, heap: (after.heap - before.heap) / scenario.connections }
  } finally {
    await server.stop()
  }
}

async function withConnections (server, scenario, use) {
  const generator = await Generator.start(server, scenario)
  try {
    return await use()
  } finally {
    await generator.stop()
  }
}
