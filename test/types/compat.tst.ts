/**
 * Programs written for @fastify/websocket and ws, with the import changed.
 */
import { Type as T } from '@sinclair/typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteOptions as FastifyRouteOptions } from 'fastify'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { expect, test } from 'tstyche'
import { createWebSocketStream, WebSocket as WsSocket, type RawData, type ServerOptions, type WebSocketServer as WsServer } from 'ws'
import websocket, { fastifyWebsocket, type RouteOptions, type WebSocket, type WebsocketHandler, type WebsocketPluginOptions, type WebSocketServer } from '../../lib/compat/plugin.ts'
import type { RawSocket } from '../../types/sockets.ts'

const app = Fastify()

test('the plugin and its options', () => {
  expect(fastifyWebsocket).type.toBe(websocket)
  expect(app.register).type.toBeCallableWith(websocket)
  expect(app.register).type.toBeCallableWith(websocket, {})
  const wsOptions: ServerOptions = { maxPayload: 1, perMessageDeflate: true }
  expect(app.register).type.toBeCallableWith(websocket, { options: wsOptions })
  expect(app.register).type.toBeCallableWith(websocket, { preClose: (done: () => void) => { done() } })
  expect(app.register).type.toBeCallableWith(websocket, { preClose: async () => {} })
  const options: WebsocketPluginOptions = {
    errorHandler (error, socket, request, reply) {
      expect(this).type.toBe<FastifyInstance>()
      expect(error).type.toBe<Error>()
      expect(socket).type.toBe<WebSocket>()
      expect(request).type.toBe<FastifyRequest>()
      expect(reply).type.toBe<FastifyReply>()
    },
    options: {
      verifyClient ({ origin, secure, req }, next) {
        expect(origin).type.toBe<string>()
        expect(secure).type.toBe<boolean>()
        expect(req).type.toBe<IncomingMessage>()
        expect(next).type.toBeCallableWith(false, 418, 'text', {} as OutgoingHttpHeaders)
      },
      handleProtocols: (protocols, request) => protocols.has('a') && request.url === '/' ? 'a' : false
    }
  }
  expect(app.register).type.toBeCallableWith(websocket, options)
  expect<WebsocketPluginOptions>().type.toBeAssignableFrom({ options: { verifyClient: (info: { req: IncomingMessage }) => info.req.url === '/' } })
  expect<WebsocketPluginOptions>().type.not.toBeAssignableFrom({ options: { noServer: true } })
})

test('sockets are those of ws to whoever takes one', () => {
  expect<RawSocket>().type.toBeAssignableTo<WebSocket>()
  expect<RawSocket>().type.toBeAssignableTo<WsSocket>()
  expect<WebSocket>().type.toBeAssignableTo<WsSocket>()
  expect<Set<WebSocket>>().type.toBeAssignableTo<Set<WsSocket>>()
  expect<WebSocketServer>().type.toBeAssignableTo<WsServer>()
})

test('a handler', () => {
  app.get<{ Params: { room: string } }>('/:room', { websocket: true }, (socket, request) => {
    expect(request.params).type.toBe<{ room: string }>()
    expect(request.ws).type.toBe<boolean>()
    expect(createWebSocketStream).type.toBeCallableWith(socket)
    socket.on('message', (_data: RawData, isBinary) => { expect(isBinary).type.toBe<boolean>() })
    socket.on('message', (data) => { expect(data).type.toBe<Buffer>() })
    socket.on('close', (code, reason) => { expect([code, reason] as const).type.toBe<readonly [number, Buffer]>() })
    socket.onmessage = ({ data }) => { expect(data).type.toBe<string | Buffer>() }
    socket.addEventListener('close', ({ code, reason, wasClean }) => { expect([code, reason, wasClean] as const).type.toBe<readonly [number, string, boolean]>() })
    expect(socket.send).type.toBeCallableWith(1)
    expect(socket.send).type.toBeCallableWith('a', { binary: true, fin: undefined }, (error?: Error) => { console.log(error) })
    expect(socket.send).type.not.toBeCallableWith({})
    expect(socket.ping).type.toBeCallableWith('a', false, (error: Error) => { console.log(error) })
    expect(socket.close).type.toBeCallableWith(1000, Buffer.from('a'))
    for (const client of app.websocketServer.clients) {
      if (client !== socket as unknown && client.readyState === WsSocket.OPEN) client.send('to all')
    }
  })
})

test('handlers that stand apart, typed by either package', () => {
  const own: WebsocketHandler = (socket, request) => {
    expect(socket).type.toBe<WebSocket>()
    socket.on('message', (data) => { expect(data).type.toBe<Buffer>() })
    socket.once('message', (data: Buffer | ArrayBuffer | Buffer[]) => { socket.send(data.toString()) })
    socket.onmessage = ({ data }) => { expect(data).type.toBe<string | Buffer | ArrayBuffer | Buffer[]>() }
    expect(socket.on('message', () => {})).type.toBe<WebSocket>()
    socket.send(request.url)
  }
  const ofWs = (socket: WsSocket, request: FastifyRequest): void => { socket.send(request.url) }
  const async = async function (this: FastifyInstance, socket: WebSocket): Promise<void> { socket.send(this.prefix) }
  for (const handler of [own, ofWs, async]) {
    app.get('/', { websocket: true }, handler)
    app.route({ method: 'GET', url: '/', websocket: true, handler })
    app.route({ method: 'GET', url: '/', handler: () => 'plain', wsHandler: handler })
  }
  const route: RouteOptions = { method: 'GET', url: '/', handler: () => 'plain', wsHandler: (socket) => { expect(socket).type.toBe<WebSocket>() } }
  const ofFastify: FastifyRouteOptions = { method: 'GET', url: '/', handler: () => 'plain', wsHandler: (socket) => { expect(socket).type.toBe<WebSocket>() } }
  expect(app.route).type.toBeCallableWith(route)
  expect(app.route).type.toBeCallableWith(ofFastify)
})

test('with a type provider', () => {
  const schema = { params: T.Object({ room: T.String() }) }
  app.withTypeProvider<TypeBoxTypeProvider>().route({
    method: 'GET',
    url: '/:room',
    schema,
    websocket: true,
    handler: (_socket, request) => { expect(request.params).type.toBe<{ room: string }>() }
  })
})

test('the server and injectWS', async () => {
  app.websocketServer.on('connection', (socket, request) => { expect([socket, request] as const).type.toBe<readonly [WebSocket, IncomingMessage]>() })
  app.websocketServer.on('headers', (headers) => { expect(headers).type.toBe<string[]>() })
  app.websocketServer.options.handleProtocols = () => false
  const client = await app.injectWS('/', { headers: { a: 'b' } }, { onInit: (client) => { expect(client).type.toBe<WebSocket>() }, onOpen: (client) => { client.send('') } })
  expect(client).type.toBe<WebSocket>()
  expect(client).type.toBeAssignableTo<WsSocket>()
  expect(app.injectWS).type.toBeCallableWith()
})
