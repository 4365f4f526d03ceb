import t from 'tap'
import { Places, type ConnectionLimit } from '../../lib/plugin/places.ts'

type Limits = Readonly<Record<ConnectionLimit, number>>

const limits = (maxConnections: number, maxConnectionsPerAddress = Infinity): Limits => ({ maxConnections, maxConnectionsPerAddress })

/** What gives a place back; fails where there is none. */
function place (places: Places, options: Limits, address: string): () => void {
  const result = places.admit(options, { ip: address })
  if (typeof result === 'string') throw new Error(result)
  return () => result.release()
}

t.test('so many and no more, and a place is given back once', async (t) => {
  const places = new Places()
  const options = limits(2)
  const first = place(places, options, '192.0.2.1')
  const second = place(places, options, '192.0.2.1')
  t.equal(places.admit(options, { ip: '192.0.2.2' }), 'maxConnections')
  first()
  first()
  const third = place(places, options, '192.0.2.2')
  t.equal(places.admit(options, { ip: '192.0.2.2' }), 'maxConnections')
  second()
  third()
  place(places, options, '')
  place(places, options, '')
  t.equal(places.admit(options, { ip: '' }), 'maxConnections')
})

t.test('so many of one address; what is refused takes none', async (t) => {
  const places = new Places()
  const options = limits(4, 2)
  const first = place(places, options, '192.0.2.1')
  place(places, options, '::ffff:192.0.2.1')
  for (let i = 0; i < 5; i++) t.equal(places.admit(options, { ip: '192.0.2.1' }), 'maxConnectionsPerAddress')
  place(places, options, '2001:db8::1')
  place(places, options, '2001:db8::2')
  for (let i = 0; i < 5; i++) t.equal(places.admit(options, { ip: '192.0.2.2' }), 'maxConnections', 'the limit of all comes first')
  first()
  first()
  t.equal(places.admit(options, { ip: '2001:db8::3' }), 'maxConnectionsPerAddress')
  place(places, options, '192.0.2.1')
  t.equal(places.admit(limits(100, 2), { ip: '192.0.2.1' }), 'maxConnectionsPerAddress')
})

t.test('those without an address are counted only with all', async (t) => {
  const places = new Places()
  for (let i = 0; i < 10; i++) place(places, limits(10, 1), '')
  t.equal(places.admit(limits(10, 1), { ip: '' }), 'maxConnections')
  for (let i = 0; i < 100; i++) place(places, limits(Infinity), '192.0.2.1')
})

t.test('all are free when all have left', async (t) => {
  const places = new Places()
  const options = limits(1_000, 10)
  for (let round = 0; round < 3; round++) {
    const taken = Array.from({ length: 1_000 }, (_, i) => place(places, options, `192.0.2.${i % 100}`))
    t.equal(places.admit(options, { ip: '192.0.2.200' }), 'maxConnections')
    for (const release of taken) release()
  }
})
