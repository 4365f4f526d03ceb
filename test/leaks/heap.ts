/**
 * How much of the heap belongs to the program: its objects, arrays, strings and closures. What V8 makes of its code (machine code,
 * feedback, shapes of objects, and the lists of what depends on them) is left out: V8 adds to it and throws it away whenever
 * it likes, by hundreds of kilobytes.
 */
import { json } from 'node:stream/consumers'
import { getHeapSnapshot } from 'node:v8'
import { collectGarbage } from './collected.ts'

const TYPES_OF_CODE = new Set(['code', 'object shape', 'synthetic'])
const LISTS_OF_CODE = new Set(['system / WeakArrayList', 'system / WeakFixedArray'])

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[], readonly node_types: readonly [readonly string[]] } }
  readonly nodes: readonly number[]
  readonly strings: readonly string[]
}

/** The bytes that are reachable, by a snapshot of the heap. */
export async function heapOfProgram (): Promise<number> {
  for (let i = 0; i < 3; i++) collectGarbage()
  const { snapshot: { meta }, nodes, strings } = await json(getHeapSnapshot()) as Snapshot
  const [type, name, size] = ['type', 'name', 'self_size'].map((field) => meta.node_fields.indexOf(field)) as [number, number, number]
  const types = meta.node_types[0]
  let bytes = 0
  for (let node = 0; node < nodes.length; node += meta.node_fields.length) {
    const ofCode = TYPES_OF_CODE.has(types[nodes[node + type]!]!) || LISTS_OF_CODE.has(strings[nodes[node + name]!]!)
    if (!ofCode) bytes += nodes[node + size]!
  }
  return bytes
}
