/**
 * All cases of the Autobahn suite, with a table of the grades: `npm run test:conformance`. With CONFORMANCE_REPORT=1 the
 * table goes to `docs/conformance.md` as well.
 */
import { writeFileSync } from 'node:fs'
import t from 'tap'
import type { Grade, Verdict } from './run-case.ts'
import { aimOf, gradesOf, inSections, loadCases, runCases, sectionOf, startEcho } from './suite.ts'

const AT_A_TIME = 32
const DEFLATE_SECTIONS = [12, 13]
const NO_DEFLATE = 'permessage-deflate is not part of this version'
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
  const cases = loadCases()
  t.equal(cases.size, 517)
  const port = await startEcho(t)
  const verdicts = new Map<string, Verdict>()
  for (const section of new Set([...cases.keys()].map(sectionOf))) {
    await t.test(`section ${section}: ${TITLES[section]}`, async (t) => {
      // The large messages go one after the other, so that each has the machine for itself.
      const atATime = section === 9 ? 1 : AT_A_TIME
      const missing: string[] = []
      await runCases(port, inSections(cases, [section]), atATime, (id, testCase, verdict) => {
        verdicts.set(id, verdict)
        if (DEFLATE_SECTIONS.includes(section) && verdict.behavior === 'UNIMPLEMENTED') missing.push(id)
        else t.equal(gradesOf(testCase, verdict), aimOf(testCase), `${id} ${testCase.does}`)
      })
      if (missing.length > 0) t.pass(`${missing[0]} to ${missing.at(-1)}: ${missing.length} cases`, { skip: NO_DEFLATE })
    })
  }
  const table = makeTable(verdicts)
  for (const line of table) t.comment(line)
  if (process.env.CONFORMANCE_REPORT === '1') writeFileSync(new URL('../../docs/conformance.md', import.meta.url), makeReport(table, verdicts))
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

function makeReport (table: readonly string[], verdicts: ReadonlyMap<string, Verdict>): string {
  const others = [...verdicts].filter(([, { behavior, behaviorClose }]) => ![behavior, behaviorClose].every((grade) => grade === 'OK' || grade === 'UNIMPLEMENTED'))
  const isWithoutDeflate = [...verdicts.values()].some(({ behavior }) => behavior === 'UNIMPLEMENTED')
  return [
    '# Conformance',
    '',
    `The ${verdicts.size} cases of the Autobahn fuzzing client (suite 25.10.1), put over TCP to a raw route that echoes: by the runner in`,
    '`test/conformance`, which was written from a description of the cases, and not by the suite itself.',
    `Written by \`CONFORMANCE_REPORT=1 npm run test:conformance\` on ${new Date().toISOString().slice(0, 10)} with Node ${process.versions.node}.`,
    '',
    'Every case has a grade for what came back and one for how the connection ended: one number where both are the same, otherwise `back / end`.',
    ...isWithoutDeflate ? [`UNIMPLEMENTED: ${NO_DEFLATE}, and the server does not agree to it.`] : [],
    '',
    ...table,
    ...others.length === 0 ? [] : ['', 'Neither OK nor UNIMPLEMENTED:', ''],
    ...others.map(([id, { behavior, behaviorClose, reason }]) => `- ${id}: ${behavior}, ${behaviorClose} (${reason})`),
    ''
  ].join('\n')
}
