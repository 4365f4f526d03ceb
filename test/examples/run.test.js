/**
 * The examples as programs: each listens when it is run, ends when it is told to, and stands in examples/README.md.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))

for (const file of ['file-upload.js', 'market-data.js', 'rpc.js', 'auth.js', 'behind-nginx/server.js']) {
  test(`${file} listens, and ends by itself`, async (t) => {
    const child = spawn(process.execPath, [`${folder}${file}`], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const port = await new Promise((resolve, reject) => {
      let printed = ''
      child.stdout.setEncoding('utf8').on('data', (text) => {
        printed += text
        const found = /Server listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(printed)
        if (found) resolve(found[1])
      })
      exited.then(() => reject(new Error(`it has ended:\n${printed}`)))
    })
    assert.equal((await fetch(`http://127.0.0.1:${port}/nowhere`)).status, 404)
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  })
}

test('examples/README.md has a line for each', () => {
  const readme = readFileSync(`${folder}README.md`, 'utf8')
  const listed = [...readme.matchAll(/^\| \[([\w./-]+)\]/gm)].map(([, name]) => name)
  const there = readdirSync(folder, { withFileTypes: true })
    .map((entry) => entry.isDirectory() ? `${entry.name}/` : entry.name)
    .filter((name) => name !== 'README.md' && name !== 'tsconfig.json')
  assert.deepEqual(listed.toSorted(), there.toSorted())
})
