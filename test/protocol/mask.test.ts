import t from 'tap'
import fc from 'fast-check'
import { mask, maskInto, rotateKey } from '../../lib/protocol/mask.ts'
import { copyAt } from '../helpers/every-cut.ts'
import { masked } from '../helpers/frames.ts'

const KEYS = [[0x37, 0xfa, 0x21, 0x3d], [0xff, 0x00, 0x80, 0x7f], [0x80, 0x00, 0x00, 0x01], [0, 0, 0, 0]]

function asInteger (key: readonly number[]): number {
  return Buffer.from(key).readInt32BE()
}

function noise (length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 151 + (i >> 8) * 31 + 7) & 0xff))
}

t.test('mask', async t => {
  t.test('is the XOR with the key, the first octet of the key for the first octet of the range', async t => {
    // RFC 6455 §5.7: "Hello", masked.
    const hello = Buffer.from('Hello')
    mask(hello, 0, 5, asInteger([0x37, 0xfa, 0x21, 0x3d]))
    t.equal(hello.toString('hex'), '7f9f4d5158')
  })

  t.test('does the same for every length from 0 to 300, at every alignment, and touches nothing beside the range', async t => {
    const failures: string[] = []
    const bytes = noise(320)
    for (const key of KEYS) {
      for (let length = 0; length <= 300; length++) {
        const expected = masked(bytes.subarray(9, 9 + length), key)
        for (let shift = 0; shift < 8; shift++) {
          const copy = copyAt(bytes, shift)
          mask(copy, 9, 9 + length, asInteger(key))
          const same = copy.subarray(9, 9 + length).equals(expected) &&
            copy.subarray(0, 9).equals(bytes.subarray(0, 9)) && copy.subarray(9 + length).equals(bytes.subarray(9 + length))
          if (!same) failures.push(`key ${key}, length ${length}, shift ${shift}`)
        }
      }
    }
    t.strictSame(failures, [])
  })

  t.test('does the same for large payloads', async t => {
    for (const length of [1023, 4096, 65535, 65536, 65549, 1024 * 1024 + 3]) {
      const bytes = noise(length)
      const expected = masked(bytes, KEYS[0]!)
      for (const shift of [0, 1, 2, 3]) {
        const copy = copyAt(bytes, shift)
        mask(copy, 0, length, asInteger(KEYS[0]!))
        t.ok(copy.equals(expected), `${length} octets, shift ${shift}`)
      }
    }
  })

  t.test('takes any Uint8Array, and a key with or without sign', async t => {
    const bytes = new Uint8Array(noise(200))
    const expected = masked(bytes, KEYS[1]!)
    const unsigned = Uint8Array.from(bytes)
    mask(bytes, 0, 200, asInteger(KEYS[1]!))
    mask(unsigned, 0, 200, asInteger(KEYS[1]!) >>> 0)
    t.ok(expected.equals(bytes))
    t.ok(expected.equals(unsigned))
  })

  t.test('undoes itself', async t => {
    const bytes = noise(1000)
    const copy = copyAt(bytes, 1)
    mask(copy, 3, 997, asInteger(KEYS[0]!))
    t.notOk(copy.equals(bytes))
    mask(copy, 3, 997, asInteger(KEYS[0]!))
    t.ok(copy.equals(bytes))
  })
})

t.test('maskInto', async t => {
  t.test('masks on the way to another place, and leaves both sides of it and the source as they were', async t => {
    for (const length of [0, 1, 3, 127, 128, 1023, 1024, 1025, 65535, 65536, 65537, 200_003]) {
      for (const key of KEYS) {
        const bytes = noise(length + 20)
        const source = copyAt(bytes, 3)
        const target = Buffer.alloc(length + 40, 0x55)
        maskInto(target, 7, source, 11, 11 + length, asInteger(key))
        t.ok(target.subarray(7, 7 + length).equals(masked(bytes.subarray(11, 11 + length), key)), `${length} octets, key ${key}`)
        t.ok(target.subarray(0, 7).every((octet) => octet === 0x55) && target.subarray(7 + length).every((octet) => octet === 0x55))
        t.ok(source.equals(bytes))
      }
    }
  })
})

t.test('rotateKey', async t => {
  t.test('puts that octet of the key first that comes next', async t => {
    const key = 0x80fa213d | 0
    const phases = ['80fa213d', 'fa213d80', '213d80fa', '3d80fa21']
    for (let octets = 0; octets < 12; octets++) {
      t.equal((rotateKey(key, octets) >>> 0).toString(16), phases[octets % 4], `after ${octets}`)
    }
    t.equal(rotateKey(key, 2 ** 31), key, 'a long payload')
    t.equal(rotateKey(key, 2 ** 32 + 1) >>> 0, 0xfa213d80, 'a longer one')
  })

  t.test('carries the phase over, wherever a payload is cut', async t => {
    const bytes = noise(300)
    const failures: number[] = []
    for (const key of KEYS) {
      const expected = masked(bytes, key)
      for (let cut = 0; cut <= bytes.length; cut++) {
        const copy = copyAt(bytes, cut % 4)
        mask(copy, 0, cut, asInteger(key))
        mask(copy, cut, bytes.length, rotateKey(asInteger(key), cut))
        if (!copy.equals(expected)) failures.push(cut)
      }
    }
    t.strictSame(failures, [])
  })

  t.test('carries the phase over any number of parts', async t => {
    const key = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 })
    fc.assert(fc.property(key, fc.array(fc.nat(400), { maxLength: 8 }), fc.nat(7), (key, parts, shift) => {
      const bytes = noise(parts.reduce((sum, part) => sum + part, 0))
      const copy = copyAt(bytes, shift)
      let at = 0
      let phase = asInteger(key)
      for (const part of parts) {
        mask(copy, at, at + part, phase)
        phase = rotateKey(phase, part)
        at += part
      }
      return copy.equals(masked(bytes, key))
    }))
    t.pass('for whatever fast-check tried')
  })
})
