/**
 * The unit and integration tests on each line of Node that is supported: `npm run test:nodes [-- 22 26]`. A line that
 * cannot be had is skipped, with its reason; without the one that runs this, that would be all of them, so it is always
 * among them.
 */
import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { binaryOf } from '../../build/test/nodes/binary.js'

const LINES = ['20', '22', '24', '26']

/** Whether all tests pass. */
function passes (binary) {
  // What the tests start themselves finds this Node by PATH.
  const env = { ...process.env, NODE_OPTIONS: '', PATH: `${dirname(binary)}:${process.env.PATH}` }
  const { status, error } = spawnSync(binary, ['test/unit.js', 'all'], { env, stdio: 'inherit' })
  if (error !== undefined) throw error
  return status === 0
}

const asked = process.argv.slice(2)
const outcomes = []
for (const line of asked.length > 0 ? asked : LINES) {
  let binary
  try {
    binary = binaryOf(line)
  } catch (error) {
    outcomes.push(`Node ${line}: skipped, since it cannot be had: ${error.message}`)
    continue
  }
  console.log(`\nNode ${line}`)
  const passed = passes(binary)
  if (!passed) process.exitCode = 1
  outcomes.push(`Node ${line}: ${passed ? 'passed' : 'failed'}`)
}
console.log(`\n${outcomes.join('\n')}`)
