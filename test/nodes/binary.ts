/**
 * Other lines of Node than the one that runs this. The binaries come from the npm package `node`, into a cache below
 * node_modules.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../helpers/root.ts'

const CACHE = join(ROOT, 'node_modules', '.cache', 'nodes')

/** The binary of a line, such as '24'; throws if it cannot be installed, or does not run here. */
export function binaryOf (line: string): string {
  if (process.version.startsWith(`v${line}.`)) return process.execPath
  const folder = join(CACHE, line)
  const binary = join(folder, 'node_modules', 'node', 'bin', 'node')
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
