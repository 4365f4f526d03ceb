/**
 * permessage-deflate with clients that this project has not written, over TCP: what they send comes back as it was, with
 * every set of parameters, and the octets on the wire say whether it was compressed.
 */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import faye from 'faye-websocket'
import t, { type Test } from 'tap'
import { WebSocket as UndiciWebSocket } from 'undici'
import websocket, { type connection as Connection, type Message } from 'websocket'
import { WebSocket as WsWebSocket } from 'ws'
import type { RawSocket } from '../../index.ts'
import type { DuplexOptions } from '../../types/options.ts'
import { startApp } from '../helpers/app.ts'

const { client: WebSocketClient } = websocket

const MIB = 1024 * 1024
const SIZES = [0, 1, 2, 125, 126, 127, 1000, 1023, 1024, 1025, 4096, 16_383, 32_768, 32_769, 65_535, 65_536, 65_537]
/** Messages that are sent without waiting for the one before. */
const ROW = 100

type Data = string | Buffer

/** What every client can do, in its own words. */
interface Stranger {
  send (data: Data): void
  /** Called with each message. */
  onMessage: (data: Data) => void
  /** Resolves with the code of the end. */
  close (): Promise<number>
}

interface Kind {
  readonly name: string
  /** Which directions are compressed. */
  readonly compresses: 'both' | 'received' | 'none'
  connect (url: string): Promise<Stranger>
}

const KINDS: readonly Kind[] = [
  {
    name: 'ws',
    compresses: 'both',
    async connect (url) {
      const client = new WsWebSocket(url, { perMessageDeflate: true })
      const stranger: Stranger = {
        send: (data) => client.send(data),
        onMessage () {},
        async close () {
          client.close(1000)
          return (await once(client, 'close'))[0]
        }
      }
      client.on('message', (data: Buffer, isBinary) => stranger.onMessage(isBinary ? data : data.toString()))
      await once(client, 'open')
      return stranger
    }
  },
  {
    // It offers the extension and inflates what comes; what it sends it never compresses.
    name: 'undici',
    compresses: 'received',
    async connect (url) {
      const client = new UndiciWebSocket(url)
      client.binaryType = 'arraybuffer'
      const stranger: Stranger = {
        send: (data) => client.send(data),
        onMessage () {},
        async close () {
          client.close(1000)
          return (await once(client, 'close'))[0].code
        }
      }
      client.addEventListener('message', ({ data }) => stranger.onMessage(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer)))
      await once(client, 'open')
      return stranger
    }
  },
  {
    // It knows no extensions, and offers none.
    name: 'websocket',
    compresses: 'none',
    async connect (url) {
      const client = new WebSocketClient({ maxReceivedFrameSize: 8 * MIB })
      client.connect(url)
      const [connection] = await once(client, 'connect') as [Connection]
      const stranger: Stranger = {
        send (data) {
          if (typeof data === 'string') connection.sendUTF(data)
          else connection.sendBytes(data)
        },
        onMessage () {},
        async close () {
          connection.close(1000)
          return (await once(connection, 'close'))[0]
        }
      }
      connection.on('message', (message: Message) => stranger.onMessage(message.type === 'utf8' ? message.utf8Data : message.binaryData))
      return stranger
    }
  },
  {
    // Its extensions are objects that are given to it. The one for permessage-deflate is a package of its own, which is
    // not installed here, so it offers none.
    name: 'faye-websocket',
    compresses: 'none',
    async connect (url) {
      const client = new faye.Client(url)
      const stranger: Stranger = {
        send: (data) => { client.send(data) },
        onMessage () {},
        async close () {
          client.close(1000)
          return (await once(client, 'close'))[0].code
        }
      }
      client.on('message', ({ data }) => stranger.onMessage(data))
      await once(client, 'open')
      return stranger
    }
  }
]

const NO_TAKEOVER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'

/** What the server wants, and what is agreed on with a client that offers `permessage-deflate; client_max_window_bits`. */
const SETS: ReadonlyArray<{ deflate: NonNullable<DuplexOptions['deflate']>, agreed: string, takeover: boolean }> = [
  { deflate: true, agreed: `${NO_TAKEOVER}; server_max_window_bits=12`, takeover: false },
  { deflate: { contextTakeover: true }, agreed: 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12', takeover: true },
  { deflate: { contextTakeover: true, serverMaxWindowBits: 15, thresholdBytes: 0, level: 9 }, agreed: 'permessage-deflate', takeover: true },
  { deflate: { serverMaxWindowBits: 9, thresholdBytes: 0, memLevel: 1 }, agreed: `${NO_TAKEOVER}; server_max_window_bits=9`, takeover: false }
]

/** Text of so many octets, with characters of one to four octets. */
function text (octets: number): string {
  const pattern = 'aé€😀'
  return pattern.repeat(Math.floor(octets / 10)) + 'x'.repeat(octets % 10)
}

/** The same contents for every client: of each size text and binary, compressible and not. */
const MESSAGES: readonly Data[] = SIZES.flatMap((size) => [
  text(size),
  Buffer.from(text(size)),
  randomBytes(size).toString('base64').slice(0, size),
  randomBytes(size)
])
const LARGE: readonly Data[] = [text(4 * MIB), Buffer.from(text(MIB)), randomBytes(MIB).toString('base64').slice(0, MIB), randomBytes(4 * MIB)]

/** Alike, but not compressible by themselves: only who looks back at the message before can make them small. */
const BASE = randomBytes(1536).toString('base64')
const ALIKE: readonly Data[] = Array.from({ length: ROW }, (_, i) => i % 2 === 0 ? `${i} ${BASE}` : Buffer.from(`${i} ${BASE}`))
const ALIKE_BYTES = ALIKE.reduce((sum, { length }) => sum + length, 0)

const equal = (one: Data, other: Data): boolean => typeof one === 'string' ? one === other : Buffer.isBuffer(other) && one.equals(other)

for (const kind of KINDS) {
  for (const { deflate, agreed, takeover } of SETS) {
    t.test(`${kind.name} with ${JSON.stringify(deflate)}`, async (t) => { await meet(t, kind, { deflate, agreed, takeover }) })
  }
}

async function meet (t: Test, { connect, compresses }: Kind, { deflate, agreed, takeover }: typeof SETS[number]): Promise<void> {
  let server: RawSocket
  let tcp: Socket
  const { url } = await startApp(t, (app) => {
    app.get('/echo', { websocket: true }, (socket, request) => {
      server = socket
      tcp = request.raw.socket
      socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
    })
  }, { deflate, maxMessageBytes: 8 * MIB })
  const client = await connect(`${url}/echo`)
  t.equal(server!.extensions, compresses === 'none' ? '' : agreed)

  /** Sends, and resolves when as many have come back; says how many octets went each way. */
  const echo = async (messages: readonly Data[], what: string): Promise<{ up: number, down: number }> => {
    const { bytesRead, bytesWritten } = tcp
    const received: Data[] = []
    const all = new Promise<void>((resolve) => {
      client.onMessage = (data) => { if (received.push(data) === messages.length) resolve() }
    })
    for (const message of messages) client.send(message)
    await all
    if (!received.every((data, i) => equal(data, messages[i]!))) t.fail(`${what}: not the same`)
    return { up: tcp.bytesRead - bytesRead, down: tcp.bytesWritten - bytesWritten }
  }

  for (const message of [...MESSAGES, ...LARGE]) await echo([message], `${typeof message} of ${message.length}`)
  t.pass('every size, one after the other')
  await echo(MESSAGES, 'all in a row')
  t.pass('and in a row')

  const compressible = await echo([text(MIB)], 'compressible')
  t.ok(compresses === 'both' ? compressible.up < MIB / 50 : compressible.up > MIB, `received in ${compressible.up} octets`)
  t.ok(compresses === 'none' ? compressible.down > MIB : compressible.down < MIB / 20, `sent in ${compressible.down} octets`)

  await echo([ALIKE[0]!], 'the first of many')
  const alike = await echo(ALIKE, 'alike')
  t.ok(compresses === 'both' && takeover ? alike.up < ALIKE_BYTES / 10 : alike.up > ALIKE_BYTES / 2, `alike, received in ${alike.up} octets of ${ALIKE_BYTES}`)
  t.ok(compresses !== 'none' && takeover ? alike.down < ALIKE_BYTES / 10 : alike.down > ALIKE_BYTES / 2, `alike, sent in ${alike.down} octets of ${ALIKE_BYTES}`)
  t.equal(await client.close(), 1000)
}
