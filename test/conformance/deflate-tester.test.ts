/**
 * That the runner finds what is wrong with permessage-deflate, and nothing wrong with a server that does it right.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { constants, deflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { WebSocketServer, type ServerOptions } from 'ws'
import { DeflateTester } from './deflate-tester.ts'
import { runCase, type Case } from './run-case.ts'
import { loadCases, shortened } from './suite.ts'

const MESSAGES = 20
const cases = shortened(loadCases(), MESSAGES)

async function echo (t: Test, perMessageDeflate: ServerOptions['perMessageDeflate']): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate })
  t.teardown(() => { server.close() })
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    t.teardown(() => socket.terminate())
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
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
