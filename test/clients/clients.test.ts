/**
 * Clients that other people wrote, in other languages, over TCP: what they send arrives as it was and comes back as it
 * was, and both sides say the same of how a connection began and ended.
 *
 * Every client is a program of its own that is given the server's address and the sizes of messages. It tries what is
 * listed in `Report`, looks at what it receives itself, and prints one line of JSON; or it fails and says why. What is
 * not on this machine is skipped, and the reason printed.
 */
import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { tableUnder } from '../helpers/readme.ts'
import { ROOT } from '../helpers/root.ts'
import { KINDS, type Ability, type Command, type Kind } from './kinds.ts'
import { startServer, type Server } from './server.ts'

/** At the borders of the three forms of a length (RFC 6455 §5.2), and well beyond. */
const SIZES = [0, 1, 125, 126, 65_535, 65_536, 4 * 1024 * 1024]
/** Longer than any client takes, compiling included. */
const PATIENCE_MS = 120_000

/** What a client says. */
interface Report {
  /** Itself and its version, for people. */
  readonly client: string
  /** With which code its Close was answered after all messages on /echo, /deflate and /takeover. */
  readonly answered: ReadonlyArray<number | null>
  /** What came back of PARTS. */
  readonly fragments?: string
  /** What the server said when its ping was answered. */
  readonly pings: string
  readonly subprotocol: string
  /** Code and reason of the server's Close. */
  readonly closed: readonly [number, string]
  /** The status of a refusal, where the client's interface has it. */
  readonly refused: number | null
}

/** Text and binary of each size, and text of nothing but characters beyond the BMP: what all clients send. */
const MESSAGES = [
  ...SIZES.flatMap((size) => [
    { data: Buffer.from('aé€😀'.repeat(Math.floor(size / 10)) + 'x'.repeat(size % 10)), isBinary: false },
    { data: Buffer.from(Uint8Array.from({ length: size }, (_, i) => i % 251)), isBinary: true }
  ]),
  { data: Buffer.from('😀𝄞𐍈'.repeat(100)), isBinary: false }
]
const MESSAGE_BYTES = MESSAGES.reduce((sum, { data }) => sum + data.length, 0)

/** What is sent in fragments, three at least. */
const PARTS = 'in three parts'
/** Of a masked frame with less than 126 octets. */
const HEADER_BYTES = 6

t.test('docs/conformance.md has a row for each', async (t) => {
  const page = readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8')
  t.strictSame(tableUnder('Clients of others', page).map(([name]) => name), KINDS.map(({ name }) => name))
})

for (const kind of KINDS) {
  let command: Command
  try {
    command = kind.find()
  } catch (error) {
    t.test(kind.name, { skip: `it cannot be had: ${(error as Error).message}` }, () => {})
    continue
  }
  t.test(kind.name, async (t) => {
    const server = await startServer(t)
    const report = await run(command, server.url)
    t.comment(report.client)
    await compare(t, kind, server, report)
  })
}

/** Rejects with what the client wrote, if it fails. */
async function run ({ file, args, env }: Command, url: string): Promise<Report> {
  const child = spawn(file, [...args, url, SIZES.join()], { env: { ...process.env, NODE_OPTIONS: '', ...env }, stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE_MS })
  const [printed, errors, [code, signal]] = await Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`the client ended with ${code ?? signal}: ${errors.trim()}`)
  return JSON.parse(printed)
}

async function compare (t: Test, { agreed, compresses, lacks, answersWith }: Kind, server: Server, report: Report): Promise<void> {
  const can = (ability: Ability): boolean => !lacks.includes(ability)

  for (const [path, extensions] of [['/echo', ''], ['/deflate', agreed.deflate], ['/takeover', agreed.takeover]] as const) {
    const { messages, closed, traffic, ...connection } = server.seen.get(path)!
    t.equal(messages.length, MESSAGES.length, `${path}: as many messages as were sent`)
    for (const [i, { data, isBinary }] of MESSAGES.entries()) {
      if (messages[i]?.isBinary !== isBinary || !messages[i].data.equals(data)) t.fail(`${path}: ${isBinary ? 'binary' : 'text'} of ${data.length} octets arrived as another`)
    }
    t.strictSame(await closed, { code: 3001, reason: 'that is all', wasClean: true }, `${path}: closed by the client`)
    t.equal(connection.extensions, extensions, `${path}: extensions`)
    const { up, down } = traffic()
    const isCompressed = extensions !== ''
    t.ok(isCompressed && compresses === 'both' ? up < MESSAGE_BYTES / 10 : up > MESSAGE_BYTES, `${path}: ${MESSAGE_BYTES} octets received in ${up}`)
    t.ok(isCompressed && compresses !== 'none' ? down < MESSAGE_BYTES / 10 : down > MESSAGE_BYTES, `${path}: and sent in ${down}`)
  }
  t.strictSame(report.answered, Array(3).fill(can('answer') ? 3001 : null), 'a Close is answered with its code')

  t.equal(report.fragments, can('fragments') ? PARTS : undefined, 'fragments come back as one message')
  const received = server.seen.get('/fragments')?.messages[0]
  // Some add an empty one to end with.
  if (received !== undefined) t.ok(received.octets >= PARTS.length + 3 * HEADER_BYTES, `and came in ${received.octets} octets`)

  const pings = server.seen.get('/pings')!
  t.equal(report.pings, 'ponged: from the server', 'a ping of the server is answered')
  t.strictSame(pings.pongs, ['from the server'])
  t.strictSame(pings.pings, can('ping') ? ['from the client'] : [], 'and one of the client, which says so itself')

  t.equal(report.subprotocol, 'chat.v2', 'the first subprotocol that both know')
  t.equal(server.seen.get('/subprotocols')!.protocol, 'chat.v2')

  t.strictSame(report.closed, [4001, 'bye'], 'closed by the server')
  t.match(await server.seen.get('/closes')!.closed, { code: answersWith ?? 4001, wasClean: true }, 'which the client answered')

  t.equal(report.refused, can('status') ? 403 : null, 'refused with a status')
  t.equal(server.refused(), 1)
}
