/**
 * 10,000 connections, opened and closed in every way there is: afterwards of none of them anything is left. `npm run
 * test:leaks`; LEAKS_CONNECTIONS for another number.
 */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { startApplication } from './application.ts'
import { Collected } from './collected.ts'
import { heapOfProgram } from './heap.ts'
import { WAYS, type Context, type Way } from './ways.ts'

/** Of all ways together, so many at least. */
const CONNECTIONS = Number(process.env['LEAKS_CONNECTIONS'] ?? 10_000)
const AT_ONCE = 25
const ROUNDS = 4
/** Longer than any way takes for all of its connections. */
const PATIENCE_MS = 60_000
/** What the heap of the program may grow by with each connection after the first round: half of the smallest object. It was 0.2 B at most. */
const MOST_BYTES_EACH = 12

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => unhandled.push(error))

async function times (count: number, way: Way, context: Omit<Context, 'name'>): Promise<void> {
  let left = count
  const play = async (): Promise<void> => { while (left-- > 0) await way.play({ ...context, name: way.name }) }
  let late: NodeJS.Timeout | undefined
  await Promise.race([
    Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, play)),
    new Promise((_resolve, reject) => { late = setTimeout(() => reject(new Error(`it hangs: ${way.name}`)), PATIENCE_MS) })
  ])
  clearTimeout(late)
}

/** The server has closed all that its clients have. */
async function isQuiet (app: Context['app']): Promise<void> {
  const connections = (): Promise<number> => new Promise((resolve) => { app.server.getConnections((_error, count) => resolve(count)) })
  while (await connections() > 0) await new Promise((resolve) => { setTimeout(resolve, 10) })
}

t.test(`of ${CONNECTIONS} connections nothing is left`, async (t) => {
  const collected = new Collected()
  const running = await startApplication(collected)
  const context = { ...running, collected }
  const inRound = Math.ceil(CONNECTIONS / ROUNDS / WAYS.filter(({ most }) => most === undefined).length)
  const timesOf = ({ most = Infinity }: Way): number => Math.min(inRound, Math.ceil(most / ROUNDS))

  const connections: number[] = []
  const heaps: number[] = []
  const descriptors: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of WAYS) await times(timesOf(way), way, context)
    await isQuiet(running.app)
    await collected.settle()
    connections.push(collected.watched.get("the server's ends")!)
    heaps.push(await heapOfProgram())
    descriptors.push(readdirSync('/proc/self/fd').length)
    t.comment(`round ${round + 1}: ${connections[round]} connections so far, heap of the program ${heaps[round]} bytes, ${descriptors[round]} descriptors`)
  }

  for (const way of WAYS) {
    const { name, reaches } = way
    const count = timesOf(way) * ROUNDS
    const labels = [...collected.watched.keys()].filter((label) => label.startsWith(`${name}: `))
    const seen = (what: string): number => collected.watched.get(`${name}: ${what}`) ?? 0
    // An upgrade behind another request is two.
    if (reaches !== 'socket') t.ok(seen('the IncomingMessage') >= count, `${name}: ${count} requests`)
    if (reaches === 'handler') t.equal(seen('the WebSocket'), count, `${name}: ${count} WebSockets`)
    t.strictSame(labels.filter((label) => collected.left.has(label)), [], `${name}: all of it is collected`)
  }
  t.equal(collected.left.get("the server's ends"), undefined, 'no socket of the server is left')
  const total = [...collected.watched.values()].reduce((sum, count) => sum + count, 0)
  t.comment(`${total} objects of ${connections.at(-1)} connections were watched`)
  const later = connections.at(-1)! - connections[0]!
  const growth = (heaps.at(-1)! - heaps[0]!) / later
  t.ok(growth < MOST_BYTES_EACH, `of each of ${later} later connections ${growth.toFixed(1)} bytes are left`)
  t.equal(descriptors.at(-1), descriptors[0], 'descriptors')
  t.strictSame(unhandled, [], 'no rejection was left unhandled')
  await running.app.close()
})
