/**
 * What the README promises: its first example runs as printed, and its tables say what the code does.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import ts from 'typescript'
import * as errors from '../lib/errors.ts'
import { resolvePluginOptions, resolveRouteOptions, type ResolvedOptions } from '../lib/plugin/options.ts'
import { broadcast } from '../lib/socket/broadcast.ts'
import { readme, runFirstExample, security, tableUnder } from './helpers/readme.ts'
import { ROOT } from './helpers/root.ts'

const unquoted = (cell: string): string => cell.replaceAll('`', '')

/** A default as tables and comments spell it; undefined where it is described in words. */
function spelled (name: string, value: unknown): string | undefined {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'boolean') return String(value)
  if (typeof value !== 'number' || value === Infinity) return undefined
  if (name.endsWith('Ms')) return value.toLocaleString('en').replaceAll(',', ' ')
  return value % 2 ** 20 === 0 ? `${value / 2 ** 20} MiB` : `${value / 2 ** 10} KiB`
}

/** The comments of these interfaces' members, by name. */
function commentsOf (...interfaces: string[]): Map<string, string> {
  const text = readFileSync(join(ROOT, 'types/options.ts'), 'utf8')
  const tree = ts.createSourceFile('options.ts', text, ts.ScriptTarget.ESNext)
  const comments = new Map<string, string>()
  ts.forEachChild(tree, (node) => {
    if (!ts.isInterfaceDeclaration(node) || !interfaces.includes(node.name.text)) return
    for (const member of node.members) comments.set((member.name as ts.Identifier).text, text.slice(member.getFullStart(), member.getStart(tree)))
  })
  return comments
}

t.test('the first example runs as printed', async (t) => {
  // A package of its own below this one: what it does not have itself is found in our node_modules.
  const folder = t.testdir({ 'package.json': '{}', node_modules: { 'fastify-duplex': { 'package.json': readFileSync(join(ROOT, 'package.json')) } } })
  const outDir = join(folder, 'node_modules/fastify-duplex/dist')
  execFileSync(process.execPath, [join(ROOT, 'node_modules/@typescript/native/bin/tsc'), '-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--emitDeclarationOnly', 'false', '--declaration', 'false', '--outDir', outDir], { stdio: 'inherit' })
  t.equal(await runFirstExample(folder), '{"echo":"hello"}\n1008 invalid message\n')
})

t.test('the table of options', async (t) => {
  const app = Fastify()
  const defaults = resolvePluginOptions(app, undefined, {})
  const rows = new Map(tableUnder('Options').map(([name, byDefault, what]) => [unquoted(name!), { byDefault: byDefault!, what: what! }]))
  const comments = commentsOf('RouteWebSocketOptions', 'DuplexOptions')
  const names = Object.keys(defaults).sort()
  t.strictSame([...rows.keys()].sort(), names, 'has every option, and no other')
  t.strictSame([...comments.keys()].sort(), names, 'and so have the types')

  for (const [name, value] of Object.entries(defaults)) {
    const { byDefault, what } = rows.get(name)!
    const text = spelled(name, value)
    if (text !== undefined) {
      t.ok(unquoted(byDefault).includes(text), `${name}: the README says ${text}`)
      t.ok(comments.get(name)!.replaceAll('`', '').includes(text), `${name}: its type says ${text}`)
      if (name.endsWith('Ms')) t.match(byDefault, / ms$/, `${name}: with its unit`)
    }
    // Refused for its name before its value is looked at.
    const given = { [name]: defaults[name as keyof ResolvedOptions] }
    const onRoute = doesNotThrow(() => resolveRouteOptions(app, defaults, given as never))
    t.equal(onRoute, !what.startsWith('only at `register`'), `${name}: where it may stand`)
  }
  t.match(rows.get('maxUnsentBytes')!.byDefault, 'twice `maxMessageBytes`')
  t.equal(resolvePluginOptions(app, undefined, { maxMessageBytes: 2 ** 26 }).maxUnsentBytes, 2 ** 27)
  t.equal(resolvePluginOptions(Fastify({ bodyLimit: 12_345 }), undefined, {}).maxMessageBytes, 12_345, 'the bodyLimit')
})

t.test('the table of the options of deflate', async (t) => {
  const defaults = Object.entries(resolvePluginOptions(Fastify(), undefined, { deflate: true }).deflate!)
  const rows = tableUnder('Compression').map(([name, byDefault]) => [unquoted(name!), unquoted(byDefault!)])
  t.strictSame(rows, defaults.map(([name, value]) => [name, String(value)]), 'has every option with its default, and no other')
  const comments = commentsOf('DeflateOptions')
  t.strictSame([...comments.keys()], defaults.map(([name]) => name), 'and so have the types')
  for (const [name, value] of defaults) t.match(comments.get(name), `Default: ${value}`, name)
})

t.test('the table of what becomes of slow sockets', async (t) => {
  const values = tableUnder('Broadcasting').map(([value]) => unquoted(value!))
  for (const value of values) t.doesNotThrow(() => broadcast([], 'x', { slow: value.slice(1, -1) as 'send' }), value)
  t.throws(() => broadcast([], 'x', { slow: 'another' as 'send' }), { message: `must be ${values.slice(0, -1).join(', ')} or ${values.at(-1)}` }, 'has every value, and no other')
  t.match(tableUnder('Broadcasting')[0]![1], /^the default/)
})

t.test('the table of errors', async (t) => {
  const rows = new Map(tableUnder('Errors').map(([code, where]) => [unquoted(code!), where!]))
  t.strictSame([...rows.keys()].sort(), Object.keys(errors).sort(), 'has every code, and no other')
  for (const [code, where] of rows) {
    const error = new errors[code as keyof typeof errors]()
    t.equal(error.code, code)
    if (where.startsWith('answer')) t.ok(where.includes(String(error.statusCode)), `${code}: the status is ${error.statusCode}`)
  }
})

t.test('the tables of docs/security.md', async (t) => {
  const defaults = resolvePluginOptions(Fastify(), undefined, {})
  const given: Record<string, unknown> = { ...defaults, heartbeat: undefined, shutdown: undefined, deflate: false }
  const byDefault = tableUnder('What is protected by default', security)
  const whenSet = tableUnder('What is off until it is set', security)
  for (const [what, , option, value] of byDefault) {
    if (option === 'none') continue
    const name = unquoted(option!)
    t.ok(name in defaults, `${what}: the option ${name}`)
    const text = spelled(name, given[name])
    if (text !== undefined) t.equal(unquoted(value!), `${text}${name.endsWith('Ms') ? ' ms' : ''}`, `${what}: the default of ${name}`)
  }
  const { intervalMs, timeoutMs } = defaults.heartbeat as { intervalMs: number, timeoutMs: number }
  const heartbeat = byDefault.find(([, , option]) => option === '`heartbeat`')!
  t.equal(unquoted(heartbeat[3]!), `{ intervalMs: ${spelled('Ms', intervalMs)}, timeoutMs: ${spelled('Ms', timeoutMs)} }`)
  for (const [what, options] of whenSet) {
    for (const [, name] of options!.matchAll(/`(\w+)`/g)) t.ok([undefined, Infinity].includes(defaults[name as keyof ResolvedOptions] as undefined), `${what}: ${name} is off`)
  }
  const tests = [...byDefault, ...whenSet].flatMap((cells) => [...cells.at(-1)!.matchAll(/`([^`]+)`/g)].map(([, path]) => path!))
  t.ok(tests.length >= byDefault.length + whenSet.length, 'each row has a test')
  for (const path of new Set(tests)) t.ok(existsSync(join(ROOT, 'test', path)), path)
})

t.test('commands and files that it names are there', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  for (const [, run, name] of readme.matchAll(/npm (run )?([\w:]+)/g)) {
    if (run !== undefined || name === 'test') t.type(scripts[name!], 'string', `npm ${run ?? ''}${name}`)
  }
  for (const [, target] of readme.matchAll(/\]\((?!https:|#)([^)]+)\)/g)) t.ok(existsSync(join(ROOT, target!)), target!)
  const headings = [...readme.matchAll(/^## (.+)$/gm)].map((match) => match[1]!.toLowerCase().replaceAll(/[^\w -]/g, '').replaceAll(' ', '-'))
  for (const [, anchor] of readme.matchAll(/\]\(#([^)]+)\)/g)) t.ok(headings.includes(anchor!), `#${anchor}`)
})

function doesNotThrow (call: () => unknown): boolean {
  try {
    call()
    return true
  } catch {
    return false
  }
}
