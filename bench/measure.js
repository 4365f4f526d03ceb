/**
 * One measurement: a server and a generator, each in a process of its own on a core of its own, and both gone when
 * it is done. Every measurement begins with new processes, so that no two share a heap or what the compiler learned.
 */
import { execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const GENERATOR = fileURLToPath(new URL('generator.js', import.meta.url))
const WARMUP_MS = 1000
/** Before connections are counted: what is made once does not belong to them. */
const WARMUP_CONNECTIONS = 200

/** Server and generator do not take turns on one core, and neither wanders. */
export const pinned = availableParallelism() > 1 && hasTaskset()

function hasTaskset () {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function onCore (core, command) {
  return pinned ? ['taskset', '-c', String(core), ...command] : command
}

class Server {
  #child
  #lines
  pid
  port

  /** Starts the peer for a scenario; resolves when it listens. */
  static async start (peer, { work, tls, options }, certificate) {
    const server = new Server()
    const task = { work, dist: peer.dist, options, tls: tls ? certificate : undefined }
    const [command, ...args] = onCore(0, [...peer.command, peer.file, JSON.stringify(task)])
    server.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...peer.env } })
    server.#lines = createInterface({ input: server.#child.stdout })[Symbol.asyncIterator]();
    ({ pid: server.pid, port: server.port } = await server.#line())
    return server
  }

  async #line () {
    const { done, value } = await this.#lines.next()
    if (done) throw new Error('the server has ended')
    return JSON.parse(value)
  }

  /** `{ rss, heap }` in bytes after the garbage is collected; the heap is that of JavaScript, where the server knows it. */
  memory () {
    this.#child.stdin.write('\n')
    return this.#line()
  }

  async stop () {
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }
}

class Generator {
  #child

  constructor (task) {
    const [command, ...args] = onCore(1, [process.execPath])
    this.#child = fork(GENERATOR, { execPath: command, execArgv: args })
    this.#child.send(task)
  }

  /** What it says next. */
  async said () {
    const [message] = await Promise.race([once(this.#child, 'message'), once(this.#child, 'exit').then(([code]) => { throw new Error(`the generator has ended with ${code}`) })])
    return message
  }

  async stop () {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}

/** Measures one peer in one scenario once. */
export async function measure (peer, scenario, { windowMs, certificate }) {
  const server = await Server.start(peer, scenario, certificate)
  const task = { scenario: { ...scenario, bare: peer.bare }, port: server.port, pid: server.pid }
  try {
    return scenario.load === 'hold' ? await measureMemory(server, task) : await measureTime(server, { ...task, warmupMs: WARMUP_MS, windowMs })
  } finally {
    await server.stop()
  }
}

async function measureTime (server, task) {
  const generator = new Generator(task)
  try {
    const result = await generator.said()
    return { ...result, rss: rssOf(server.pid) }
  } finally {
    await generator.stop()
  }
}

/** What one connection costs, in bytes. */
async function measureMemory (server, task) {
  const hold = async (connections) => {
    const generator = new Generator({ ...task, scenario: { ...task.scenario, connections } })
    await generator.said()
    return generator
  }
  await (await hold(WARMUP_CONNECTIONS)).stop()
  const before = await server.memory()
  const { connections } = task.scenario
  const generator = await hold(connections)
  try {
    const after = await server.memory()
    return { rss: (after.rss - before.rss) / connections, heap: (after.heap - before.heap) / connections }
  } finally {
    await generator.stop()
  }
}

function rssOf (pid) {
  return existsSync('/proc') ? Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024 : undefined
}
