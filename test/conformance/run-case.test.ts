/**
 * That the runner finds what is wrong: servers that make one mistake each.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { closePayload, frame } from '../helpers/frames.ts'
import { runCase, type Case } from './run-case.ts'
import { loadCases } from './suite.ts'

/** None of these servers gets better with time. */
const WAIT_SECONDS = 0.2

const cases = loadCases()
const hasty = (id: string): Case => ({ ...cases.get(id)!, waitSeconds: WAIT_SECONDS })
const close = (code?: number): Buffer => frame({ opcode: 8, payload: closePayload(code) })

/** Does the handshake, then `onBytes` once, with the first that comes. */
async function start (t: Test, onBytes: (socket: Socket) => unknown): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    const [request] = await once(socket, 'data')
    const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(String(request))![1]!
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    socket.once('data', () => onBytes(socket))
  })
  t.teardown(() => { server.close() })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** By what the server does: the cases that are put to it, each with its two grades. */
const MISTAKES: ReadonlyArray<readonly [string, (socket: Socket) => unknown, Readonly<Record<string, string>>]> = [
  ['swallows everything', () => {}, {
    2.1: 'FAILED, UNCLEAN',
    3.1: 'OK, FAILED',
    '6.6.1': 'FAILED, FAILED',
    '7.3.3': 'OK, UNCLEAN',
    '7.9.1': 'OK, FAILED BY CLIENT'
  }],
  ['fails everything with 1002', (socket) => socket.end(close(1002)), {
    '1.1.1': 'FAILED, FAILED',
    3.1: 'OK, OK',
    3.2: 'NON-STRICT, OK',
    '6.6.1': 'OK, WRONG CODE',
    '7.7.2': 'FAILED, WRONG CODE',
    '7.13.1': 'INFORMATIONAL, INFORMATIONAL'
  }],
  ['leaves TCP open', (socket) => socket.write(close(1000)), { '7.3.3': 'OK, FAILED BY CLIENT' }],
  ['drops TCP', (socket) => socket.end(), { 3.1: 'OK, OK', '7.3.3': 'OK, UNCLEAN', '1.1.1': 'FAILED, FAILED' }],
  ['breaks TCP off', (socket) => socket.resetAndDestroy(), { 3.1: 'OK, OK', '7.3.3': 'OK, UNCLEAN' }],
  ['echoes another type', (socket) => socket.write(frame({ opcode: 2 })), { '1.1.1': 'FAILED, UNCLEAN' }],
  ['echoes other octets', (socket) => socket.write(frame({ opcode: 1, payload: 'x'.repeat(65_536) })), { '1.1.7': 'FAILED, UNCLEAN', '9.1.1': 'FAILED, UNCLEAN' }],
  ['echoes what is no UTF-8', (socket) => socket.write(frame({ opcode: 1, payload: Buffer.from([0xce]) })), { '1.1.1': 'FAILED, FAILED' }],
  ['answers a ping twice', (socket) => socket.end(Buffer.concat([frame({ opcode: 10 }), frame({ opcode: 10 }), close(1000)])), { 2.1: 'FAILED, FAILED' }],
  ['masks', (socket) => socket.end(frame({ opcode: 8, masked: true })), { '7.3.3': 'FAILED, FAILED' }],
  ['writes a length in a longer form', (socket) => socket.end(frame({ opcode: 8, lengthForm: '16' })), { '7.3.3': 'FAILED, FAILED' }],
  ['sets RSV1', (socket) => socket.end(frame({ opcode: 1, rsv: 4 })), { '1.1.1': 'FAILED, FAILED' }],
  ['continues nothing', (socket) => socket.end(frame({ opcode: 0 })), { '1.1.1': 'FAILED, FAILED' }],
  ['goes on after its Close', (socket) => socket.end(Buffer.concat([close(1000), frame({ opcode: 10 })])), { '7.1.3': 'FAILED, FAILED' }],
  ['ends inside a frame', (socket) => socket.end(close(1000).subarray(0, 3)), { '7.3.3': 'FAILED, FAILED' }]
]

t.jobs = MISTAKES.length
for (const [does, onBytes, expected] of MISTAKES) {
  t.test(`a server that ${does}`, { buffered: true }, async (t) => {
    const port = await start(t, onBytes)
    await Promise.all(Object.entries(expected).map(async ([id, grades]) => {
      const { behavior, behaviorClose, reason } = await runCase(port, hasty(id))
      t.equal(`${behavior}, ${behaviorClose}`, grades, `${id} ${reason}`)
    }))
  })
}

t.test('a server that agrees to no extension', async (t) => {
  const port = await start(t, () => {})
  t.match(await runCase(port, hasty('12.1.1')), { behavior: 'UNIMPLEMENTED', behaviorClose: 'UNIMPLEMENTED' })
})

t.test('a server that refuses the handshake', async (t) => {
  const server = createServer((socket) => { socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const verdict = await runCase((server.address() as AddressInfo).port, hasty('7.1.6'))
  t.match(verdict, { behavior: 'FAILED', behaviorClose: 'FAILED', reason: /400 Bad Request/ })
})
