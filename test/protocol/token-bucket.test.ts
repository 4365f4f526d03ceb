import t from 'tap'
import { TokenBucket } from '../../lib/protocol/token-bucket.ts'

/** How often something can be taken at this time. */
function takes (bucket: TokenBucket, nowMs: number, most = 1_000): number {
  let count = 0
  while (count < most && bucket.take(1, nowMs)) count++
  return count
}

t.test('holds its capacity from the beginning, at whatever time that is', async (t) => {
  for (const start of [0, 1, 1e9]) t.equal(takes(new TokenBucket(10, 25), start), 25)
})

t.test('is refilled with time, never above its capacity; a part of one is enough, and the rest is owed', async (t) => {
  const bucket = new TokenBucket(10, 5)
  t.equal(takes(bucket, 1_000), 5)
  t.equal(takes(bucket, 1_000), 0)
  t.equal(takes(bucket, 1_001), 1)
  t.equal(takes(bucket, 1_099), 0)
  t.equal(takes(bucket, 1_101), 1)
  t.equal(takes(bucket, 1_401), 3)
  t.equal(takes(bucket, 3_600_000), 5)
})

t.test('what is looked for in vain costs nothing', async (t) => {
  const bucket = new TokenBucket(10, 1)
  t.equal(bucket.take(2, 0), true)
  for (let now = 0; now < 100; now++) t.equal(bucket.take(1, now), false)
  t.equal(bucket.take(1, 101), true)
})

t.test('something larger than what is left goes, and the debt is paid before the next', async (t) => {
  const bucket = new TokenBucket(1_000, 100)
  t.equal(bucket.take(600, 0), true)
  t.equal(bucket.take(1, 499), false)
  t.equal(bucket.take(1, 501), true)

  const small = new TokenBucket(1, 0.1)
  t.equal(small.take(1, 10_000), true)
  t.equal(small.take(1, 10_800), false)
  t.equal(small.take(1, 10_902), true)
})

t.test('a clock that stands still, or goes back, gives nothing', async (t) => {
  const bucket = new TokenBucket(1_000, 2)
  t.equal(takes(bucket, 5_000), 2)
  t.equal(takes(bucket, 5_000), 0)
  t.equal(takes(bucket, 4_000), 0)
})

t.test('what is infinite is no limit', async (t) => {
  for (const [perSecond, capacity] of [[Infinity, Infinity], [10, Infinity]] as const) {
    const bucket = new TokenBucket(perSecond, capacity)
    for (const now of [0, 0, 1, 1, 0, 5]) t.equal(takes(bucket, now, 1_000), 1_000)
  }
})

t.test('what is granted comes on top of the capacity, once, and stays until it is taken', async (t) => {
  const bucket = new TokenBucket(10, 5)
  t.equal(takes(bucket, 1_000), 5)
  bucket.grant(2_000)
  t.equal(takes(bucket, 3_000), 20, 'no second time for the two seconds')
  t.equal(takes(bucket, 3_099), 1, 'and then as ever')
  bucket.grant(1_000)
  bucket.grant(1_000)
  t.equal(takes(bucket, 60_000), 20, 'above the capacity it is not refilled')
  t.equal(takes(bucket, 120_000), 5)

  const fresh = new TokenBucket(10, 5)
  fresh.grant(500)
  t.equal(takes(fresh, 10_000), 10)
  const endless = new TokenBucket(Infinity, Infinity)
  for (const ms of [0, 1, 1e9]) {
    endless.grant(ms)
    t.equal(takes(endless, 0, 100), 100)
  }
})
