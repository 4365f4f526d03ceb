import t from 'tap'
import { copyOctets, readInt32, readUint16 } from '../../lib/protocol/octets.ts'

t.test('copies a range to where it is wanted, and nothing beside it', async (t) => {
  const source = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff))
  for (const length of [0, 1, 2, 3, 4, 5, 7, 8, 47, 48, 49, 250]) {
    for (const [start, at] of [[0, 0], [3, 9], [9, 3]] as const) {
      const target = Buffer.alloc(300, 0xee)
      copyOctets(target, at, source, start, start + length)
      const wanted = Buffer.alloc(300, 0xee)
      source.copy(wanted, at, start, start + length)
      t.ok(target.equals(wanted), `${length} octets from ${start} to ${at}`)
    }
  }
})

t.test('takes any Uint8Array, the view of a part of one too', async (t) => {
  const target = new Uint8Array(4)
  copyOctets(target, 1, new Uint8Array([9, 1, 2, 9]).subarray(1, 3), 0, 2)
  t.strictSame([...target], [0, 1, 2, 0])
})

t.test('integers are those of the network', async (t) => {
  const octets = Buffer.from('00fffefd7f80000001', 'hex')
  for (let offset = 0; offset <= octets.length - 4; offset++) {
    t.equal(readUint16(octets, offset), octets.readUInt16BE(offset))
    t.equal(readInt32(octets, offset), octets.readInt32BE(offset))
  }
  t.equal(readInt32(new Uint8Array([0xff, 0xff, 0xff, 0xff]), 0), -1)
})
