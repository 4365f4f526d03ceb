/** ws on a server of Node. */
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { WebSocketServer } from 'ws'
import { handlersOf, perMessageDeflate } from './by-hand.js'
import { ready, task } from './ready.js'

const server = task.tls === undefined ? createHttpServer() : createHttpsServer(task.tls)
const webSockets = new WebSocketServer({ server, perMessageDeflate: perMessageDeflate[task.work] ?? false })
webSockets.on('connection', handlersOf(() => webSockets.clients)[task.work])
server.listen(0, '127.0.0.1', () => { ready(server.address().port) })
