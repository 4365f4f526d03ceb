// Compiles lib/protocol/mask-simd.wat into the module that lib/protocol/mask-simd.ts holds.
import { readFileSync, writeFileSync } from 'node:fs'
import wabt from 'wabt'

const SOURCE = 'lib/protocol/mask-simd.wat'
const TARGET = 'lib/protocol/mask-simd.ts'

const { parseWat } = await wabt()
const { buffer } = parseWat(SOURCE, readFileSync(SOURCE, 'utf8'), { simd: true }).toBinary({})
const text = readFileSync(TARGET, 'utf8')
writeFileSync(TARGET, text.replace(/(?<=export const MODULE = ')[^']*/, Buffer.from(buffer).toString('base64')))
