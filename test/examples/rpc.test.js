/**
 * examples/rpc.js: every call has an answer, whatever became of it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { build, rpc } from '../../examples/rpc.js'
import { closing, connected, listening, until } from './helpers.js'

const divide = (id, what, by) => ({ id, method: 'divide', params: { what, by } })
const lookUp = (id, name) => ({ id, method: 'lookUp', params: { name } })

async function start (t, options) {
  const app = closing(t, build(options))
  return { app, client: await app.injectWebSocket(rpc) }
}

test('calls are answered as they finish, by their id', async (t) => {
  const waiting = new Map()
  const { client } = await start(t, { lookUp: (name) => new Promise((resolve) => waiting.set(name, resolve)) })
  client.send(lookUp(1, 'a'))
  client.send(lookUp(2, 'b'))
  client.send(divide(3, 7, 2))
  assert.deepEqual(await client.next(), { id: 3, result: 3.5 })
  waiting.get('b')('of b')
  assert.deepEqual(await client.next(), { id: 2, result: 'of b' })
  waiting.get('a')('of a')
  assert.deepEqual(await client.next(), { id: 1, result: 'of a' })
})

test('what is wrong with a call is answered, and the connection stays', async (t) => {
  const { client } = await start(t)
  for (const [call, id, code] of [
    [divide(1, 1, 0), 1, 'DIVISION_BY_ZERO'],
    [divide(2, '1', 1), 2, 'INVALID_CALL'],
    [{ id: 3, method: 'constructor', params: {} }, 3, 'INVALID_CALL'],
    [lookUp(4, 'x'.repeat(101)), 4, 'INVALID_CALL'],
    [{ method: 'divide' }, null, 'INVALID_CALL'],
    [{ id: -1 }, null, 'INVALID_CALL'],
    [{ id: { toString: 1 } }, null, 'INVALID_CALL'],
    [[], null, 'INVALID_CALL'],
    [null, null, 'INVALID_CALL']
  ]) {
    client.sendRaw(JSON.stringify(call))
    const { id: answered, error } = await client.next()
    assert.deepEqual([answered, error.code], [id, code], JSON.stringify(call))
  }
  client.send(divide(9, 1, 1))
  assert.deepEqual(await client.next(), { id: 9, result: 1 })
})

test('what is no JSON is answered too, and closes with 1007', async (t) => {
  const { client } = await start(t)
  client.sendRaw('{')
  assert.equal((await client.next()).error.code, 'INVALID_CALL')
  assert.equal((await client.closed).code, 1007)
})

test('an error of the server says nothing to the caller, and stands in the log', async (t) => {
  const lines = []
  const { client } = await start(t, {
    lookUp: async () => { throw new Error('password of the database is wrong') },
    logger: { stream: { write: (line) => lines.push(JSON.parse(line)) } }
  })
  client.send(lookUp(1, 'a'))
  assert.deepEqual(await client.next(), { id: 1, error: { code: 'INTERNAL', message: 'the call failed' } })
  assert.deepEqual(lines.filter(({ level }) => level >= 50).map(({ err }) => err.message), ['password of the database is wrong'])
  client.send(divide(2, 4, 2))
  assert.deepEqual(await client.next(), { id: 2, result: 2 })
})

test('more calls than run at once are told so, and there is room again afterwards', async (t) => {
  const waiting = []
  const { client } = await start(t, { lookUp: () => new Promise((resolve) => waiting.push(resolve)) })
  for (let id = 0; id < 17; id++) client.send(lookUp(id, 'a'))
  assert.deepEqual(await client.next(), { id: 16, error: { code: 'BUSY', message: '16 calls are running already' } })
  for (const resolve of waiting.splice(0)) resolve('found')
  for (let id = 0; id < 16; id++) assert.deepEqual(await client.next(), { id, result: 'found' })
  client.send(divide(17, 1, 1))
  assert.deepEqual(await client.next(), { id: 17, result: 1 })
})

test('who floods is closed with 1008', async (t) => {
  const { client } = await start(t)
  for (let id = 0; id < 1000; id++) client.sendRaw('{}')
  assert.equal((await client.closed).code, 1008)
})

test('a caller that leaves, over TCP: what runs for it is given up, and nothing is logged at error', async (t) => {
  const lines = []
  let signal
  const app = build({
    lookUp: async (_name, given) => {
      signal = given
      await once(given, 'abort')
      given.throwIfAborted()
    },
    logger: { stream: { write: (line) => lines.push(JSON.parse(line)) } }
  })
  const client = await connected(t, `ws://${await listening(t, app)}/rpc`)
  client.send(JSON.stringify(lookUp(1, 'a')))
  await until(() => signal)
  client.terminate()
  await until(() => lines.some(({ msg }) => msg === 'websocket closed'))
  assert.equal(signal.aborted, true)
  await until(() => app.websockets.size === 0)
  assert.deepEqual(lines.filter(({ level }) => level >= 40), [])
})
