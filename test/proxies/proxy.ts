/**
 * nginx and HAProxy as processes of their own, on loopback, with the configuration that docs/security.md shows: only
 * addresses, files and the times that a test shortens are other ones.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../helpers/root.ts'

const START_MS = 10_000
const STOP_MS = 5_000
const RELOAD_STEP_MS = 1_000

/** `nobody`, if it is root who runs the tests: a proxy needs no more. */
const UNPRIVILEGED = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

/** The host that the certificate is for, and that the configuration names. */
export const HOST = 'app.example.com'

const page = readFileSync(join(ROOT, 'docs/security.md'), 'utf8')

/** What the page shows in place of what differs from machine to machine. */
interface Places {
  readonly port: number
  readonly appPort: number
  readonly certificate: string
  readonly key: string
  readonly both: string
}

export interface Kind {
  readonly name: string
  /** Where Debian's package puts it, and the variable that says otherwise. */
  readonly path: string
  readonly variable: string
  readonly reloadSignal: NodeJS.Signals
  /** The proxy's status for a client that does not finish the head of its request; undefined if it just ends. */
  readonly slowStatus: number | undefined
  /** Pieces of the configuration that tests change, by name. */
  readonly settings: Readonly<Record<Setting, string>>
  readonly fill: (places: Places) => Readonly<Record<string, string>>
  /** The whole configuration around what the page shows. */
  readonly configuration: (shown: string, folder: string) => string
  readonly args: (file: string) => string[]
}

/** What of it a test may change. `idle`: how long an open connection may be silent. `head`: how long a request's head may take. `address`: connections of one address. `server`: how the application is reached. `client`: how clients come. */
export type Setting = 'idle' | 'head' | 'address' | 'server' | 'client'

export const nginx: Kind = {
  name: 'nginx',
  path: '/usr/sbin/nginx',
  variable: 'NGINX_PATH',
  reloadSignal: 'SIGHUP',
  slowStatus: undefined,
  settings: {
    idle: 'proxy_read_timeout 75s;',
    head: 'client_header_timeout 10s;',
    address: 'limit_conn connections 100;',
    server: 'proxy_set_header Host $http_host;',
    client: 'listen 443 ssl;'
  },
  fill: ({ port, appPort, certificate, key }) => ({
    'listen 443 ssl;': `listen 127.0.0.1:${port} ssl;`,
    '127.0.0.1:3000': `127.0.0.1:${appPort}`,
    '/etc/nginx/app.crt': certificate,
    '/etc/nginx/app.key': key
  }),
  configuration: (shown, folder) => [
    'daemon off;',
    'worker_processes 1;',
    'error_log stderr warn;',
    `pid ${folder}/pid;`,
    'events { worker_connections 256; }',
    'http {',
    'access_log off;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/${what};`),
    shown,
    '}'
  ].join('\n'),
  args: (file) => ['-c', file]
}

export const haproxy: Kind = {
  name: 'HAProxy',
  path: '/usr/sbin/haproxy',
  variable: 'HAPROXY_PATH',
  reloadSignal: 'SIGUSR2',
  slowStatus: 408,
  settings: {
    idle: 'timeout tunnel 75s',
    head: 'timeout http-request 10s',
    address: 'sc0_conn_cur gt 100',
    server: 'server app1 127.0.0.1:3000 maxconn 20000',
    client: 'alpn http/1.1'
  },
  fill: ({ port, appPort, both }) => ({
    'bind :443': `bind 127.0.0.1:${port}`,
    '127.0.0.1:3000': `127.0.0.1:${appPort}`,
    '/etc/haproxy/app.pem': both
  }),
  configuration: (shown) => shown,
  // A master that waits in the foreground, and a worker.
  args: (file) => ['-W', '-f', file]
}

export interface Proxy {
  readonly port: number
  /** Trusts the certificate of the proxy. */
  readonly ca: Buffer
  /** Reads its configuration again, as after an edit: connections that are open stay with what was there before. */
  reload (): Promise<void>
  stop (): Promise<void>
}

export interface ProxyOptions {
  readonly appPort: number
  /** Settings in place of those of the page. */
  readonly settings?: Partial<Record<Setting, string>>
}

/** Starts a proxy with what the page shows. Rejects with a message that says what is missing, or what it said itself. */
export async function startProxy (kind: Kind, { appPort, settings = {} }: ProxyOptions): Promise<Proxy> {
  const path = process.env[kind.variable] ?? kind.path
  if (!existsSync(path)) {
    throw new Error(`There is no ${kind.name} at ${path}: install it (Debian: apt-get install ${kind.name.toLowerCase()}), or set ${kind.variable} to where it is`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'duplex-proxy-'))
  const places: Places = { port: await freePort(), appPort, certificate: join(folder, 'app.crt'), key: join(folder, 'app.key'), both: join(folder, 'app.pem') }
  makeCertificate(places)
  const changed = Object.fromEntries(Object.entries(settings).map(([name, text]) => [kind.settings[name as Setting], text!]))
  const shown = replaced(replaced(shownBlock(kind.name.toLowerCase()), changed), kind.fill(places))
  const file = join(folder, 'configuration')
  writeFileSync(file, kind.configuration(shown, folder))
  giveAway(folder)

  // In a group of its own, so that its workers end with it; and it ends with the test, even if that is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', path, ...kind.args(file)], { ...UNPRIVILEGED, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { said += text })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = async (): Promise<void> => {
    await ended(child, exited)
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    await listening(places.port, child)
  } catch (error) {
    await stop()
    throw new Error(`${kind.name} does not listen: ${(error as Error).message}\n${said}`)
  }
  return {
    port: places.port,
    ca: readFileSync(places.certificate),
    stop,
    async reload () {
      // Both go on listening all the time: what tells is that a new worker is there, beside the one with open connections.
      for (let waited = 0; workersOf(child.pid!).length < 2; waited += RELOAD_STEP_MS) {
        if (waited >= START_MS) throw new Error(`${kind.name} has not reloaded: ${said}`)
        // Again, for a master that has just started may not hear it.
        child.kill(kind.reloadSignal)
        await pause(RELOAD_STEP_MS)
      }
    }
  }
}

/** What docs/security.md shows in this language. */
export function shownBlock (language: string): string {
  const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter((match) => match[1] === language)
  if (blocks.length !== 1) throw new Error(`docs/security.md has ${blocks.length} blocks of ${language}, not one`)
  return blocks[0]![2]!
}

/** With other pieces. One that is not there any more would be a test of something else than the page says. */
function replaced (text: string, pieces: Readonly<Record<string, string>>): string {
  for (const [piece, other] of Object.entries(pieces)) {
    if (!text.includes(piece)) throw new Error(`docs/security.md does not show '${piece}' any more: the tests of proxies have to follow`)
    text = text.replaceAll(piece, other)
  }
  return text
}

function makeCertificate ({ certificate, key, both }: Places): void {
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST}`, '-keyout', key, '-out', certificate
  ], { stdio: 'ignore' })
  writeFileSync(both, Buffer.concat([readFileSync(certificate), readFileSync(key)]))
}

function giveAway (folder: string): void {
  const { uid, gid } = UNPRIVILEGED
  if (uid === undefined || gid === undefined) return
  for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))]) chownSync(path, uid, gid)
}

/** A port of loopback that nobody listens on just now. */
async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => { server.close(resolve) })
  return port
}

async function listening (port: number, child: ChildProcess): Promise<void> {
  const start = performance.now()
  while (!await accepts(port)) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    if (performance.now() - start > START_MS) throw new Error(`nothing listens on port ${port} after ${START_MS} ms`)
    await pause(20)
  }
}

async function accepts (port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => resolve(false))
  })
}

async function ended (child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.kill('SIGTERM')
  const timer = setTimeout(() => killGroup(child), STOP_MS)
  if (child.exitCode === null && child.signalCode === null) await exited
  clearTimeout(timer)
  killGroup(child)
}

function killGroup ({ pid }: ChildProcess): void {
  try {
    process.kill(-pid!, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}

/** The processes that a master has. */
function workersOf (pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter((child) => child !== '')
}

async function pause (ms: number): Promise<void> {
  await new Promise((resolve) => { setTimeout(resolve, ms) })
}
