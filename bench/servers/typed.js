/** The typed route: what it takes and what it answers, the same for every server. */

export const receive = {
  type: 'object',
  required: ['type', 'id', 'text'],
  additionalProperties: false,
  properties: {
    type: { const: 'say' },
    id: { type: 'integer', minimum: 0 },
    text: { type: 'string', maxLength: 200 },
    tags: { type: 'array', items: { type: 'string' }, maxItems: 8 }
  }
}

/** The schema of one route of many: no two are the same. */
export function receiveOf (route) {
  return { ...receive, properties: { ...receive.properties, route: { const: route } } }
}

export const send = {
  type: 'object',
  required: ['type', 'id', 'text'],
  properties: { type: { const: 'said' }, id: { type: 'integer' }, text: { type: 'string' } }
}

export const message = Buffer.from(JSON.stringify({ type: 'say', id: 4711, text: 'what was said', tags: ['one', 'two'] }))

export function reply ({ id, text }) {
  return { type: 'said', id, text }
}
