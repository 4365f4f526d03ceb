/**
 * The cases, an echo server for them, and a run of many at a time.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { startApp } from '../helpers/app.ts'
import { ROOT } from '../helpers/root.ts'
import { runCase, type Case, type Verdict } from './run-case.ts'

const MIB = 1024 * 1024
/** From this length on, in code points or octets, a message is large. */
const LARGE = 8192

/** From id, such as `1.1.1`, to case, in order. */
export type Cases = ReadonlyMap<string, Case>

export function loadCases (): Cases {
  const file = join(ROOT, 'test/fixtures/conformance-cases.json')
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Record<string, Case> }
  return new Map(Object.entries(cases))
}

/** A case of sections 12 and 13 sends 1,000 messages: with fewer of them where they are large, a run takes minutes less. */
export function shortened (cases: Cases, mostLarge: number): Cases {
  return new Map([...cases].map(([id, testCase]) => {
    const [step] = testCase.send
    const { times = 1, length = 0 } = step!
    if (step!.offer === undefined || length < LARGE || times <= mostLarge) return [id, testCase]
    const fewer = (expected: unknown): never => ({ ...expected as object, times: mostLarge }) as never
    return [id, { ...testCase, send: [{ ...step, times: mostLarge }], ok: testCase.ok.map((sequence) => sequence.map(fewer)) }]
  }))
}

export function sectionOf (id: string): number {
  return Number(id.split('.')[0])
}

export function inSections (cases: Cases, sections: readonly number[]): Cases {
  return new Map([...cases].filter(([id]) => sections.includes(sectionOf(id))))
}

/** The port of a raw route that echoes. */
export async function startEcho (t: Test): Promise<number> {
  const { port } = await startApp(t, (app) => {
    app.get('/', { websocket: true }, (socket) => {
      socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
    })
  }, { maxMessageBytes: 32 * MIB, deflate: true })
  return port
}

/** So many at a time; what `onVerdict` gets comes in the order of the cases. */
export async function runCases (port: number, cases: Cases, atATime: number, onVerdict: (id: string, testCase: Case, verdict: Verdict) => void): Promise<void> {
  const waiting = [...cases]
  const verdicts = new Map<string, Verdict>()
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) verdicts.set(next[0], await runCase(port, next[1]))
  }
  await Promise.all(Array.from({ length: atATime }, work))
  for (const [id, testCase] of cases) onVerdict(id, testCase, verdicts.get(id)!)
}

/** What the project aims at: every case OK, but for those that only inform. */
export function aimOf ({ informational }: Case): string {
  return informational === true ? 'INFORMATIONAL, INFORMATIONAL' : 'OK, OK'
}

/** Both grades; with what was seen, where they miss the aim. */
export function gradesOf (testCase: Case, { behavior, behaviorClose, reason }: Verdict): string {
  const grades = `${behavior}, ${behaviorClose}`
  return grades === aimOf(testCase) ? grades : `${grades}: ${reason}`
}
