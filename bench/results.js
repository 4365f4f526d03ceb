/** What was measured, as JSON in `results/`: written by the runs, read by the page. What has peers of its own choice stands apart. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'

const FOLDER = new URL('results/', import.meta.url)

export function writeResult (name, result) {
  const file = fileOf(name)
  mkdirSync(new URL('.', file), { recursive: true })
  const circumstances = { date: new Date().toISOString().slice(0, 10), node: process.versions.node, cpu: cpus()[0].model, cores: cpus().length }
  writeFileSync(file, JSON.stringify({ ...circumstances, ...result }, null, 2) + '\n')
}

/** Undefined if it was not measured yet. */
export function readResult (name) {
  return existsSync(fileOf(name)) ? JSON.parse(readFileSync(fileOf(name), 'utf8')) : undefined
}

function fileOf (name) {
  return new URL(`${name}.json`, FOLDER)
}
