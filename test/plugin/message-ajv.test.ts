import { Type } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import duplex, { json } from '../../index.ts'
import type { DuplexOptions } from '../../types/options.ts'

/** An application with one route for each of these schemas: /0, /1 and so on. */
async function appOf (t: Test, schemas: unknown[], { ajv, shared }: { ajv?: DuplexOptions['ajv'], shared?: object } = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  if (shared !== undefined) app.addSchema(shared)
  await app.register(duplex, { ...ajv && { ajv } })
  schemas.forEach((schema, index) => app.get(`/${index}`, { websocket: true, ...schema !== undefined && { messages: json({ receive: schema as object }) } }, (socket) => {
    socket.on('message', () => { socket.close(4000, 'valid') })
  }))
  return app
}

/** How the route answers a message: 4000 if it is valid, 1008 if not. */
async function verdict (app: FastifyInstance, message: unknown, path = '/0'): Promise<number> {
  const client = await app.injectWebSocket(path)
  client.send(message)
  return (await client.closed).code
}

const named = ($id: string, type: string): object => ({ $id, type: 'object', properties: { value: { type } }, required: ['value'] })

t.test('what two applications of one process call by the same $id is not mixed up', async (t) => {
  const one = await appOf(t, [named('Value', 'string')])
  const other = await appOf(t, [named('Value', 'number')])
  t.equal(await verdict(one, { value: 'x' }), 4000)
  t.equal(await verdict(other, { value: 1 }), 4000)
  t.equal(await verdict(other, { value: 'x' }), 1008)
})

t.test('two applications have each their own Ajv plugins', async (t) => {
  const atLeast = (least: number) => ({ plugins: [(ajv: any) => ajv.addKeyword({ keyword: 'enough', validate: (_: unknown, value: number) => value >= least })] })
  const schema = { type: 'object', properties: { value: { type: 'number', enough: true } } }
  const one = await appOf(t, [schema], { ajv: atLeast(1) })
  const other = await appOf(t, [schema], { ajv: atLeast(10) })
  t.equal(await verdict(one, { value: 5 }), 4000)
  t.equal(await verdict(other, { value: 5 }), 1008)
})

t.test('two different schemas with the same $id stop the start: Ajv would take the first for both', async (t) => {
  const app = await appOf(t, [named('Value', 'string'), named('Value', 'number')])
  await t.rejects(async () => await app.ready(), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /route \/1.*another schema has the \$id 'Value': give one of them its own/ })

  const likewise = await appOf(t, [named('Value', 'string'), named('Value#', 'number')])
  await t.rejects(async () => await likewise.ready(), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /\$id 'Value#'/ }, 'an empty fragment is none')

  const within = await appOf(t, [{ ...named('Outer', 'string'), definitions: { inner: named('Inner', 'string') } }, named('Inner', 'number')])
  await t.rejects(async () => await within.ready(), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /\$id 'Inner'/ }, 'that of a schema within another')

  const beside = await appOf(t, [named('Value', 'string')], { shared: named('Value', 'number') })
  await t.rejects(async () => await beside.ready(), { code: 'FST_WS_ERR_INVALID_SCHEMA', message: /another schema has the \$id 'Value'/ }, 'one of addSchema too')
})

t.test('the same schema, or one like it, may have its $id on many routes, and stand in addSchema', async (t) => {
  const make = (): object => Type.Object({ value: Type.String() }, { $id: 'Value' })
  const same = make()
  const app = await appOf(t, [same, same, make(), JSON.parse(JSON.stringify(same))], { shared: make() })
  for (const path of ['/0', '/1', '/2', '/3']) {
    t.equal(await verdict(app, { value: 'x' }, path), 4000)
    t.equal(await verdict(app, { value: 1 }, path), 1008)
  }
})

t.test('an Ajv is made for the first schema, one for all of them', async (t) => {
  let made = 0
  const ajv = { plugins: [(ajv: any) => { made++; return ajv }] }
  const raw = await appOf(t, [undefined, undefined], { ajv })
  await raw.ready()
  t.equal(made, 0, 'routes without schemas need none')

  const typed = await appOf(t, [undefined, named('A', 'string'), named('B', 'string')], { ajv })
  await typed.ready()
  t.equal(made, 1)
})
