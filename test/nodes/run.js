/**
 * The unit and integration tests on each line of Node that is supported: `npm run test:nodes [-- 22 26]`. The binaries
 * come from the npm package `node`, into a cache below node_modules. A line that cannot be had is skipped, with its
 * reason; without the one that runs this, that would be all of them, so it is always among them.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const LINES = ['20', '22', '24', '26']
const CACHE = join('node_modules', '.cache', 'nodes')

/** The binary of a line; throws if it cannot be installed, or does not run here. */
function binaryOf (line) {
  if (process.version.startsWith(`v${line}.`)) return process.execPath
  const folder = join(CACHE, line)
  const binary = join(process.cwd(), folder, 'node_modules', 'node', 'bin', 'node')
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    const { status, stderr } = spawnSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error', `node@${line}`], { cwd: folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`npm install node@${line}: ${stderr.trim()}`)
  }
  const { stdout, error } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  if (error !== undefined) throw error
  if (!stdout.startsWith(`v${line}.`)) throw new Error(`it is ${stdout.trim()}`)
  return binary
}

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
