/**
 * The ways in which a connection can begin and end: each plays one connection from its first octet to its last, and
 * resolves when the client's side of it is gone.
 */
import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { WebSocket as WsWebSocket } from 'ws'
import { compressed, frame, noise, words } from '../helpers/frames.ts'
import { openTcpClient, type ClientOptions } from '../helpers/tcp-client.ts'
import { upgradeRequest, Wire, type RequestOptions } from '../helpers/wire.ts'
import { forever, opened, startApplication } from './application.ts'
import type { Collected } from './collected.ts'

const KIB = 1024

export interface Context {
  readonly app: FastifyInstance
  readonly port: number
  readonly collected: Collected
  /** The way that is played. */
  readonly name: string
}

export interface Way {
  readonly name: string
  /** How far it comes at the server: to a WebSocket, to a request, or not even that. */
  readonly reaches: 'handler' | 'hooks' | 'socket'
  /** So often at most: it takes its time. */
  readonly most?: number
  readonly play: (context: Context) => Promise<unknown>
}

const TEXT = words(100_000)
const NOISE = noise(2000)

// Clients

function pathOf (path: string, { name }: Context): string {
  return `${path}?way=${encodeURIComponent(name)}`
}

/** Octets over TCP, after the handshake. */
async function wireTo (context: Context, path: string, options: RequestOptions = {}): Promise<Wire> {
  const wire = await Wire.open(context.port, { ...options, path: pathOf(path, context) })
  context.collected.watch(`${context.name}: the client's net.Socket`, wire.duplex)
  return wire
}

/** Our client over TCP. */
async function clientTo (context: Context, path: string, options: ClientOptions = {}): Promise<any> {
  const { socket, duplex } = await openTcpClient(context.port, { ...options, path: pathOf(path, context) })
  context.collected.watch(`${context.name}: the client's WebSocket`, socket)
  context.collected.watch(`${context.name}: the client's net.Socket`, duplex)
  return Object.assign(socket, { duplex })
}

async function injected (context: Context, path: string, options: object = {}): Promise<any> {
  const client = await context.app.injectWebSocket(pathOf(path, context), options)
  context.collected.watch(`${context.name}: the client's WebSocket`, client)
  context.collected.watch(`${context.name}: the client's end`, client.transport)
  return client
}

/** Asks, and waits until the connection is gone. */
async function asked (context: Context, options: RequestOptions, octets = ''): Promise<void> {
  const wire = await Wire.connect(context.port)
  context.collected.watch(`${context.name}: the client's net.Socket`, wire.duplex)
  wire.write(upgradeRequest({ ...options, path: pathOf(options.path ?? '/', context) }) + octets)
  const { statusCode } = await wire.response()
  if (statusCode === 101) throw new Error('it was to be refused')
  wire.end()
  await wire.untilClosed()
}

const reset = (wire: Wire): void => { (wire.duplex as any).resetAndDestroy() }
const aTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

/** Sends what fails the connection, and sees it closed with a code. */
async function fails (context: Context, path: string, octets: Uint8Array, code: number): Promise<void> {
  const wire = await wireTo(context, path)
  wire.write(octets)
  await wire.until(() => wire.received.includes(Buffer.from([code >> 8, code & 0xff])), `a Close with ${code}`)
  wire.close(1000)
  await wire.untilClosed()
}

/** The server closes for what this message causes. */
async function closedFor (context: Context, path: string, message: string): Promise<void> {
  const client = await clientTo(context, path)
  client.sendRaw(message)
  await client.closed
}

async function closes (client: any, code = 1000): Promise<void> {
  client.close(code)
  await client.closed
}

// Ways

export const WAYS: readonly Way[] = [
  { name: 'the client closes', reaches: 'handler', play: async (context) => closes(await clientTo(context, '/echo')) },
  { name: 'the server closes', reaches: 'handler', play: async (context) => (await clientTo(context, '/close')).closed },
  {
    name: 'both close at once',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/close')
      wire.close(1000)
      await wire.linesUntilEnd()
      await wire.untilClosed()
    }
  },
  {
    name: 'another client closes, after messages both ways',
    reaches: 'handler',
    play: async (context) => {
      const client = new WsWebSocket(`ws://127.0.0.1:${context.port}${pathOf('/echo', context)}`, { perMessageDeflate: false })
      await once(client, 'open')
      client.send(NOISE.subarray(0, 1000))
      await once(client, 'message')
      client.close()
      await once(client, 'close')
    }
  },
  { name: 'the client drops it', reaches: 'handler', play: async (context) => (await clientTo(context, '/echo')).terminate() },
  { name: 'the server drops it', reaches: 'handler', play: async (context) => (await clientTo(context, '/terminate')).closed },
  { name: 'RST by the client', reaches: 'handler', play: async (context) => reset(await wireTo(context, '/echo')) },
  {
    name: 'RST by the client within a frame',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/echo')
      wire.write(frame({ opcode: 2, masked: true, payload: NOISE.subarray(0, 1000) }).subarray(0, 500))
      await aTurn()
      reset(wire)
    }
  },
  { name: 'RST by the server', reaches: 'handler', play: async (context) => (await wireTo(context, '/reset')).untilClosed() },
  {
    name: 'the client ends without a Close',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/echo')
      wire.end()
      await wire.untilClosed()
    }
  },
  { name: 'the protocol is broken', reaches: 'handler', play: (context) => fails(context, '/echo', frame({ opcode: 3, masked: true }), 1002) },
  { name: 'a frame is not masked', reaches: 'handler', play: (context) => fails(context, '/echo', frame({ opcode: 1, payload: 'x' }), 1002) },
  { name: 'text that is not UTF-8', reaches: 'handler', play: (context) => fails(context, '/echo', frame({ opcode: 1, masked: true, payload: Buffer.from([0xff]) }), 1007) },
  { name: 'a message above the limit', reaches: 'handler', play: (context) => fails(context, '/small', frame({ opcode: 2, masked: true, payload: NOISE.subarray(0, 2000) }), 1009) },
  { name: 'a message that does not fit', reaches: 'handler', play: (context) => fails(context, '/typed', frame({ opcode: 1, masked: true, payload: '{"n":"one"}' }), 1008) },
  { name: 'a message that is no JSON', reaches: 'handler', play: (context) => fails(context, '/typed', frame({ opcode: 1, masked: true, payload: '{' }), 1007) },
  { name: 'a message of the wrong kind', reaches: 'handler', play: (context) => fails(context, '/typed', frame({ opcode: 2, masked: true, payload: 'x' }), 1003) },
  { name: 'a message is not finished', reaches: 'handler', play: (context) => fails(context, '/hasty', frame({ opcode: 1, masked: true, payload: 'x', fin: false }), 1008) },
  { name: 'a flood of pings', reaches: 'handler', play: (context) => fails(context, '/echo', Buffer.concat(Array.from({ length: 120 }, () => frame({ opcode: 9, masked: true }))), 1008) },
  { name: 'above the rate', reaches: 'handler', play: (context) => fails(context, '/rated', Buffer.concat(Array.from({ length: 5 }, () => frame({ opcode: 1, masked: true }))), 1008) },
  { name: 'the session ends', reaches: 'handler', play: (context) => fails(context, '/expires', Buffer.alloc(0), 3000) },
  { name: 'the lifetime ends', reaches: 'handler', play: (context) => fails(context, '/short', Buffer.alloc(0), 3000) },
  { name: 'the peer is dead', reaches: 'handler', play: async (context) => { const wire = await wireTo(context, '/hasty'); await wire.untilClosed() } },
  {
    name: 'the Close is not answered',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/close/hasty')
      await wire.untilEnd()
      wire.destroy()
    }
  },

  // Handlers and hooks
  { name: 'the handler throws', reaches: 'handler', play: async (context) => (await clientTo(context, '/throws')).closed },
  { name: 'the handler rejects', reaches: 'handler', play: async (context) => (await clientTo(context, '/rejects')).closed },
  { name: 'the handler never settles', reaches: 'handler', play: async (context) => closes(await clientTo(context, '/never')) },
  { name: 'a listener throws', reaches: 'handler', play: (context) => closedFor(context, '/listener', 'throw') },
  { name: 'a listener rejects', reaches: 'handler', play: (context) => closedFor(context, '/listener', 'reject') },
  { name: 'errorHandler and onInvalidMessage are called', reaches: 'handler', play: (context) => closedFor(context, '/handled', '{"n":"one"}') },
  { name: 'a hook of onOpen rejects', reaches: 'hooks', play: async (context) => (await clientTo(context, '/hooks/rejects')).closed },
  { name: 'the client leaves while a hook of onOpen waits', reaches: 'hooks', play: async (context) => (await clientTo(context, '/hooks/waits')).terminate() },
  { name: 'refused by a hook', reaches: 'hooks', play: (context) => asked(context, { path: '/401' }) },
  { name: 'a hook throws', reaches: 'hooks', play: (context) => asked(context, { path: '/500' }) },
  { name: 'a hook never ends', reaches: 'hooks', play: (context) => asked(context, { path: '/503' }) },
  { name: 'refused by its Origin', reaches: 'hooks', play: (context) => asked(context, { path: '/echo', headers: { Origin: 'http://elsewhere' } }) },
  { name: 'no such route', reaches: 'hooks', play: (context) => asked(context, { path: '/404' }) },
  { name: 'no subprotocol in common', reaches: 'hooks', play: (context) => asked(context, { path: '/echo', headers: { 'Sec-WebSocket-Protocol': 'none' } }) },
  { name: 'a handshake that breaks a rule', reaches: 'hooks', play: (context) => asked(context, { path: '/echo', headers: { 'Sec-WebSocket-Key': 'short' } }) },
  { name: 'a refused client that sends on', reaches: 'hooks', play: (context) => asked(context, { path: '/401' }, 'x'.repeat(10 * KIB)) },
  {
    name: 'the client leaves while a hook waits',
    reaches: 'hooks',
    play: async (context) => {
      const wire = await Wire.connect(context.port)
      const entered = once(opened, `hook ${context.name}`)
      wire.write(upgradeRequest({ path: pathOf('/waits', context) }))
      await entered
      reset(wire)
    }
  },
  {
    name: 'RST within the request',
    reaches: 'socket',
    play: async (context) => {
      const wire = await Wire.connect(context.port)
      wire.write(upgradeRequest({ path: pathOf('/echo', context) }).slice(0, 50))
      await aTurn()
      reset(wire)
    }
  },
  {
    name: 'an upgrade behind another request',
    reaches: 'handler',
    play: async (context) => {
      const wire = await Wire.connect(context.port)
      wire.write(`GET ${pathOf('/plain', context)} HTTP/1.1\r\nHost: localhost\r\n\r\n${upgradeRequest({ path: pathOf('/close', context) })}`)
      await wire.response()
      await wire.response()
      await wire.frames(1)
      wire.close(1000)
      await wire.untilClosed()
    }
  },

  // Whoever waits
  { name: 'for await is left waiting', reaches: 'handler', play: async (context) => reset(await wireTo(context, '/iterates')) },
  {
    name: 'for await was left by break, and messages wait',
    reaches: 'handler',
    play: async (context) => {
      const client = await clientTo(context, '/breaks')
      for (let i = 0; i < 5; i++) client.send(NOISE.subarray(0, 1000))
      await closes(client)
    }
  },
  { name: 'next() is left waiting, with a signal that lives on', reaches: 'handler', play: async (context) => reset(await wireTo(context, '/next')) },
  {
    name: 'messages wait, and the queue is full',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/full')
      for (let i = 0; i < 10; i++) wire.binary(NOISE.subarray(0, 1000))
      await aTurn()
      reset(wire)
    }
  },
  {
    name: 'paused for ever',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/paused')
      wire.text('never read')
      await aTurn()
      reset(wire)
    }
  },
  {
    name: 'a stream is piped, and the client closes',
    reaches: 'handler',
    play: async (context) => {
      const client = await clientTo(context, '/stream')
      client.send('x')
      await client.next()
      await closes(client)
    }
  },
  { name: 'a stream is piped, and the network is lost', reaches: 'handler', play: async (context) => reset(await wireTo(context, '/stream')) },
  { name: 'a stream of messages is destroyed', reaches: 'handler', play: async (context) => (await clientTo(context, '/stream/destroyed')).closed },
  {
    name: 'octets wait for the peer, drained() and callbacks too',
    reaches: 'handler',
    play: async (context) => {
      const wire = await Wire.connect(context.port)
      wire.duplex.pause()
      const server = once(opened, `socket ${context.name}`)
      wire.write(upgradeRequest({ path: pathOf('/much', context) }))
      await server
      reset(wire)
    }
  },
  { name: 'more waits for the peer than may', reaches: 'handler', play: async (context) => { const wire = await wireTo(context, '/toomuch'); await wire.untilClosed() } },
  {
    name: 'a message for many',
    reaches: 'handler',
    play: async (context) => {
      const client = await clientTo(context, '/prepared')
      await client.next()
      await closes(client)
    }
  },
  {
    name: 'all that can be had of a socket was',
    reaches: 'handler',
    play: async (context) => {
      const client = await clientTo(context, '/everything')
      client.send('x')
      await closes(client)
    }
  },

  // Compression
  {
    name: 'compressed messages both ways',
    reaches: 'handler',
    play: async (context) => {
      const client = await clientTo(context, '/deflate', { deflate: true })
      for (const size of [2000, 50_000]) {
        client.send(words(size))
        await client.next()
      }
      await closes(client)
    }
  },
  {
    name: 'a context is taken over',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/deflate/takeover', { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } })
      wire.frame({ opcode: 2, rsv: 4, payload: compressed(TEXT.subarray(0, 2000)) })
      await wire.frames(1)
      wire.close(1000)
      await wire.untilClosed()
    }
  },
  {
    name: 'RST while messages are being compressed',
    reaches: 'handler',
    play: async (context) => {
      const client = await clientTo(context, '/deflate', { deflate: true })
      client.send(TEXT)
      client.send(TEXT)
      await aTurn()
      client.duplex.resetAndDestroy()
      await client.closed
    }
  },
  {
    name: 'compressed octets that are none',
    reaches: 'handler',
    play: async (context) => {
      const wire = await wireTo(context, '/deflate', { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } })
      wire.frame({ opcode: 2, rsv: 4, payload: Buffer.alloc(20_000, 0xff) })
      await wire.linesUntilEnd()
      await wire.untilClosed()
    }
  },

  // In memory
  {
    name: 'injected, and closed',
    reaches: 'handler',
    play: async (context) => {
      const client = await injected(context, '/echo')
      client.send('x')
      await client.next()
      await closes(client)
    }
  },
  { name: 'injected, and dropped', reaches: 'handler', play: async (context) => { (await injected(context, '/echo')).terminate() } },
  { name: 'injected, and the network lost', reaches: 'handler', play: async (context) => { (await injected(context, '/iterates')).transport.destroy() } },
  { name: 'injected with a signal that lives on', reaches: 'handler', play: async (context) => closes(await injected(context, '/echo', { signal: forever })) },
  {
    name: 'injected, and aborted',
    reaches: 'handler',
    play: async (context) => {
      const abort = new AbortController()
      const client = await injected(context, '/echo', { signal: abort.signal })
      abort.abort()
      await client.closed
    }
  },
  {
    name: 'injected, with compression',
    reaches: 'handler',
    play: async (context) => {
      const client = await injected(context, '/deflate', { deflate: true })
      client.send(TEXT.subarray(0, 5_000))
      await client.next()
      await closes(client)
    }
  },
  {
    name: 'injected, and refused',
    reaches: 'hooks',
    play: async (context) => {
      await injected(context, '/401').then(() => { throw new Error('not refused') }, (error) => error)
    }
  },
  {
    name: 'injected, and its next() left waiting',
    reaches: 'handler',
    play: async (context) => {
      const client = await injected(context, '/close')
      await Promise.all([client.next().catch(() => {}), client.closed])
    }
  },

  // The end of the application
  { name: 'the application closes', reaches: 'socket', most: 20, play: (context) => closesApplication(context, async () => {}) },
  { name: 'the application closes, and the client does not answer', reaches: 'socket', most: 20, play: (context) => closesApplication(context, async (wire) => { wire.duplex.pause() }) },
  { name: 'closeAll', reaches: 'socket', most: 20, play: (context) => closesApplication(context, async (_wire, app) => { await app.websockets.closeAll(4000) }) }
]

/** Of an application of its own; which is watched as well. */
async function closesApplication (context: Context, meanwhile: (wire: Wire, app: FastifyInstance) => Promise<unknown>): Promise<void> {
  const { app, port } = await startApplication(context.collected, context.name)
  const wire = await wireTo({ ...context, app, port }, '/echo')
  // It answers whatever Close comes.
  wire.duplex.on('data', () => wire.close(1001))
  await meanwhile(wire, app)
  await app.close()
  wire.destroy()
  await wire.untilClosed()
}
