/**
 * That the runner finds what is wrong with permessage-deflate, and nothing wrong with a server that does it right.
 */
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { constants, deflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws'
import { DeflateTester } from './deflate-tester.ts'
import { runCase, type Case } from './run-case.ts'
import { loadCases, shortened } from './suite.ts'

const MESSAGES = 20
/** None of these servers gets better with time. */
const WAIT_SECONDS = 0.5
const cases = shortened(loadCases(), MESSAGES)

/** What a server does wrong, in its answer, in the headers of its frames, or in what it sends for the nth message. */
interface Mistake {
  readonly answer?: string
  readonly header?: (octets: Buffer) => void
  readonly echo?: (socket: WebSocket, data: Buffer, isBinary: boolean, nth: number) => void
}

async function echo (t: Test, perMessageDeflate: ServerOptions['perMessageDeflate'], { answer, header, echo }: Mistake = {}): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate })
  t.teardown(() => { server.close() })
  server.on('headers', (fields) => {
    if (answer !== undefined) fields.splice(fields.findIndex((field) => /^sec-websocket-extensions:/i.test(field)), 1, `Sec-WebSocket-Extensions: ${answer}`)
  })
  server.on('connection', (socket, request) => {
    let received = 0
    socket.on('message', (data: Buffer, isBinary) => {
      received++
      if (echo === undefined) socket.send(data, { binary: isBinary })
      else echo(socket, data, isBinary, received)
    })
    if (header !== undefined) changeHeaders(request.socket, header)
    t.teardown(() => socket.terminate())
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** `ws` writes the header of a frame by itself, and gives the callback to the payload that follows. */
function changeHeaders (socket: Socket, change: (octets: Buffer) => void): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  socket.write = (chunk: Buffer, ...rest: unknown[]) => {
    if (rest.length === 0) change(chunk)
    return write(chunk, ...rest)
  }
}

t.test('a server that does it right, with and without takeover', async (t) => {
  for (const options of [true, { threshold: 0 }, { threshold: 0, serverNoContextTakeover: true }, { threshold: 0, clientMaxWindowBits: 10 }]) {
    const port = await echo(t, options)
    for (const id of ['12.1.6', '12.4.9', '12.2.11', '13.2.6', '13.7.6']) {
      const { behavior, behaviorClose, compressed, reason } = await runCase(port, cases.get(id)!)
      t.equal(`${behavior}, ${behaviorClose}`, 'OK, OK', `${id} ${reason}`)
      t.equal(compressed, MESSAGES, `${id} comes back compressed`)
    }
  }
})

t.test('one that does not agree', async (t) => {
  const { behavior } = await runCase(await echo(t, false), cases.get('12.1.6')!)
  t.equal(behavior, 'UNIMPLEMENTED')
})

t.test('an echo of something else', async (t) => {
  const port = await echo(t, true)
  const other: Case = { ...cases.get('12.1.6')!, ok: cases.get('12.2.6')!.ok, waitSeconds: 0.2 }
  t.equal((await runCase(port, other)).behavior, 'FAILED')
})

const isMessage = (header: Buffer): boolean => (header[0]! & 0x0f) < 8
const ANSWER = 'permessage-deflate; client_no_context_takeover'

/** Otherwise each is `ws`, which without an option of ours takes its context over and has the largest window. */
const MISTAKES: ReadonlyArray<readonly [does: string, mistake: Mistake, grades: string, why: RegExp]> = [
  ['makes no mistake', { answer: ANSWER }, 'OK, OK', /^text of 8192, /],
  ['agrees to what was not offered', { answer: `${ANSWER}; server_max_window_bits=16` }, 'FAILED, FAILED', /^the server agreed/],
  ['keeps the context that it has promised to forget', { answer: `${ANSWER}; server_no_context_takeover` }, 'FAILED, FAILED', /cannot be inflated/],
  ['has a larger window than it has promised', { answer: `${ANSWER}; server_max_window_bits=9` }, 'FAILED, FAILED', /cannot be inflated/],
  ['forgets RSV1', { header: (octets) => { if (isMessage(octets)) octets[0]! &= ~0x40 } }, 'FAILED, FAILED', /not UTF-8/],
  ['sets RSV2', { header: (octets) => { if (isMessage(octets)) octets[0]! |= 0x20 } }, 'FAILED, FAILED', /RSV bits/],
  ['sets RSV1 on a Close frame', { header: (octets) => { if (!isMessage(octets)) octets[0]! |= 0x40 } }, 'FAILED, FAILED', /RSV bits/],
  ['sets RSV1 on what it has not compressed', {
    header: (octets) => { if (isMessage(octets)) octets[0]! |= 0x40 },
    echo: (socket, data, binary) => socket.send(data, { binary, compress: false })
  }, 'FAILED, FAILED', /cannot be inflated/],
  ['echoes another type', { echo: (socket, data, isBinary) => socket.send(data, { binary: !isBinary }) }, 'FAILED, OK', /^binary of 8192, /],
  ['changes an octet', { echo: (socket, data, binary) => socket.send(Buffer.concat([data.subarray(1), Buffer.from('~')]), { binary }) }, 'FAILED, OK', /^text of 8192, /],
  ['echoes twice', {
    echo: (socket, data, binary) => {
      socket.send(data, { binary })
      socket.send(data, { binary })
    }
  }, 'FAILED, OK', /^text of 8192, /],
  ['swallows the last message', { echo: (socket, data, binary, nth) => { if (nth < MESSAGES) socket.send(data, { binary }) } }, 'FAILED, OK', /^text of 8192, /],
  ['closes early', { echo: (socket, data, binary, nth) => nth < MESSAGES ? socket.send(data, { binary }) : socket.close(1000) }, 'FAILED, FAILED', /tester should have closed/]
]

for (const [does, mistake, grades, why] of MISTAKES) {
  t.test(`a server that ${does}`, async (t) => {
    const port = await echo(t, true, mistake)
    const { behavior, behaviorClose, reason } = await runCase(port, { ...cases.get('12.1.6')!, waitSeconds: WAIT_SECONDS })
    t.equal(`${behavior}, ${behaviorClose}`, grades, reason)
    t.match(reason, why)
  })
}

t.test('one that agrees, and compresses nothing', async (t) => {
  const port = await echo(t, true, { echo: (socket, data, binary) => socket.send(data, { binary, compress: false }) })
  t.match(await runCase(port, cases.get('12.1.6')!), { behavior: 'OK', behaviorClose: 'OK', compressed: 0 })
})

t.test('a window that is larger than promised, within one message', async (t) => {
  const port = await echo(t, { serverNoContextTakeover: true }, { answer: `${ANSWER}; server_no_context_takeover; server_max_window_bits=9` })
  for (const id of ['12.1.7', '12.3.7', '12.4.7']) t.match(await runCase(port, cases.get(id)!), { behavior: 'FAILED', reason: /cannot be inflated/ }, id)
})

t.test('answers that fit no offer', async (t) => {
  const plain = 'permessage-deflate; client_max_window_bits'
  const strict = 'permessage-deflate; server_no_context_takeover; server_max_window_bits=9'
  const wrong: Array<[answer: string, offer: string]> = [
    ['x-other', plain], ['permessage-deflate; wrong', plain], ['permessage-deflate, permessage-deflate', plain],
    ['permessage-deflate; client_max_window_bits', plain], ['permessage-deflate; client_max_window_bits=16', plain],
    ['permessage-deflate; client_max_window_bits=09', plain], ['permessage-deflate; server_no_context_takeover=1', plain],
    ['permessage-deflate; server_no_context_takeover; server_no_context_takeover', plain],
    ['permessage-deflate', strict], ['permessage-deflate; server_no_context_takeover', strict],
    ['permessage-deflate; server_no_context_takeover; server_max_window_bits=10', strict],
    ['permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9', strict]
  ]
  for (const [answer, offer] of wrong) t.throws(() => new DeflateTester(answer, [offer]), { message: /^the server agreed/ }, answer)
  for (const answer of ['permessage-deflate; server_no_context_takeover; server_max_window_bits=9', 'permessage-deflate']) {
    new DeflateTester(answer, [strict, plain]).close()
  }
})

t.test('a server that breaks its own answer', async (t) => {
  const options = { finishFlush: constants.Z_SYNC_FLUSH }
  const compressed = (message: Buffer, dictionary?: Buffer): Buffer => deflateRawSync(message, dictionary === undefined ? options : { ...options, dictionary }).subarray(0, -4)
  const message = Buffer.from('what was said before '.repeat(20))
  const offers = ['permessage-deflate']

  const takesOver = new DeflateTester('permessage-deflate', offers)
  t.ok(message.equals(await takesOver.inflate(compressed(message))))
  t.ok(message.equals(await takesOver.inflate(compressed(message, message))))
  takesOver.close()
  const forgets = new DeflateTester('permessage-deflate; server_no_context_takeover', offers)
  t.ok(message.equals(await forgets.inflate(compressed(message))))
  await t.rejects(forgets.inflate(compressed(message, message)), { code: 'Z_DATA_ERROR' }, 'it refers to what it has promised to forget')
  forgets.close()

  const far = Buffer.concat([message, Buffer.from(Array.from({ length: 2000 }, (_, i) => Math.imul(i * i + i, 2_654_435_761) >>> 24))])
  const narrow = new DeflateTester('permessage-deflate; server_max_window_bits=9', offers)
  t.ok(far.equals(await narrow.inflate(compressed(far))))
  await t.rejects(narrow.inflate(compressed(message, far)), { code: 'Z_DATA_ERROR' }, 'its window is larger than it has promised')
  narrow.close()
})
