/**
 * RFC 6455 §4.2.2, §9 and §11.3.2: what binds whoever agrees on extensions, with permessage-deflate as the one that there is.
 */
import t from 'tap'
import { connect } from '../../lib/client/connect.ts'
import { startApp } from '../helpers/app.ts'
import { upgradeRequest, Wire, type RequestOptions } from '../helpers/wire.ts'
import { closeCleanly, fails, fieldsOf, Listener, openClient, requestHead } from './endpoints.ts'

const { port } = await startApp(t, (app) => {
  app.get('/', { websocket: true }, () => {})
  app.get('/off', { websocket: true, websocketOptions: { deflate: false } }, () => {})
}, { deflate: true })

/** What is answered to these offers: the values of every Sec-WebSocket-Extensions. */
async function answersTo (offers: NonNullable<RequestOptions['headers']>[string], path = '/'): Promise<string[]> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path, headers: { 'Sec-WebSocket-Extensions': offers } }))
  const head = await requestHead(wire)
  t.match(head, /^HTTP\/1\.1 101 /)
  wire.close(1000)
  await wire.untilClosed()
  return fieldsOf(head, 'Sec-WebSocket-Extensions')
}

const DEFAULT_ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12'

t.test('§4.2.2, 4, /extensions/: the value MUST be derived from what the client sent', async (t) => {
  t.strictSame(await answersTo('permessage-deflate'), [DEFAULT_ANSWER])
  t.strictSame(await answersTo('x-other; a=1, permessage-deflate; client_max_window_bits'), [DEFAULT_ANSWER])
  t.strictSame(await answersTo(null), [], 'nothing was sent')
  t.strictSame(await answersTo('x-other'), [], 'nothing that is known')
  t.strictSame(await answersTo('permessage-deflate', '/off'), [], 'nothing that is wanted')
})

t.test('§4.2.2, 4, /extensions/: extensions that the client did not list MUST NOT be listed', async (t) => {
  for (const offers of [null, 'x-webkit-deflate-frame', 'x, y; z', 'permessage-deflate2', 'PERMESSAGE-DEFLATE', 'x; permessage-deflate']) t.strictSame(await answersTo(offers), [], String(offers))
})

t.test('§9 a server MUST NOT respond with an extension that the client did not request', async (t) => {
  t.strictSame(await answersTo(null), [])
  const [answer] = await answersTo('permessage-deflate, x')
  t.equal(answer!.split(',').length, 1)
})

t.test('§9 parameters MUST be chosen by the specification of their extension', async (t) => {
  // RFC 7692 §7.1: the four that there are, and what they may be.
  const grammar = /^permessage-deflate(?:; (?:server_no_context_takeover|client_no_context_takeover|server_max_window_bits=(?:[89]|1[0-5])|client_max_window_bits=(?:[89]|1[0-5])))*$/
  for (const offer of ['permessage-deflate', 'permessage-deflate; server_max_window_bits=9', 'permessage-deflate; client_max_window_bits=10', 'permessage-deflate; server_no_context_takeover']) {
    const [answer] = await answersTo(offer)
    t.match(answer, grammar)
    const names = answer!.split('; ').map((param) => param.split('=')[0])
    t.equal(new Set(names).size, names.length, 'none twice')
  }
})

t.test('§9.1 an extension token that is used MUST be a registered one', async (t) => {
  const [answer] = await answersTo('x-own, permessage-deflate')
  t.equal(answer!.split(';')[0], 'permessage-deflate', 'of the IANA registry')
  const { duplex, wire } = await (await Listener.start(t)).connect()
  const request = connect(duplex, { path: '/', headers: { host: 'localhost' } })
  t.strictSame(fieldsOf(await requestHead(wire), 'Sec-WebSocket-Extensions'), [], 'a client offers none by itself')
  duplex.destroy()
  await t.rejects(request)
  wire.destroy()
})

t.test('§9.1 a client MUST NOT use an extension unless the server indicates that it wishes to', async (t) => {
  const listener = await Listener.start(t)
  const declined = await openClient(listener, { handshake: { extensions: 'permessage-deflate' } })
  t.equal(declined.socket.extensions, '')
  declined.socket.send('x'.repeat(10_000))
  const [sent] = await declined.wire.frames(1)
  t.equal(sent!.rsv, 0)
  t.equal(sent!.payload.toString(), 'x'.repeat(10_000))
  await closeCleanly(declined)
  const used = await openClient(listener, { handshake: { extensions: 'permessage-deflate' } })
  await fails(t, used, used.peer.frame({ opcode: 1, rsv: 4, payload: Buffer.from('f248cdc9c90700', 'hex') }), 1002, 'a server that uses it all the same')
})

t.test('§11.3.2 Sec-WebSocket-Extensions MUST NOT appear more than once in an answer', async (t) => {
  t.strictSame(await answersTo(['permessage-deflate', 'permessage-deflate; client_max_window_bits']), [DEFAULT_ANSWER])
})
