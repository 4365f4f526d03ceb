/**
 * The types of Fastify's plugins and ours, in one program, those of the libraries checked as well.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

test('the types of the plugins and of this package fit together', () => {
  const tsc = `${import.meta.dirname}/../../node_modules/@typescript/native/bin/tsc`
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', `${import.meta.dirname}/types`], { encoding: 'utf8' })
  assert.equal(stdout, '')
  assert.equal(status, 0)
})
