/**
 * Servers and the generators that put load on them, each in a process of its own; a server has one core, and its
 * generator another.
 */
import { execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const GENERATOR = fileURLToPath(new URL('generator.js', import.meta.url))

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

/** A peer's server, for one scenario. */
export class Server {
  pid
  port
  /** From the start of its process until it listened. */
  startMs
  #child
  #lines

  /** Resolves when it listens. */
  static async start (peer, { work, tls, options, routes }, certificate) {
    const server = new Server()
    const task = { work, dist: peer.dist, options, routes, tls: tls ? certificate : undefined }
    const [command, ...args] = onCore(0, [...peer.command, peer.file, JSON.stringify(task)])
    server.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...peer.env } })
    server.#lines = createInterface({ input: server.#child.stdout })[Symbol.asyncIterator]();
    ({ pid: server.pid, port: server.port, startMs: server.startMs } = await server.#line())
    return server
  }

  async #line () {
    const { done, value } = await this.#lines.next()
    if (done) throw new Error('a server has ended')
    return JSON.parse(value)
  }

  /** `{ rss, heap }` in bytes after the garbage is collected; the heap is that of JavaScript. A server on Node also writes a snapshot of it, if a file is named. */
  memory (snapshotFile = '') {
    return this.#ask(`memory ${snapshotFile}`)
  }

  /** Where the time of a server on Node goes in so many milliseconds, as `servers/profile.js` has it. */
  profile (ms) {
    return this.#ask(`profile ${ms}`)
  }

  #ask (question) {
    this.#child.stdin.write(`${question.trim()}\n`)
    return this.#line()
  }

  async stop () {
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }
}

/** The clients of one server. */
export class Generator {
  #child
  #pid

  /** Resolves when all connections are open. */
  static async start (server, scenario) {
    const generator = new Generator()
    const [execPath, ...execArgv] = onCore(1, [process.execPath])
    generator.#child = fork(GENERATOR, { execPath, execArgv })
    generator.#pid = server.pid
    await generator.#ask({ open: { scenario, port: server.port } })
    return generator
  }

  /** One measurement. */
  measure (ms) {
    return this.#ask({ ms, pid: this.#pid })
  }

  async #ask (question) {
    this.#child.send(question)
    const ended = once(this.#child, 'exit').then(([code]) => { throw new Error(`a generator has ended with ${code}`) })
    const [answer] = await Promise.race([once(this.#child, 'message'), ended])
    return answer
  }

  async stop () {
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}
