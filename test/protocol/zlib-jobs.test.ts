import t from 'tap'
import { runZlibJob } from '../../lib/protocol/zlib-jobs.ts'

/** Jobs that write down when they are asked for and started, and are finished by hand. */
class Jobs {
  readonly log: string[] = []
  readonly #finish = new Map<string, () => void>()

  add (name: string, maxConcurrentJobs: number, isWanted: () => boolean = () => true): void {
    runZlibJob({
      maxConcurrentJobs,
      isWanted: () => {
        const wanted = isWanted()
        if (!wanted) this.log.push(`${name} is dropped`)
        return wanted
      },
      start: (finished) => {
        this.log.push(name)
        this.#finish.set(name, finished)
      }
    })
  }

  finish (...names: string[]): void {
    for (const name of names) this.#finish.get(name)!()
  }

  /** What was written down since the last call. */
  get news (): string[] { return this.log.splice(0) }
}

t.test('as many run at once as are permitted, and start in the order in which they came', async t => {
  const jobs = new Jobs()
  for (const name of ['a', 'b', 'c', 'd', 'e']) jobs.add(name, 2)
  t.strictSame(jobs.news, ['a', 'b'])
  jobs.finish('b')
  t.strictSame(jobs.news, ['c'])
  jobs.finish('a', 'c')
  t.strictSame(jobs.news, ['d', 'e'])
  jobs.finish('e')
  t.strictSame(jobs.news, [])
  jobs.add('f', 2)
  jobs.add('g', 2)
  t.strictSame(jobs.news, ['f'], 'the queue was empty, and fills again')
  jobs.finish('d')
  t.strictSame(jobs.news, ['g'])
  jobs.finish('f', 'g')
  jobs.add('h', 1)
  t.strictSame(jobs.news, ['h'])
  jobs.finish('h')
})

t.test('with different limits: each starts only while fewer run than it permits, and none overtakes another', async t => {
  const jobs = new Jobs()
  jobs.add('a', 3)
  jobs.add('b', 3)
  jobs.add('alone', 1)
  jobs.add('c', 8)
  t.strictSame(jobs.news, ['a', 'b'], 'the third of three stands behind one that waits')
  jobs.finish('a')
  t.strictSame(jobs.news, [])
  jobs.finish('b')
  t.strictSame(jobs.news, ['alone', 'c'])
  jobs.add('d', 2)
  t.strictSame(jobs.news, [])
  jobs.finish('c')
  t.strictSame(jobs.news, ['d'])
  jobs.finish('alone', 'd')
})

t.test('one that nobody waits for is dropped when its turn comes, and takes no room', async t => {
  const jobs = new Jobs()
  const wanted = { b: true, c: true }
  jobs.add('a', 1)
  jobs.add('b', 1, () => wanted.b)
  jobs.add('c', 1, () => wanted.c)
  jobs.add('d', 1)
  t.strictSame(jobs.news, ['a'])
  wanted.b = wanted.c = false
  t.strictSame(jobs.news, [], 'nobody is asked before')
  jobs.finish('a')
  t.strictSame(jobs.news, ['b is dropped', 'c is dropped', 'd'])
  jobs.add('e', 1, () => false)
  jobs.finish('d')
  t.strictSame(jobs.news, ['e is dropped'], 'the last of the queue too')
  jobs.add('f', 1)
  t.strictSame(jobs.news, ['f'])
  jobs.finish('f')
})

t.test('a hundred thousand that are dropped, or are finished at once, go without a deep stack', async t => {
  for (const isWanted of [false, true]) {
    const jobs = new Jobs()
    jobs.add('first', 1)
    let started = 0
    for (let i = 0; i < 100_000; i++) {
      runZlibJob({ maxConcurrentJobs: 1, isWanted: () => isWanted, start (finished) { started++; finished() } })
    }
    jobs.add('last', 1)
    t.strictSame(jobs.news, ['first'])
    jobs.finish('first')
    t.equal(started, isWanted ? 100_000 : 0)
    t.strictSame(jobs.news, ['last'])
    jobs.finish('last')
  }
})

t.test('one that adds another when it starts, or when it is finished', async t => {
  const jobs = new Jobs()
  const log: string[] = []
  runZlibJob({
    maxConcurrentJobs: 1,
    isWanted: () => true,
    start (finished) {
      jobs.add('next', 1)
      log.push(...jobs.news, 'starts')
      finished()
      jobs.add('after it', 1)
      log.push(...jobs.news)
    }
  })
  t.strictSame([...log, ...jobs.news], ['starts', 'next'])
  jobs.finish('next')
  t.strictSame(jobs.news, ['after it'])
  jobs.finish('after it')
})

t.test('one that throws stops no other', async t => {
  const jobs = new Jobs()
  t.throws(() => runZlibJob({
    maxConcurrentJobs: 1,
    isWanted: () => true,
    start (finished) {
      finished()
      throw new Error('of a callback')
    }
  }), { message: 'of a callback' })
  jobs.add('next', 1)
  t.strictSame(jobs.news, ['next'])
  jobs.finish('next')
})
