/**
 * The clients: in which language, where their interpreter or compiler is, and what they can do. The programs stand beside
 * this file; all do the same, which `clients.test.ts` describes.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from '../helpers/root.ts'
import { binaryOf } from '../nodes/binary.ts'

const FOLDER = join(ROOT, 'test', 'clients')
const PROBE_MS = 60_000

export interface Kind {
  /** As in docs/conformance.md. */
  readonly name: string
  /** The command, without what every client is given; throws if something that it needs is not there. */
  readonly find: () => Command
  /** Which directions are compressed once permessage-deflate is agreed on. */
  readonly compresses: 'both' | 'received' | 'none'
  /** What is agreed on by our defaults, and where contexts are taken over; '' if the client offers nothing. */
  readonly agreed: { readonly deflate: string, readonly takeover: string }
  /** What has no place in the client's interface, so that its report lacks it. */
  readonly lacks: readonly Ability[]
  /** With which code it answers a Close, if not with the same. */
  readonly answersWith?: number
}

/** To send fragments, to send pings, to say which code answered its Close, and with which status it was refused. */
export type Ability = 'fragments' | 'ping' | 'answer' | 'status'

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const NO_TAKEOVER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
/** Of a client that offers client_max_window_bits. */
const AGREED = { deflate: `${NO_TAKEOVER}; server_max_window_bits=12`, takeover: 'permessage-deflate' }
const NOTHING = { deflate: '', takeover: '' }

const PYTHON = process.env.PYTHON_PATH ?? '/usr/bin/python3'
/** Debian's Go packages are the sources of a GOPATH. */
const GOPATH = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }

export const KINDS: readonly Kind[] = [
  {
    name: 'websockets (Python)',
    find: () => python('websockets'),
    compresses: 'both',
    agreed: AGREED,
    lacks: []
  },
  {
    name: 'aiohttp (Python)',
    find: () => python('aiohttp'),
    compresses: 'both',
    agreed: AGREED,
    lacks: ['fragments'],
    answersWith: 1000
  },
  {
    name: 'gorilla/websocket (Go)',
    find () {
      const file = process.env.GO_PATH ?? '/usr/bin/go'
      probe('golang-go golang-github-gorilla-websocket-dev', { file, args: ['list', 'github.com/gorilla/websocket'], env: GOPATH })
      return { file, args: ['run', join(FOLDER, 'gorilla.go')], env: GOPATH }
    },
    compresses: 'both',
    agreed: { deflate: `${NO_TAKEOVER}; server_max_window_bits=12`, takeover: NO_TAKEOVER },
    lacks: []
  },
  {
    name: 'java.net.http (Java)',
    find () {
      const file = process.env.JAVA_PATH ?? '/usr/bin/java'
      probe('default-jdk-headless', { file, args: ['--describe-module', 'jdk.compiler'] })
      return { file, args: [join(FOLDER, 'HttpClientWebSocket.java')] }
    },
    compresses: 'none',
    agreed: NOTHING,
    lacks: []
  },
  {
    name: 'Mojolicious (Perl)',
    find () {
      const file = process.env.PERL_PATH ?? '/usr/bin/perl'
      probe('libmojolicious-perl', { file, args: ['-MMojolicious', '-e', '1'] })
      return { file, args: [join(FOLDER, 'mojolicious.pl')] }
    },
    compresses: 'both',
    agreed: { deflate: '', takeover: 'permessage-deflate' },
    lacks: ['answer']
  },
  {
    name: 'libwebsockets (C)',
    find () {
      const cc = process.env.CC ?? '/usr/bin/cc'
      probe('gcc libc6-dev libwebsockets-dev', { file: cc, args: ['-E', '-include', 'libwebsockets.h', '-x', 'c', '/dev/null'] })
      // Compiles and runs: what does not compile is no missing package.
      return { file: '/bin/sh', args: ['-c', '"$0" -Wall -O1 -o "$2" "$1" -lwebsockets && shift && exec "$@"', cc, join(FOLDER, 'libwebsockets.c'), join(ROOT, 'build', 'libwebsockets')] }
    },
    compresses: 'none',
    agreed: NOTHING,
    lacks: ['answer']
  },
  ...['22', '24', '26'].map((line): Kind => ({
    name: `Node ${line}`,
    find: () => ({ file: binaryOf(line), args: [join(FOLDER, 'node.js')] }),
    compresses: 'received',
    agreed: AGREED,
    lacks: ['fragments', 'ping', 'status']
  }))
]

function python (module: string): Command {
  probe(`python3-${module}`, { file: PYTHON, args: ['-c', `import ${module}`] })
  // -B: no compiled files beside the sources.
  return { file: PYTHON, args: ['-B', join(FOLDER, 'python', `${module}_client.py`)] }
}

/** Throws, with the packages of Debian that bring it, if a command does not do. */
function probe (packages: string, { file, args, env }: Command): void {
  const { status, stderr, error } = spawnSync(file, args, { env: { ...process.env, ...env }, encoding: 'utf8', timeout: PROBE_MS })
  if (status === 0) return
  const why = error?.message ?? stderr.trim().split('\n').at(-1)
  throw new Error(`${why} (Debian: apt-get install ${packages})`)
}
