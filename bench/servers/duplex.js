/** fastify-duplex through a Fastify route, with the default options; `task.dist` is the build that is measured. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import { ready, task } from './ready.js'
import { receive, receiveOf, reply, send } from './typed.js'

const { default: duplex, json, prepare, text } = await import(pathToFileURL(join(task.dist, 'index.js')))

const PLUGIN_OPTIONS = {
  deflate: { deflate: true },
  'deflate-takeover': { deflate: { contextTakeover: true } }
}

const ROUTES = {
  echo: [{}, echo],
  'echo-async': [{}, (socket) => {
    socket.on('message', async (data, isBinary) => {
      await undefined
      socket.send(data, { binary: isBinary })
    })
  }],
  'echo-iterate': [{}, async (socket) => {
    for await (const data of socket) socket.send(data)
  }],
  text: [{ messages: text() }, (socket) => {
    socket.on('message', (message) => { socket.send(message) })
  }],
  typed: [{ messages: json({ receive, send }) }, (socket) => {
    socket.on('message', (message) => { socket.send(reply(message)) })
  }],
  deflate: [{}, echo],
  'deflate-takeover': [{}, echo],
  publish: [{}, (socket) => {
    socket.on('message', publish)
  }]
}

function echo (socket) {
  socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
}

function publish (data) {
  const message = prepare(data)
  if (app.websockets.broadcast !== undefined) app.websockets.broadcast(app.websockets, message)
  else for (const socket of app.websockets) socket.send(message)
}

const app = Fastify(task.tls === undefined ? {} : { https: task.tls })
await app.register(duplex, { ...PLUGIN_OPTIONS[task.work], ...task.options })
const [options, handler] = ROUTES[task.work]
app.get('/', { websocket: true, ...options }, handler)
for (let i = 1; i < task.routes; i++) app.get(`/route/${i}`, { websocket: true, messages: json({ receive: receiveOf(i), send }) }, ROUTES.typed[1])
await app.listen({ host: '127.0.0.1', port: 0 })
ready(app.server.address().port)
