/**
 * README.md as its tests read it: code blocks, tables, and its first example run as a reader runs it.
 */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './root.ts'

const START_MS = 30_000

export const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
/** docs/security.md. */
export const security = readFileSync(join(ROOT, 'docs/security.md'), 'utf8')

/** The code blocks of a language, in order. */
export function codeBlocks (language: string): string[] {
  return [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter((match) => match[1] === language).map((match) => match[2]!)
}

/** The cells of the first table under a heading of a page, without its head. */
export function tableUnder (heading: string, page = readme): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`there is no heading '${heading}'`)
  const rows = section.match(/(?:^\|.*\n)+/m)?.[0].trim().split('\n') ?? []
  return rows.slice(2).map((row) => row.slice(1, -1).split('|').map((cell) => cell.trim()))
}

/**
 * Runs the first two JavaScript blocks, server and client, in a folder where the package is installed. Returns what the
 * client printed. Of what is printed in the README only the port is another.
 */
export async function runFirstExample (folder: string): Promise<string> {
  const [server, client] = codeBlocks('js')
  writeFileSync(join(folder, 'server.mjs'), server!)
  const child = start(folder, ['server.mjs'], { PORT: '0' })
  try {
    const port = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`The server does not listen:\n${child.printed()}`)), START_MS)
      child.onOutput((printed) => {
        const found = /listening at http:\/\/[^"]*:(\d+)/.exec(printed)
        if (found === null) return
        clearTimeout(timer)
        resolve(found[1]!)
      })
      child.exited.then(() => reject(new Error(`The server ended:\n${child.printed()}`)), reject)
    })
    writeFileSync(join(folder, 'client.mjs'), client!.replace('localhost:3000', `localhost:${port}`))
    const own = start(folder, ['--experimental-websocket', 'client.mjs'])
    await own.exited
    return own.printed()
  } finally {
    child.process.kill()
    await child.exited
  }
}

function start (cwd: string, args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  let listener: (printed: string) => void = () => {}
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      // The flag is experimental on Node 20, and says so.
      if (text.includes('ExperimentalWarning')) return
      printed += text
      listener(printed)
    })
  }
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return { process: child, exited, printed: () => printed, onOutput (given: typeof listener) { listener = given } }
}
