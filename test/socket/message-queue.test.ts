import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { MessageQueue } from '../../lib/socket/message-queue.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

t.test('first in, first out; what is dropped is not counted any more', async (t) => {
  const queue = new MessageQueue()
  t.equal(queue.length, 0)
  t.equal(queue.bytes, 0)
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5000; i++) queue.push(i % 2 === 0 ? `${i}` : Buffer.from(`${i}`), i % 2 === 1)
    t.equal(queue.length, 5000)
    let inOrder = true
    for (let i = 0; i < 5000; i++) {
      inOrder &&= String(queue.data) === String(i) && queue.isBinary === (i % 2 === 1)
      queue.shift()
    }
    t.ok(inOrder)
    t.equal(queue.length, 0)
    t.equal(queue.bytes, 0)
  }
  queue.push('one', false)
  queue.clear()
  t.equal(queue.length, 0)
  t.equal(queue.bytes, 0)
})

t.test('octets are counted, not characters', async (t) => {
  const queue = new MessageQueue()
  const costOf = (data: string | Buffer): number => {
    const before = queue.bytes
    queue.push(data, false)
    return queue.bytes - before
  }
  t.equal(costOf('€€') - costOf(''), 6)
  t.equal(costOf(Buffer.alloc(100)) - costOf(Buffer.alloc(0)), 100)
})

function memory (): number {
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

// A bound on bytes that small messages pass by is none.
const SMALL: Readonly<Record<string, (i: number) => string | Buffer>> = {
  'empty Buffers': () => Buffer.from(Buffer.alloc(0)),
  'Buffers of 10': () => Buffer.from(Buffer.alloc(10)),
  'Buffers of 1000': () => Buffer.from(Buffer.alloc(1000)),
  'strings of 10': (i) => Buffer.from(String(10 ** 9 + i)).toString(),
  'strings of 100': (i) => Buffer.from(String(10 ** 9 + i).repeat(10)).toString()
}

for (const [what, make] of Object.entries(SMALL)) {
  t.test(`${what}: what the queue counts is what they cost, and not more than twice that`, async (t) => {
    const queue = new MessageQueue()
    const before = memory()
    for (let i = 0; i < 20_000; i++) queue.push(make(i), true)
    const cost = memory() - before
    t.ok(queue.bytes > 0.85 * cost, `${queue.bytes} for ${cost}`)
    t.ok(queue.bytes < 2.2 * cost, `${queue.bytes} for ${cost}`)
  })
}
