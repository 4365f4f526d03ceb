// Makes `dist`: the types one file for each source, by tsc, which checks them; the code bundled, by esbuild.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { build } from 'esbuild'

rmSync('dist', { recursive: true, force: true })
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' })

const options = { bundle: true, format: 'esm', packages: 'external', outbase: '.', outdir: 'dist', logLevel: 'warning' }
// They share what belongs to an application, and load some of it when it is first needed: both stands in chunks.
await build({ ...options, entryPoints: ['index.ts', 'lib/compat/plugin.ts'], platform: 'node', target: 'node20.19', splitting: true, chunkNames: 'lib/[name]-[hash]' })
// A browser may load it as it is: one file that imports nothing.
await build({ ...options, entryPoints: ['lib/subprotocol/contract.ts'], platform: 'neutral', target: 'es2023' })
