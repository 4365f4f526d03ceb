/**
 * The types of this package and of @fastify/websocket in one program, as while an application moves from one to the
 * other. Whose overload a raw route takes depends on which package the compiler sees first; a route with a contract is
 * always ours.
 */
import '@fastify/websocket'
import { Type as T } from '@sinclair/typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import { json } from '../../../index.ts'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const messages = json({ receive: T.Object({ a: T.String() }), send: T.Object({ b: T.Number() }) })

test('a route with a contract is ours', () => {
  app.get('/', { websocket: true, messages }, (socket) => {
    expect(socket.next()).type.toBe<Promise<{ a: string }>>()
    expect(socket.send).type.toBeCallableWith({ b: 1 })
    expect(socket.send).type.not.toBeCallableWith('a')
  })
  app.route({ method: 'GET', url: '/', websocket: true, messages, handler: (socket) => { expect(socket.next()).type.toBe<Promise<{ a: string }>>() } })
  app.route({
    method: 'GET',
    url: '/',
    messages,
    handler: () => 'plain',
    wsHandler: (socket) => { expect(socket.next()).type.toBe<Promise<{ a: string }>>() }
  })
})

test('a raw route has the listener of both', () => {
  app.get('/', { websocket: true }, (socket) => {
    socket.on('message', (_data, isBinary) => { expect(isBinary).type.toBe<boolean>() })
    expect(socket.send).type.toBeCallableWith('a')
  })
})

test('each has its own decorators', () => {
  expect(app.websocketServer.clients.size).type.toBe<number>()
  expect(app.injectWS).type.toBeCallableWith('/')
  expect(app.websockets.size).type.toBe<number>()
  expect(app.injectWebSocket).type.toBeCallableWith('/')
})
