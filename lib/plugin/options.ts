/**
 * Options of the plugin and of its routes: checked, defaults filled in, frozen. A wrong one throws where it is given,
 * with its name and what is allowed.
 */
import { constants } from 'node:buffer'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { DeflateOptions, DuplexOptions, RouteWebSocketOptions } from '../../types/options.ts'
import { FST_WS_ERR_FOREIGN_OPTION, FST_WS_ERR_INVALID_OPTION } from '../errors.ts'
import { isHost } from '../handshake/header-grammar.ts'
import { isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from '../protocol/close-payload.ts'
import { CloseCode } from '../protocol/constants.ts'
import type { RateLimit } from '../protocol/peer-rates.ts'
import type { Heartbeat } from '../socket/watch.ts'
import { ignoreRejection, isThenable } from '../subprotocol/validator.ts'

/** The options of a route, complete. */
export interface ResolvedOptions {
  readonly maxMessageBytes: number
  readonly maxUnsentBytes: number
  readonly highWaterMarkBytes: number
  readonly origin: NonNullable<DuplexOptions['origin']>
  readonly handshakeTimeoutMs: number
  readonly closeTimeoutMs: number
  readonly messageTimeoutMs: number
  readonly heartbeat: Heartbeat | false
  readonly rateLimit: RateLimit | undefined
  readonly maxLifetimeMs: number | undefined
  readonly expiresAt: RouteWebSocketOptions<any>['expiresAt']
  readonly allowedHosts: readonly string[] | undefined
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  readonly shutdown: Shutdown
  /** Undefined if it is switched off. */
  readonly deflate: Readonly<Required<DeflateOptions>> | undefined
  readonly validateSend: boolean
  readonly ajv: DuplexOptions['ajv']
  readonly schemaErrorFormatter: DuplexOptions['schemaErrorFormatter']
  readonly validatorCompiler: DuplexOptions['validatorCompiler']
  readonly onInvalidMessage: RouteWebSocketOptions<any>['onInvalidMessage']
  readonly errorHandler: RouteWebSocketOptions<any>['errorHandler']
  readonly selectSubprotocol: RouteWebSocketOptions<any>['selectSubprotocol']
}

/** What peers are told when the server closes. */
export interface Shutdown {
  readonly code: number
  readonly reason: string
  readonly windowMs: number
}

const MIB = 1024 * 1024
const KIB = 1024

/** A message is one string or Buffer. */
export const MOST_MESSAGE_BYTES = constants.MAX_STRING_LENGTH
/** What must fit between the largest message and the limit of what may wait: frames, and the messages before it. */
const UNSENT_MARGIN_BYTES = 64 * KIB
const CLOSE_TIMEOUT_MS = 5_000
/** What a timer can count. */
export const MOST_MS = 2 ** 31 - 1

/** Options of Fastify's own `register`, which it hands on to the plugin. */
const REGISTER_OPTIONS = ['prefix', 'logLevel', 'logSerializers']
/** Names of ours that routes of Fastify have as well, and the one that may stand beside them. */
const ROUTE_OPTIONS = ['errorHandler', 'schemaErrorFormatter', 'validatorCompiler', 'selectSubprotocol']
const PLUGIN_ONLY = ['ajv', 'maxConnections', 'maxConnectionsPerAddress', 'shutdown']

/** What other libraries call it, and what to use here. */
const FOREIGN_OPTIONS = new Map([
  ['maxPayload', "use 'maxMessageBytes'"],
  ['perMessageDeflate', "use 'deflate'"],
  ['handleProtocols', "use 'selectSubprotocol', or the route option 'subprotocols'"],
  ['verifyClient', "use Fastify's hooks, which run before the upgrade, and 'origin'"],
  ['options', 'the options stand in the plugin options themselves'],
  ['clientTracking', "use 'app.websockets'"],
  ['backpressure', "use 'highWaterMarkBytes' and 'maxUnsentBytes'"]
])

type Check = (value: any) => boolean

interface Rule {
  readonly allowed: string
  readonly check: Check
}

const milliseconds: Rule = { allowed: `a whole number of milliseconds from 1 to ${MOST_MS}`, check: between(1, MOST_MS) }
const aPositiveNumber: Rule = { allowed: 'a number above 0', check: (value) => typeof value === 'number' && value > 0 }
const aCount: Rule = { allowed: 'a whole number, at least 1', check: between(1, Number.MAX_SAFE_INTEGER) }
const aFunction: Rule = { allowed: 'a function', check: (value) => typeof value === 'function' }

const RULES: Readonly<Record<string, Rule>> = {
  maxMessageBytes: { allowed: `a whole number of bytes from 0 to ${MOST_MESSAGE_BYTES}`, check: between(0, MOST_MESSAGE_BYTES) },
  maxUnsentBytes: { allowed: 'a whole number of bytes, at least maxMessageBytes + 64 KiB', check: between(0, Number.MAX_SAFE_INTEGER) },
  highWaterMarkBytes: { allowed: 'a whole number of bytes, at least 1', check: between(1, Number.MAX_SAFE_INTEGER) },
  origin: { allowed: "'same-origin', true, a function, or a list of origins as browsers send them ('https://example.com': with the scheme, without a slash at the end)", check: isOriginOption },
  handshakeTimeoutMs: milliseconds,
  closeTimeoutMs: milliseconds,
  messageTimeoutMs: milliseconds,
  heartbeat: { allowed: 'false, or an object { intervalMs, timeoutMs }', check: (value) => value === false || isObject(value) },
  rateLimit: { allowed: 'an object { messagesPerSecond, bytesPerSecond, burst }', check: isObject },
  maxLifetimeMs: { allowed: 'a whole number of milliseconds, at least 1', check: between(1, Number.MAX_SAFE_INTEGER) },
  expiresAt: aFunction,
  allowedHosts: { allowed: "a list of hosts such as 'example.com' or 'example.com:8443'", check: (value) => Array.isArray(value) && value.every((host) => typeof host === 'string' && isHost(host)) },
  maxConnections: aCount,
  maxConnectionsPerAddress: aCount,
  shutdown: { allowed: 'an object { code, reason, windowMs }', check: isObject },
  deflate: { allowed: 'true, false, or an object of its options', check: (value) => typeof value === 'boolean' || isObject(value) },
  validateSend: { allowed: 'a boolean', check: (value) => typeof value === 'boolean' },
  ajv: { allowed: 'an object { customOptions, plugins }, as the option of Fastify', check: isObject },
  schemaErrorFormatter: aFunction,
  validatorCompiler: aFunction,
  onInvalidMessage: aFunction,
  errorHandler: aFunction,
  selectSubprotocol: aFunction
}

/** The rules of the options within an option. */
const INNER_RULES: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  heartbeat: { intervalMs: milliseconds, timeoutMs: milliseconds },
  rateLimit: { messagesPerSecond: aPositiveNumber, bytesPerSecond: aPositiveNumber, burst: aPositiveNumber },
  shutdown: {
    code: { allowed: 'a close code that a server may send', check: (value) => isSendableCloseCode(value, 'server') },
    reason: { allowed: `a string of ${MAX_CLOSE_REASON_BYTES} bytes at most`, check: (value) => typeof value === 'string' && Buffer.byteLength(value) <= MAX_CLOSE_REASON_BYTES },
    windowMs: { allowed: 'a whole number of milliseconds, at least 0', check: between(0, MOST_MS) }
  },
  deflate: {
    thresholdBytes: { allowed: 'a whole number of bytes, at least 0', check: between(0, Number.MAX_SAFE_INTEGER) },
    level: { allowed: 'a whole number from 1 to 9', check: between(1, 9) },
    memLevel: { allowed: 'a whole number from 1 to 9', check: between(1, 9) },
    serverMaxWindowBits: { allowed: 'a whole number from 9 to 15', check: between(9, 15) },
    contextTakeover: { allowed: 'a boolean', check: (value) => typeof value === 'boolean' },
    maxConcurrentJobs: aCount
  }
}

const HEARTBEAT: Heartbeat = Object.freeze({ intervalMs: 30_000, timeoutMs: 30_000 })
const RATE_LIMIT: RateLimit = Object.freeze({ messagesPerSecond: Infinity, bytesPerSecond: Infinity, burst: 1 })
const SHUTDOWN: Shutdown = Object.freeze({ code: CloseCode.GoingAway, reason: '', windowMs: 0 })
const DEFLATE: Required<DeflateOptions> = Object.freeze({
  thresholdBytes: KIB,
  level: 1,
  memLevel: 5,
  serverMaxWindowBits: 12,
  contextTakeover: false,
  maxConcurrentJobs: 4
})

/** Resolves what was given at `register`, above what an outer scope has given. Throws FST_WS_ERR_INVALID_OPTION or FST_WS_ERR_FOREIGN_OPTION. */
export function resolvePluginOptions (instance: FastifyInstance, outer: ResolvedOptions | undefined, given: DuplexOptions): ResolvedOptions {
  checkEach(given, [...Object.keys(RULES), ...REGISTER_OPTIONS])
  return complete(instance, outer, given)
}

/** Resolves a route's `websocketOptions` above those of its scope. */
export function resolveRouteOptions (instance: FastifyInstance, scope: ResolvedOptions, given: RouteWebSocketOptions<any> | undefined): ResolvedOptions {
  if (given === undefined) return scope
  if (!isObject(given)) throw new FST_WS_ERR_INVALID_OPTION('websocketOptions', 'an object')
  const ofServer = PLUGIN_ONLY.find((name) => name in given)
  if (ofServer !== undefined) throw new FST_WS_ERR_INVALID_OPTION(ofServer, 'given at `register`: it is no option of a route')
  checkEach(given, Object.keys(RULES).filter((name) => !PLUGIN_ONLY.includes(name)))
  return complete(instance, scope, given)
}

/** Throws FST_WS_ERR_INVALID_OPTION for an option that stands among those of Fastify, where nobody would look at it. */
export function checkRoute (route: object): void {
  const misplaced = Object.keys(RULES).find((name) => name in route && !ROUTE_OPTIONS.includes(name))
  if (misplaced !== undefined) throw new FST_WS_ERR_INVALID_OPTION(misplaced, "given in the route's 'websocketOptions'")
}

function checkEach (given: object, known: readonly string[]): void {
  for (const [name, value] of Object.entries(given)) {
    const foreign = FOREIGN_OPTIONS.get(name)
    if (foreign !== undefined) throw new FST_WS_ERR_FOREIGN_OPTION(name, foreign)
    if (!known.includes(name)) throw new FST_WS_ERR_INVALID_OPTION(name, `left out; the options are ${known.join(', ')}`)
    const rule = RULES[name]
    if (rule !== undefined && value !== undefined && !rule.check(value)) throw new FST_WS_ERR_INVALID_OPTION(name, rule.allowed)
  }
}

/** An option that is an object: what is given changes what an outer scope has set up, or the defaults. */
function inner<T extends object> (name: string, given: object | undefined, outer: T): T {
  if (given === undefined) return outer
  const rules = INNER_RULES[name]!
  const resolved = { ...outer } as Record<string, unknown>
  for (const [key, value] of Object.entries(given)) {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    if (rule === undefined) throw new FST_WS_ERR_INVALID_OPTION(`${name}.${key}`, `left out; the options are ${Object.keys(rules).join(', ')}`)
    if (value === undefined) continue
    if (!rule.check(value)) throw new FST_WS_ERR_INVALID_OPTION(`${name}.${key}`, rule.allowed)
    resolved[key] = value
  }
  return Object.freeze(resolved) as T
}

function resolveDeflate (given: DuplexOptions['deflate'], outer: ResolvedOptions['deflate']): ResolvedOptions['deflate'] {
  if (given === undefined) return outer
  return given === false ? undefined : inner('deflate', given === true ? {} : given, outer ?? DEFLATE)
}

function resolveHeartbeat (given: DuplexOptions['heartbeat'], outer: ResolvedOptions['heartbeat'] | undefined): ResolvedOptions['heartbeat'] {
  if (given === undefined) return outer ?? HEARTBEAT
  return given === false ? false : inner('heartbeat', given, outer || HEARTBEAT)
}

/** Whose `maxUnsentBytes` comes from their `maxMessageBytes`: it does not bind a scope with another one. */
const derived = new WeakSet<Partial<ResolvedOptions>>()

function complete (instance: FastifyInstance, outer: Partial<ResolvedOptions> = {}, given: DuplexOptions): ResolvedOptions {
  const maxMessageBytes = given.maxMessageBytes ?? outer.maxMessageBytes ?? instance.initialConfig.bodyLimit ?? MIB
  const givenUnsentBytes = given.maxUnsentBytes ?? (derived.has(outer) ? undefined : outer.maxUnsentBytes)
  // A preClose hook that takes longer than this makes `app.close()` reject. 0 switches the timeout off.
  const pluginTimeout = instance.initialConfig.pluginTimeout ?? 10_000
  const defaultCloseTimeout = pluginTimeout === 0 ? CLOSE_TIMEOUT_MS : Math.min(CLOSE_TIMEOUT_MS, Math.ceil(pluginTimeout / 2))
  const options: ResolvedOptions = {
    maxMessageBytes,
    maxUnsentBytes: givenUnsentBytes ?? Math.max(16 * MIB, 2 * maxMessageBytes),
    highWaterMarkBytes: given.highWaterMarkBytes ?? outer.highWaterMarkBytes ?? 64 * KIB,
    origin: given.origin ?? outer.origin ?? 'same-origin',
    handshakeTimeoutMs: given.handshakeTimeoutMs ?? outer.handshakeTimeoutMs ?? 10_000,
    closeTimeoutMs: given.closeTimeoutMs ?? outer.closeTimeoutMs ?? defaultCloseTimeout,
    messageTimeoutMs: given.messageTimeoutMs ?? outer.messageTimeoutMs ?? 30_000,
    heartbeat: resolveHeartbeat(given.heartbeat, outer.heartbeat),
    rateLimit: given.rateLimit === undefined ? outer.rateLimit : inner('rateLimit', given.rateLimit, outer.rateLimit ?? RATE_LIMIT),
    maxLifetimeMs: given.maxLifetimeMs ?? outer.maxLifetimeMs,
    expiresAt: given.expiresAt ?? outer.expiresAt,
    allowedHosts: given.allowedHosts?.map((host) => host.toLowerCase()) ?? outer.allowedHosts,
    maxConnections: given.maxConnections ?? outer.maxConnections ?? Infinity,
    maxConnectionsPerAddress: given.maxConnectionsPerAddress ?? outer.maxConnectionsPerAddress ?? Infinity,
    shutdown: inner('shutdown', given.shutdown, outer.shutdown ?? SHUTDOWN),
    deflate: resolveDeflate(given.deflate, outer.deflate),
    validateSend: given.validateSend ?? outer.validateSend ?? false,
    ajv: given.ajv ?? outer.ajv,
    schemaErrorFormatter: given.schemaErrorFormatter ?? outer.schemaErrorFormatter,
    validatorCompiler: given.validatorCompiler ?? outer.validatorCompiler,
    onInvalidMessage: given.onInvalidMessage ?? outer.onInvalidMessage,
    errorHandler: given.errorHandler ?? outer.errorHandler,
    selectSubprotocol: given.selectSubprotocol ?? outer.selectSubprotocol
  }
  if (givenUnsentBytes === undefined) derived.add(options)
  if (options.maxUnsentBytes < maxMessageBytes + UNSENT_MARGIN_BYTES) {
    throw new FST_WS_ERR_INVALID_OPTION('maxUnsentBytes', `at least maxMessageBytes (${maxMessageBytes}) + 64 KiB`)
  }
  const shutdownMs = options.closeTimeoutMs + options.shutdown.windowMs
  if (pluginTimeout !== 0 && shutdownMs >= pluginTimeout) {
    throw new FST_WS_ERR_INVALID_OPTION(options.shutdown.windowMs === 0 ? 'closeTimeoutMs' : 'shutdown.windowMs', `such that closeTimeoutMs and shutdown.windowMs together are below Fastify's pluginTimeout (${pluginTimeout} ms), within which the server must have closed`)
  }
  return Object.freeze(options)
}

/** The result of an option that must be synchronous; undefined for a promise, which decides nothing. */
export function synchronous<T> (name: string, result: T, log: FastifyBaseLogger): T | undefined {
  if (!isThenable(result)) return result
  ignoreRejection(result)
  log.error({ option: name }, `the option '${name}' must be a synchronous function: its promise counts as a refusal`)
  return undefined
}

function isObject (value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function between (least: number, most: number): Check {
  return (value) => Number.isInteger(value) && value >= least && value <= most
}

function isOriginOption (value: unknown): boolean {
  return value === 'same-origin' || value === true || typeof value === 'function' ||
    (Array.isArray(value) && value.every((origin) => typeof origin === 'string' && isSerializedOrigin(origin)))
}

/** An origin is compared as text, so it must stand as browsers send it: no path, no trailing slash, no default port. */
function isSerializedOrigin (origin: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host } = new URL(origin)
  return origin === `${protocol}//${host}`
}
