import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import { useWsCode } from '../../lib/compat/error-codes.ts'
import { translateOptions } from '../../lib/compat/options.ts'
import { FST_WS_ERR_LIMIT, FST_WS_ERR_PROTOCOL, FST_WS_ERR_SOCKET } from '../../lib/errors.ts'
import { resolvePluginOptions, type ResolvedOptions } from '../../lib/plugin/options.ts'
import { ROOT } from '../helpers/root.ts'

const CORE = join(ROOT, 'lib/protocol')

/** What the plugin makes of options of ws. */
function resolved (options: object): ResolvedOptions {
  return resolvePluginOptions(Fastify(), undefined, translateOptions(options))
}

t.test('without options it is as ws is', async (t) => {
  const { maxMessageBytes, maxUnsentBytes, origin, deflate, messageTimeoutMs, closeTimeoutMs, heartbeat } = resolved({})
  t.strictSame({ maxMessageBytes, maxUnsentBytes, origin, deflate }, { maxMessageBytes: 100 * 2 ** 20, maxUnsentBytes: 200 * 2 ** 20, origin: true, deflate: undefined })
  t.equal(messageTimeoutMs, 2 ** 31 - 1, 'a large message may come slowly')
  t.strictSame({ closeTimeoutMs, heartbeat }, { closeTimeoutMs: 5_000, heartbeat: { intervalMs: 30_000, timeoutMs: 30_000 } }, 'but these are ours')
})

t.test('maxPayload: 0, and what no message reaches, is no limit', async (t) => {
  const most = 2 ** 29 - 24
  for (const [maxPayload, maxMessageBytes] of [[1, 1], [1_048_576, 1_048_576], [0, most], [2 ** 40, most], [Infinity, most], [1.5, 1]]) {
    t.equal(resolved({ maxPayload }).maxMessageBytes, maxMessageBytes, String(maxPayload))
  }
  for (const maxPayload of [-1, NaN, '1000', null]) t.throws(() => resolved({ maxPayload }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /options\.maxPayload/ })
})

t.test('perMessageDeflate in our words', async (t) => {
  const defaults = { thresholdBytes: 1024, level: 1, memLevel: 5, serverMaxWindowBits: 12, contextTakeover: true, maxConcurrentJobs: 4 }
  t.strictSame(resolved({ perMessageDeflate: true }).deflate, defaults)
  t.strictSame(resolved({ perMessageDeflate: {} }).deflate, defaults)
  t.equal(resolved({ perMessageDeflate: false }).deflate, undefined)
  t.strictSame(resolved({
    perMessageDeflate: {
      zlibDeflateOptions: { chunkSize: 1024, memLevel: 7, level: 3 },
      zlibInflateOptions: { chunkSize: 10 * 1024 },
      clientNoContextTakeover: true,
      serverNoContextTakeover: true,
      serverMaxWindowBits: 10,
      concurrencyLimit: 10,
      threshold: 512
    }
  }).deflate, { thresholdBytes: 512, level: 3, memLevel: 7, serverMaxWindowBits: 10, contextTakeover: false, maxConcurrentJobs: 10 })
  t.equal(resolved({ perMessageDeflate: { clientNoContextTakeover: true } }).deflate!.contextTakeover, false)
  t.equal(resolved({ perMessageDeflate: { zlibDeflateOptions: { level: -1 } } }).deflate!.level, 1)
  for (const [perMessageDeflate, error] of [
    [{ clientMaxWindowBits: 10 }, { code: 'FST_WS_ERR_FOREIGN_OPTION', message: /options\.perMessageDeflate\.clientMaxWindowBits/ }],
    [{ zlibDeflateOptions: { strategy: 1 } }, { code: 'FST_WS_ERR_FOREIGN_OPTION', message: /zlibDeflateOptions\.strategy/ }],
    [{ zlibInflateOptions: 1 }, { code: 'FST_WS_ERR_INVALID_OPTION', message: /zlibInflateOptions/ }],
    [{ zlibDeflateOptions: { level: 10 } }, { code: 'FST_WS_ERR_INVALID_OPTION', message: /level/ }],
    ['yes', { code: 'FST_WS_ERR_INVALID_OPTION', message: /options\.perMessageDeflate/ }],
    [null, { code: 'FST_WS_ERR_INVALID_OPTION', message: /options\.perMessageDeflate/ }]
  ] as Array<[unknown, any]>) t.throws(() => resolved({ perMessageDeflate }), error, JSON.stringify(perMessageDeflate))
})

t.test('closeTimeout', async (t) => {
  t.equal(resolved({ closeTimeout: 1_000 }).closeTimeoutMs, 1_000)
  t.throws(() => resolved({ closeTimeout: 30_000 }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /pluginTimeout/ })
})

t.test('what cannot be kept throws, and says what to do; what asks for nothing passes', async (t) => {
  for (const [name, value, text] of [
    ['noServer', true, /use ws itself/],
    ['host', '0.0.0.0', /app\.listen/],
    ['port', 3000, /app\.listen/],
    ['backlog', 1, /app\.listen/],
    ['WebSocket', class {}, /socket\.data/],
    ['skipUTF8Validation', true, /leave it out/],
    ['allowSynchronousEvents', false, /socket\.next/],
    ['autoPong', false, /leave it out/],
    ['maxBufferedChunks', 1, /fixed limits/],
    ['maxFragments', 1, /fixed limits/],
    ['maxPendingAutoPongs', 1, /fixed limits/]
  ] as const) t.throws(() => resolved({ [name]: value }), { code: 'FST_WS_ERR_FOREIGN_OPTION', message: text }, name)
  for (const name of ['handleProtocols', 'verifyClient']) t.throws(() => resolved({ [name]: 'x' }), { code: 'FST_WS_ERR_INVALID_OPTION', message: new RegExp(`options\\.${name}`) })
  t.throws(() => resolved({ maxPayLoad: 1 }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /maxPayLoad.*maxPayload/ })
  resolved({ noServer: false, skipUTF8Validation: false, allowSynchronousEvents: true, autoPong: true, port: null, host: undefined, handleProtocols: null, verifyClient: null, clientTracking: true, server: null })
})

t.test('every rule of the protocol that a peer can break has a code of ws', async (t) => {
  const source = readdirSync(CORE).map((name) => readFileSync(join(CORE, name), 'utf8')).join('')
  const rules = [...source.matchAll(/(?:broken\(|CloseCode\.ProtocolError, )(?:this\.#masked \? '([^']+)' : )?'([^']+)'/g)].flatMap(([, one, other]) => one === undefined ? [other!] : [one, other!])
  t.ok(rules.length >= 14, `${rules.length} rules`)
  const codeOf = (Coded: new (message: string) => Error & { code: string }, message: string): string => {
    const error = new Coded(message)
    useWsCode(error)
    return error.code
  }
  for (const rule of rules) t.match(codeOf(FST_WS_ERR_PROTOCOL, rule), /^WS_ERR_/, rule)
  for (const [text, code] of [
    ['message above the limit', 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'],
    ['too many empty fragments', 'WS_ERR_TOO_MANY_BUFFERED_PARTS'],
    ['text that is not UTF-8', 'WS_ERR_INVALID_UTF8'],
    ['Close frame with a reason that is not UTF-8', 'WS_ERR_INVALID_UTF8']
  ] as const) {
    t.ok(source.includes(`'${text}'`), text)
    t.equal(codeOf(FST_WS_ERR_LIMIT, text), code)
  }
  t.equal(codeOf(FST_WS_ERR_LIMIT, 'too many messages a second'), 'FST_WS_ERR_LIMIT', 'what ws does not know keeps ours')
  t.match(codeOf(FST_WS_ERR_SOCKET, 'message above the limit'), 'FST_WS_ERR_SOCKET')
})
