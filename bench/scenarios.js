/**
 * What is measured. `work` is what the server does (`servers/`), `load` what the generator does (`generator.js`).
 *
 * `targets` are what we want of our own figures: for CPU time the most that they may be of a peer's in the same round,
 * for memory the most bytes.
 */
const KIB = 1024
const ALL = ['ours', 'ws', 'fastify-websocket', 'net', 'bun', 'deno']
const ON_NODE = ['ours', 'ws', 'fastify-websocket', 'net']
const LARGE = [...ALL, 'ws+bufferutil', 'ours+old']
const WEBSOCKET = ['ours', 'ws', 'fastify-websocket', 'bun', 'deno']

const echo = { load: 'echo', work: 'echo', payload: 'binary', bytes: 16, connections: 64, depth: 1, peers: ALL }
const typed = { ...echo, work: 'typed', payload: 'typed', peers: ['ours', 'ws', 'fastify-websocket'] }
const deflate = { ...echo, payload: 'json', peers: ['ours', 'ws', 'fastify-websocket', 'bun'] }
const publish = { ...echo, load: 'publish', work: 'publish', connections: 1000, peers: ['ours', 'ws', 'fastify-websocket', 'bun'] }
const hold = { ...echo, load: 'hold', connections: 10_000, peers: [...ALL, 'floor'] }

/** Bytes; "16 in flight" are on each of 64 connections. An async listener awaits before each `send`; text and JSON are strings and objects in the handlers. */
export const scenarios = {
  'echo-16-d1': { ...echo, what: 'Echo of 16 B', peers: [...ALL, 'floor'], targets: { ws: 0.90, net: 1.08 } },
  'echo-16-d16': { ...echo, what: 'Echo of 16 B, 16 in flight', depth: 16, peers: [...ALL, 'floor'], targets: { ws: 0.10, net: 1.35 } },
  'echo-16-d16-async': { ...echo, what: 'Echo of 16 B, 16 in flight, async listener', work: 'echo-async', depth: 16, peers: ON_NODE, targets: { ws: 0.15 } },
  'echo-16-d16-iterate': { ...echo, what: 'Echo of 16 B, 16 in flight, for await', work: 'echo-iterate', depth: 16, peers: ON_NODE, targets: { ws: 0.15 } },
  'echo-16-d16-tls': { ...echo, what: 'Echo of 16 B, 16 in flight, TLS', tls: true, depth: 16, peers: ALL, targets: {} },
  'echo-1k-d1': { ...echo, what: 'Echo of 1 KiB', bytes: KIB, peers: [...ALL, 'floor'], targets: { ws: 0.72, net: 1.10 } },
  'text-1k-d1': { ...echo, what: 'Echo of 1 KiB of text', work: 'text', payload: 'text', bytes: KIB, targets: { ws: 0.80, net: 1.10 } },
  'echo-64k': { ...echo, what: 'Echo of 64 KiB', bytes: 64 * KIB, peers: LARGE, targets: { ws: 0.25, net: 1.05 } },
  'echo-1m': { ...echo, what: 'Echo of 1 MiB', bytes: KIB * KIB, peers: LARGE, targets: { ws: 0.19, net: 1.05 } },
  'typed-d1': { ...typed, what: 'JSON, validated and answered', targets: { 'fastify-websocket': 0.80 } },
  'typed-d16': { ...typed, what: 'JSON, validated and answered, 16 in flight', depth: 16, targets: { 'fastify-websocket': 0.25 } },
  deflate: { ...deflate, what: 'Echo of 1 KiB of JSON, compressed', work: 'deflate', deflate: 'alone', targets: { ws: 0.32 } },
  'deflate-takeover': { ...deflate, what: 'Echo of 1 KiB of JSON, context takeover', work: 'deflate-takeover', deflate: 'takeover', targets: { ws: 0.55 } },
  'publish-d1': { ...publish, what: 'A message to 1,000', targets: { ws: 0.66 } },
  'publish-d8': { ...publish, what: 'A message to 1,000, 8 at once', depth: 8, targets: { ws: 0.13 } },
  connect: { ...echo, what: 'Connect, echo, close', load: 'connect', connections: 32, warmup: 6, peers: WEBSOCKET, targets: { 'fastify-websocket': 0.60 } },
  idle: { ...hold, what: '10,000 idle connections', targets: { rss: 5.5 * KIB, heap: 1.6 * KIB } },
  'idle-after-one': { ...hold, what: '10,000 idle connections, after a message each', oneMessage: true, targets: {} }
}
