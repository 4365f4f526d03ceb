/**
 * The package as a user gets it: packed, checked, installed into an empty folder together with Fastify, run and
 * type-checked there. It needs the npm registry, or npm's cache.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { codeBlocks, runFirstExample } from '../helpers/readme.ts'
import { ROOT } from '../helpers/root.ts'

/** What a user installs beside it, in the versions that we test with. */
const BESIDE = ['fastify', '@sinclair/typebox', '@fastify/type-provider-typebox', '@types/node']

const COMPILERS = { 'TypeScript 6': 'typescript/bin/tsc', 'TypeScript 7': '@typescript/native/bin/tsc' }

const TSCONFIG = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true
  },
  include: ['*.mts', '*.cts']
}

/** As bundlers resolve modules; CommonJS has no place there. */
const BUNDLER_TSCONFIG = {
  compilerOptions: { ...TSCONFIG.compilerOptions, module: 'esnext', moduleResolution: 'bundler' },
  include: ['*.mts']
}

/** The examples of the README that leave out what stands in one before. */
const PRELUDE = `
import Fastify from 'fastify'
import { Type } from '@sinclair/typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import duplex, { json } from 'fastify-duplex'
import { counter } from './counter.mjs'
const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
export { Type, duplex, json, counter, app }
`

/** So that nothing has silently become `any`. */
const MISTAKES = `
import { errorCodes } from 'fastify-duplex'
import { app, counter, json } from './prelude.mjs'
export function codeOf (error: unknown): 'FST_WS_ERR_CLOSED' | undefined {
  return error instanceof errorCodes.FST_WS_ERR_CLOSED ? error.code : undefined
}
app.get(counter.url, counter, (socket) => {
  // @ts-expect-error: total is a number
  socket.send({ total: 'many' })
  // @ts-expect-error: there is no subprotocol
  console.log(socket.protocol === 'counter.v1')
})
// @ts-expect-error: it is called receive
json({ recieve: {} })
`

const COMMON_JS = `
import Fastify = require('fastify')
import duplex = require('fastify-duplex')
import contract = require('fastify-duplex/contract')
import websocket = require('fastify-duplex/compat')

const app = Fastify.fastify()
void app.register(duplex.default, { maxMessageBytes: 1024 })
void app.register(duplex.duplex)
const echo = contract.defineWebSocketRoute({ url: '/echo', messages: contract.text() })
app.get(echo.url, echo, (socket) => {
  socket.on('message', (message) => { socket.send(message.toUpperCase()) })
})
void app.register(websocket, { options: { maxPayload: 1024 } })
void app.register(websocket.default)
void app.register(websocket.fastifyWebsocket)
const handler: websocket.WebsocketHandler = (socket) => { socket.on('message', (data) => { socket.send(data) }) }
app.get('/raw', { websocket: true }, handler)
`

const REQUIRE = `
const app = require('fastify').fastify()
const { text } = require('fastify-duplex/contract')

app.register(require('fastify-duplex'))
app.after(() => {
  app.get('/echo', { websocket: true, messages: text() }, (socket) => {
    socket.on('message', (message) => { socket.send(message) })
  })
})
const websocket = require('fastify-duplex/compat')
if (websocket.default !== websocket || websocket.fastifyWebsocket !== websocket) throw new Error('the names of @fastify/websocket')
app.register(async (scope) => { await scope.register(websocket) })
app.ready().then(async () => {
  const client = await app.injectWebSocket('/echo')
  client.send('hello')
  console.log(await client.next())
  await app.close()
})
`

const run = promisify(execFile)

/** What a command prints, without the hooks that the test runner puts into NODE_OPTIONS; all its output is in the message when it fails. */
async function output (cwd: string, command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await run('env', ['-u', 'NODE_OPTIONS', command, ...args], { cwd, maxBuffer: 2 ** 26 })
    return stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string, stderr: string }
    throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`)
  }
}

const npm = (cwd: string, ...args: string[]): Promise<string> => output(cwd, 'npm', ...args)
const node = (cwd: string, ...args: string[]): Promise<string> => output(cwd, process.execPath, ...args)
/** A tool of our node_modules. */
const tool = (cwd: string, path: string, ...args: string[]): Promise<string> => node(cwd, join(ROOT, 'node_modules', path), ...args)

const versionOf = (name: string): string => JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')).version

t.test('the packed package', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-duplex-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const packed = JSON.parse(await npm(ROOT, 'pack', '--json', '--silent', '--pack-destination', folder))[0] as { filename: string, files: Array<{ path: string }> }
  const tarball = join(folder, packed.filename)

  t.test('holds what is to be published, and nothing else', async (t) => {
    const paths = packed.files.map(({ path }) => path)
    t.strictSame(paths.filter((path) => !/^dist\/(index|lib\/.+|types\/.+)\.(js|d\.ts)$/.test(path)).sort(), ['LICENSE', 'README.md', 'package.json'])
    t.ok(paths.includes('dist/index.d.ts'))
  })

  t.test('publint and attw have nothing to say', async (t) => {
    t.match(await tool(ROOT, 'publint/src/cli.js', '--strict', tarball), 'All good!')
    await t.resolves(tool(ROOT, '@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'esm-only', '--no-color'))
  })

  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  await npm(folder, 'install', '--no-audit', '--no-fund', '--prefer-offline', tarball, ...BESIDE.map((name) => `${name}@${versionOf(name)}`))

  t.test('runs the first example of the README', async (t) => {
    t.equal(await runFirstExample(folder), '{"echo":"hello"}\n1008 invalid message\n')
  })

  t.test('has a contract for browsers that imports nothing', async (t) => {
    t.notMatch(readFileSync(join(folder, 'node_modules/fastify-duplex/dist/lib/subprotocol/contract.js'), 'utf8'), /\bimport\b/)
  })

  t.test('can be required', async (t) => {
    writeFileSync(join(folder, 'require.cjs'), REQUIRE)
    t.equal(await node(folder, 'require.cjs'), 'hello\n')
  })

  t.test('types check in programs that use it', async (t) => {
    const blocks = codeBlocks('ts')
    t.ok(blocks.length > 10, 'the examples of the README')
    blocks.forEach((block, index) => {
      const isContract = block.includes('export const counter')
      const isWhole = block.includes("import Fastify from 'fastify'")
      const text = isContract || isWhole ? block : `import { Type, duplex, json, counter, app } from './prelude.mjs'\nimport type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'\n${block}\nexport {}\n`
      writeFileSync(join(folder, isContract ? 'counter.mts' : `readme-${index + 1}.mts`), text)
    })
    writeFileSync(join(folder, 'prelude.mts'), PRELUDE)
    writeFileSync(join(folder, 'mistakes.mts'), MISTAKES)
    writeFileSync(join(folder, 'common.cts'), COMMON_JS)
    for (const [resolution, tsconfig] of Object.entries({ nodenext: TSCONFIG, bundler: BUNDLER_TSCONFIG })) {
      writeFileSync(join(folder, `${resolution}.json`), JSON.stringify(tsconfig))
      for (const [name, path] of Object.entries(COMPILERS)) {
        await t.resolves(tool(folder, path, '-p', `${resolution}.json`, '--pretty', 'false'), `${name}, ${resolution}`)
      }
    }
  })
})

t.test('package-lock.json names no registry', async (t) => {
  t.notMatch(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'), '"resolved"')
})
