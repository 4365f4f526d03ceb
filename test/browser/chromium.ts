/**
 * Chromium without a window, and the examples as processes of their own, for the tests in this folder.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'
import { ROOT } from '../helpers/root.ts'

const FLAGS = [
  // A container's root has no sandbox; the pages are our own.
  '--no-sandbox', '--disable-gpu',
  // Nothing but the loopback is to be asked for anything.
  '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'
]

/** Starts Chromium: the one of CHROMIUM_PATH, or Debian's. Rejects with a message that says what is missing. */
export async function startChromium (): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
  if (!existsSync(executablePath)) {
    throw new Error(`There is no Chromium at ${executablePath}: install it (Debian: apt-get install chromium), or set CHROMIUM_PATH to where it is`)
  }
  return chromium.launch({ executablePath, args: FLAGS })
}

export interface Example {
  /** What it printed as its address. */
  readonly url: string
  /** Ends it as Ctrl+C would; resolves with its exit code. */
  stop (): Promise<number | null>
}

/** Starts `examples/<file>`, which prints its address when it listens. It needs what `npm run build` makes. */
export async function startExample (file: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Example> {
  const path = join(ROOT, 'examples', file)
  const child = spawn(process.execPath, [path, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let printed = ''
  child.stdout.setEncoding('utf8')
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (text: string) => {
      printed += text
      const found = /(?:http|ws):\/\/[^\s/]+(?:\/\w+)?(?=\s)/.exec(printed)
      if (found !== null) resolve(found[0])
    })
    exited.then((code) => reject(new Error(`examples/${file} ended with ${code} before it listened:\n${printed}`)))
  })
  return {
    url,
    stop () {
      child.kill('SIGTERM')
      return exited
    }
  }
}
