import { Buffer } from 'node:buffer'
import { EventEmitter } from 'node:events'
import t from 'tap'
import { json } from '../../lib/subprotocol/contract.ts'
import { CloseEvent, ErrorEvent, MessageEvent, SocketEvent } from '../../lib/socket/events.ts'
import { openSocket, settle } from '../helpers/open-socket.ts'

t.test('the four events of the standard, by addEventListener and by attribute', async (t) => {
  const { socket, wire } = openSocket({ limits: { maxMessageBytes: 10 } })
  const events: any[] = []
  const attributes: any[] = []
  const note = function (this: unknown, event: any) {
    t.equal(this, socket)
    events.push(event)
  }
  for (const type of ['open', 'message', 'error', 'close'] as const) {
    socket.addEventListener(type, note)
    t.equal(socket[`on${type}`], null)
  }
  const attribute = (event: any) => { attributes.push(event) }
  socket.onopen = attribute
  socket.onmessage = attribute
  socket.onerror = attribute
  socket.onclose = attribute
  t.equal(socket.onmessage, attribute)
  wire.text('hi')
  wire.text('more than ten bytes')
  await wire.frames(1)
  wire.end()
  await socket.closed

  t.strictSame(events.map(({ type }) => type), ['open', 'message', 'error', 'close'])
  t.strictSame(attributes.map(({ type }) => type), ['open', 'message', 'error', 'close'])
  t.ok(events.every((event) => event instanceof SocketEvent && event.target === socket && event.currentTarget === socket))
  t.ok(events.every((event, i) => i === 0 || event.timeStamp >= events[i - 1].timeStamp))
  const [, message, error, close] = events
  t.ok(message instanceof MessageEvent)
  t.equal(message.data, 'hi')
  t.ok(error instanceof ErrorEvent)
  t.match(error, { error: { code: 'FST_WS_ERR_LIMIT' }, message: error.error.message })
  t.ok(close instanceof CloseEvent)
  t.match(close, { code: 1006, reason: '', wasClean: false })
})

t.test('a close event says code, reason and wasClean', async (t) => {
  const { socket, wire } = openSocket()
  const event = new Promise<any>((resolve) => { socket.addEventListener('close', resolve) })
  wire.close(4000, 'häß')
  wire.end()
  t.match(await event, { type: 'close', code: 4000, reason: 'häß', wasClean: true })
})

t.test('the same listener is added once, and null is no listener', async (t) => {
  const { socket, wire } = openSocket()
  let heard = 0
  const listener = () => { heard++ }
  const object = { handleEvent: listener }
  socket.addEventListener('message', listener)
  socket.addEventListener('message', listener, { once: true })
  socket.addEventListener('message', listener, true)
  socket.addEventListener('message', object)
  socket.addEventListener('message', object)
  socket.addEventListener('message', null)
  socket.onmessage = listener
  socket.onmessage = listener
  t.equal(socket.listenerCount('message'), 3, 'an attribute is another place')
  wire.text('x')
  await settle()
  t.equal(heard, 3)
  socket.removeEventListener('message', listener)
  socket.removeEventListener('message', listener)
  socket.removeEventListener('message', null)
  socket.removeEventListener('message', () => {})
  wire.text('x')
  await settle()
  t.equal(heard, 5)
  socket.removeEventListener('message', object)
  socket.onmessage = null
  t.equal(socket.listenerCount('message'), 0)
})

t.test('handleEvent is looked up when the event comes, and called on its object', async (t) => {
  const { socket, wire } = openSocket()
  const object: { heard: string[], handleEvent (event: any): void } = { heard: [], handleEvent () {} }
  socket.addEventListener('message', object)
  object.handleEvent = function ({ data }) { this.heard.push(data) }
  wire.text('x')
  await settle()
  t.strictSame(object.heard, ['x'])
})

t.test('once, and a signal that takes the listener away', async (t) => {
  const { socket, wire } = openSocket()
  const heard: string[] = []
  const abort = new AbortController()
  const both = new AbortController()
  socket.addEventListener('message', () => { heard.push('once') }, { once: true })
  socket.addEventListener('message', () => { heard.push('until abort') }, { signal: abort.signal })
  socket.addEventListener('message', () => { heard.push('never') }, { signal: AbortSignal.abort() })
  socket.addEventListener('message', () => { heard.push('both') }, { once: true, signal: both.signal })
  both.abort()
  wire.text('x')
  await settle()
  t.strictSame(heard, ['once', 'until abort'])
  wire.text('x')
  await settle()
  abort.abort()
  t.equal(socket.listenerCount('message'), 0)
  t.strictSame(heard, ['once', 'until abort', 'until abort'])
})

t.test('a listener that was added with once can be removed before', async (t) => {
  const { socket } = openSocket()
  const listener = () => {}
  socket.addEventListener('close', listener, { once: true })
  t.equal(socket.listenerCount('close'), 1)
  socket.removeEventListener('close', listener)
  t.equal(socket.listenerCount('close'), 0)
})

t.test('other types are no events of the standard', async (t) => {
  const { socket, wire } = openSocket()
  socket.addEventListener('ping' as never, () => t.fail('not heard'))
  wire.ping()
  await settle()
  t.equal(socket.listenerCount('ping'), 0)
})

t.test('an attribute is replaced by the next one, and by null and whatever is no function', async (t) => {
  const { socket, wire } = openSocket()
  const heard: string[] = []
  socket.onmessage = () => { heard.push('first') }
  socket.onmessage = () => { heard.push('second') }
  wire.text('x')
  await settle()
  t.strictSame(heard, ['second'])
  for (const none of [null, undefined, 'x', {}]) {
    socket.onclose = () => {}
    socket.onclose = none as never
    t.equal(socket.onclose, null)
    t.equal(socket.listenerCount('close'), 0)
  }
})

t.test('listeners of both kinds are called in the order in which they were added', async (t) => {
  const { socket, wire } = openSocket({ contract: json() })
  const heard: unknown[] = []
  t.ok(socket instanceof EventEmitter)
  socket.on('message', (message, isBinary) => { heard.push(['on', message, isBinary]) })
  socket.addEventListener('message', ({ data }) => { heard.push(['addEventListener', data]) })
  socket.onmessage = ({ data }) => { heard.push(['onmessage', data]) }
  socket.prependListener('message', (message) => { heard.push(['prependListener', message]) })
  wire.text('{"a":1}')
  await settle()
  t.strictSame(heard, [['prependListener', { a: 1 }], ['on', { a: 1 }, false], ['addEventListener', { a: 1 }], ['onmessage', { a: 1 }]])
})

t.test('removeAllListeners takes those of both kinds', async (t) => {
  const { socket } = openSocket()
  socket.on('close', () => {})
  socket.onclose = () => {}
  socket.addEventListener('close', () => {})
  socket.removeAllListeners('close')
  t.equal(socket.listenerCount('close'), 0)
  t.equal(socket.onclose, null)
})

t.test('with json({ binary: true }) data is a message, or bytes', async (t) => {
  const { socket, wire } = openSocket({ contract: json({ binary: true }) })
  const data: unknown[] = []
  socket.addEventListener('message', (event) => { data.push(event.data) })
  wire.text('"text"')
  wire.binary('bytes')
  await settle()
  t.strictSame(data, ['text', Buffer.from('bytes')])
})
