/** Reads a heap snapshot of V8. */

/** What stands for its owner: it is named after the place where it hangs. */
const PARTS = new Set(['array', 'hidden', 'code', 'number', 'object shape'])
const STRINGS = new Set(['string', 'concatenated string', 'sliced string'])
const ANONYMOUS = new Set(['Object', 'Array'])
const MOST_OWNERS = 2

/**
 * The bytes and the number of the objects of each class, by name. What has no class of its own (the slots of an
 * array, the context of a closure) is named after its owner.
 */
export function classesOf ({ snapshot: { meta }, nodes, edges, strings }) {
  const nodeSize = meta.node_fields.length
  const edgeSize = meta.edge_fields.length
  const [type, name, selfSize, edgeCount] = ['type', 'name', 'self_size', 'edge_count'].map((field) => meta.node_fields.indexOf(field))
  const [edgeType, edgeName, toNode] = ['type', 'name_or_index', 'to_node'].map((field) => meta.edge_fields.indexOf(field))
  const nodeTypes = meta.node_types[type]
  const edgeTypes = meta.edge_types[edgeType]

  /** For each node the first that refers to it strongly, and by what name. */
  const owners = new Map()
  let edge = 0
  for (let node = 0; node < nodes.length; node += nodeSize) {
    for (const end = edge + nodes[node + edgeCount] * edgeSize; edge < end; edge += edgeSize) {
      const kind = edgeTypes[edges[edge + edgeType]]
      if (kind === 'weak' || kind === 'shortcut' || owners.has(edges[edge + toNode])) continue
      const label = kind === 'element' || kind === 'hidden' ? '' : strings[edges[edge + edgeName]]
      owners.set(edges[edge + toNode], { node, label })
    }
  }

  const nameOf = (node, depth = 0) => {
    const kind = nodeTypes[nodes[node + type]]
    // The bundler puts an underscore before a class that refers to itself.
    const own = strings[nodes[node + name]].replace(/^_(?=[A-Z])/, '')
    if (kind === 'closure' && own !== '') return `${own} ()`
    const called = kind === 'closure' ? 'function' : STRINGS.has(kind) ? 'string' : own || kind
    const owner = owners.get(node)
    const needsOwner = kind === 'closure' || STRINGS.has(kind) || PARTS.has(kind) || ANONYMOUS.has(own) || own.startsWith('system /')
    return needsOwner && owner !== undefined && depth < MOST_OWNERS ? `${called} ← ${nameOf(owner.node, depth + 1)}.${owner.label}` : called.slice(0, 40)
  }

  const classes = new Map()
  for (let node = 0; node < nodes.length; node += nodeSize) {
    const key = nameOf(node)
    const sum = classes.get(key) ?? { count: 0, bytes: 0 }
    sum.count++
    sum.bytes += nodes[node + selfSize]
    classes.set(key, sum)
  }
  return classes
}
