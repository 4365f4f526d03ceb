/**
 * Runs the compiled tests that have no script of their own: `node test/unit.js`, or `node test/unit.js all` with those of
 * the core, which `npm test` runs by tap for their coverage. Node's own runner understands tap, and loads nothing into each
 * of the processes: 48 s for what takes tap's 66.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const TESTS = join('build', 'test')
const CORE = ['protocol', 'handshake']
/** Each has a script, and needs what a machine may not have, or more time. */
const APART = ['browser', 'clients', 'package', 'proxies', 'strangers']

const apart = process.argv[2] === 'all' ? APART : [...APART, ...CORE]
const files = readdirSync(TESTS, { recursive: true })
  .filter((file) => file.endsWith('.test.js') && !apart.some((folder) => file.startsWith(join(folder, '/'))))
  .map((file) => join(TESTS, file))
  .sort()
if (files.length === 0) throw new Error(`${TESTS} has no tests: npm run compile:tests`)

console.log(`${files.length} files`)
// Three at a time on two cores: many only wait.
const { status, error } = spawnSync(process.execPath, ['--test', '--test-reporter=dot', '--test-concurrency=3', '--test-timeout=120000', '--enable-source-maps', ...files], { stdio: 'inherit' })
if (error !== undefined) throw error
process.exitCode = status ?? 1
