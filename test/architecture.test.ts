/**
 * The house as docs/architecture.md describes it: which floor may import which, held against every import of the
 * sources, those of types too.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { ROOT } from './helpers/root.ts'

/** What the files of a folder, or one file, may import besides their own folder. */
interface Floor {
  /** Folders and files. */
  readonly lib?: readonly string[]
  /** Of these, types alone. */
  readonly libTypes?: readonly string[]
  /** Modules of Node, without `node:`. */
  readonly node?: readonly string[]
  readonly packages?: readonly string[]
  readonly packageTypes?: readonly string[]
  /** Not even the other files of its folder. */
  readonly alone?: true
}

const SHARED = ['lib/protocol', 'lib/errors.ts']

/** From the bottom to the top. The entry of a file comes in the place of that of its folder. */
const FLOORS: Readonly<Record<string, Floor>> = {
  'lib/protocol': { node: ['buffer', 'crypto', 'zlib'] },
  'lib/errors.ts': { packages: ['@fastify/error'], alone: true },
  'lib/subprotocol/contract.ts': { alone: true },
  'lib/subprotocol': { lib: SHARED, node: ['buffer', 'util'], packages: ['secure-json-parse'] },
  'lib/handshake': { lib: ['lib/protocol'], node: ['buffer', 'crypto'] },
  'lib/transport': { lib: SHARED, node: ['buffer', 'net', 'stream', 'tls'] },
  'lib/socket': { lib: [...SHARED, 'lib/subprotocol'], libTypes: ['lib/transport'], node: ['buffer', 'diagnostics_channel', 'events', 'stream'] },
  // The one place where connection, transport and socket are wired together.
  'lib/socket/open.ts': { lib: [...SHARED, 'lib/subprotocol', 'lib/transport'], node: ['buffer', 'events', 'stream'] },
  'lib/client': {
    lib: [...SHARED, 'lib/subprotocol', 'lib/handshake', 'lib/transport', 'lib/socket'],
    node: ['buffer', 'http', 'stream', 'stream/consumers']
  },
  'lib/testing': {
    lib: [...SHARED, 'lib/subprotocol', 'lib/handshake', 'lib/transport', 'lib/socket', 'lib/client'],
    libTypes: ['types'],
    node: ['buffer', 'events', 'http', 'stream', 'tls']
  },
  'lib/plugin': {
    lib: [...SHARED, 'lib/subprotocol', 'lib/handshake', 'lib/transport', 'lib/socket'],
    libTypes: ['types'],
    node: ['buffer', 'diagnostics_channel', 'http', 'net', 'stream', 'util'],
    packages: ['@fastify/ajv-compiler'],
    packageTypes: ['fastify']
  },
  'lib/entry.ts': {
    lib: ['lib/errors.ts', 'lib/subprotocol', 'lib/plugin', 'lib/testing'],
    libTypes: ['types'],
    node: ['diagnostics_channel'],
    packageTypes: ['fastify'],
    alone: true
  },
  'lib/compat': { lib: ['lib', 'types'], node: ['buffer', 'events', 'http', 'stream'], packages: ['fastify-plugin'], packageTypes: ['fastify'] },
  types: { libTypes: ['lib', 'types'], node: ['buffer', 'events', 'http', 'stream'], packageTypes: ['fastify'] },
  'index.ts': { lib: ['lib', 'types'], packages: ['fastify-plugin'], packageTypes: ['fastify'] }
}

interface Import {
  readonly specifier: string
  /** The file, for a relative one. */
  readonly file: string | undefined
  readonly typeOnly: boolean
  readonly reExport: boolean
}

interface Source {
  readonly path: string
  readonly imports: readonly Import[]
}

/** Paths from the root, with slashes on every system. */
function sourcePaths (): string[] {
  const inFolder = (folder: string): string[] => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path).replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
  return ['index.ts', ...inFolder('lib'), ...inFolder('types')]
}

function readSource (path: string): Source {
  const tree = ts.createSourceFile(path, readFileSync(join(ROOT, path), 'utf8'), ts.ScriptTarget.ESNext)
  const imports: Import[] = []
  const add = (specifier: string, typeOnly: boolean, reExport = false): void => {
    const file = specifier.startsWith('.') ? join(dirname(path), specifier).replaceAll('\\', '/') : undefined
    imports.push({ specifier, file, typeOnly, reExport })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(textOf(node.moduleSpecifier), isTypeImport(node))
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) add(textOf(node.moduleSpecifier), isTypeExport(node), true)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(textOf(node.argument.literal), true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(textOf(node.arguments[0]!), false)
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return { path, imports }
}

function textOf (node: ts.Node): string {
  if (!ts.isStringLiteral(node)) throw new Error('an import whose specifier is not a string')
  return node.text
}

function isTypeImport ({ importClause: clause }: ts.ImportDeclaration): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const named = clause.namedBindings
  return clause.name === undefined && named !== undefined && ts.isNamedImports(named) && named.elements.length > 0 && named.elements.every((element) => element.isTypeOnly)
}

function isTypeExport (node: ts.ExportDeclaration): boolean {
  const clause = node.exportClause
  return node.isTypeOnly || (clause !== undefined && ts.isNamedExports(clause) && clause.elements.every((element) => element.isTypeOnly))
}

const isWithin = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`)

function placeOf (path: string): string | undefined {
  return path in FLOORS ? path : Object.keys(FLOORS).find((place) => isWithin(path, place))
}

/** Why the import may not be; undefined if it may. */
function fault (path: string, { specifier, file, typeOnly }: Import): string | undefined {
  const place = placeOf(path)
  if (place === undefined) return 'stands on no floor'
  const { lib = [], libTypes = [], node = [], packages = [], packageTypes = [], alone } = FLOORS[place]!
  if (file !== undefined) {
    if ([...lib, ...alone ? [] : [dirname(path)]].some((allowed) => isWithin(file, allowed))) return undefined
    if (libTypes.some((allowed) => isWithin(file, allowed))) return typeOnly ? undefined : `may import only types of ${file}`
    return `may not import ${file}`
  }
  if (specifier.startsWith('node:')) return node.includes(specifier.slice(5)) ? undefined : `may not import ${specifier}`
  if (packages.includes(specifier)) return undefined
  if (packageTypes.includes(specifier)) return typeOnly ? undefined : `may import only types of ${specifier}`
  return `may not import ${specifier}`
}

/** The files of a circle, the first again at its end; undefined if there is none. */
function findCircle (sources: readonly Source[]): string[] | undefined {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const finished = new Set<string>()
  const walk = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (finished.has(path)) return undefined
    for (const { file } of byPath.get(path)?.imports ?? []) {
      const circle = file === undefined ? undefined : walk(file, [...trail, path])
      if (circle !== undefined) return circle
    }
    finished.add(path)
    return undefined
  }
  for (const { path } of sources) {
    const circle = walk(path, [])
    if (circle !== undefined) return circle
  }
  return undefined
}

/** The sources that package.json publishes under a name. */
function entryPoints (): string[] {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: Record<string, string | { default: string }> }
  return Object.values(exports)
    .filter((target) => typeof target === 'object')
    .map((target) => target.default.replace('./dist/', '').replace(/\.js$/, '.ts'))
}

const sources = sourcePaths().map(readSource)

t.test('every import is one that its floor allows', async (t) => {
  for (const { path, imports } of sources) {
    t.strictSame(imports.map((one) => fault(path, one)).filter((text) => text !== undefined), [], path)
  }
})

t.test('what is imported is there, by its full name', async (t) => {
  const paths = new Set(sources.map(({ path }) => path))
  for (const { path, imports } of sources) {
    const missing = imports.filter(({ file }) => file !== undefined && !paths.has(file))
    t.strictSame(missing.map(({ specifier }) => specifier), [], path)
  }
})

t.test('there is no circle, not even of types', async (t) => {
  t.equal(findCircle(sources)?.join(' -> '), undefined)
})

t.test('only a published entry point hands on what others export', async (t) => {
  const entries = entryPoints()
  t.strictSame(entries, ['index.ts', 'lib/compat/plugin.ts', 'lib/subprotocol/contract.ts'], 'the entry points')
  const barrels = sources.filter(({ path, imports }) => !entries.includes(path) && imports.some((one) => one.reExport))
  t.strictSame(barrels.map(({ path }) => path), [])
})

t.test('the contract can be shared with a browser: it imports nothing at all', async (t) => {
  t.strictSame(sources.find(({ path }) => path === 'lib/subprotocol/contract.ts')!.imports, [])
})

t.test('the check itself finds what is wrong', async (t) => {
  const typeOnly = { reExport: false, typeOnly: true }
  const value = { reExport: false, typeOnly: false }
  t.equal(fault('lib/protocol/mask.ts', { specifier: 'node:events', file: undefined, ...value }), 'may not import node:events')
  t.equal(fault('lib/protocol/mask.ts', { specifier: '../errors.ts', file: 'lib/errors.ts', ...value }), 'may not import lib/errors.ts')
  t.equal(fault('lib/socket/websocket.ts', { specifier: '', file: 'lib/transport/transport.ts', ...value }), 'may import only types of lib/transport/transport.ts')
  t.equal(fault('lib/socket/websocket.ts', { specifier: '', file: 'lib/transport/transport.ts', ...typeOnly }), undefined)
  t.equal(fault('lib/subprotocol/contract.ts', { specifier: '', file: 'lib/subprotocol/codec.ts', ...typeOnly }), 'may not import lib/subprotocol/codec.ts')
  t.equal(fault('lib/plugin/route.ts', { specifier: 'fastify', file: undefined, ...value }), 'may import only types of fastify')
  t.equal(fault('lib/elsewhere/file.ts', { specifier: 'fastify', file: undefined, ...value }), 'stands on no floor')
  const at = (path: string, ...files: string[]): Source => ({ path, imports: files.map((file) => ({ specifier: file, file, ...typeOnly })) })
  t.strictSame(findCircle([at('a', 'b'), at('b', 'c'), at('c', 'b')]), ['b', 'c', 'b'])
})

t.test('docs/architecture.md names every file, and no other', async (t) => {
  const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')
  const named = new Set([...text.matchAll(/`((?:lib|types)\/[\w./-]+\.ts|index\.ts)`/g)].map((match) => match[1]!))
  const paths = sources.map(({ path }) => path)
  t.strictSame(paths.filter((path) => !named.has(path)), [], 'not described')
  t.strictSame([...named].filter((path) => !paths.includes(path)), [], 'described, but not there')
})
