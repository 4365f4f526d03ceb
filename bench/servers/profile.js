/** Where the time of this process goes: samples of V8, by whose code was running, and what the kernel says of it. */
import { Session } from 'node:inspector/promises'
import { setTimeout } from 'node:timers/promises'

const SAMPLE_US = 200

/**
 * Resolves with the CPU time of that time in microseconds (user and system, of all threads), how much of it was spent
 * in the kernel, and the shares of the samples in which the process was busy: `ours`, `fastify` (and other packages),
 * `handler` (the server of the benchmark), `node` (its JavaScript), `native` (C++ and the kernel), `gc`.
 */
export async function profile (ms, dist) {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  await session.post('Profiler.start')
  const before = process.cpuUsage()
  await setTimeout(ms)
  const { user, system } = process.cpuUsage(before)
  const { profile: { nodes, samples } } = await session.post('Profiler.stop')
  session.disconnect()

  const owners = new Map(nodes.map(({ id, callFrame }) => [id, ownerOf(callFrame, dist)]))
  const counts = { ours: 0, fastify: 0, handler: 0, node: 0, native: 0, gc: 0 }
  for (const id of samples) {
    const owner = owners.get(id)
    if (owner !== 'idle') counts[owner]++
  }
  const busy = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return { cpu: user + system, kernel: system, shares: Object.fromEntries(Object.entries(counts).map(([owner, count]) => [owner, count / busy])) }
}

function ownerOf ({ functionName, url }, dist) {
  if (functionName === '(idle)') return 'idle'
  if (functionName === '(garbage collector)') return 'gc'
  // Functions of C++ have no script; `(program)` is whatever runs outside of JavaScript.
  if (url === '') return 'native'
  if (url.startsWith('node:')) return 'node'
  if (dist !== undefined && url.includes(`${dist}/`)) return 'ours'
  return url.includes('/node_modules/') ? 'fastify' : 'handler'
}
