/**
 * Runs the tests of this folder against the built package: `npm run test:libraries [-- name ...]`. What they need is
 * installed here and not in the project, which stays small.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const folder = import.meta.dirname

function run (command, ...args) {
  // The hooks of a test runner that calls this are not for the tests here.
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: 'inherit', env: { ...process.env, NODE_OPTIONS: '' } })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

const { dependencies } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))

/** Whether a dependency is not there at all; an older version that fits by its name is npm's affair. */
function isMissing (name) {
  try {
    readFileSync(`${folder}/node_modules/${name}/package.json`)
    return false
  } catch {
    return true
  }
}

if (Object.keys(dependencies).some(isMissing)) run('npm', 'install', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error')

const asked = process.argv.slice(2)
const files = asked.length > 0 ? asked.map((name) => `${name}.test.js`) : readdirSync(folder).filter((name) => name.endsWith('.test.js'))
run(process.execPath, '--test', '--test-timeout=120000', '--test-concurrency=2', ...files)
