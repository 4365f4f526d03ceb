/**
 * Documents that several edit at once: the server of y-websocket and Hocuspocus, each with two clients of its own.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { Hocuspocus } from '@hocuspocus/server'
import { docs, setupWSConnection } from '@y/websocket-server/utils'
import duplex from 'fastify-duplex'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { start, until } from './helpers.js'

/** Both write at once, a large text among it, and end with the same. */
async function edit (one, two) {
  const text = 'é'.repeat(200_000)
  one.getText('t').insert(0, text)
  two.getMap('m').set('key', 'value')
  await until(() => two.getText('t').length === text.length && one.getMap('m').get('key') === 'value')
  for (let i = 0; i < 200; i++) (i % 2 === 0 ? one : two).getArray('a').push([i])
  await until(() => one.getArray('a').length === 200 && two.getArray('a').length === 200)
  assert.equal(two.getText('t').toString(), text)
  assert.deepEqual(one.getArray('a').toArray(), two.getArray('a').toArray())
}

test('the server of y-websocket', async (t) => {
  // It keeps its documents, which have timers, for as long as the process runs.
  t.after(() => docs.forEach((doc) => doc.destroy()))
  const { app, host } = await start(t, async (app) => {
    await app.register(duplex)
    app.get('/:room', { websocket: true }, (socket, request) => setupWSConnection(socket, request.raw, { docName: request.params.room }))
  })
  const connect = (room) => {
    const provider = new WebsocketProvider(`ws://${host}`, room, new Y.Doc(), { WebSocketPolyfill: WebSocket, disableBc: true })
    t.after(() => {
      provider.destroy()
      provider.doc.destroy()
    })
    return provider
  }
  const [one, two, elsewhere] = [connect('a'), connect('a'), connect('b')]
  await edit(one.doc, two.doc)
  assert.equal(elsewhere.doc.getArray('a').length, 0)

  two.awareness.setLocalStateField('cursor', 7)
  await until(() => one.awareness.getStates().get(two.doc.clientID)?.cursor === 7)
  two.destroy()
  await until(() => !one.awareness.getStates().has(two.doc.clientID))
  await until(() => app.websockets.size === 2)
})

test('Hocuspocus', async (t) => {
  const hocuspocus = new Hocuspocus({
    quiet: true,
    onAuthenticate: async ({ token }) => { if (token !== 'secret') throw new Error('who are you?') }
  })
  const { app, host } = await start(t, async (app) => {
    await app.register(duplex)
    app.get('/collaboration', { websocket: true }, (socket, request) => hocuspocus.handleConnection(socket, request.raw))
  })
  const connect = (token, listeners) => {
    const websocketProvider = new HocuspocusProviderWebsocket({ url: `ws://${host}/collaboration`, WebSocketPolyfill: WebSocket })
    const provider = new HocuspocusProvider({ websocketProvider, name: 'a', document: new Y.Doc(), token, ...listeners })
    provider.attach()
    t.after(() => {
      provider.destroy()
      websocketProvider.destroy()
    })
    return provider
  }
  const one = connect('secret')
  const two = connect('secret')
  await edit(one.document, two.document)
  assert.equal(hocuspocus.documents.get('a').getConnectionsCount(), 2)

  const reason = await new Promise((resolve) => connect('wrong', { onAuthenticationFailed: ({ reason }) => resolve(reason) }))
  assert.equal(reason, 'permission-denied')
  assert.ok(app.websockets.size >= 2)
})

test('Hocuspocus is there before what a client sends at once', async (t) => {
  const hocuspocus = new Hocuspocus({ quiet: true, onConnect: () => new Promise((resolve) => setTimeout(resolve, 20)) })
  const { host } = await start(t, async (app) => {
    await app.register(duplex)
    app.get('/', { websocket: true }, (socket, request) => hocuspocus.handleConnection(socket, request.raw))
  })
  const websocketProvider = new HocuspocusProviderWebsocket({ url: `ws://${host}/`, WebSocketPolyfill: WebSocket })
  const provider = new HocuspocusProvider({ websocketProvider, name: 'b', document: new Y.Doc() })
  provider.attach()
  t.after(() => {
    provider.destroy()
    websocketProvider.destroy()
  })
  await new Promise((resolve) => provider.on('synced', resolve))
})
