import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Registry } from '../../lib/plugin/registry.ts'

class FakeSocket {
  readonly closes: Array<[number, string]> = []
  #resolve!: () => void
  readonly closed = new Promise<void>((resolve) => { this.#resolve = resolve })
  close (code: number, reason: string): void {
    this.closes.push([code, reason])
    this.#resolve()
  }
}

function withSockets (count: number): { registry: Registry, sockets: FakeSocket[], closed: () => number } {
  const registry = new Registry()
  const sockets = Array.from({ length: count }, () => new FakeSocket())
  for (const socket of sockets) registry.add(socket as never, { counters: registry.countersOf('/'), closed: socket.closed } as never)
  return { registry, sockets, closed: () => sockets.filter(({ closes }) => closes.length > 0).length }
}

function fakeTimers (t: Test): (milliseconds: number) => Promise<void> {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000 })
  t.teardown(() => mock.timers.reset())
  return async (milliseconds) => {
    for (let i = 0; i < milliseconds; i += 20) {
      mock.timers.tick(20)
      await new Promise((resolve) => { setImmediate(resolve) })
    }
  }
}

t.test('drain: without a window all at once', async (t) => {
  const { registry, sockets } = withSockets(100)
  await registry.drain({ code: 1012, reason: 'restart', windowMs: 0 })
  t.ok(sockets.every(({ closes }) => closes.length === 1 && closes[0]![0] === 1012 && closes[0]![1] === 'restart'))
})

t.test('drain: spread evenly over the window, all within it, each once', async (t) => {
  const pass = fakeTimers(t)
  for (const count of [1, 3, 100]) {
    const { registry, sockets, closed } = withSockets(count)
    let done = false
    const draining = registry.drain({ code: 1001, reason: '', windowMs: 1_000 }).then(() => { done = true })
    t.ok(closed() <= Math.ceil(count / 50), 'a share at once')
    for (const [at, least, most] of [[240, 0.2, 0.35], [500, 0.45, 0.6], [740, 0.7, 0.85]] as const) {
      await pass(at === 240 ? 240 : at === 500 ? 260 : 240)
      t.ok(closed() >= Math.floor(least * count) && closed() <= Math.ceil(most * count), `${closed()} of ${count} after ${at} ms`)
    }
    await pass(240)
    t.equal(closed(), count)
    t.ok(sockets.every(({ closes }) => closes.length === 1))
    await draining
    t.equal(done, true)
  }
})

t.test('drain: who opens meanwhile is closed on the next tick, and who has none to close is done', async (t) => {
  const registry = new Registry()
  await registry.drain({ code: 1001, reason: 'away', windowMs: 5_000 })
  const late = new FakeSocket()
  registry.add(late as never, { counters: registry.countersOf('/'), closed: late.closed } as never)
  t.strictSame(late.closes, [])
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(late.closes, [[1001, 'away']])
})

t.test('counters: one for a url', async (t) => {
  const registry = new Registry()
  t.equal(registry.countersOf('/a'), registry.countersOf('/a'))
  t.not(registry.countersOf('/a'), registry.countersOf('/b'))
  t.strictSame(Object.keys(registry.stats()), ['/a', '/b'])
})
