import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { build as buildChat, chat } from './1-chat.ts'
import { build as buildMarket, market, publish } from './2-market.ts'
import { build as buildUpload, upload } from './3-upload.ts'
import { build as buildCollab, doc, sign } from './4-collab.ts'
import { build as buildRpc, rpc } from './5-rpc.ts'

// The sixth application: tests of the others, as a user writes them. What `messageTimeoutMs` does to half a frame under
// fake timers is left out until that option comes with the hardening.

const inAnHour = Math.floor(Date.now() / 1000) + 3600

t.test('chat: both versions talk to each other', async (t) => {
  await using app = buildChat()
  await using v2 = await app.injectWebSocket(chat, { params: { room: 'x' }, subprotocols: ['chat.v2'] })
  await using v1 = await app.injectWebSocket(chat, { params: { room: 'x' }, subprotocols: ['chat.v1'] })
  await using elsewhere = await app.injectWebSocket(chat, { params: { room: 'y' }, subprotocols: ['chat.v2', 'chat.v1'] })

  v2.send({ type: 'typing' })
  v2.send({ type: 'say', text: 'hi' })
  t.same(await v2.next(), { type: 'said', from: '127.0.0.1', text: 'hi' })
  t.same(await v1.next(), { text: 'hi' })
  v1.send({ text: 'ho' })
  t.equal((await v2.next()).text, 'ho')
  t.equal((await v1.next()).text, 'ho')

  t.equal(elsewhere.protocol, 'chat.v2')
  if (elsewhere.protocol === 'chat.v2') elsewhere.send({ type: 'say', text: 'alone' })
  t.equal((await elsewhere.next()).text, 'alone')
})

t.test('chat: a client may only send what the server receives', async (t) => {
  await using app = buildChat()
  await using client = await app.injectWebSocket(chat, { params: { room: 'x' }, subprotocols: ['chat.v2'] })
  // @ts-expect-error flipped
  client.send({ type: 'said', from: '', text: '' })
  t.equal((await client.closed).code, 1008)
})

t.test('chat: a subprotocol that the route does not have is refused', async (t) => {
  await using app = buildChat()
  await t.rejects(app.injectWebSocket('/chat/x', { subprotocols: ['chat.v9'] }), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 400 })
})

t.test('chat: a handler for each subprotocol', async (t) => {
  await using app = buildChat()
  await using v1 = await app.injectWebSocket('/map', { subprotocols: ['chat.v1'] })
  v1.send({ text: 'a' })
  t.same(await v1.next(), { text: 'a' })
  await using v2 = await app.injectWebSocket('/map', { subprotocols: ['chat.v2'] })
  v2.send({ type: 'say', text: 'b' })
  t.same(await v2.next(), { type: 'said', from: '', text: 'b' })
})

t.test('market: subscribers get the ticks of their symbols', async (t) => {
  await using app = buildMarket()
  await using client = await app.injectWebSocket(market)
  client.send({ subscribe: ['A'] })
  // Until the server has taken the subscription there is nothing to get.
  const ticking = setInterval(() => {
    publish('B', 1)
    publish('A', 2)
  }, 5)
  t.same(await client.next(), { type: 'tick', symbol: 'A', price: 2 })
  clearInterval(ticking)
})

t.test('upload: what was sent is stored', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'duplex-upload-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await using app = buildUpload(folder)
  const client = await app.injectWebSocket(upload, { params: { id: 'a' } })
  client.send(Buffer.alloc(10, 'x'))
  client.send({ type: 'done', size: 10 })
  const message = await client.next()
  if (!Buffer.isBuffer(message) && message.type === 'progress') t.equal(message.received, 10)
  t.same(await client.next(), { type: 'stored' })
  t.equal((await client.closed).code, 1000)
  t.equal(await readFile(join(folder, 'a'), 'utf8'), 'x'.repeat(10))
})

t.test('upload: a wrong size is refused, and so is a name with a dot', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'duplex-upload-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await using app = buildUpload(folder)
  const client = await app.injectWebSocket(upload, { params: { id: 'b' } })
  client.send({ type: 'done', size: 1 })
  t.match(await client.closed, { code: 4000, reason: 'size' })
  await t.rejects(app.injectWebSocket(upload, { params: { id: 'a.b' } }), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 400 })
})

t.test('collab: an update goes to the other peers', async (t) => {
  await using app = buildCollab()
  const query = { token: sign({ sub: 'me', exp: inAnHour }) }
  await using one = await app.injectWebSocket('/doc/1', { query })
  await using two = await app.injectWebSocket('/doc/1', { query })
  one.send(Buffer.of(1, 2, 3))
  t.same(await two.next(), Buffer.of(1, 2, 3))
  t.same(doc('1').updates, [Buffer.of(1, 2, 3)])
  t.same([...doc('1').peers].map((peer) => peer.data.userId), ['me', 'me'])
})

t.test('collab: a token that is not valid is refused', async (t) => {
  await using app = buildCollab()
  for (const token of ['', `${sign({ sub: 'me', exp: inAnHour })}x`, sign({ sub: 'me', exp: 0 })]) {
    await t.rejects(app.injectWebSocket('/doc/1', { query: { token } }), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode: 401 })
  }
})

t.test('collab: raw connections, with and without subprotocol', async (t) => {
  await using app = buildCollab()
  await using graphql = await app.injectWebSocket('/graphql', { subprotocols: ['graphql-transport-ws'] })
  graphql.send('{}')
  t.equal(await graphql.next(), '{"type":"connection_ack","length":2}')
  await using plain = await app.injectWebSocket('/raw')
  plain.send(Buffer.of(7))
  t.same(await plain.next(), Buffer.of(7))
})

t.test('rpc: calls are answered, and so are those that fail', async (t) => {
  await using app = buildRpc()
  await using client = await app.injectWebSocket(rpc)
  client.send({ id: 1, method: 'add', params: [2, 3] })
  t.same(await client.next(), { id: 1, result: 5 })
  client.send({ id: 2, method: 'fail' })
  t.same(await client.next(), { id: 2, error: { code: 'INTERNAL', message: 'failed' } })
})

t.test('rpc: an invalid call is answered; what is no JSON closes', async (t) => {
  await using app = buildRpc()
  const client = await app.injectWebSocket(rpc)
  client.sendRaw('{"id":7,"method":"nope"}')
  const answer = await client.next()
  t.ok('error' in answer)
  t.equal(answer.id, 7)
  client.sendRaw('{')
  t.match(await client.next(), { id: null, error: { code: 'FST_WS_ERR_INVALID_MESSAGE' } })
  t.equal((await client.closed).code, 1007)
})
