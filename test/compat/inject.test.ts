import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createWebSocketStream } from 'ws'
import websocket, { type WebSocket } from '../../lib/compat/plugin.ts'
import { bareApp, thrown } from '../helpers/app.ts'
import { settle } from '../helpers/open-socket.ts'

async function appWith (t: Test, define: (app: FastifyInstance) => unknown): Promise<FastifyInstance> {
  const { app } = bareApp(t)
  await app.register(websocket)
  await define(app)
  return app
}

const echo = (socket: WebSocket): void => {
  socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
}

const textOf = async (client: WebSocket): Promise<string> => (await once(client, 'message'))[0].toString()

t.test('it connects to a path, / by default, and waits until the application is ready', async (t) => {
  const app = await appWith(t, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.send('root') })
    app.get('/other', { websocket: true }, (socket, request) => { socket.send(`other ${request.url}`) })
  })
  const { injectWS } = app
  t.equal(await textOf(await injectWS()), 'root')
  t.equal(await textOf(await injectWS('/other?a=b')), 'other /other?a=b')
  await t.rejects(injectWS('other'), { code: 'FST_WS_ERR_INVALID_OPTION' } as never)
})

t.test('header fields and what else is given reach the hooks; the handshake is its own', async (t) => {
  const app = await appWith(t, (app) => {
    app.addHook('onRequest', async (request, reply) => {
      if (request.headers['api-key'] !== 'right') return reply.code(401).send({ why: 'key' })
    })
    app.get('/', { websocket: true }, (socket, request) => { socket.send(JSON.stringify([(request.raw as any).session, request.url, request.ws])) })
  })
  const context = { headers: { 'Api-Key': 'right', Connection: 'close', 'sec-websocket-key': 'mine', 'x-none': undefined }, session: { user: 'a' }, url: '/elsewhere', method: 'POST' }
  t.equal(await textOf(await app.injectWS('/', context as never)), '[{"user":"a"},"/",true]')
})

t.test('a refusal rejects with the status', async (t) => {
  const app = await appWith(t, (app) => { app.get('/', { websocket: true, preHandler: async (_request, reply) => reply.code(403).send({ why: 'key' }) }, echo) })
  const clients: WebSocket[] = []
  await t.rejects(app.injectWS('/', {}, { onInit: (client) => { clients.push(client) } }), new Error('Unexpected server response: 403'))
  t.equal(clients[0]!.readyState, clients[0]!.CLOSED)
  await t.rejects(app.injectWS('/'), { statusCode: 403, response: { body: '{"why":"key"}' } } as never)
  await t.rejects(app.injectWS('/nowhere'), new Error('Unexpected server response: 404'))
})

t.test('onInit before the handshake, onOpen when it is open, then the promise', async (t) => {
  const app = await appWith(t, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.send('at once')
      socket.ping('p')
      echo(socket)
    })
  })
  const order: unknown[] = []
  const heard: string[] = []
  let init: WebSocket | undefined
  const client = await app.injectWS('/', {}, {
    onInit (client) {
      init = client
      order.push(['init', client.readyState, client.protocol, client.extensions, client.url, client.bufferedAmount, client.isPaused])
      client.pause()
      client.resume()
      client.binaryType = 'arraybuffer'
      for (const use of [() => client.send('x'), () => client.ping(), () => client.pong()]) t.match(thrown(use), { code: 'FST_WS_ERR_CONNECTING' })
      client.on('open', () => { order.push(['open']) })
      client.on('message', (data) => { heard.push(data.toString()) })
    },
    onOpen (client) { order.push(['onOpen', client === init, client.readyState]) }
  })
  t.equal(client, init)
  t.strictSame(order, [['init', 0, '', '', '', 0, false], ['open'], ['onOpen', true, 1]])
  t.strictSame((await once(client, 'ping'))[0], Buffer.from('p'))
  t.strictSame(heard, ['at once'])
  t.equal(client.url, 'ws://localhost/')
  client.send(Buffer.from('abc'))
  const [data, isBinary] = await once(client, 'message')
  t.ok(data instanceof ArrayBuffer && isBinary, 'what was set before')
  client.binaryType = 'nodebuffer'
  client.send(Buffer.from('abc'))
  t.strictSame((await once(client, 'message'))[0], Buffer.from('abc'))
})

t.test('no message is lost while nobody listens', async (t) => {
  const app = await appWith(t, (app) => { app.get('/', { websocket: true }, (socket) => { for (let i = 1; i <= 4; i++) socket.send(String(i)) }) })
  const client = await app.injectWS('/')
  await settle()
  t.equal(await textOf(client), '1')
  t.equal(await textOf(client), '2')
  const heard: string[] = []
  client.addEventListener('message', ({ data }) => { heard.push(data as string) })
  await settle()
  t.strictSame(heard, ['3', '4'])
})

t.test('both ends close as those of ws', async (t) => {
  const closes: unknown[] = []
  const app = await appWith(t, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('close', (code, reason) => { closes.push([code, reason.toString()]) })
      echo(socket)
    })
    app.get('/closes', { websocket: true }, (socket) => { socket.close(4000, 'bye') })
  })
  for (const close of [(client: WebSocket) => client.close(), (client: WebSocket) => client.close(4001, 'done'), (client: WebSocket) => client.terminate()]) {
    const client = await app.injectWS('/')
    const closed = once(client, 'close')
    close(client)
    t.equal(client.readyState, client.CLOSING)
    await closed
    t.equal(client.readyState, client.CLOSED)
  }
  t.strictSame(closes.slice(0, 2), [[1005, ''], [4001, 'done']])
  await app.close()
  t.strictSame(closes[2], [1006, ''])
})

t.test('the events of the standard, and errors', async (t) => {
  const app = await appWith(t, (app) => {
    app.get('/closes', { websocket: true }, (socket) => { socket.close(4000, 'bye') })
    app.get('/broken', { websocket: true }, (socket) => { (socket as unknown as { _socket: { write (bytes: Uint8Array): void } })._socket.write(Buffer.from([0xa2, 0x00])) })
  })
  const closing = await app.injectWS('/closes')
  const event = await new Promise<{ code: number, reason: string, wasClean: boolean }>((resolve) => { closing.onclose = resolve })
  t.match(event, { code: 4000, reason: 'bye', wasClean: true })
  t.type(closing.onclose, 'function')

  const broken = await app.injectWS('/broken')
  const { error } = await new Promise<{ error: Error }>((resolve) => { broken.onerror = resolve })
  t.match(error, { code: 'WS_ERR_UNEXPECTED_RSV_2_3' })
  const silent = await app.injectWS('/broken')
  t.match(await new Promise((resolve) => { silent.on('close', resolve) }), 1006, 'nothing is thrown for want of a listener')
})

t.test('a client that is closed before it is open', async (t) => {
  const app = await appWith(t, (app) => { app.get('/', { websocket: true }, echo) })
  for (const end of ['close', 'terminate'] as const) {
    const events: unknown[] = []
    await t.rejects(app.injectWS('/', {}, {
      onInit (client) {
        client.on('error', ({ message }) => { events.push(message) })
        client.on('close', (code) => { events.push([code, client.readyState]) })
        client[end]()
        t.equal(client.readyState, client.CLOSING)
      }
    }), /before the connection was established/)
    t.strictSame(events, ['WebSocket was closed before the connection was established', [1006, 3]])
    await t.rejects(app.injectWS('/', {}, { onInit: (client) => client[end]() }), /before the connection was established/, 'nor without listeners')
  }
})

t.test('as a stream of ws', async (t) => {
  const app = await appWith(t, (app) => { app.get('/', { websocket: true }, echo) })
  const stream = createWebSocketStream(await app.injectWS('/'), { encoding: 'utf8' })
  stream.write('through')
  t.equal((await once(stream, 'data'))[0], 'through')
  stream.end()
  await once(stream, 'close')
})

t.test('ping, pong, pause and bufferedAmount', async (t) => {
  const pings: string[] = []
  const app = await appWith(t, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('ping', (payload) => { pings.push(payload.toString()) })
      socket.on('pong', (payload) => { pings.push(`pong ${payload}`) })
      echo(socket)
    })
  })
  const client = await app.injectWS('/')
  client.ping('a')
  t.strictSame((await once(client, 'pong'))[0], Buffer.from('a'))
  client.pong('b', undefined, () => {})
  client.pause()
  t.equal(client.isPaused, true)
  const heard: string[] = []
  client.on('message', (data) => { heard.push(data.toString()) })
  client.send('held back')
  t.equal(client.bufferedAmount, 9)
  await settle()
  t.strictSame(heard, [])
  client.resume()
  await once(client, 'message')
  t.strictSame([heard, pings], [['held back'], ['a', 'pong b']])
})
