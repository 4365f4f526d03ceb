import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import wabt from 'wabt'
import { loadSimdMask, MODULE } from '../../lib/protocol/mask-simd.ts'
import { ROOT } from '../helpers/root.ts'

t.test('the module is what its source says', async (t) => {
  const { parseWat } = await wabt()
  const source = readFileSync(join(ROOT, 'lib/protocol/mask-simd.wat'), 'utf8')
  const { buffer } = parseWat('mask-simd.wat', source, { simd: true }).toBinary({})
  t.equal(MODULE, Buffer.from(buffer).toString('base64'), 'npm run build:mask writes it anew')
})

t.test('a key whose lowest octet comes first, over a memory of 64 KiB', async (t) => {
  const { heap, mask } = loadSimdMask()!
  t.equal(heap.length, 64 * 1024)
  heap.fill(0)
  mask(6, 0x04030201)
  t.strictSame([...heap.subarray(0, 6)], [1, 2, 3, 4, 1, 2])
  heap.fill(0xff)
  mask(heap.length, 0x7fffffff)
  t.strictSame([...heap.subarray(-4)], [0, 0, 0, 0x80])
})

t.test('none where there is no WebAssembly, or none that knows vectors', async (t) => {
  const { WebAssembly } = globalThis as { WebAssembly?: Parameters<typeof loadSimdMask>[0] }
  t.ok(loadSimdMask(WebAssembly))
  const refuses = class { constructor () { throw new Error('invalid value type') } }
  t.equal(loadSimdMask({ Module: refuses, Instance: WebAssembly!.Instance }), undefined)
  const given = globalThis as { WebAssembly?: unknown }
  given.WebAssembly = undefined
  t.equal(loadSimdMask(), undefined)
  // As mask.ts finds it, when it is loaded only now.
  const { mask, maskInto } = await import('../../lib/protocol/mask.ts')
  given.WebAssembly = WebAssembly
  const octets = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i & 0xff))
  const target = Buffer.alloc(octets.length)
  maskInto(target, 0, octets, 0, octets.length, 0x01020304)
  const wanted = octets.map((octet, i) => octet ^ (i % 4 + 1))
  t.ok(target.equals(wanted))
  mask(octets, 0, octets.length, 0x01020304)
  t.ok(octets.equals(wanted))
})
