import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { ResolvedOptions } from '../../lib/plugin/options.ts'
import { Registry } from '../../lib/plugin/registry.ts'

const limits = (maxConnections: number, maxConnectionsPerAddress = Infinity): ResolvedOptions => ({ maxConnections, maxConnectionsPerAddress }) as ResolvedOptions

/** What gives a place back; fails where there is none. */
function place (registry: Registry, options: ResolvedOptions, address: string): () => void {
  const result = registry.admit(options, { ip: address })
  if (typeof result === 'string') throw new Error(result)
  return result
}

t.test('places: so many and no more, and a place is given back once', async (t) => {
  const registry = new Registry()
  const options = limits(2)
  const first = place(registry, options, '192.0.2.1')
  const second = place(registry, options, '192.0.2.1')
  t.equal(registry.admit(options, { ip: '192.0.2.2' }), 'maxConnections')
  first()
  first()
  const third = place(registry, options, '192.0.2.2')
  t.equal(registry.admit(options, { ip: '192.0.2.2' }), 'maxConnections')
  second()
  third()
  place(registry, options, '')
  place(registry, options, '')
  t.equal(registry.admit(options, { ip: '' }), 'maxConnections')
})

t.test('places: so many of one address; what is refused takes none', async (t) => {
  const registry = new Registry()
  const options = limits(4, 2)
  const first = place(registry, options, '192.0.2.1')
  place(registry, options, '::ffff:192.0.2.1')
  for (let i = 0; i < 5; i++) t.equal(registry.admit(options, { ip: '192.0.2.1' }), 'maxConnectionsPerAddress')
  place(registry, options, '2001:db8::1')
  place(registry, options, '2001:db8::2')
  for (let i = 0; i < 5; i++) t.equal(registry.admit(options, { ip: '192.0.2.2' }), 'maxConnections', 'the limit of all comes first')
  first()
  first()
  t.equal(registry.admit(options, { ip: '2001:db8::3' }), 'maxConnectionsPerAddress')
  place(registry, options, '192.0.2.1')
  t.equal(registry.admit(limits(100, 2), { ip: '192.0.2.1' }), 'maxConnectionsPerAddress')
})

t.test('places: those without an address are counted only with all', async (t) => {
  const registry = new Registry()
  for (let i = 0; i < 10; i++) place(registry, limits(10, 1), '')
  t.equal(registry.admit(limits(10, 1), { ip: '' }), 'maxConnections')
  for (let i = 0; i < 100; i++) place(registry, limits(Infinity), '192.0.2.1')
})

t.test('places: all are free when all have left', async (t) => {
  const registry = new Registry()
  const options = limits(1_000, 10)
  for (let round = 0; round < 3; round++) {
    const places = Array.from({ length: 1_000 }, (_, i) => place(registry, options, `192.0.2.${i % 100}`))
    t.equal(registry.admit(options, { ip: '192.0.2.200' }), 'maxConnections')
    for (const release of places) release()
  }
})

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
  for (const socket of sockets) registry.add(socket as never, {} as never, registry.countersOf('/'))
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
  registry.add(late as never, {} as never, registry.countersOf('/'))
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
