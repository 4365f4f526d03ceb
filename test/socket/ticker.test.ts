import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Ticker, type Ticking } from '../../lib/socket/ticker.ts'

/** Fake timers, and the periods of those that were made and not cleared. */
function countTimers (t: Test): { made: number, running: number[] } {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { setInterval, clearInterval } = globalThis
  const running = new Map<unknown, number>()
  const counts = { made: 0, get running () { return [...running.values()] } }
  t.intercept(globalThis, 'setInterval', {
    value: (run: (...args: unknown[]) => void, ms: number, ...args: unknown[]) => {
      const timer = setInterval(run, ms, ...args)
      counts.made++
      running.set(timer, ms)
      return timer
    }
  })
  t.intercept(globalThis, 'clearInterval', {
    value: (timer: NodeJS.Timeout) => {
      running.delete(timer)
      clearInterval(timer)
    }
  })
  return counts
}

class Counter implements Ticking {
  ticks = 0
  tick (): void { this.ticks++ }
}

t.test('one timer for a period, however many members, and none for none', async (t) => {
  const timers = countTimers(t)
  const ticker = new Ticker()
  t.strictSame(timers.running, [])
  const members = Array.from({ length: 1_000 }, () => new Counter())
  for (const member of members) ticker.add(100, member)
  t.strictSame([timers.made, timers.running], [1, [100]])
  mock.timers.tick(300)
  t.ok(members.every(({ ticks }) => ticks === 3))
  for (const member of members.slice(1)) ticker.delete(100, member)
  t.strictSame([timers.made, timers.running], [1, [100]])
  ticker.delete(100, members[0]!)
  t.strictSame(timers.running, [])
  mock.timers.tick(300)
  t.ok(members.every(({ ticks }) => ticks === 3))
  ticker.add(100, members[0]!)
  t.strictSame([timers.made, timers.running], [2, [100]])
  ticker.delete(100, members[0]!)
})

t.test('each period has its own', async (t) => {
  const timers = countTimers(t)
  const ticker = new Ticker()
  const [fast, slow] = [new Counter(), new Counter()]
  ticker.add(10, fast)
  ticker.add(100, slow)
  mock.timers.tick(200)
  t.strictSame([fast.ticks, slow.ticks], [20, 2])
  ticker.delete(10, fast)
  t.strictSame(timers.running, [100])
  ticker.delete(100, slow)
})

t.test('a member that is added twice ticks once; one that is not there can be deleted', async (t) => {
  const timers = countTimers(t)
  const ticker = new Ticker()
  const member = new Counter()
  ticker.delete(100, member)
  ticker.add(100, member)
  ticker.add(100, member)
  ticker.delete(100, new Counter())
  ticker.delete(50, member)
  mock.timers.tick(100)
  t.equal(member.ticks, 1)
  ticker.delete(100, member)
  ticker.delete(100, member)
  t.strictSame(timers.running, [])
})

t.test('members may go and come within a tick', async (t) => {
  const timers = countTimers(t)
  const ticker = new Ticker()
  const seen: string[] = []
  const second: Ticking = { tick () { seen.push('second') } }
  const first: Ticking = {
    tick () {
      seen.push('first')
      ticker.delete(100, first)
      ticker.delete(100, second)
      ticker.add(100, last)
    }
  }
  const last: Ticking = {
    tick () {
      seen.push('last')
      ticker.delete(100, last)
    }
  }
  ticker.add(100, first)
  ticker.add(100, second)
  mock.timers.tick(100)
  mock.timers.tick(100)
  t.strictSame(seen, ['first', 'last'])
  t.strictSame(timers.running, [])
})

t.test('does not keep the process alive', async (t) => {
  const ticker = new Ticker()
  let timer: NodeJS.Timeout | undefined
  const { setInterval } = globalThis
  t.intercept(globalThis, 'setInterval', { value: (...args: Parameters<typeof setInterval>) => (timer = setInterval(...args)) })
  const member = new Counter()
  ticker.add(100, member)
  t.equal(timer!.hasRef(), false)
  ticker.delete(100, member)
})
