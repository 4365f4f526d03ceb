/**
 * The cases of the Autobahn suite that take no time: framing, pings, reserved bits and opcodes, fragments, UTF-8, closes,
 * automatic fragmentation. `npm run test:conformance` runs all of them.
 */
import t from 'tap'
import { aimOf, gradesOf, inSections, loadCases, runCases, startEcho } from './suite.ts'

const AT_A_TIME = 32

t.test('sections 1 to 7 and 10', async (t) => {
  const cases = inSections(loadCases(), [1, 2, 3, 4, 5, 6, 7, 10])
  t.equal(cases.size, 247)
  await runCases(await startEcho(t), cases, AT_A_TIME, (id, testCase, verdict) => {
    t.equal(gradesOf(testCase, verdict), aimOf(testCase), `${id} ${testCase.does}`)
  })
})
