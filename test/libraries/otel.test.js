/**
 * OpenTelemetry's plugin beside ours: a handshake is the span of a request, which ends with the 101 or with the refusal.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { SpanStatusCode } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import duplex, { text } from 'fastify-duplex'
import { WebSocket } from 'ws'
import { start } from './helpers.js'

for (const order of ['before', 'after']) {
  test(`@fastify/otel registered ${order} our plugin`, async (t) => {
    const exporter = new InMemorySpanExporter()
    const instrumentation = new FastifyOtelInstrumentation()
    instrumentation.setTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    const { host } = await start(t, async (app) => {
      if (order === 'before') await app.register(instrumentation.plugin())
      await app.register(duplex)
      if (order === 'after') await app.register(instrumentation.plugin())
      app.get('/rooms/:room', { websocket: true, messages: text() }, (socket) => { socket.on('message', (message) => { socket.send(message) }) })
      app.get('/members', { websocket: true, onRequest: async () => { throw Object.assign(new Error('no member'), { statusCode: 401 }) } }, () => {})
    })

    const socket = new WebSocket(`ws://${host}/rooms/one`)
    await once(socket, 'open')
    socket.send('hello')
    assert.equal(String((await once(socket, 'message'))[0]), 'hello')
    const refused = new WebSocket(`ws://${host}/members`)
    refused.on('error', () => {})
    assert.equal((await once(refused, 'unexpected-response'))[1].statusCode, 401)
    socket.close()
    await once(socket, 'close')

    const requests = exporter.getFinishedSpans().filter(({ name }) => name === 'request')
    assert.deepEqual(requests.map(({ attributes, status }) => [attributes['http.route'], attributes['http.response.status_code'], status.code]), [
      ['/rooms/:room', 101, SpanStatusCode.UNSET],
      ['/members', 401, SpanStatusCode.ERROR]
    ])
    const handlers = exporter.getFinishedSpans().filter(({ attributes }) => attributes['fastify.type'] === 'request-handler')
    assert.deepEqual(handlers.map(({ attributes }) => attributes['http.route']), ['/rooms/:room'])
  })
}
