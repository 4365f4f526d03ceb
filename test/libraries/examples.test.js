/**
 * The examples that need what is installed here: examples/graphql-ws.js and examples/yjs.js.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { until } from './helpers.js'

const folder = import.meta.dirname
const root = join(folder, '../..')

/** An example as a module of this folder, where what it imports is installed. */
async function importExample (name) {
  await mkdir(join(folder, 'examples'), { recursive: true })
  await copyFile(join(root, 'examples', name), join(folder, 'examples', name))
  return await import(`./examples/${name}`)
}

async function listening (t, app) {
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return `ws://127.0.0.1:${app.server.address().port}`
}

const graphql = await importExample('graphql-ws.js')
const yjs = await importExample('yjs.js')

/** A server, and a client of graphql-ws for it. */
async function startGraphql (t, socketOptions) {
  const prices = new graphql.Prices()
  const app = graphql.build({ prices })
  const url = `${await listening(t, app)}/graphql`
  const sockets = []
  class ClientSocket extends WebSocket {
    constructor (...args) {
      super(...args, socketOptions)
      sockets.push(this)
    }
  }
  const client = createClient({ url, webSocketImpl: ClientSocket, retryAttempts: 0 })
  t.after(() => client.dispose())
  return { app, prices, url, client, sockets }
}

const valueOf = ({ value }) => value.data.price.value

test('graphql-ws: a query, and a subscription that ends when its client does', async (t) => {
  const { prices, client } = await startGraphql(t)
  prices.set({ symbol: 'ACME', value: 1 })
  const query = client.iterate({ query: '{ price (symbol: "ACME") { value } none: price (symbol: "NONE") { value } }' })
  const { data } = (await query.next()).value
  assert.deepEqual([data.price.value, data.none], [1, null])

  const subscription = client.iterate({ query: 'subscription { price (symbol: "ACME") { value } }' })
  const first = subscription.next()
  await until(() => prices.listenerCount('price of ACME') === 1)
  prices.set({ symbol: 'OIL', value: 2 })
  prices.set({ symbol: 'ACME', value: 3 })
  assert.equal(valueOf(await first), 3)
  await subscription.return()
  await until(() => prices.listenerCount('price of ACME') === 0)

  const wrong = client.iterate({ query: '{ nothing }' })
  assert.match((await wrong.next().catch((error) => error))[0].message, /nothing/)
})

test('graphql-ws: a client that vanishes leaves no subscription behind', async (t) => {
  const { prices, client, sockets } = await startGraphql(t)
  client.iterate({ query: 'subscription { price (symbol: "ACME") { value } }' }).next().catch(() => {})
  await until(() => prices.listenerCount('price of ACME') === 1)
  sockets[0].terminate()
  await until(() => prices.listenerCount('price of ACME') === 0)
})

test('graphql-ws: a client that does not keep up gets the newest, and what waits for it does not grow', async (t) => {
  const { app, prices, client, sockets } = await startGraphql(t)
  // A long name soon fills what the network holds by itself.
  const symbol = 'A'.repeat(10_000)
  const subscription = client.iterate({ query: `subscription { price (symbol: "${symbol}") { value symbol } }` })
  const first = subscription.next()
  await until(() => prices.listenerCount(`price of ${symbol}`) === 1)
  prices.set({ symbol, value: 0 })
  await first
  sockets[0].pause()
  const [socket] = app.websockets
  let value = 0
  const tell = async () => {
    prices.set({ symbol, value: ++value })
    await new Promise((resolve) => setImmediate(resolve))
  }
  while (!socket.writableNeedDrain) await tell()
  const waiting = socket.bufferedAmount
  for (let i = 0; i < 1000; i++) await tell()
  assert.equal(socket.bufferedAmount, waiting)
  sockets[0].resume()
  let last
  do last = valueOf(await subscription.next()); while (last !== value)
})

test('graphql-ws: another subprotocol is refused with 400, a message of another protocol closes with 4400', async (t) => {
  const { url } = await startGraphql(t)
  const refused = new WebSocket(url, 'graphql-ws').on('error', () => {})
  const [, { statusCode }] = await once(refused, 'unexpected-response')
  refused.terminate()
  assert.equal(statusCode, 400)
  const wrong = new WebSocket(url, 'graphql-transport-ws')
  await once(wrong, 'open')
  wrong.send('{')
  assert.equal((await once(wrong, 'close'))[0], 4400)
})

// Removed when all servers have written what is theirs.
const temporary = await mkdtemp(join(tmpdir(), 'duplex-yjs-'))
after(() => rm(temporary, { recursive: true }))

/** A server that keeps its documents in a folder, and clients for it. */
async function startYjs (t) {
  const documents = join(temporary, t.name.replaceAll(/\W+/g, '-'))
  const app = yjs.build({ folder: documents })
  const url = `${await listening(t, app)}/documents`
  const connect = (name) => {
    const provider = new WebsocketProvider(url, name, new Y.Doc(), { WebSocketPolyfill: WebSocket, disableBc: true })
    const leave = () => {
      provider.destroy()
      provider.doc.destroy()
    }
    t.after(leave)
    return { doc: provider.doc, leave }
  }
  return { app, documents, url, connect }
}

test('yjs: two edit a document, which is still there when both have left', async (t) => {
  const { documents, connect } = await startYjs(t)
  const [one, two, other] = [connect('minutes'), connect('minutes'), connect('notes')]
  const text = 'é'.repeat(1_000_000)
  one.doc.getText('t').insert(0, text)
  two.doc.getMap('m').set('key', 'value')
  await until(() => two.doc.getText('t').length === text.length && one.doc.getMap('m').get('key') === 'value')
  assert.equal(other.doc.getText('t').length, 0)
  assert.deepEqual(await readdir(documents), [])
  one.leave()
  two.leave()
  await until(async () => (await readdir(documents)).includes('minutes.yjs'))

  const three = connect('minutes')
  await until(() => three.doc.getText('t').toString() === text && three.doc.getMap('m').get('key') === 'value')
})

test('yjs: the shutdown writes what is open', async (t) => {
  const first = await startYjs(t)
  const one = first.connect('minutes')
  const two = first.connect('minutes')
  one.doc.getText('t').insert(0, 'before')
  await until(() => two.doc.getText('t').length > 0)
  await first.app.close()
  // In the same folder.
  const second = await startYjs(t)
  const three = second.connect('minutes')
  await until(() => three.doc.getText('t').toString() === 'before')
})

test('yjs: a disk that takes nothing is logged, and ends nothing', async (t) => {
  const { app, documents, connect } = await startYjs(t)
  const logged = new Promise((resolve) => t.mock.method(app.log, 'error', resolve))
  const one = connect('minutes')
  await until(() => app.websockets.size === 1)
  await rm(documents, { recursive: true })
  one.leave()
  assert.equal((await logged).code, 'ENOENT')
})

test('yjs: a name that is no name of a file is refused with 400, what is no message of Yjs harms nobody', async (t) => {
  const { url, connect } = await startYjs(t)
  for (const name of ['..%2f..%2fetc', 'A', 'x'.repeat(65)]) {
    const refused = new WebSocket(`${url}/${name}`).on('error', () => {})
    const [, { statusCode }] = await once(refused, 'unexpected-response')
    refused.terminate()
    assert.equal(statusCode, 400, name)
  }
  const [one, two] = [connect('minutes'), connect('minutes')]
  const wrong = new WebSocket(`${url}/minutes`)
  await once(wrong, 'open')
  // The library tells what it cannot read.
  t.mock.method(console, 'error', () => {})
  for (const octets of [[], [0, 2, 5, 1], [0, 99], [1, 255]]) wrong.send(Buffer.from(octets))
  await until(() => console.error.mock.callCount() > 0)
  one.doc.getText('t').insert(0, 'after')
  await until(() => two.doc.getText('t').length > 0)
  wrong.terminate()
})

for (const name of ['graphql-ws.js', 'yjs.js']) {
  test(`${name} listens when it is run, and ends by itself`, async (t) => {
    const child = spawn(process.execPath, [join(folder, 'examples', name)], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text) => { printed += text })
    await until(() => printed.includes('Server listening'))
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  })
}

test('their types', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'node_modules/@typescript/native/bin/tsc'), '--noEmit', '-p', folder], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})
