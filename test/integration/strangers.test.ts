/**
 * Clients that this project has not written, over TCP: what they send comes back as it was, whatever its size, however
 * it is cut into frames.
 */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket as UndiciWebSocket } from 'undici'
import { WebSocket as WsWebSocket } from 'ws'
import { startApp } from '../helpers/app.ts'

const MIB = 1024 * 1024
const SIZES = [0, 1, 2, 125, 126, 127, 1000, 65_535, 65_536, 65_537, MIB, 16 * MIB]

/** Bytes that do not repeat in step with anything. */
function bytes (size: number): Buffer {
  const data = Buffer.alloc(size)
  for (let i = 0; i < size; i++) data[i] = (i * 31 + (i >> 8) * 7) & 0xff
  return data
}

/** Text of so many octets, with characters of one to four octets. */
function text (octets: number): string {
  const pattern = 'aé€😀'
  const whole = pattern.repeat(Math.floor(octets / 10))
  return whole + 'x'.repeat(octets - Buffer.byteLength(whole))
}

async function echo (t: Test): Promise<string> {
  const { url } = await startApp(t, (app) => {
    app.get('/echo', { websocket: true }, (socket) => {
      socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
    })
  }, { maxMessageBytes: 32 * MIB })
  return `${url}/echo`
}

t.test('ws: text and binary of every size', async (t) => {
  const client = new WsWebSocket(await echo(t), { perMessageDeflate: false })
  await once(client, 'open')
  for (const size of SIZES) {
    client.send(bytes(size))
    const [binary, isBinary] = await once(client, 'message')
    t.ok(isBinary && binary.equals(bytes(size)), `${size} bytes of binary`)
    client.send(text(size))
    const [octets, isBinaryText] = await once(client, 'message')
    t.ok(!isBinaryText && octets.equals(Buffer.from(text(size))), `${size} bytes of text`)
  }
  client.close(1000, 'done')
  const [code] = await once(client, 'close')
  t.equal(code, 1000)
})

t.test('ws: fragments with pings between them', async (t) => {
  const client = new WsWebSocket(await echo(t), { perMessageDeflate: false })
  await once(client, 'open')
  let pongs = 0
  client.on('pong', () => { pongs++ })
  for (const size of SIZES.filter((size) => size > 1)) {
    for (const [whole, binary] of [[bytes(size), true], [Buffer.from(text(size)), false]] as const) {
      const step = Math.ceil(size / 5)
      for (let at = 0; at < size; at += step) {
        client.send(whole.subarray(at, at + step), { binary, fin: at + step >= size })
        client.ping(String(at))
      }
      const [data, isBinary] = await once(client, 'message')
      t.ok(isBinary === binary && data.equals(whole), `${size} bytes in fragments of ${step}`)
    }
  }
  client.ping('last')
  while (String((await once(client, 'pong'))[0]) !== 'last');
  t.ok(pongs > 2 * SIZES.length)
  client.terminate()
})

t.test('undici: text and binary of every size', async (t) => {
  const client = new UndiciWebSocket(await echo(t))
  client.binaryType = 'arraybuffer'
  await once(client, 'open')
  for (const size of SIZES) {
    client.send(bytes(size))
    const [{ data: binary }] = await once(client, 'message')
    t.ok(binary instanceof ArrayBuffer && Buffer.from(binary).equals(bytes(size)), `${size} bytes of binary`)
    client.send(text(size))
    const [{ data }] = await once(client, 'message')
    t.ok(data === text(size), `${size} bytes of text`)
  }
  client.close(1000, 'done')
  const [{ code, wasClean }] = await once(client, 'close')
  t.equal(code, 1000)
  t.ok(wasClean)
})
