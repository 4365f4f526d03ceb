// The core and the handshake are covered whole, line by line and branch by branch; run after `tap run`.
import { readFileSync } from 'node:fs'

const summary = JSON.parse(readFileSync('.tap/report/coverage-summary.json', 'utf8'))
const core = Object.entries(summary).filter(([path]) => /[/\\]lib[/\\](protocol|handshake)[/\\]/.test(path))
const gaps = core.filter(([, { lines, branches }]) => lines.pct < 100 || branches.pct < 100)

if (core.length === 0) throw new Error('no coverage of lib/protocol and lib/handshake was reported')
for (const [path, { lines, branches }] of gaps) console.error(`${path}: ${lines.pct} % of lines, ${branches.pct} % of branches`)
if (gaps.length > 0) process.exit(1)
console.log(`lib/protocol and lib/handshake: ${core.length} files, lines and branches covered whole`)
