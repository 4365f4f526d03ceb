/**
 * docs/conformance.md against the tests of this folder: neither has what the other does not.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { ROOT } from '../helpers/root.ts'

const FOLDER = join(ROOT, 'test/rfc/')
const PAGE = join(ROOT, 'docs/conformance.md')
const OWN = 'requirements.test.ts'

const HEAD = '| section | what is required | of | test, or why there is none |'
const NOT_OURS = /^Not ours: .{10,}$/
const NAMED = /^`([\w-]+)`: (.+)$/

interface Row {
  readonly section: string
  readonly required: string
  readonly of: string
  readonly where: string
}

/** The rows of the tables on a page, by the heading above. */
function rowsOf (page: string): Map<string, Row[]> {
  const rows = new Map<string, Row[]>()
  for (const part of page.split(/^### /m).slice(1)) {
    const [heading, ...lines] = part.split('\n')
    const table = lines.filter((line) => line.startsWith('|'))
    if (table[0] !== HEAD) throw new Error(`under '${heading}' there is no table with the columns ${HEAD}`)
    rows.set(heading!, table.slice(2).map((line) => {
      const cells = line.slice(1, -1).split('|').map((cell) => cell.trim())
      if (cells.length !== 4) throw new Error(`no row of four cells: ${line}`)
      const [section, required, of, where] = cells as [string, string, string, string]
      return { section, required, of, where }
    }))
  }
  return rows
}

/** The titles of the tests at the top of a file. One that cannot be read from the source throws: it could not be found either. */
function titlesOf (file: string): string[] {
  const tree = ts.createSourceFile(file, readFileSync(`${FOLDER}${file}`, 'utf8'), ts.ScriptTarget.ESNext)
  const titles: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^t\.(?:test|todo|skip|only)$/.test(node.expression.getText(tree))) {
      const [title, run] = node.arguments
      // Neither is one that is skipped a proof.
      const runs = node.expression.getText(tree) === 't.test' && run !== undefined && ts.isArrowFunction(run)
      if (title === undefined || !ts.isStringLiteralLike(title) || !runs) throw new Error(`${file}: ${node.getText(tree).slice(0, 80)}: no test with a literal title that always runs`)
      titles.push(title.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return titles
}

const rows = rowsOf(readFileSync(PAGE, 'utf8'))
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.test.ts') && file !== OWN)
const tests = files.flatMap((file) => titlesOf(file).map((title) => `\`${file.slice(0, -'.test.ts'.length)}\`: ${title}`))
const named = [...rows.values()].flat().filter(({ where }) => !NOT_OURS.test(where)).flatMap(({ where }) => where.split('<br>'))

t.test('both RFCs are there', async (t) => {
  t.strictSame([...rows.keys()], ['RFC 6455', 'RFC 7692'])
  for (const [rfc, list] of rows) t.ok(list.length > 30, `${rfc}: ${list.length} rows`)
})

t.test('every row has a section, a requirement, somebody whom it binds, and a test or a reason', async (t) => {
  for (const { section, required, of, where } of [...rows.values()].flat()) {
    t.match(section, /^\d+(?:\.\d+)*(?:, .+)?$/, required)
    t.ok(required.length > 5 && of.length > 3, section)
    t.ok(NOT_OURS.test(where) || where.split('<br>').every((one) => NAMED.test(one)), `${section}: ${required}: ${where}`)
  }
})

t.test('the sections come in the order of the text', async (t) => {
  for (const [rfc, list] of rows) {
    const sections = list.map(({ section }) => section.match(/^[\d.]+/)![0].split('.').map((part) => part.padStart(2, '0')).join('.'))
    t.strictSame(sections, [...sections].sort(), rfc)
  }
})

t.test('every test that the page names exists', async (t) => {
  t.strictSame(named.filter((one) => !tests.includes(one)), [])
})

t.test('every test in this folder is named on the page', async (t) => {
  t.strictSame(tests.filter((one) => !named.includes(one)), [])
})

t.test('every test has a title of its own, which begins with its section', async (t) => {
  t.strictSame(tests.filter((one, i) => tests.indexOf(one) !== i), [])
  t.strictSame(tests.filter((one) => !/^`[\w-]+`: §\d+(?:\.\d+)*[, ]/.test(one)), [])
})
