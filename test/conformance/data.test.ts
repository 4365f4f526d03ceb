/**
 * That the data of sections 12 and 13 is what the cases say of it.
 */
import { deflateRawSync } from 'node:zlib'
import t from 'tap'
import { DATA_KINDS, dataOf, slidingWindow } from './data.ts'

for (const { name, octets, ratio, make } of DATA_KINDS) {
  t.test(name, async (t) => {
    const data = make(octets)
    t.equal(data.length, octets)
    t.ok(data.equals(make(octets)), 'always the same')
    const found = octets / deflateRawSync(data).length
    t.ok(found > ratio * 0.8 && found < ratio * 1.25, `compressed ${found.toFixed(2)}:1`)
    t.equal(dataOf(`1000 messages taken from: ${name} (about)`).length, octets)
  })
}

t.test('text is cut between code points, and goes round', async (t) => {
  const next = slidingWindow(Buffer.from('aé€😀b'), true, 3)
  t.strictSame([next(), next(), next()].map(String), ['aé€', '😀ba', 'é€😀'])
  const bytes = slidingWindow(Buffer.from('abcde'), false, 3)
  t.strictSame([bytes(), bytes(), bytes()].map(String), ['abc', 'dea', 'bcd'])
})

t.test('data of another kind is not made up', async (t) => {
  t.throws(() => dataOf('1000 messages taken from: a film'))
})
