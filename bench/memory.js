/**
 * Where the heap of an idle connection goes: two snapshots of a server's heap, without connections and with 1,000, and
 * what the second has more of, by class.
 *
 *   npm run bench:memory [-- --peer ours] [--dist folder]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { classesOf } from './heap-snapshot.js'
import { Generator, Server } from './measure.js'
import { peerOf } from './peers.js'
import { writeResult } from './results.js'
import { scenarios } from './scenarios.js'
import { align } from './tables.js'

const CONNECTIONS = 1000
const WARMUP_CONNECTIONS = 200
/** What fewer of the connections have is compiled code, or chance. */
const LEAST_COUNT = 0.05

const { values: { peer: name, dist } } = parseArgs({ options: { peer: { type: 'string', default: 'ours' }, dist: { type: 'string' } } })
const peer = peerOf(name, dist)
const scenario = { ...scenarios.idle, bare: peer.bare }
const folder = mkdtempSync(join(tmpdir(), 'heap-'))

async function snapshots () {
  const server = await Server.start(peer, scenario)
  try {
    await (await Generator.start(server, { ...scenario, connections: WARMUP_CONNECTIONS })).stop()
    const before = join(folder, 'before.heapsnapshot')
    await server.memory(before)
    const generator = await Generator.start(server, { ...scenario, connections: CONNECTIONS })
    const after = join(folder, 'after.heapsnapshot')
    await server.memory(after)
    await generator.stop()
    return [before, after].map((file) => classesOf(JSON.parse(readFileSync(file, 'utf8'))))
  } finally {
    await server.stop()
  }
}

try {
  const [before, after] = await snapshots()
  const rows = [...after].map(([name, { count, bytes }]) => {
    const had = before.get(name) ?? { count: 0, bytes: 0 }
    return { name, count: (count - had.count) / CONNECTIONS, bytes: (bytes - had.bytes) / CONNECTIONS }
  }).filter(({ count }) => count >= LEAST_COUNT).sort((one, other) => other.bytes - one.bytes)
  console.log(align([['class', 'bytes', 'objects'], ...rows.map(({ name, bytes, count }) => [name, bytes.toFixed(0), count.toFixed(2)])]))
  console.log(`\n${rows.reduce((sum, { bytes }) => sum + bytes, 0).toFixed(0)} bytes for each of ${CONNECTIONS} connections of ${name}`)
  if (name === 'ours') writeResult('memory', { connections: CONNECTIONS, rows })
} finally {
  rmSync(folder, { recursive: true })
}
