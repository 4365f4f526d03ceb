/**
 * The contract of a connection: which codec its messages use, and the schema of each direction.
 *
 * Published as `fastify-duplex/contract`, so that a browser can share what the server declares: nothing
 * here imports a `node:` module, Fastify or anything that does, and no type needs Node's. The codecs, the
 * schema compiler and the sockets are elsewhere; this file knows only the description of them.
 */

/**
 * How messages of an own format become frames. Both functions are synchronous. What `decode` throws
 * makes the message invalid (close 1007); what `encode` throws leaves `send`.
 */
export interface Codec {
  /** For error messages and documents. */
  readonly name: string
  /** The kind of frame that the peer may send; the other kind is refused with 1003. */
  readonly wire: 'text' | 'binary' | 'both'
  /** A string becomes a text message, bytes a binary one. The bytes must not be changed afterwards. */
  encode (message: any): string | Uint8Array
  /** `data` is a string for a text message and bytes for a binary one: on Node a `Buffer`, and the codec's to keep. */
  decode (data: string | Uint8Array): unknown
}

/** JSON in text messages. A direction without schema is `unknown`, here and as a message, and is not validated. */
export interface JsonContract<Receive = unknown, Send = unknown, Binary extends boolean = boolean> {
  readonly codec: 'json'
  /** The schema of what the server receives; absent where none was given. */
  readonly receive: Receive
  /** The schema of what the server sends; absent where none was given. */
  readonly send: Send
  /** Whether binary messages pass beside the JSON, as they are; absent means no. */
  readonly binary: Binary
}

/** Text messages, as strings. */
export interface TextContract { readonly codec: 'text' }

/** Binary messages, as bytes. */
export interface BytesContract { readonly codec: 'bytes' }

/** Every message as it is, for a protocol with a parser of its own. */
export interface RawContract { readonly codec: 'raw' }

/** Messages of an own codec, validated after decoding where there is a schema. */
export interface CustomContract<OwnCodec extends Codec = Codec, Receive = unknown, Send = unknown> {
  readonly codec: OwnCodec
  /** The schema of what the server receives; absent where none was given. */
  readonly receive: Receive
  /** The schema of what the server sends; absent where none was given. */
  readonly send: Send
}

/** What `json`, `text`, `bytes`, `raw` and `custom` return: a frozen object without behaviour. */
export type Contract = JsonContract | TextContract | BytesContract | RawContract | CustomContract

/** Contracts by the name of their subprotocol. */
export interface Contracts { readonly [subprotocol: string]: Contract }

/** The contract of a connection without subprotocol has a key of its own. */
export interface NoEmptyName { readonly ''?: 'the contract of a connection without subprotocol is `messages`' }

/** The request schemas of a route; the keys are Fastify's and those of @fastify/swagger. */
export interface RouteSchema {
  readonly params?: unknown
  readonly querystring?: unknown
  readonly headers?: unknown
  readonly response?: unknown
  readonly hide?: boolean
  readonly tags?: readonly string[]
  readonly summary?: string
  readonly description?: string
  readonly operationId?: string
}

// Of the registry, so that a second copy of this package still knows it.
const kRoute: unique symbol = Symbol.for('fastify-duplex.route')

/**
 * A route that server, tests and client share: the options for `app.get(route.url, route, handler)`, and
 * the types of both sides. Of `subprotocols` and `messages`, `never` means that the route has none.
 */
export interface WebSocketRoute<
  Url extends string = string,
  Schema = unknown,
  Subprotocols = unknown,
  Messages = unknown
> {
  readonly url: Url
  readonly websocket: true
  readonly schema: Schema
  readonly subprotocols: Subprotocols
  readonly messages: Messages
  /** Which definition this is; survives a spread, so that the registered path can be found. */
  readonly [kRoute]: object
}

/**
 * A contract of JSON messages. `receive` and `send` are seen from the server and are whatever schema the
 * application's validator compiler takes. With `binary: true` text is JSON and validated, and binary
 * messages pass as they are.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, for a key that it does not know or a schema that is none.
 */
export function json<const Receive = unknown, const Send = unknown, const Binary extends boolean = false> (
  definition: { readonly receive?: Receive, readonly send?: Send, readonly binary?: Binary } = {}
): JsonContract<Receive, Send, NoInfer<Binary>> {
  return make('json()', definition, ['receive', 'send', 'binary'], { codec: 'json' }) as JsonContract<Receive, Send, Binary>
}

/** A contract of text messages that are strings. */
export function text (...none: []): TextContract {
  return fixed('text', none) as TextContract
}

/** A contract of binary messages: received as bytes (on Node a `Buffer`), sent as any view of bytes. */
export function bytes (...none: []): BytesContract {
  return fixed('bytes', none) as BytesContract
}

/** A contract that leaves messages alone, text and binary, as on a route without contract. */
export function raw (...none: []): RawContract {
  return fixed('raw', none) as RawContract
}

/**
 * A contract of messages in an own format. Without a schema the types are those of the codec's functions.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, for a key that it does not know, or a codec or schema that is none.
 */
export function custom<const OwnCodec extends Codec, const Receive = unknown, const Send = unknown> (
  definition: { readonly codec: OwnCodec, readonly receive?: Receive, readonly send?: Send }
): CustomContract<OwnCodec, Receive, Send> {
  const fault = isObject(definition) ? codecFault(definition.codec) : undefined
  if (fault !== undefined) throw invalidContract('custom()', fault)
  return make('custom()', definition, ['codec', 'receive', 'send'], {}) as CustomContract<OwnCodec, Receive, Send>
}

/**
 * Describes a route once, for the server, its tests and its clients. The object goes to
 * `app.get(route.url, route, handler)`, alone or spread into further options, and may be registered
 * under a prefix.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, for a key that it does not know or a contract that is none.
 */
export function defineWebSocketRoute<
  const Url extends string,
  const Schema extends RouteSchema = {},
  const Subprotocols extends Contracts = never,
  const Messages extends Contract = never
> (definition: {
  readonly url: Url
  readonly schema?: Schema
  readonly subprotocols?: Subprotocols & NoEmptyName
  readonly messages?: Messages
}): WebSocketRoute<Url, Schema, Subprotocols, Messages> {
  const where = 'defineWebSocketRoute()'
  if (!isObject(definition)) throw invalidContract(where, `it takes an object, not ${typeName(definition)}`)
  checkKeys(where, definition, ['url', 'schema', 'messages', 'subprotocols'])
  if (typeof definition.url !== 'string') throw invalidContract(where, `'url' must be a string, not ${typeName(definition.url)}`)
  if ('schema' in definition && !isObject(definition.schema)) {
    throw invalidContract(where, `'schema' must be an object, not ${typeName(definition.schema)}`)
  }
  validateContracts(`'${definition.url}'`, definition.messages, definition.subprotocols)
  // The identity is compared and never read: what it says is for the debugger. Fastify marks `schema`, so that stays open.
  const identity = Object.freeze({ url: definition.url })
  return Object.freeze({ ...definition, websocket: true, [kRoute]: identity }) as unknown as WebSocketRoute<Url, Schema, Subprotocols, Messages>
}

/** The identity that `defineWebSocketRoute` gave to these route options; undefined if they are not of its making. */
export function routeIdentity (options: object): object | undefined {
  return (options as { [kRoute]?: object })[kRoute]
}

/** Whether this is a contract: known codec, known keys, schemas that can be schemas. */
export function isContract (value: unknown): value is Contract {
  return contractFault(value) === undefined
}

/**
 * Checks what a route has as `messages` and `subprotocols`; `route` names it in the error.
 *
 * Throws a TypeError, `FST_WS_ERR_INVALID_CONTRACT`, that says which contract it is and what is wrong with it.
 */
export function validateContracts (route: string, messages: unknown, subprotocols: unknown): void {
  if (messages !== undefined) {
    const fault = contractFault(messages)
    if (fault !== undefined) throw invalidContract(`${route}, 'messages',`, fault)
  }
  if (subprotocols === undefined) return

  const where = `${route}, 'subprotocols',`
  if (!isObject(subprotocols)) throw invalidContract(where, `it must be an object of contracts by name, not ${typeName(subprotocols)}`)
  const names = Object.keys(subprotocols)
  if (names.length === 0) throw invalidContract(where, 'it names no subprotocol')
  for (const name of names) {
    if (name === '') throw invalidContract(where, "the contract of a connection without subprotocol is 'messages', not ''")
    if (!TOKEN.test(name)) throw invalidContract(where, `'${name}' is not a token, which the name of a subprotocol must be`)
    const fault = contractFault(subprotocols[name])
    if (fault !== undefined) throw invalidContract(`${route}, subprotocol '${name}',`, fault)
  }
}

/** RFC 6455 §4.1: a subprotocol is a token of RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Kept free for calls with answers, and for documents. */
const RESERVED = ['calls', 'summary', 'title', 'description']

type Keys = readonly string[]
interface Bag { readonly [key: string]: unknown }

function fixed (codec: 'text' | 'bytes' | 'raw', given: Keys): unknown {
  // A schema passed to them would never be looked at.
  if (given.length > 0) throw invalidContract(`${codec}()`, 'it takes no argument; use json() or custom() for messages with a schema')
  return Object.freeze({ codec })
}

function make (where: string, definition: unknown, allowed: Keys, base: object): unknown {
  if (!isObject(definition)) throw invalidContract(where, `it takes an object, not ${typeName(definition)}`)
  checkKeys(where, definition, allowed)
  const { binary = false, ...rest } = definition
  const contract = { ...base, ...rest, ...(binary === false ? {} : { binary }) }
  const fault = contractFault(contract)
  if (fault !== undefined) throw invalidContract(where, fault)
  return Object.freeze(contract)
}

function contractFault (value: unknown): string | undefined {
  if (!isObject(value)) return `it must be made by json(), text(), bytes(), raw() or custom(), not ${typeName(value)}`
  const { codec } = value
  if (codec === undefined) return "it has no 'codec'; make it with json(), text(), bytes(), raw() or custom()"
  const allowed = keysOf(codec)
  if (allowed === undefined) return `'${String(codec)}' is not a codec; there are 'json', 'text', 'bytes', 'raw' and own ones`
  const fault = keyFault(value, allowed) ?? (typeof codec === 'object' ? codecFault(codec) : undefined)
  if (fault !== undefined) return fault
  for (const direction of ['receive', 'send']) {
    // An undefined schema is most often an import gone wrong, and would let everything pass.
    if (direction in value && !isSchema(value[direction])) return `'${direction}' must be a schema, not ${typeName(value[direction])}`
  }
  return 'binary' in value && value['binary'] !== true ? "'binary' must be true or false" : undefined
}

/** The keys of a contract with this codec; undefined if it cannot be one. */
function keysOf (codec: unknown): Keys | undefined {
  switch (codec) {
    case 'json': return ['codec', 'receive', 'send', 'binary']
    case 'text':
    case 'bytes':
    case 'raw': return ['codec']
    default: return isObject(codec) ? ['codec', 'receive', 'send'] : undefined
  }
}

function codecFault (codec: unknown): string | undefined {
  if (!isObject(codec)) return `'codec' must be an object, not ${typeName(codec)}`
  const { name, wire } = codec
  if (typeof name !== 'string' || name === '') return "the codec's 'name' must be a string that is not empty"
  if (wire !== 'text' && wire !== 'binary' && wire !== 'both') return "the codec's 'wire' must be 'text', 'binary' or 'both'"
  if (typeof codec['encode'] !== 'function') return "the codec's 'encode' must be a function"
  if (typeof codec['decode'] !== 'function') return "the codec's 'decode' must be a function"
  return undefined
}

function checkKeys (where: string, value: Bag, allowed: Keys): void {
  const fault = keyFault(value, allowed)
  if (fault !== undefined) throw invalidContract(where, fault)
}

function keyFault (value: Bag, allowed: Keys): string | undefined {
  for (const key of Object.keys(value)) {
    if (allowed.includes(key)) continue
    if (RESERVED.includes(key)) return `the key '${key}' is reserved`
    if (allowed.includes('receive') && (key === 'type' || key === 'properties')) return "a schema stands under 'receive' or 'send'"
    return `it has no key '${key}'; the keys are ${allowed.map((name) => `'${name}'`).join(', ')}`
  }
  return undefined
}

function isObject (value: unknown): value is Bag {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Objects (JSON Schema, TypeBox, zod), functions (ArkType) and the two boolean schemas. */
function isSchema (value: unknown): boolean {
  return isObject(value) || typeof value === 'function' || typeof value === 'boolean'
}

function typeName (value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value
}

/** As `lib/errors.ts` words it, which a browser cannot load. */
function invalidContract (where: string, why: string): TypeError {
  return Object.assign(new TypeError(`The contract of ${where} is not valid: ${why}`), { code: 'FST_WS_ERR_INVALID_CONTRACT' })
}
