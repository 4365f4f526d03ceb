/**
 * The process that puts load on one server. Told to `open` it opens the connections of a scenario, and checks what
 * comes back; told to `measure` it keeps them busy for that time, and says what came back within it and what CPU
 * time the server took for it.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Script } from './client.js'

/** Connections that shake hands at a time. */
const AT_A_TIME = 50
/** From the first message of a measurement to the moment from which it counts. */
const SETTLE_MS = 100

/** Messages that came back, and how long they took, in microseconds. */
let done = 0
const latency = createHistogram()

function record (since) {
  latency.record(Math.max(1, Math.round((performance.now() - since) * 1000)))
}

async function openAll (scenario, port) {
  const clients = []
  while (clients.length < scenario.connections) {
    const group = Array.from({ length: Math.min(AT_A_TIME, scenario.connections - clients.length) }, () => Client.open(scenario, port))
    clients.push(...await Promise.all(group))
  }
  const script = new Script(scenario, clients[0].agreed)
  for (const client of clients) client.follow(script)
  return clients
}

/** A load that runs between `start` and `stop`; `stop` resolves when nothing is under way any more. */
class Load {
  running = false
  /** Messages under way. */
  outstanding = 0
  #stopped

  start () {
    this.running = true
    this.#stayAwake()
    this.begin()
  }

  /**
   * An event loop that has something to do never sleeps. Else a server would pay for waking us, with more than half
   * of the cost of a write, unless it is so fast that we are always busy.
   */
  #stayAwake () {
    setImmediate(() => { if (this.running) this.#stayAwake() })
  }

  stop () {
    this.running = false
    return new Promise((resolve) => { this.#stopped = resolve })
  }

  /** To be called for what came back and is followed by nothing. */
  arrived (count) {
    this.outstanding -= count
    if (this.outstanding === 0 && !this.running) this.#stopped()
  }
}

/** On every connection `depth` messages are on their way: each echo is followed by the next. */
class EchoLoad extends Load {
  static async open (scenario, port) {
    const clients = await openAll(scenario, port)
    for (const client of clients) await client.rehearse()
    return new EchoLoad(clients, scenario.depth)
  }

  constructor (clients, depth) {
    super()
    this.clients = clients
    this.depth = depth
    for (const client of clients) {
      client.onMessages = (count, sentAt) => {
        done += count
        record(sentAt)
        if (this.running) client.send(count)
        else this.arrived(count)
      }
    }
  }

  begin () {
    this.outstanding = this.clients.length * this.depth
    for (const client of this.clients) client.send(this.depth)
  }
}

/** One client sends `depth` messages at once, which all get; when all have them, the next. Each that arrives counts. */
class PublishLoad extends Load {
  static async open (scenario, port) {
    const clients = await openAll(scenario, port)
    const [publisher, ...others] = clients
    const othersHave = Promise.all(others.map((client) => new Promise((resolve) => { client.onMessages = resolve })))
    await Promise.all([publisher.rehearse(), othersHave])
    return new PublishLoad(clients, scenario.depth)
  }

  constructor (clients, depth) {
    super()
    this.clients = clients
    this.depth = depth
    for (const client of clients) {
      client.onMessages = (count) => {
        done += count
        if (this.outstanding === count) {
          record(this.since)
          if (this.running) return this.begin()
        }
        this.arrived(count)
      }
    }
  }

  begin () {
    this.outstanding = this.clients.length * this.depth
    this.since = performance.now()
    this.clients[0].send(this.depth)
  }
}

/** One after the other, in so many places: a connection, an echo, the closing handshake. */
class ConnectLoad extends Load {
  static async open (scenario, port) {
    return new ConnectLoad(scenario, port)
  }

  constructor (scenario, port) {
    super()
    this.scenario = scenario
    this.port = port
    this.script = new Script(scenario)
  }

  begin () {
    this.outstanding = this.scenario.connections
    for (let i = 0; i < this.scenario.connections; i++) this.#connect()
  }

  async #connect () {
    while (this.running) {
      const start = performance.now()
      const client = await Client.open(this.scenario, this.port)
      client.follow(this.script)
      await client.rehearse()
      await client.close()
      done++
      record(start)
    }
    this.arrived(1)
  }
}

/** Connections without any traffic, after the one message that some scenarios want. */
class HeldConnections {
  static async open (scenario, port) {
    const clients = await openAll(scenario, port)
    if (scenario.oneMessage) for (const client of clients) await client.rehearse()
  }
}

const LOADS = { echo: EchoLoad, publish: PublishLoad, connect: ConnectLoad, hold: HeldConnections }

/** CPU time of all threads of a process, in milliseconds. */
function cpuOf (pid) {
  let nanoseconds = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0])
  return nanoseconds / 1e6
}

function rssOf (pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
}

/** The window ends after this time, and not before there is something in it to count: `least` messages. */
async function measure (load, pid, ms, least) {
  load.start()
  await sleep(SETTLE_MS)
  latency.reset()
  const before = { done, cpu: cpuOf(pid), own: cpuOf('self'), time: performance.now() }
  do await sleep(ms)
  while (done - before.done < least)
  const elapsed = performance.now() - before.time
  const messages = done - before.done
  const cpu = cpuOf(pid) - before.cpu
  const result = {
    messages,
    perSecond: messages / elapsed * 1000,
    cpu: 1000 * cpu / messages,
    p50: latency.percentile(50),
    p99: latency.percentile(99),
    rss: rssOf(pid),
    serverBusy: cpu / elapsed,
    generatorBusy: (cpuOf('self') - before.own) / elapsed
  }
  await load.stop()
  return result
}

let load
let least
process.on('message', async ({ open, ms, pid }) => {
  if (open === undefined) return process.send(await measure(load, pid, ms, least))
  least = open.scenario.connections
  load = await LOADS[open.scenario.load].open(open.scenario, open.port)
  process.send('open')
})
// Connections are dropped, not closed: nobody measures that.
process.on('disconnect', () => { process.exit() })
