/**
 * The options of the plugin and of its routes, with their units and defaults. What checks them is in
 * `lib/plugin/options.ts`.
 */
import type { FastifyRequest, FastifySchemaCompiler, FastifySchemaValidationError, FastifyServerOptions } from 'fastify'
import type { InvalidMessageError } from '../lib/subprotocol/subprotocol.ts'
import type { AnySocket } from './sockets.ts'

/**
 * Where an error came from. `handler` and `listener` are what the application threw or rejected with: the
 * connection is open. `message`, `protocol`, `limit` and `socket` are faults of the peer or of the network:
 * the connection is closing already.
 */
export type ErrorKind = 'handler' | 'listener' | 'message' | 'protocol' | 'limit' | 'socket'

/** What `errorHandler` gets. */
export interface ConnectionError extends Error {
  readonly kind: ErrorKind
  /** What the default closes with. */
  readonly closeCode: number
  /** `FST_WS_ERR_...` where the plugin made the error; what the application's error has, otherwise. */
  readonly code?: string
}

/**
 * Which pages may connect, by the `Origin` header of the handshake; the refusal is a 403. A handshake
 * without that header comes from no browser and is allowed; the opaque origin `null` is refused.
 *
 * - `'same-origin'`: host and port of the origin are those of `request.host`.
 * - `true`: any.
 * - a list: origins such as `https://example.com`, compared exactly.
 * - a function: synchronous, and it decides alone.
 */
export type OriginOption = 'same-origin' | true | readonly string[] | ((origin: string, request: FastifyRequest) => boolean)

/** How messages are compressed where the client offers permessage-deflate (RFC 7692). What is left out has the default. */
export interface DeflateOptions {
  /** Messages below this size, in bytes, are sent as they are. Default: 1024. */
  thresholdBytes?: number
  /** zlib's level of compression, from 1, the fastest, to 9. Default: 1. */
  level?: number
  /** zlib's memory for a message that is being compressed, from 1 to 9. Default: 5. */
  memLevel?: number
  /** Window of the server's compression, as the base-2 logarithm of its size in bytes: 9 to 15. Default: 12, which is 4 KiB. */
  serverMaxWindowBits?: number
  /**
   * Whether a message may refer back to earlier ones, in both directions. It compresses better, costs each connection the
   * memory of its windows, and no compressed form can be shared between connections. Clients that can are then asked to
   * keep to `serverMaxWindowBits` too. Default: false.
   */
  contextTakeover?: boolean
  /** How many large messages are compressed or inflated at once in the thread pool, in the whole process. Default: 4. */
  maxConcurrentJobs?: number
}

/** What a route may set for itself, as `websocketOptions`; each option overrides the one given at `register`. */
export interface RouteWebSocketOptions<Socket = AnySocket> {
  /**
   * The largest message that is taken, in bytes, inflated size included: more closes with 1009.
   * Default: the `bodyLimit` of the instance (1 MiB).
   */
  maxMessageBytes?: number

  /**
   * How much may wait for a slow peer, in bytes, framing included: more terminates the connection (1006).
   * What was waiting before a message is what counts, so one message of any size can go to an idle peer.
   * Default: the larger of 16 MiB and twice `maxMessageBytes`. Less than `maxMessageBytes` + 64 KiB throws.
   */
  maxUnsentBytes?: number

  /**
   * The unsent bytes above which `send` returns false, with `drain` to follow; reading goes on. The same
   * number bounds the queue of received messages that nobody has taken; a full queue pauses reading.
   * Default: 64 KiB.
   */
  highWaterMarkBytes?: number

  /** Which pages may connect. Default: `'same-origin'`. */
  origin?: OriginOption

  /** How long all hooks and the handshake may take, in milliseconds, before the answer is 503. Default: 10 000. */
  handshakeTimeoutMs?: number

  /**
   * How long a peer has to answer our Close, in milliseconds, before the connection is destroyed; also at
   * shutdown, so it must stay below Fastify's `pluginTimeout`. Default: 5 000.
   */
  closeTimeoutMs?: number

  /**
   * Whether permessage-deflate is agreed on with clients that offer it: `true`, or an object with what shall differ from the
   * defaults. Secrets should not be compressed together with text of others: `send (message, { compress: false })`.
   * Default: false.
   */
  deflate?: boolean | DeflateOptions

  /**
   * After `intervalMs` milliseconds without an octet from the peer it gets a ping; after `timeoutMs` more without one it is
   * taken for dead: 1006. A peer that still takes what waits for it is alive, as far as the kernel shows it, which holds some
   * MiB by itself: for readers that are slower than that, a longer timeout. Nothing counts while the application does not read.
   * False switches it off. Default: 30 000 each.
   */
  heartbeat?: false | { intervalMs?: number, timeoutMs?: number }

  /** How long a message may take from its first octet to its last, in milliseconds, before 1008. Default: 30 000. */
  messageTimeoutMs?: number

  /**
   * What one connection may send: more closes with 1008. `burst` is how many seconds' worth may come at once. Bytes are
   * those of the network. Default: no limit; a limit that is left out does not apply, and `burst` is 1.
   */
  rateLimit?: { messagesPerSecond?: number, bytesPerSecond?: number, burst?: number }

  /** How long a connection may live, in milliseconds: then it closes with 3000. Default: no limit. */
  maxLifetimeMs?: number

  /**
   * When the session of this request ends, read when the connection is accepted: a Date, milliseconds since 1970, or undefined
   * for never. The connection then closes with 3000; `socket.closeAt` extends. Synchronous.
   */
  expiresAt? (request: FastifyRequest): Date | number | undefined

  /** The values of Host that are served, with a port or for every port; another is answered 403. Default: any. */
  allowedHosts?: readonly string[]

  /** Makes the error of a message that does not fit its schema. Default: Fastify's wording, with `message` in the place of `body`. */
  schemaErrorFormatter?: (errors: FastifySchemaValidationError[], part: 'message') => Error

  /**
   * Compiles message schemas; it must validate synchronously. Default: the `validatorCompiler` of the route
   * or of its context if one was set, else Ajv, which neither coerces nor removes anything.
   */
  validatorCompiler?: FastifySchemaCompiler<any>

  /** Whether outgoing messages are validated too; one that does not fit throws in `send`. Default: false. */
  validateSend?: boolean

  /**
   * Called for a message that its contract does not allow, in the place of the default, which closes with
   * `error.closeCode` and logs. After a message that does not fit its schema (1008) the connection stays open unless
   * this closes it; after one that could not be decoded (1003 wrong kind of frame, 1007) it closes in any case, once
   * this has been called. `message` is what was decoded, undefined if it could not be.
   */
  onInvalidMessage? (error: InvalidMessageError, socket: Socket, request: FastifyRequest, message: unknown): unknown

  /**
   * Called for every error of a connection, in the place of the default, which logs it and, for `handler`
   * and `listener`, closes with 1011: an open connection stays open unless this closes it. `message` is
   * what was being handled, undefined if nothing was.
   */
  errorHandler? (error: ConnectionError, socket: Socket, request: FastifyRequest, message: unknown): unknown

  /**
   * Picks the subprotocol on a route without contracts; synchronous. Returns one of those offered, or false
   * to answer 400. Default: a raw route agrees to none and answers 400 to an offer.
   */
  selectSubprotocol? (offered: readonly string[], request: FastifyRequest): string | false
}

/** The options of `register(duplex, options)`: the defaults of all WebSocket routes in this scope and below. */
export interface DuplexOptions extends RouteWebSocketOptions {
  /**
   * Ajv for message schemas, as Fastify's option of that name. Default: `coerceTypes` and `removeAdditional`
   * off, since both change messages that a later branch of a union would have taken; `useDefaults` on.
   */
  ajv?: NonNullable<FastifyServerOptions['ajv']>

  /** How many connections the server may have, handshakes included; one more is answered 503. Default: no limit. */
  maxConnections?: number

  /**
   * The same for one address (`request.ip`, so `trustProxy` counts); of IPv6 a /64 is one address. Unix sockets have none.
   * Default: no limit.
   */
  maxConnectionsPerAddress?: number

  /**
   * What peers are told when the server closes, and over how many milliseconds their Closes are spread, so that not all
   * come back at once. The first registration decides. Default: 1001, an empty reason, 0.
   */
  shutdown?: { code?: number, reason?: string, windowMs?: number }
}
