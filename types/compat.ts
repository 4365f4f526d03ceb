/**
 * The types of `fastify-duplex/compat`: those names of @fastify/websocket and of `ws` that applications use, so that
 * they check with the import changed and without @types/ws.
 */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeaders, Server as HttpServer } from 'node:http'
import type { Duplex } from 'node:stream'
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, FastifyTypeProvider,
  FastifyTypeProviderDefault, preCloseAsyncHookHandler, preCloseHookHandler, RawReplyDefaultExpression,
  RawRequestDefaultExpression, RawServerBase, RawServerDefault, RequestGenericInterface, RouteGenericInterface,
  RouteOptions as FullOptions
} from 'fastify'
import type { CloseEvent, ErrorEvent, MessageEvent, SocketEvent } from '../lib/socket/events.ts'
import type { ControlCallback, ControlData, SendCallback, SendOptions } from '../lib/socket/websocket.ts'
import type { RawData } from './sockets.ts'

type BinaryData = Buffer | ArrayBuffer | Buffer[]

interface EventMap {
  open: SocketEvent<WebSocket>
  message: MessageEvent<string | BinaryData, WebSocket>
  close: CloseEvent<WebSocket>
  error: ErrorEvent<WebSocket>
}

type EventListener<Type extends keyof EventMap> =
  | ((event: EventMap[Type]) => unknown)
  | { handleEvent (event: EventMap[Type]): unknown }

/** What the `on` family takes for each event; what is not declared may be an event of the application's own. */
interface ListenTo<This> {
  (event: 'message', listener: (this: WebSocket, data: Buffer, isBinary: boolean) => unknown): This
  (event: 'message', listener: (this: WebSocket, data: BinaryData, isBinary: boolean) => unknown): This
  (event: 'close', listener: (this: WebSocket, code: number, reason: Buffer) => unknown): This
  (event: 'error', listener: (this: WebSocket, error: Error) => unknown): This
  (event: 'open' | 'drain', listener: (this: WebSocket) => unknown): This
  (event: 'ping' | 'pong', listener: (this: WebSocket, payload: Buffer) => unknown): This
  (event: string | symbol, listener: (this: WebSocket, ...args: any[]) => unknown): This
}

/** What applications and libraries use of a socket of `ws`. The sockets of raw routes are one, and so is the client of `injectWS`. */
export interface WebSocket extends EventEmitter {
  readonly CONNECTING: 0
  readonly OPEN: 1
  readonly CLOSING: 2
  readonly CLOSED: 3
  readonly readyState: 0 | 1 | 2 | 3
  readonly protocol: string
  readonly extensions: string
  readonly url: string
  readonly bufferedAmount: number
  readonly isPaused: boolean
  binaryType: 'nodebuffer' | 'arraybuffer' | 'fragments'

  send (data: RawData, options?: SendOptions | SendCallback, callback?: SendCallback): boolean
  ping (data?: ControlData | ControlCallback, mask?: boolean | ControlCallback, callback?: ControlCallback): void
  pong (data?: ControlData | ControlCallback, mask?: boolean | ControlCallback, callback?: ControlCallback): void
  close (code?: number, reason?: string | Buffer): void
  terminate (): void
  pause (): void
  resume (): void

  get onopen (): any
  set onopen (listener: ((event: EventMap['open']) => unknown) | null)
  get onmessage (): any
  set onmessage (listener: ((event: EventMap['message']) => unknown) | null)
  get onclose (): any
  set onclose (listener: ((event: EventMap['close']) => unknown) | null)
  get onerror (): any
  set onerror (listener: ((event: EventMap['error']) => unknown) | null)
  addEventListener<Type extends keyof EventMap> (type: Type, listener: EventListener<Type>, options?: { once?: boolean | undefined }): void
  removeEventListener<Type extends keyof EventMap> (type: Type, listener: EventListener<Type>): void

  on: ListenTo<this>
  once: ListenTo<this>
  off: ListenTo<this>
  addListener: ListenTo<this>
  removeListener: ListenTo<this>
}

/** What `verifyClient` is told of a handshake. */
export interface VerifyClientInfo {
  /** The field Origin; undefined if there is none. */
  origin: string
  /** Whether it came over TLS. */
  secure: boolean
  req: IncomingMessage
}

/** Called back with the verdict; for a refusal with the status (default: 401), the text of the answer, and header fields. */
export type VerifyClientCallback = (verified: boolean, statusCode?: number, message?: string, headers?: OutgoingHttpHeaders) => void

/** With one parameter its result, or what its promise resolves with, is the verdict; with two the callback gets it. */
export type VerifyClient = (info: VerifyClientInfo, callback: VerifyClientCallback) => boolean | Promise<boolean> | void

/** Picks one of the subprotocols that the client offers; false agrees to none. */
export type HandleProtocols = (protocols: Set<string>, request: IncomingMessage) => string | false

/** permessage-deflate, in the words of `ws`. Sizes of zlib's buffers (`chunkSize`) have no effect. */
export interface PerMessageDeflateOptions {
  /** Either of the two switches off that messages refer back to earlier ones, in both directions. */
  serverNoContextTakeover?: boolean | undefined
  clientNoContextTakeover?: boolean | undefined
  serverMaxWindowBits?: number | undefined
  /** Bytes below which a message is not compressed. Default: 1024. */
  threshold?: number | undefined
  concurrencyLimit?: number | undefined
  zlibDeflateOptions?: { level?: number | undefined, memLevel?: number | undefined, chunkSize?: number | undefined } | undefined
  zlibInflateOptions?: { chunkSize?: number | undefined } | undefined
}

/** What is honoured of the options of the server of `ws`. */
export interface WebSocketServerOptions {
  /** The largest message in bytes: more closes with 1009. 0 is no limit. Default: 100 MiB. */
  maxPayload?: number | undefined
  /** Default: false. */
  perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /** Default: the first of those offered. Read at every handshake, so that it can be set later. */
  handleProtocols?: HandleProtocols
  /** Read at every handshake. */
  verifyClient?: VerifyClient | undefined
  /** Whether the server has `clients`. Default: true. */
  clientTracking?: boolean | undefined
  /** Whose upgrades are taken, in the place of the application's own server. */
  server?: HttpServer | undefined
  /** How long a peer has to answer a Close, in milliseconds. Default: 5 000. */
  closeTimeout?: number | undefined
}

/** `app.websocketServer`: of the server of `ws` what has a meaning where the routes are Fastify's. */
export interface WebSocketServer extends EventEmitter {
  /** Live: `handleProtocols` and `verifyClient` may be set until the last handshake. */
  options: WebSocketServerOptions
  /** The open sockets; undefined if `clientTracking` is false. */
  readonly clients: Set<WebSocket>
  /** Where the server listens. */
  address (): ReturnType<HttpServer['address']>
  /** Refuses handshakes from now on with 503; `close` is emitted when the last client has gone. It closes none. */
  close (callback?: (error?: Error) => void): void
  /** Whether the path is that of the option `path`. */
  shouldHandle (request: IncomingMessage): boolean
  /** The option `path`; '' without it. */
  readonly path: string
  /** Throws FST_WS_ERR_UNSUPPORTED: upgrades go through the routes of the application. */
  handleUpgrade (request: IncomingMessage, socket: Duplex, head: Buffer, callback: (client: WebSocket, request: IncomingMessage) => void): void

  /** Open, before the route's handler is called. */
  on (event: 'connection', listener: (this: WebSocketServer, socket: WebSocket, request: IncomingMessage) => unknown): this
  /** The lines of the 101; what is added to them goes out with it. */
  on (event: 'headers', listener: (this: WebSocketServer, headers: string[], request: IncomingMessage) => unknown): this
  on (event: 'error', listener: (this: WebSocketServer, error: Error) => unknown): this
  on (event: 'close', listener: (this: WebSocketServer) => unknown): this
  on (event: string | symbol, listener: (this: WebSocketServer, ...args: any[]) => unknown): this
}

/** The options of `register`. */
export interface WebsocketPluginOptions {
  /** Called when a handler throws or rejects, and with the errors of an open connection, instead of the default, which logs and terminates. */
  errorHandler?: (this: FastifyInstance, error: Error, socket: WebSocket, request: FastifyRequest, reply: FastifyReply) => void
  /** Runs at shutdown before the connections that it has left open are closed with 1001. */
  preClose?: preCloseHookHandler | preCloseAsyncHookHandler
  options?: WebSocketServerOptions
}

/** The handler of a WebSocket route. */
export type WebsocketHandler<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
  RequestGeneric extends RequestGenericInterface = RequestGenericInterface,
  ContextConfig = ContextConfigDefault,
  SchemaCompiler extends FastifySchema = FastifySchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger
> = (
  this: FastifyInstance,
  socket: WebSocket,
  request: FastifyRequest<RequestGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
) => void | Promise<any>

/** What Fastify's options of a route have beside their own. */
interface WebsocketRouteOptions<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
  RouteGeneric extends RequestGenericInterface = RequestGenericInterface,
  ContextConfig = ContextConfigDefault,
  SchemaCompiler extends FastifySchema = FastifySchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger
> {
  /** Gets the sockets of a route whose `handler` answers plain requests. */
  wsHandler?: WebsocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>
}

/** Fastify's options of a route, whose handler may be one of sockets. */
export type RouteOptions<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
  ContextConfig = ContextConfigDefault,
  SchemaCompiler extends FastifySchema = FastifySchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger
> = FullOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>

/** The third argument of `injectWS`. */
export interface InjectWSOption {
  /** Gets the client before the handshake. */
  onInit?: (ws: WebSocket) => void
  /** Gets it when it is open, before the promise resolves. */
  onOpen?: (ws: WebSocket) => void
}

declare module 'fastify' {
  interface FastifyInstance {
    websocketServer: WebSocketServer
    /**
     * Connects a client without a port. `upgradeContext` is put on the raw request; its `headers` are those of the request.
     * Rejects with `Unexpected server response: 403` where the answer is not a 101.
     */
    injectWS (path?: string, upgradeContext?: Partial<IncomingMessage>, options?: InjectWSOption): Promise<WebSocket>
  }

  interface RouteOptions<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    // eslint-disable-next-line @typescript-eslint/no-unused-vars
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler = FastifySchema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > extends WebsocketRouteOptions<RawServer, RawRequest, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger> {}

  interface FastifyRequest {
    /** Whether it asks for an upgrade to WebSocket. */
    ws: boolean
  }
}
