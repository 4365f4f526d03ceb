/**
 * The options of `ws` in the words of this package. What means nothing here, or cannot be kept, throws and says what
 * to use instead.
 */
import type { PerMessageDeflateOptions, WebSocketServerOptions } from '../../types/compat.ts'
import type { DeflateOptions, DuplexOptions } from '../../types/options.ts'
import { FST_WS_ERR_FOREIGN_OPTION, FST_WS_ERR_INVALID_OPTION } from '../errors.ts'
import { MOST_MESSAGE_BYTES, MOST_MS } from '../plugin/options.ts'

/** What `websocketServer.options` has where nothing was given. */
export const DEFAULTS = {
  maxPayload: 100 * 1024 * 1024, perMessageDeflate: false, handleProtocols: null, verifyClient: null, clientTracking: true
} as unknown as WebSocketServerOptions

/** What is looked at elsewhere. */
const HONOURED = new Set(['maxPayload', 'perMessageDeflate', 'handleProtocols', 'verifyClient', 'clientTracking', 'server', 'path', 'closeTimeout'])

const FIXED_LIMIT = 'there are fixed limits against such floods, so leave it out'

/** What cannot be honoured: the values that ask for nothing, and what to do instead. */
const REFUSED: ReadonlyMap<string, { readonly harmless?: unknown, readonly instead: string }> = new Map([
  ['noServer', { harmless: false, instead: 'upgrades come from the server of the application; for a server without one use ws itself' }],
  ['host', { instead: 'the application listens: app.listen({ host })' }],
  ['port', { instead: 'the application listens: app.listen({ port })' }],
  ['backlog', { instead: 'the application listens: app.listen({ backlog })' }],
  ['WebSocket', { instead: "keep what belongs to a connection in 'socket.data'" }],
  ['skipUTF8Validation', { harmless: false, instead: 'text is always checked, so leave it out' }],
  ['allowSynchronousEvents', { harmless: true, instead: 'messages of one read come in one tick; take them one at a time with socket.next()' }],
  ['autoPong', { harmless: true, instead: 'pings are always answered, so leave it out' }],
  ['maxBufferedChunks', { instead: FIXED_LIMIT }],
  ['maxFragments', { instead: FIXED_LIMIT }],
  ['maxPendingAutoPongs', { instead: FIXED_LIMIT }]
])

const DEFLATE_NAMES = new Set(['serverNoContextTakeover', 'clientNoContextTakeover', 'serverMaxWindowBits', 'threshold', 'concurrencyLimit', 'zlibDeflateOptions', 'zlibInflateOptions'])
const ZLIB_NAMES = new Set(['level', 'memLevel', 'chunkSize'])
const ZLIB_DEFAULT_LEVEL = -1

/** Throws FST_WS_ERR_FOREIGN_OPTION for what cannot be honoured, and FST_WS_ERR_INVALID_OPTION for a wrong value. */
export function translateOptions (options: WebSocketServerOptions): DuplexOptions {
  checkNames(options)
  const { maxPayload = DEFAULTS.maxPayload, perMessageDeflate = false, handleProtocols, verifyClient, closeTimeout } = options
  if (typeof maxPayload !== 'number' || !(maxPayload >= 0)) throw new FST_WS_ERR_INVALID_OPTION('options.maxPayload', 'a number of bytes, at least 0')
  for (const [name, hook] of Object.entries({ handleProtocols, verifyClient })) {
    if (hook !== undefined && hook !== null && typeof hook !== 'function') throw new FST_WS_ERR_INVALID_OPTION(`options.${name}`, 'a function')
  }
  return {
    // 0 is no limit, and so is what no message can reach.
    maxMessageBytes: maxPayload === 0 || maxPayload > MOST_MESSAGE_BYTES ? MOST_MESSAGE_BYTES : Math.floor(maxPayload),
    deflate: perMessageDeflate === false ? false : translateDeflate(perMessageDeflate === true ? {} : perMessageDeflate),
    // Neither is there in ws: whoever has no check of Origin must go on, and a large message may come slowly.
    origin: true,
    messageTimeoutMs: MOST_MS,
    ...closeTimeout !== undefined && { closeTimeoutMs: closeTimeout }
  }
}

function checkNames (options: WebSocketServerOptions): void {
  for (const [name, value] of Object.entries(options)) {
    const refused = REFUSED.get(name)
    if (refused === undefined && !HONOURED.has(name)) throw new FST_WS_ERR_INVALID_OPTION(`options.${name}`, `left out; the options are ${[...HONOURED].join(', ')}`)
    if (refused !== undefined && value !== undefined && value !== null && value !== refused.harmless) throw new FST_WS_ERR_FOREIGN_OPTION(`options.${name}`, refused.instead)
  }
}

function translateDeflate (given: PerMessageDeflateOptions): DeflateOptions {
  checkInner('perMessageDeflate', given, DEFLATE_NAMES)
  const { zlibDeflateOptions = {}, zlibInflateOptions = {} } = given
  checkInner('perMessageDeflate.zlibDeflateOptions', zlibDeflateOptions, ZLIB_NAMES)
  checkInner('perMessageDeflate.zlibInflateOptions', zlibInflateOptions, ZLIB_NAMES)
  const { level } = zlibDeflateOptions
  // What is undefined has our default.
  return {
    contextTakeover: given.serverNoContextTakeover !== true && given.clientNoContextTakeover !== true,
    serverMaxWindowBits: given.serverMaxWindowBits,
    thresholdBytes: given.threshold,
    maxConcurrentJobs: given.concurrencyLimit,
    level: level === ZLIB_DEFAULT_LEVEL ? undefined : level,
    memLevel: zlibDeflateOptions.memLevel
  } as DeflateOptions
}

function checkInner (place: string, given: object, known: ReadonlySet<string>): void {
  if (typeof given !== 'object' || given === null) throw new FST_WS_ERR_INVALID_OPTION(`options.${place}`, 'an object')
  for (const [name, value] of Object.entries(given)) {
    if (!known.has(name) && value !== undefined) throw new FST_WS_ERR_FOREIGN_OPTION(`options.${place}.${name}`, `of it there are ${[...known].join(', ')}`)
  }
}
