import t from 'tap'
import fc from 'fast-check'
import { join, MAX_JOINED_BYTES } from '../../lib/protocol/join.ts'

t.test('both chunks are one, the same for all who ask one after the other', async t => {
  const [a, b] = [Buffer.from('left '), Buffer.from('right')]
  const ab = join(a, b)!
  t.equal(ab.toString(), 'left right')
  for (let i = 0; i < 3; i++) t.equal(join(a, b), ab)
  t.equal(join(b, a)!.toString(), 'rightleft ')
  t.equal(join(a, b)!.toString(), 'left right', 'asked for again')
  t.equal(ab.toString(), 'left right')
})

t.test('a chain of chunks is copied once, link by link, and no link changes', async t => {
  const links = Array.from({ length: 500 }, (_, i) => Buffer.from(`${i} `))
  let whole: Buffer = links[0]!
  const wholes = [whole]
  const memory = new Set<ArrayBufferLike>()
  for (const link of links.slice(1)) {
    whole = join(whole, link)!
    t.equal(join(wholes.at(-1)!, link), whole)
    memory.add(whole.buffer)
    wholes.push(whole)
  }
  t.equal(memory.size <= 2, true, 'in the same memory, of which there may be too little the first time')
  for (const [i, whole] of wholes.entries()) t.equal(whole.toString(), Buffer.concat(links.slice(0, i + 1)).toString())
})

t.test('what is too long is not joined', async t => {
  const left = Buffer.alloc(MAX_JOINED_BYTES - 10, 1)
  t.equal(join(left, Buffer.alloc(11)), undefined)
  t.equal(join(Buffer.alloc(11), left), undefined)
  t.equal(join(left, Buffer.alloc(10, 2))!.length, MAX_JOINED_BYTES)
  t.equal(join(left, Buffer.alloc(11)), undefined)
})

t.test('senders who share some of their chunks send what they should, in any order', async t => {
  let joinedChunks = 0
  fc.assert(fc.property(fc.array(fc.tuple(fc.oneof(fc.nat(60), fc.nat(2000)), fc.nat(15)), { maxLength: 60, size: 'max' }), (steps) => {
    const senders = Array.from({ length: 4 }, () => ({ chunks: [] as Buffer[], expected: [] as Buffer[] }))
    for (const [i, [size, who]] of steps.entries()) {
      const chunk = Buffer.alloc(size, i)
      for (const { chunks, expected } of senders.filter((_, bit) => (who & (1 << bit)) !== 0)) {
        expected.push(chunk)
        const whole = chunks.length === 0 ? undefined : join(chunks.at(-1)!, chunk)
        if (whole === undefined) {
          chunks.push(chunk)
        } else {
          chunks[chunks.length - 1] = whole
          joinedChunks++
        }
      }
    }
    return senders.every(({ chunks, expected }) => Buffer.concat(chunks).equals(Buffer.concat(expected)))
  }), { numRuns: 300 })
  t.ok(joinedChunks > 1000, `${joinedChunks} chunks were joined`)
})
