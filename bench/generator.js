/**
 * The process that puts load on a server: it opens the connections of a scenario, keeps them busy, and says what
 * came back within the time of the measurement and what CPU time the server took for it.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Script } from './client.js'

/** Connections that shake hands at a time. */
const AT_A_TIME = 50

/** Messages, and their latency in microseconds. */
let done = 0
const latency = createHistogram()

function record (since) {
  latency.record(Math.max(1, Math.round((performance.now() - since) * 1000)))
}

async function openAll (scenario, port, count = scenario.connections) {
  const clients = []
  while (clients.length < count) {
    const group = Array.from({ length: Math.min(AT_A_TIME, count - clients.length) }, () => Client.open(scenario, port))
    clients.push(...await Promise.all(group))
  }
  return clients
}

async function openAndRehearse (scenario, port) {
  const clients = await openAll(scenario, port)
  const script = new Script(scenario, clients[0].agreed)
  for (const client of clients) {
    client.follow(script)
    await client.rehearse()
  }
  return clients
}

/** Each keeps a connection, or many, busy until the process ends. */
const LOADS = {
  /** Every echo is followed by the next message, so that `depth` are always on their way. */
  async echo (scenario, port) {
    for (const client of await openAndRehearse(scenario, port)) {
      client.onMessages = (count, sentAt) => {
        done += count
        record(sentAt)
        client.send(count)
      }
      client.send(scenario.depth)
    }
  },

  /** `depth` messages at once to all; when all have got all, the next. What counts is each message that arrived. */
  async publish (scenario, port) {
    const clients = await openAll(scenario, port)
    const script = new Script(scenario)
    const [publisher, ...others] = clients
    let missing = others.length
    let allHave
    const arrived = (count) => {
      done += count
      if ((missing -= count) === 0) allHave()
    }
    for (const client of clients) {
      client.follow(script)
      client.onMessages = arrived
    }
    await Promise.all([publisher.rehearse(), new Promise((resolve) => { allHave = resolve })])

    publisher.onMessages = arrived
    const publish = () => {
      const start = performance.now()
      allHave = () => {
        record(start)
        publish()
      }
      missing = clients.length * scenario.depth
      publisher.send(scenario.depth)
    }
    publish()
  },

  /** One after the other: a connection, an echo, the closing handshake. */
  async connect (scenario, port) {
    const script = new Script(scenario)
    const loop = async () => {
      for (;;) {
        const start = performance.now()
        const client = await Client.open(scenario, port)
        client.follow(script)
        await client.rehearse()
        await client.close()
        done++
        record(start)
      }
    }
    for (let i = 0; i < scenario.connections; i++) loop()
  }
}

/** CPU time of all threads of a process, in microseconds. */
function cpuOf (pid) {
  let nanoseconds = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0])
  return nanoseconds / 1000
}

process.once('message', async ({ scenario, port, pid, warmupMs, windowMs }) => {
  await LOADS[scenario.load](scenario, port)
  await sleep(warmupMs)
  latency.reset()
  const before = { done, server: cpuOf(pid), generator: process.cpuUsage(), time: performance.now() }
  await sleep(windowMs)
  const ms = performance.now() - before.time
  const messages = done - before.done
  const cpu = cpuOf(pid) - before.server
  const { user, system } = process.cpuUsage(before.generator)
  process.send({
    messages,
    perSecond: messages / ms * 1000,
    cpu: cpu / messages,
    p50: latency.percentile(50),
    p99: latency.percentile(99),
    serverBusy: cpu / 1000 / ms,
    generatorBusy: (user + system) / 1000 / ms
  }, () => { process.exit() })
})
