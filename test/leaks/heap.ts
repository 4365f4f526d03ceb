/**
 * How much of the heap belongs to the program: its objects, arrays, strings and closures. What V8 makes of its code (machine code,
 * feedback, shapes of objects) is left out: V8 adds to it and throws it away whenever it likes, by hundreds of kilobytes.
 */
import { json } from 'node:stream/consumers'
import { getHeapSnapshot } from 'node:v8'
import { collectGarbage } from './collected.ts'

const OF_CODE = new Set(['code', 'hidden', 'object shape', 'synthetic'])

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[], readonly node_types: readonly [readonly string[]] } }
  readonly nodes: readonly number[]
}

/** The bytes that are reachable, by a snapshot of the heap. */
export async function heapOfProgram (): Promise<number> {
  for (let i = 0; i < 3; i++) collectGarbage()
  const { snapshot: { meta }, nodes } = await json(getHeapSnapshot()) as Snapshot
  const [type, size] = ['type', 'self_size'].map((field) => meta.node_fields.indexOf(field)) as [number, number]
  const types = meta.node_types[0]
  let bytes = 0
  for (let node = 0; node < nodes.length; node += meta.node_fields.length) {
    if (!OF_CODE.has(types[nodes[node + type]!]!)) bytes += nodes[node + size]!
  }
  return bytes
}
