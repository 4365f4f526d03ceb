/**
 * All cases of the Autobahn suite, with a table of the grades: `npm run test:conformance`. With CONFORMANCE_REPORT=1 every
 * case sends as many messages as the suite has it, and the table goes to `docs/conformance.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../helpers/root.ts'
import type { Case, Grade, Verdict } from './run-case.ts'
import { aimOf, gradesOf, inSections, loadCases, runCases, sectionOf, shortened, startEcho } from './suite.ts'

/** The large messages of section 9 go one after the other, so that each has the machine for itself. */
const AT_A_TIME: Readonly<Record<number, number>> = { 9: 1, 12: 6, 13: 6 }
const MOST_AT_A_TIME = 32
const REPORT = join(ROOT, 'docs/conformance.md')
/** What follows on the page is not written by the run. */
const BY_HAND = '<!-- Above: written by the run.'
const DEFLATE_SECTIONS = [12, 13]
const WRITES_REPORT = process.env.CONFORMANCE_REPORT === '1'
/** Messages of 8 KiB and more that a case of sections 12 and 13 sends. */
const LARGE_MESSAGES = WRITES_REPORT ? 1000 : 50
/** `thresholdBytes`: every message of cases above it comes back compressed, unless that would be no smaller. */
const THRESHOLD_BYTES = 1024
const GRADES: readonly Grade[] = ['OK', 'NON-STRICT', 'INFORMATIONAL', 'FAILED', 'UNCLEAN', 'WRONG CODE', 'FAILED BY CLIENT', 'UNIMPLEMENTED']
const TITLES: Readonly<Record<number, string>> = {
  1: 'Framing',
  2: 'Pings and pongs',
  3: 'Reserved bits',
  4: 'Reserved opcodes',
  5: 'Fragments',
  6: 'UTF-8',
  7: 'Closing',
  9: 'Limits and round trips',
  10: 'Automatic fragmentation',
  12: 'permessage-deflate: kinds of data',
  13: 'permessage-deflate: parameters'
}

t.test('all sections', async (t) => {
  const all = loadCases()
  t.equal(all.size, 517)
  const cases = shortened(all, LARGE_MESSAGES)
  const port = await startEcho(t)
  const verdicts = new Map<string, Verdict>()
  for (const section of new Set([...cases.keys()].map(sectionOf))) {
    await t.test(`section ${section}: ${TITLES[section]}`, async (t) => {
      await runCases(port, inSections(cases, [section]), AT_A_TIME[section] ?? MOST_AT_A_TIME, (id, testCase, verdict) => {
        verdicts.set(id, verdict)
        t.equal(gradesOf(testCase, verdict), aimOf(testCase), `${id} ${testCase.does}`)
        // The suite does not look at it: a server that agrees and then sends everything as it is passes.
        const { times = 0, length = 0 } = testCase.send[0]!
        if (DEFLATE_SECTIONS.includes(section) && length > THRESHOLD_BYTES) t.equal(verdict.compressed, times, `${id} comes back compressed`)
      })
    })
  }
  const table = makeTable(verdicts)
  for (const line of table) t.comment(line)
  if (!WRITES_REPORT) return
  const page = readFileSync(REPORT, 'utf8')
  const byHand = page.indexOf(BY_HAND)
  if (byHand === -1) throw new Error(`docs/conformance.md has lost the line that begins with '${BY_HAND}'`)
  writeFileSync(REPORT, makeReport(table, all, verdicts) + page.slice(byHand))
})

/** A row for each section: how many cases got each grade for what came back, and for how it ended. */
function makeTable (verdicts: ReadonlyMap<string, Verdict>): string[] {
  const seen = GRADES.filter((grade) => [...verdicts.values()].some(({ behavior, behaviorClose }) => behavior === grade || behaviorClose === grade))
  const row = (title: string, ofRow: readonly Verdict[]): string => {
    const cells = seen.map((grade) => {
      const behaviors = ofRow.filter(({ behavior }) => behavior === grade).length
      const closes = ofRow.filter(({ behaviorClose }) => behaviorClose === grade).length
      return behaviors + closes === 0 ? '' : behaviors === closes ? String(behaviors) : `${behaviors} / ${closes}`
    })
    return `| ${[title, ofRow.length, ...cells].join(' | ')} |`
  }
  const sections = new Set([...verdicts.keys()].map(sectionOf))
  return [
    `| Section | Cases | ${seen.join(' | ')} |`,
    `|---|${'---:|'.repeat(seen.length + 1)}`,
    ...[...sections].map((section) => row(`${section} ${TITLES[section]}`, [...verdicts].filter(([id]) => sectionOf(id) === section).map(([, verdict]) => verdict))),
    row('All', [...verdicts.values()])
  ]
}

function makeReport (table: readonly string[], cases: ReadonlyMap<string, Case>, verdicts: ReadonlyMap<string, Verdict>): string {
  const others = [...verdicts].filter(([, { behavior, behaviorClose }]) => behavior !== 'OK' || behaviorClose !== 'OK')
  return [
    '# Conformance',
    '',
    `The ${verdicts.size} cases of the Autobahn fuzzing client (suite 25.10.1), put over TCP to a raw route that echoes: by the runner in`,
    '`test/conformance`, which was written from a description of the cases, and not by the suite itself.',
    `Written by \`CONFORMANCE_REPORT=1 npm run test:conformance\` on ${new Date().toISOString().slice(0, 10)} with Node ${process.versions.node}.`,
    'The [requirements of the RFCs](#requirements-of-rfc-6455-and-rfc-7692) and [clients of others](#clients-of-others), below, have tests of their own.',
    '',
    '## The cases',
    '',
    'Every case has a grade for what came back and one for how the connection ended: one number where both are the same, otherwise `back / end`.',
    '',
    ...table,
    '',
    ...others.length === 0 ? [] : ['Other than OK:', ''],
    ...others.map(([id, { behavior, behaviorClose, reason }]) => `- ${id}: ${behavior}, ${behaviorClose} (${reason})`),
    ...others.length === 0 ? [] : [''],
    'The suite does not look whether echoes are compressed. The runner does:',
    '',
    '| Section | Messages | came back compressed |',
    '|---|---:|---:|',
    ...DEFLATE_SECTIONS.map((section) => {
      const ofSection = [...verdicts].filter(([id]) => sectionOf(id) === section)
      const sent = ofSection.reduce((sum, [id]) => sum + cases.get(id)!.send[0]!.times!, 0)
      return `| ${section} ${TITLES[section]} | ${sent} | ${ofSection.reduce((sum, [, { compressed }]) => sum + compressed, 0)} |`
    }),
    '',
    `The others are shorter than \`thresholdBytes\`, ${THRESHOLD_BYTES} octets, or would have been no smaller.`,
    ''
  ].join('\n')
}
