/**
 * RFC 7692: permessage-deflate, of an open connection in either role and of those who agree on it. The other end
 * compresses and inflates with live streams of node:zlib.
 */
import { EventEmitter, once } from 'node:events'
import type { Duplex } from 'node:stream'
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync, inflateRawSync, type ZlibOptions } from 'node:zlib'
import t, { type Test } from 'tap'
import { prepare } from '../../index.ts'
import { connect } from '../../lib/client/connect.ts'
import { offerDeflate, readDeflateAnswer } from '../../lib/handshake/deflate-params.ts'
import { HandshakeError } from '../../lib/protocol/errors.ts'
import type { Role } from '../../lib/protocol/constants.ts'
import { injectWebSocket } from '../../lib/testing/inject.ts'
import type { DeflateOptions } from '../../types/options.ts'
import { startApp } from '../helpers/app.ts'
import { framesTo, type WireFrame } from '../helpers/frames.ts'
import { upgradeRequest, Wire } from '../helpers/wire.ts'
import { agreement, allFail, closeCleanly, fieldsOf, Listener, listenTo, requestHead, ROLES, settled, type Endpoint } from './endpoints.ts'

const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff])
const NAME = 'permessage-deflate'

/** Pseudo-random, so that only Huffman coding shortens it, but for what is in it twice. */
function noise (length: number, seed = 1): string {
  let state = seed
  let text = ''
  while (text.length < length) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    text += (state >>> 8).toString(16)
  }
  return text.slice(0, length)
}

/** Begins and ends alike: a compressor with a window of that size refers from the end to the beginning. */
function twice (distance: number): string {
  return `${noise(300, 7)}${noise(distance - 300, 8)}${noise(300, 7)}`
}

// What the other end has of zlib

class Zlib {
  readonly #stream: ReturnType<typeof createDeflateRaw>
  readonly #out: Buffer[] = []

  constructor (stream: ReturnType<typeof createDeflateRaw>) {
    this.#stream = stream
    stream.on('data', (chunk: Buffer) => { this.#out.push(chunk) })
  }

  async run (octets: Uint8Array | string): Promise<Buffer> {
    const failed = once(this.#stream, 'error').then(([error]) => { throw error })
    this.#stream.write(octets)
    await Promise.race([failed, new Promise<void>((resolve) => { this.#stream.flush(constants.Z_SYNC_FLUSH, resolve) })])
    return Buffer.concat(this.#out.splice(0))
  }
}

class Deflater {
  readonly #zlib: Zlib

  constructor (options: ZlibOptions = {}) {
    this.#zlib = new Zlib(createDeflateRaw({ level: 9, memLevel: 9, ...options }))
  }

  /** The payload of one message; what was compressed before is in the window. */
  async compress (message: Uint8Array | string): Promise<Buffer> {
    const octets = await this.#zlib.run(message)
    if (!octets.subarray(-4).equals(TAIL)) throw new Error('no empty block at the end')
    return octets.subarray(0, -4)
  }
}

class Inflater {
  readonly #zlib: Zlib

  /** The small chunks matter: zlib lets a reference go behind the window as long as it stays in the chunk. */
  constructor (windowBits = 15) {
    this.#zlib = new Zlib(createInflateRaw({ windowBits, chunkSize: 64 }) as never)
  }

  async inflate (payload: Uint8Array): Promise<string> {
    return (await this.#zlib.run(Buffer.concat([payload, TAIL]))).toString()
  }
}

/** One message on its own. */
function compressed (message: string | Uint8Array): Buffer {
  return deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
}

function inflated (payload: Uint8Array): string {
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
}

// Endpoints that have agreed on it

const listener = await Listener.start(t)

/** Servers, one for each set of options. */
const servers = new Map<string, { port: number, opened: Array<ReturnType<typeof listenTo>> }>()

async function serverWith (deflate: DeflateOptions): Promise<{ port: number, opened: Array<ReturnType<typeof listenTo>> }> {
  const key = JSON.stringify(deflate)
  let server = servers.get(key)
  if (server === undefined) {
    const opened: Array<ReturnType<typeof listenTo>> = []
    const { port } = await startApp(t, (app) => {
      app.get('/', { websocket: true }, (socket) => { opened.push(listenTo(socket)) })
    }, { deflate })
    servers.set(key, server = { port, opened })
  }
  return server
}

/** The answer of a server with these options to an offer; undefined if it declines. */
async function answerTo (offer: string, deflate: DeflateOptions = {}): Promise<string | undefined> {
  const wire = await Wire.connect((await serverWith(deflate)).port)
  wire.write(upgradeRequest({ headers: { 'Sec-WebSocket-Extensions': offer } }))
  const head = await requestHead(wire)
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`${offer}: ${head}`)
  wire.close(1000)
  await wire.untilClosed()
  return fieldsOf(head, 'Sec-WebSocket-Extensions')[0]
}

/** A server of these options and the answer that it gave to an offer. */
async function openServer (offer = NAME, deflate: DeflateOptions = {}): Promise<Endpoint & { answer: string | undefined }> {
  const { port, opened } = await serverWith(deflate)
  const wire = await Wire.connect({ port, host: '127.0.0.1', noDelay: true })
  wire.write(upgradeRequest({ headers: { 'Sec-WebSocket-Extensions': offer } }))
  const { headers } = await wire.response()
  while (opened.length === 0) await new Promise((resolve) => { setImmediate(resolve) })
  return { role: 'server', ...opened.pop()!, wire, peer: framesTo('server'), answer: headers['sec-websocket-extensions'] }
}

interface Asked {
  readonly wire: Wire
  /** The request. */
  readonly head: string
  readonly client: ReturnType<typeof injectWebSocket>
}

/** The test client, which offers the extension, and at the other end of its connection a server by hand. */
async function ask (): Promise<Asked> {
  const server = new EventEmitter()
  const connected = once(server, 'connection') as Promise<[Duplex]>
  const client = injectWebSocket({ ready: async () => {}, server }, { path: '/' }, { deflate: true })
  client.catch(() => {})
  const wire = new Wire((await connected)[0])
  return { wire, head: await requestHead(wire), client }
}

const NO_TAKEOVER = '; server_no_context_takeover; client_no_context_takeover'
const TAKEOVER = ''

/** A client that the server has answered with these parameters. */
async function openDeflatingClient (params: string): Promise<Endpoint> {
  const { wire, head, client } = await ask()
  wire.write(agreement(head, [`Sec-WebSocket-Extensions: ${NAME}${params}`]))
  return { role: 'client', ...listenTo(await client), wire, peer: framesTo('client') }
}

/** Without takeover, in either role. */
const open = async (role: Role): Promise<Endpoint> => role === 'server' ? await openServer() : await openDeflatingClient(NO_TAKEOVER)
/** With takeover and the largest windows. */
const openTakeover = async (role: Role): Promise<Endpoint> => role === 'server'
  ? await openServer(NAME, { contextTakeover: true, serverMaxWindowBits: 15 })
  : await openDeflatingClient(TAKEOVER)

/** What the application is told of these octets. */
async function toldOf (endpoint: Endpoint, octets: Uint8Array): Promise<string[]> {
  endpoint.wire.write(octets)
  await settled(endpoint)
  return endpoint.told.splice(0)
}

/** The next frame, which must be a whole compressed message. */
async function compressedFrame (t: Test, { wire, role }: Endpoint): Promise<WireFrame> {
  const [one] = await wire.frames(1)
  t.match(one, { rsv: 4, fin: true }, `${role}: it is compressed`)
  return one!
}

/** Each answer makes a client fail: nothing is sent, and the connection is gone. */
async function refuses (t: Test, answers: readonly string[]): Promise<void> {
  for (const answer of answers) {
    const { wire, head, client } = await ask()
    wire.write(agreement(head, [`Sec-WebSocket-Extensions: ${answer}`]))
    await t.rejects(client, { code: 'FST_WS_ERR_PROTOCOL' }, answer)
    await wire.untilEnd()
    t.equal(wire.received.length, 0, answer)
    wire.destroy()
  }
}

async function declines (t: Test, offers: readonly string[]): Promise<void> {
  for (const deflate of [{}, { contextTakeover: true, serverMaxWindowBits: 15 }]) {
    for (const offer of offers) {
      t.equal(await answerTo(`${NAME}; ${offer}`, deflate), undefined, offer)
      t.equal(await answerTo(`${NAME}; ${offer}, ${NAME}`, deflate), await answerTo(NAME, deflate), `${offer}: the next one is taken`)
    }
  }
}

/** Every offer of this package. */
const OFFERS = [offerDeflate({ contextTakeover: true }), offerDeflate({ contextTakeover: false })]

// §5

t.test('§5 to offer it, a client MUST include an element in Sec-WebSocket-Extensions', async (t) => {
  const { wire, head, client } = await ask()
  t.match(fieldsOf(head, 'Sec-WebSocket-Extensions'), [/^permessage-deflate(?:; \w+(?:=\d+)?)*$/])
  wire.destroy()
  await t.rejects(client)
})

t.test('§5 to accept it, a server MUST include an element in Sec-WebSocket-Extensions', async (t) => {
  const endpoint = await openServer()
  t.equal(endpoint.answer, `${NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12`)
  t.equal(endpoint.socket.extensions, endpoint.answer)
  await closeCleanly(endpoint)
})

t.test('§5 a server MUST NOT accept it together with an extension that conflicts on RSV1', async (t) => {
  for (const other of ['permessage-bzip2', 'x-webkit-deflate-frame', 'permessage-snappy; x=1']) {
    t.equal(await answerTo(`${other}, ${NAME}`), await answerTo(NAME), other)
    t.equal(await answerTo(`${NAME}, ${other}`), await answerTo(NAME), other)
  }
  t.equal(await answerTo(`${NAME}; client_max_window_bits, ${NAME}`), await answerTo(NAME), 'nor twice')
})

t.test('§5 a client MUST fail when it is accepted together with an extension that conflicts on RSV1', async (t) => {
  await refuses(t, [`${NAME}, permessage-bzip2`, `x-webkit-deflate-frame, ${NAME}`, `${NAME}, ${NAME}`])
})

t.test('§5 a server MUST NOT accept it together with an extension whose output it would be applied to', async (t) => {
  for (const other of ['mux', 'x-frame-attributes', 'x-fragments']) t.equal(await answerTo(`${other}, ${NAME}`), await answerTo(NAME), other)
})

t.test('§5 a client MUST fail when it is accepted together with an extension whose output it would be applied to', async (t) => {
  await refuses(t, [`mux, ${NAME}`, `x-frame-attributes; a, ${NAME}`])
})

t.test('§5 a client MUST fail when it is accepted although it was not offered', async (t) => {
  for (const extensions of [undefined, 'x']) {
    const { duplex, wire } = await listener.connect()
    const answer = connect(duplex, { path: '/', extensions })
    wire.write(agreement(await requestHead(wire), [`Sec-WebSocket-Extensions: ${NAME}`]))
    await t.rejects(answer, HandshakeError)
    t.ok(duplex.destroyed)
    wire.destroy()
  }
})

// §6

t.test('§6.1 a compressed message MUST be sent by the algorithm: compressed, RSV1 on its first frame', async (t) => {
  const message = noise(3000)
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { socket } = endpoint
    for (const [data, opcode] of [[message, 1], [Buffer.from(message), 2], [prepare(message), 1]] as const) {
      socket.send(data)
      const one = await compressedFrame(t, endpoint)
      t.equal(one.opcode, opcode, `${role}: the opcode is that of the original`)
      t.ok(one.payload.length < message.length)
      t.equal(inflated(one.payload), message, role)
    }
    // Above what is compressed at once.
    const large = 'large '.repeat(50_000)
    socket.send(large)
    socket.send('behind')
    t.equal(inflated((await compressedFrame(t, endpoint)).payload), large, role)
    await endpoint.wire.frames(1)
    await closeCleanly(endpoint)
  }
})

t.test('§6.1 an uncompressed message MUST be sent by the algorithm: as it is, without RSV1', async (t) => {
  const message = 'x'.repeat(5000)
  for (const role of ROLES) {
    const { socket, wire, ...rest } = await open(role)
    socket.send(message, { compress: false })
    socket.send(Buffer.from(message), { compress: false })
    socket.send(prepare(message), { compress: false })
    for (const one of await wire.frames(3)) {
      t.equal(one.rsv, 0, role)
      t.equal(one.payload.toString(), message, role)
    }
    if (role === 'server') {
      socket.send('short')
      t.match((await wire.frames(1))[0], { rsv: 0, payload: Buffer.from('short') }, 'below the threshold')
    }
    await closeCleanly({ socket, wire, ...rest })
  }
})

t.test('§6.1 an endpoint MUST NOT set RSV1 on control frames and on fragments that are not the first', async (t) => {
  const part = 'fragment '.repeat(500)
  for (const role of ROLES) {
    const { socket, wire, peer, ...rest } = await open(role)
    socket.ping('x'.repeat(125))
    socket.pong('x'.repeat(125))
    socket.send(part, { fin: false })
    socket.ping()
    socket.send(part, { fin: false })
    socket.send(prepare(part))
    wire.write(peer.ping('p'.repeat(125)))
    socket.send(part)
    const frames = await wire.frames(8)
    for (const { opcode, rsv } of frames) if (opcode === 0 || opcode >= 8) t.equal(rsv, 0, `${role}: opcode ${opcode}`)
    t.equal(frames.filter(({ opcode }) => opcode >= 8).length, 4)
    socket.close(1000, 'x'.repeat(123))
    t.equal((await wire.frames(1))[0]!.rsv, 0, `${role}: the Close`)
    await closeCleanly({ socket, wire, peer, ...rest })
  }
})

t.test('§6.1 an endpoint that gets RSV1 on a control frame or on a later fragment MUST fail', async (t) => {
  const payload = compressed('hello')
  await allFail(t, open, 1002, ({ frame, text }) => ({
    'a ping': frame({ opcode: 9, rsv: 4 }),
    'a pong': frame({ opcode: 10, rsv: 4, payload }),
    'a Close': frame({ opcode: 8, rsv: 4, payload: Buffer.from([3, 232]) }),
    'a ping within a compressed message': [frame({ opcode: 1, rsv: 4, payload, fin: false }), frame({ opcode: 9, rsv: 4 })],
    'the second fragment of a compressed message': [frame({ opcode: 1, rsv: 4, payload: payload.subarray(0, 3), fin: false }), frame({ opcode: 0, rsv: 4, payload: payload.subarray(3) })],
    'the second fragment of another': [text('a', false), frame({ opcode: 0, rsv: 4, payload })],
    'RSV2 beside it': frame({ opcode: 1, rsv: 6, payload }),
    'RSV3 beside it': frame({ opcode: 1, rsv: 5, payload })
  }))
})

t.test('§6.2 a compressed message MUST be received by the algorithm: concatenated, decompressed, handed on', async (t) => {
  const message = `h\u00e9llo ${'again and '.repeat(300)}`
  const payload = compressed(message)
  const line = JSON.stringify(message)
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { frame, ping } = endpoint.peer
    t.strictSame(await toldOf(endpoint, frame({ opcode: 1, rsv: 4, payload })), [`text ${line}`], role)
    t.strictSame(await toldOf(endpoint, frame({ opcode: 2, rsv: 4, payload })), [`binary ${line}`], role)
    for (let cut = 0; cut <= payload.length; cut++) {
      const octets = Buffer.concat([frame({ opcode: 1, rsv: 4, payload: payload.subarray(0, cut), fin: false }), ping('between'), frame({ opcode: 0, payload: payload.subarray(cut) })])
      t.strictSame(await toldOf(endpoint, octets), ['ping "between"', `text ${line}`], `${role}: cut at ${cut}`)
    }
    await closeCleanly(endpoint)
  }
  await allFail(t, open, 1007, ({ frame }) => ({
    'what is no DEFLATE': frame({ opcode: 2, rsv: 4, payload: Buffer.from([0x06, 0xff, 0xff]) }),
    'text that is no UTF-8 once it is decompressed': frame({ opcode: 1, rsv: 4, payload: compressed(Buffer.from([0x61, 0xff])) })
  }))
})

t.test('§6.2 an uncompressed message MUST be received by the algorithm: as it is', async (t) => {
  const payload = compressed('x'.repeat(100))
  for (const role of ROLES) {
    const endpoint = await open(role)
    const { binary, text, continuation } = endpoint.peer
    t.strictSame(await toldOf(endpoint, Buffer.concat([binary(payload), text('a', false), continuation('b')])), [`binary ${JSON.stringify(payload.toString())}`, 'text "ab"'], role)
    await closeCleanly(endpoint)
  }
})

// §7

t.test('§7 a server MUST decline an offer with a parameter that is not defined for it', async (t) => {
  await declines(t, ['x', 'foo=1', 'server_no_context_takeover; bar', 'server_no_context_takeovers', 'max_window_bits=10', 'SERVER_NO_CONTEXT_TAKEOVER'])
})

t.test('§7 a server MUST decline an offer with an invalid value', async (t) => {
  await declines(t, [
    'server_no_context_takeover=1', 'server_no_context_takeover=true', 'client_no_context_takeover="x"',
    ...['', '=7', '=16', '=0', '=08', '=010', '=a', '=1e1', '=0xa', '="7"', '=99999999999999999999'].map((value) => `server_max_window_bits${value}`),
    ...['=7', '=16', '=09', '=015', '=x', '=+9', '=-9'].map((value) => `client_max_window_bits${value}`)
  ])
})

t.test('§7 a server MUST decline an offer with a parameter twice', async (t) => {
  await declines(t, [
    'server_no_context_takeover; server_no_context_takeover', 'client_no_context_takeover; client_no_context_takeover',
    'server_max_window_bits=10; server_max_window_bits=10', 'server_max_window_bits=10; server_max_window_bits=11',
    'client_max_window_bits; client_max_window_bits=10'
  ])
})

t.test('§7 a server MUST decline an offer that it does not support', async (t) => {
  // zlib has no raw deflate with a window of 256 bytes.
  await declines(t, ['server_max_window_bits=8', 'server_max_window_bits="8"'])
  const endpoint = await openServer(`${NAME}; server_max_window_bits=8`)
  endpoint.socket.send('x'.repeat(5000))
  t.match((await endpoint.wire.frames(1))[0], { rsv: 0 }, 'and the connection goes on without it')
  await closeCleanly(endpoint)
})

t.test('§7 a client MUST fail upon an answer with a parameter that is not defined for it', async (t) => {
  await refuses(t, ['x', 'foo=1', 'server_no_context_takeover; bar', 'max_window_bits=10'].map((param) => `${NAME}; ${param}`))
})

t.test('§7 a client MUST fail upon an answer with an invalid value', async (t) => {
  await refuses(t, [
    'server_no_context_takeover=1', 'client_no_context_takeover=true',
    ...['', '=7', '=16', '=08', '=010', '=a', '=1e1'].map((value) => `server_max_window_bits${value}`),
    ...['', '=7', '=16', '=09', '=x'].map((value) => `client_max_window_bits${value}`)
  ].map((param) => `${NAME}; ${param}`))
})

t.test('§7 a client MUST fail upon an answer with a parameter twice', async (t) => {
  await refuses(t, ['server_no_context_takeover', 'client_no_context_takeover', 'server_max_window_bits=10', 'client_max_window_bits=10'].map((param) => `${NAME}; ${param}; ${param}`))
  await refuses(t, [`${NAME}; server_max_window_bits=10; server_max_window_bits=11`])
})

t.test('§7 a client MUST fail upon an answer that it does not support', async (t) => {
  await refuses(t, [`${NAME}; client_max_window_bits=8`])
  // Whoever wants no takeover cannot hold what a server that takes over refers to.
  t.throws(() => readDeflateAnswer(NAME, { contextTakeover: false }), HandshakeError)
  await closeCleanly(await openDeflatingClient('; client_max_window_bits=9; server_max_window_bits=8'))
})

// §7.1

t.test('§7.1.2.1 server_max_window_bits MUST be a decimal from 8 to 15 in an offer', async (t) => {
  for (const offer of OFFERS) t.match(offer, /^(?!.*server_max_window_bits(?!=(?:[89]|1[0-5])(?:;|$)))/)
})

t.test('§7.1.2.1 server_max_window_bits MUST be a decimal from 8 to 15 in an answer, and no larger than the offer', async (t) => {
  for (const serverMaxWindowBits of [9, 12, 15]) {
    for (const contextTakeover of [false, true]) {
      for (const offered of [9, 10, 11, 12, 13, 14, 15]) {
        const answer = await answerTo(`${NAME}; server_max_window_bits=${offered}`, { serverMaxWindowBits, contextTakeover })
        t.equal(answer?.match(/; server_max_window_bits=(\d+)(?:;|$)/)?.[1], String(Math.min(offered, serverMaxWindowBits)))
      }
    }
  }
})

t.test('§7.1.2.2 client_max_window_bits MUST have no value, or a decimal from 8 to 15, in an offer', async (t) => {
  for (const offer of OFFERS) t.match(offer, /; client_max_window_bits(?:=(?:[89]|1[0-5]))?(?:;|$)/)
})

t.test('§7.1.2.2 client_max_window_bits MUST be a decimal from 8 to 15 in an answer', async (t) => {
  for (const serverMaxWindowBits of [9, 12, 15]) {
    for (const value of ['', '=8', '=9', '=12', '=15']) {
      const answer = await answerTo(`${NAME}; client_max_window_bits${value}`, { serverMaxWindowBits, contextTakeover: true })
      t.match(answer, /^(?!.*client_max_window_bits(?!=(?:[89]|1[0-5])(?:;|$)))permessage-deflate/, value)
    }
  }
  t.match(await answerTo(`${NAME}; client_max_window_bits`, { serverMaxWindowBits: 12, contextTakeover: true }), /; client_max_window_bits=12(?:;|$)/)
})

t.test('§7.1.2.2 an answer MUST NOT have client_max_window_bits unless the offer has it', async (t) => {
  for (const serverMaxWindowBits of [9, 12, 15]) {
    for (const contextTakeover of [false, true]) {
      for (const params of ['', '; server_max_window_bits=10', '; client_no_context_takeover', '; server_no_context_takeover']) {
        t.notMatch(await answerTo(`${NAME}${params}`, { serverMaxWindowBits, contextTakeover }), /client_max_window_bits/, params)
      }
    }
  }
})

// §7.2.1

t.test('§7.2.1 a final block that does not end at a byte boundary MUST be padded with bits of 0', async (t) => {
  const examples = {
    'of §7.2.3.1, not final': 'f248cdc9c90700',
    'of §7.2.3.3, stored': '000500faff48656c6c6f00',
    'of §7.2.3.4, final and padded': 'f348cdc9c9070000',
    'of §7.2.3.5, two blocks': 'f24805000000ffffcac9c90700',
    'two final blocks, both padded': `${deflateRawSync('Hel').toString('hex')}${deflateRawSync('lo').toString('hex')}00`
  }
  for (const role of ROLES) {
    const endpoint = await open(role)
    for (const [what, octets] of Object.entries(examples)) {
      t.strictSame(await toldOf(endpoint, endpoint.peer.frame({ opcode: 1, rsv: 4, payload: Buffer.from(octets, 'hex') })), ['text "Hello"'], `${role}: ${what}`)
    }
    // What is sent has no final block.
    endpoint.socket.send(noise(3000))
    const { payload } = await compressedFrame(t, endpoint)
    const { engine } = inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH, info: true }) as unknown as { engine: { bytesWritten: number } }
    t.equal(engine.bytesWritten, payload.length + TAIL.length, `${role}: the stream goes on to the tail`)
    await closeCleanly(endpoint)
  }
})

t.test('§7.2.1 of fragments that are not the last, 00 00 ff ff MUST NOT be removed', async (t) => {
  for (const role of ROLES) {
    const endpoint = await open(role)
    const deflater = new Deflater()
    const first = Buffer.concat([await deflater.compress('first, '), TAIL])
    const second = await deflater.compress('second')
    const { frame } = endpoint.peer
    t.strictSame(await toldOf(endpoint, Buffer.concat([frame({ opcode: 1, rsv: 4, payload: first, fin: false }), frame({ opcode: 0, payload: second })])), ['text "first, second"'], role)
    // What is sent in fragments is not compressed.
    for (const fin of [false, false, true]) endpoint.socket.send('fragment '.repeat(300), { fin })
    for (const one of await endpoint.wire.frames(3)) t.match(one, { rsv: 0, payload: Buffer.from('fragment '.repeat(300)) }, role)
    await closeCleanly(endpoint)
  }
})

t.test('§7.2.1 with client_no_context_takeover the client MUST start every message with an empty window', async (t) => {
  for (const params of [NO_TAKEOVER, '; client_no_context_takeover']) {
    const endpoint = await openDeflatingClient(params)
    const payloads: Buffer[] = []
    for (let i = 0; i < 3; i++) {
      endpoint.socket.send(noise(3000))
      payloads.push((await compressedFrame(t, endpoint)).payload)
    }
    for (const payload of payloads) t.equal(inflated(payload), noise(3000), 'it can be inflated on its own')
    await closeCleanly(endpoint)
  }
})

t.test('§7.2.1 with server_no_context_takeover the server MUST start every message with an empty window', async (t) => {
  for (const [offer, deflate] of [[NAME, {}], [`${NAME}; server_no_context_takeover`, { contextTakeover: true }]] as const) {
    const endpoint = await openServer(offer, deflate)
    t.match(endpoint.answer, /; server_no_context_takeover(?:;|$)/)
    for (let i = 0; i < 3; i++) {
      endpoint.socket.send(noise(3000))
      t.equal(inflated((await compressedFrame(t, endpoint)).payload), noise(3000), 'it can be inflated on its own')
    }
    await closeCleanly(endpoint)
  }
})

/** Sends what begins and ends alike, and inflates it with a window of that size: fails if one end reaches back too far. */
async function fitsInto (t: Test, endpoint: Endpoint, windowBits: number, takesOver: boolean): Promise<void> {
  let inflater = new Inflater(windowBits)
  for (const message of [twice(2 ** windowBits + 400), twice(2 ** windowBits + 2000), twice(2 ** windowBits + 400)]) {
    endpoint.socket.send(message)
    const { payload } = await compressedFrame(t, endpoint)
    t.equal(await inflater.inflate(payload), message, `${endpoint.role}: ${windowBits} bits`)
    if (!takesOver) inflater = new Inflater(windowBits)
  }
}

t.test('§7.2.1 with client_max_window_bits the client MUST NOT use a longer window', async (t) => {
  for (const clientMaxWindowBits of [9, 10, 12]) {
    for (const params of [NO_TAKEOVER, TAKEOVER]) {
      const endpoint = await openDeflatingClient(`${params}; client_max_window_bits=${clientMaxWindowBits}`)
      await fitsInto(t, endpoint, clientMaxWindowBits, params === TAKEOVER)
      await closeCleanly(endpoint)
    }
  }
})

t.test('§7.2.1 with server_max_window_bits the server MUST NOT use a longer window', async (t) => {
  const tooFar = await new Deflater({ windowBits: 15 }).compress(twice(912))
  await t.rejects(new Inflater(9).inflate(tooFar), { code: 'Z_DATA_ERROR' }, 'a longer one would be seen')
  for (const bits of [9, 10, 12]) {
    for (const contextTakeover of [false, true]) {
      const endpoint = await openServer(`${NAME}; server_max_window_bits=${bits}`, { contextTakeover, serverMaxWindowBits: 15 })
      t.match(endpoint.answer, new RegExp(`; server_max_window_bits=${bits}(?:;|$)`))
      await fitsInto(t, endpoint, bits, contextTakeover)
      await closeCleanly(endpoint)
    }
  }
  const byDefault = await openServer()
  await fitsInto(t, byDefault, 12, false)
  await closeCleanly(byDefault)
})

// §7.2.2

/** Messages of a peer that refers back to the one before, in one window for all of them. */
async function inflatesInContext (t: Test, endpoint: Endpoint): Promise<void> {
  const deflater = new Deflater()
  const lengths: number[] = []
  for (let i = 0; i < 4; i++) {
    const payload = await deflater.compress(noise(2000))
    lengths.push(payload.length)
    t.strictSame(await toldOf(endpoint, endpoint.peer.frame({ opcode: 1, rsv: 4, payload })), [`text "${noise(2000)}"`], `${endpoint.role}: message ${i}`)
  }
  t.ok(lengths[1]! < lengths[0]! / 10, 'the second refers to the first')
}

t.test('§7.2.2 without client_no_context_takeover the server MUST inflate with the window of the last message', async (t) => {
  const endpoint = await openTakeover('server')
  t.notMatch((endpoint as Endpoint & { answer: string }).answer, /client_no_context_takeover/)
  await inflatesInContext(t, endpoint)
  await closeCleanly(endpoint)
})

t.test('§7.2.2 the server MUST do so even if the client has hinted otherwise, unless the answer says so', async (t) => {
  for (const contextTakeover of [false, true]) {
    // The hint is taken, and by the answer becomes binding: no client may refer back.
    t.match(await answerTo(`${NAME}; client_no_context_takeover`, { contextTakeover }), /; client_no_context_takeover(?:;|$)/)
  }
})

t.test('§7.2.2 without server_no_context_takeover the client MUST inflate with the window of the last message', async (t) => {
  const endpoint = await openTakeover('client')
  await inflatesInContext(t, endpoint)
  await closeCleanly(endpoint)
})

/** A reference as far back as there can be one: within a message, and with takeover from one message to the next. */
async function inflatesFar (t: Test, endpoint: Endpoint, takesOver: boolean): Promise<void> {
  const message = twice(32_400)
  const payload = await new Deflater().compress(message)
  await t.rejects(new Inflater(14).inflate(payload), { code: 'Z_DATA_ERROR' }, 'half a window would not do')
  t.strictSame(await toldOf(endpoint, endpoint.peer.frame({ opcode: 1, rsv: 4, payload })), [`text "${message}"`], endpoint.role)
  if (!takesOver) return
  const deflater = new Deflater()
  await deflater.compress(message)
  for (const part of [noise(300, 21), noise(32_000, 22), noise(300, 21)]) {
    t.strictSame(await toldOf(endpoint, endpoint.peer.frame({ opcode: 1, rsv: 4, payload: await deflater.compress(part) })), [`text "${part}"`], `${endpoint.role}: across messages`)
  }
}

t.test('§7.2.2 without client_max_window_bits the server MUST inflate with a window of 32768 bytes', async (t) => {
  for (const [deflate, takesOver] of [[{}, false], [{ serverMaxWindowBits: 9 }, false], [{ contextTakeover: true }, true], [{ contextTakeover: true, serverMaxWindowBits: 9 }, true]] as const) {
    const endpoint = await openServer(NAME, deflate)
    t.notMatch(endpoint.answer, /client_max_window_bits/)
    await inflatesFar(t, endpoint, takesOver)
    await closeCleanly(endpoint)
  }
})

t.test('§7.2.2 without server_max_window_bits the client MUST inflate with a window of 32768 bytes', async (t) => {
  for (const params of [NO_TAKEOVER, TAKEOVER]) {
    const endpoint = await openDeflatingClient(params)
    await inflatesFar(t, endpoint, params === TAKEOVER)
    await closeCleanly(endpoint)
  }
})
