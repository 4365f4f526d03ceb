/**
 * What is measured. `work` is what the server does, `load` what the generator does; `targets` say what part of a
 * peer's CPU time for each message ours may take at most.
 */
const echo = { load: 'echo', work: 'echo', payload: 'binary', connections: 64, depth: 1, peers: ['ours', 'ws', 'fastify-websocket', 'net', 'bun', 'deno'] }

export const scenarios = {
  'echo-16-d1': { ...echo, what: 'echo of 16 B, one at a time', bytes: 16, targets: { ws: 0.90, net: 1.08 } },
  'echo-16-d16': { ...echo, what: 'echo of 16 B, 16 in flight', bytes: 16, depth: 16, targets: { ws: 0.10, net: 1.35 } },
  'echo-64k': { ...echo, what: 'echo of 64 KiB', bytes: 65536, targets: { ws: 0.25, net: 1.05 } },
  'echo-1m': { ...echo, what: 'echo of 1 MiB', bytes: 1048576, targets: { ws: 0.19, net: 1.05 } }
}
