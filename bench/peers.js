/** The servers that are compared, and the command that starts each. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const NODE = [process.execPath, '--expose-gc']
/** ws takes its native addon wherever it finds it installed. */
const JAVASCRIPT_ALONE = { WS_NO_BUFFER_UTIL: '1' }

const OURS = 'duplex.js'

const PEERS = {
  ours: { what: 'fastify-duplex', command: NODE, file: OURS },
  'ours+old': { what: 'fastify-duplex, its process started with `--initial-old-space-size=128`', command: [...NODE, '--initial-old-space-size=128'], file: OURS },
  floor: { what: 'the least that any WebSocket server on the sockets of Node does, without checks and limits', command: NODE, file: 'floor.js' },
  ws: { what: 'ws', command: NODE, file: 'ws.js', needs: 'ws', env: JAVASCRIPT_ALONE },
  'ws+bufferutil': { what: 'ws with its native addon', command: NODE, file: 'ws.js', needs: 'bufferutil' },
  'fastify-websocket': { what: '@fastify/websocket', command: NODE, file: 'fastify-websocket.js', needs: '@fastify/websocket', env: JAVASCRIPT_ALONE },
  net: { what: 'the sockets of Node, which give bytes back as they came', command: NODE, file: 'net.js', bare: true },
  fastify: { what: 'Fastify alone', command: NODE, file: 'fastify.js' },
  bun: { what: 'Bun', command: [join(HERE, 'node_modules/.bin/bun')], file: 'bun.js', needs: 'bun' },
  deno: { what: 'Deno', command: [join(HERE, 'node_modules/.bin/deno'), 'run', '--quiet', '--allow-all', '--v8-flags=--expose-gc'], file: 'deno.js', needs: 'deno' }
}

/**
 * The peer that a name of the command line means. `name=folder` is a build of fastify-duplex under a name of its own;
 * `ours` is that in `dist`, in $DUPLEX_DIST, or in the place where `npm run build` puts it. Throws if there is none; one that is not installed has `missing`, the package.
 */
export function peerOf (given, dist) {
  const [name, folder] = given.split('=', 2)
  const peer = folder === undefined ? peerNamed(name) : PEERS.ours
  const build = peer.file === OURS ? resolve(folder ?? dist ?? process.env.DUPLEX_DIST ?? join(HERE, '../dist')) : undefined
  if (build !== undefined && !existsSync(join(build, 'index.js'))) throw new Error(`there is no build in ${build}: npm run build`)
  const version = peer.needs === undefined ? undefined : versionOf(peer.needs)
  const missing = peer.needs !== undefined && version === undefined ? peer.needs : undefined
  return { ...peer, name, dist: build, file: join(HERE, 'servers', peer.file), version, missing }
}

export function peerNamed (name) {
  if (PEERS[name] === undefined) throw new Error(`no peer is called '${name}': there are ${Object.keys(PEERS).join(', ')}, and name=folder for another build`)
  return PEERS[name]
}

/** Of a package, here or among the project's own; undefined if it is not installed. */
function versionOf (name) {
  for (const folder of [HERE, join(HERE, '..')]) {
    const file = join(folder, 'node_modules', name, 'package.json')
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')).version
  }
}
