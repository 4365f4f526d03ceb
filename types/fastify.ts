/**
 * What the plugin adds to Fastify's types.
 *
 * The overloads for WebSocket routes are tried before Fastify's own: the raw one, which takes no contract,
 * and the one with contracts, whose parameters `Subprotocols` and `Messages` are inferred. Where none fits,
 * TypeScript reports Fastify's, which knows nothing of sockets: there, `messages` and `subprotocols` have a
 * literal as type, so that its text is what the error says. `websocket` is plain `boolean`, as
 * @fastify/websocket declares it, so that one program may have both.
 */
// Inside the block below, a name that another package augments is that package's, and an import of it unused: hence other names.
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifySchema as Schema, FastifyTypeProvider,
  FastifyTypeProviderDefault, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault,
  RouteGenericInterface, RouteHandlerMethod, RouteOptions as FullOptions
} from 'fastify'
import type { BroadcastOptions, BroadcastResult } from '../lib/socket/broadcast.ts'
import type { WebSocket } from '../lib/socket/websocket.ts'
import type { Contract, Contracts, NoEmptyName, WebSocketRoute } from '../lib/subprotocol/contract.ts'
import type { Prepared } from '../lib/subprotocol/prepared.ts'
import type { InjectedSocket, InjectedSocketOf, InjectOptions, InjectRouteOptions } from './inject.ts'
import type { RouteWebSocketOptions } from './options.ts'
import type {
  AnySocket, ContractFor, ExplicitMessages, Handler, Handlers, MessageTo, RawSocket, RouteSocket, RouteSockets
} from './sockets.ts'

/** The open sockets of the whole server, in every scope. */
export interface OpenSockets extends Iterable<AnySocket> {
  readonly size: number
  /**
   * Sends one message, or one made by `prepare`, to many sockets, of `app.websockets` or of a set of your own: encoded once
   * for each codec, compressed once for all that compress alike, and written once for each socket in a tick. TypeScript
   * takes what the `send` of every one of them takes; of sockets whose contract it does not know, as those of
   * `app.websockets`, that is nothing until they are named: `app.websockets as Iterable<SocketOf<typeof route>>`.
   *
   * A socket that is not open is skipped, and one that fails stops none of the others. Throws, before anything is sent,
   * FST_WS_ERR_INVALID_OPTION for a wrong argument, and for a message that the contract of an open socket does not take
   * what its `send` would throw.
   */
  broadcast<Socket extends AnySocket> (sockets: Iterable<Socket>, message: MessageTo<Socket> | Prepared<MessageTo<Socket>>, options?: BroadcastOptions): BroadcastResult
  /** Closes all; resolves when all are closed. Default: 1001 with an empty reason. */
  closeAll (code?: number, reason?: string): Promise<void>
  /** What happened on each route, by its url, since the server was made. */
  stats (): Record<string, RouteStats>
}

/** The counters of one route. */
export interface RouteStats {
  /** Connections that are open now, and that ever were. */
  readonly open: number
  readonly opened: number
  /** Refused handshakes by status code; those that the client gave up are not among them. */
  readonly refused: Readonly<Record<string, number>>
  /** Closed connections by the code of the peer's Close; 1006 if none came. */
  readonly closed: Readonly<Record<string, number>>
  /** Messages that their contract does not allow. */
  readonly invalidMessages: number
  readonly messagesReceived: number
  readonly messagesSent: number
  /** Framing included; sent is what the operating system has taken. */
  readonly bytesReceived: number
  readonly bytesSent: number
  /** What waits now for the peers. */
  readonly bufferedBytes: number
}

/** The hooks of `app.addWebSocketHook`. */
export interface WebSocketHooks {
  /** Before the handler, which waits for it; nothing is read meanwhile. A rejection is an error of kind `handler`, and closes with 1011. */
  onOpen (this: FastifyInstance, socket: AnySocket, request: FastifyRequest): unknown
  /** When the connection has closed: the code and reason of the peer's Close, 1006 if none came. */
  onClose (this: FastifyInstance, socket: AnySocket, code: number, reason: string): unknown
}

/** The text of an error where no overload fits. */
type DoesNotFit = 'the options or the handler do not fit a WebSocket route'

/** WebSocket routes are GET routes; any other method throws at registration. */
type GetMethod = 'GET' | 'get'

/** What the overloads declare anew. */
type RedeclaredKeys = 'websocket' | 'messages' | 'subprotocols' | 'websocketOptions' | 'handler' | 'wsHandler' | 'method'

interface RawRouteOptions {
  messages?: never
  subprotocols?: never
  /** Overrides, for this route, what was given at `register`. */
  websocketOptions?: RouteWebSocketOptions<RawSocket>
  /** Picks one of the subprotocols offered, or answers 400 with false; the same as in `websocketOptions`. */
  selectSubprotocol?: NonNullable<RouteWebSocketOptions['selectSubprotocol']>
}

type ContractRouteOptions<RouteGeneric, TypeProvider extends FastifyTypeProvider, Subprotocols, Messages> = {
  /** The contract of a connection without subprotocol. */
  messages?: Messages
  /** The contracts by subprotocol; the client's order decides. */
  subprotocols?: Subprotocols & NoEmptyName
  /** Overrides, for this route, what was given at `register`. Its contracts select the subprotocol. */
  websocketOptions?: RouteWebSocketOptions<RouteSocket<RouteGeneric, TypeProvider, Subprotocols, Messages>> & { selectSubprotocol?: never }
} & ContractFor<RouteGeneric>

/** Explicit generics of messages need a contract. */
type RawRouteGeneric = RouteGenericInterface & { Receive?: never, Send?: never, Messages?: never }

/** The request of the handshake. */
type SocketRequest<
  RouteGeneric extends RouteGenericInterface,
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  SchemaCompiler extends Schema,
  TypeProvider extends FastifyTypeProvider,
  ContextConfig,
  Logger extends FastifyBaseLogger
> = FastifyRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>

declare module 'fastify' {
  interface RouteGenericInterface {
    /** What a WebSocket route of one contract receives. */
    Receive?: unknown
    /** What a WebSocket route of one contract sends. */
    Send?: unknown
    /** What a WebSocket route receives and sends, by subprotocol. */
    Messages?: ExplicitMessages
  }

  interface RouteShorthandOptions {
    /** Makes it a WebSocket route. */
    websocket?: boolean
    messages?: DoesNotFit
    subprotocols?: DoesNotFit
    websocketOptions?: RouteWebSocketOptions<any>
  }

  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    /** The open sockets of the whole server, in every scope. */
    readonly websockets: OpenSockets

    /** Adds a hook to the WebSocket routes of this scope and of those made below it from now on. */
    addWebSocketHook<const Name extends keyof WebSocketHooks> (name: Name, hook: WebSocketHooks[Name]): this

    /**
     * Connects a client to a route without a port, by the real parser, router, hooks and handshake. By path
     * its messages have no type; by a route object they have the flipped types of its contract.
     *
     * Rejects with `FST_WS_ERR_INJECT_REFUSED` (`statusCode`, `response`) when the handshake is refused.
     */
    injectWebSocket (path: string, options?: InjectOptions): Promise<InjectedSocket<WebSocket<string, any, any>>>
    injectWebSocket<const Route extends WebSocketRoute, const Offered extends keyof Route['subprotocols'] & string = never> (
      route: Route,
      ...options: {} extends InjectRouteOptions<TypeProvider, Route, Offered>
        ? [options?: InjectRouteOptions<TypeProvider, Route, Offered>]
        : [options: InjectRouteOptions<TypeProvider, Route, Offered>]
    ): Promise<InjectedSocketOf<TypeProvider, Route, Offered>>

    // The full declaration, with `handler` for the sockets.
    route<
      RouteGeneric extends RawRouteGeneric = RawRouteGeneric,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema
    >(
      options:
        Omit<FullOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, RedeclaredKeys> &
        RawRouteOptions & {
          method: GetMethod
          websocket: true
          wsHandler?: never
          handler: Handler<
            FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
            RawSocket,
            SocketRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
          >
        }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema,
      const Subprotocols extends Contracts = Contracts,
      const Messages extends Contract = Contract
    >(
      options:
        Omit<FullOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, RedeclaredKeys> &
        ContractRouteOptions<RouteGeneric, TypeProvider, Subprotocols, Messages> & {
          method: GetMethod
          websocket: true
          wsHandler?: never
          handler: Handlers<
            FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
            RouteSocket<RouteGeneric, TypeProvider, Subprotocols, Messages>,
            RouteSockets<RouteGeneric, TypeProvider, Subprotocols, Messages>,
            SocketRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
          >
        }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>

    // The full declaration of a path that serves both: `handler` for plain requests, `wsHandler` for the sockets.
    route<
      RouteGeneric extends RawRouteGeneric = RawRouteGeneric,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema
    >(
      options:
        Omit<FullOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, RedeclaredKeys> &
        RawRouteOptions & {
          method: GetMethod
          websocket?: true
          handler: RouteHandlerMethod<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>
          wsHandler: Handler<
            FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
            RawSocket,
            SocketRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
          >
        }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema,
      const Subprotocols extends Contracts = Contracts,
      const Messages extends Contract = Contract
    >(
      options:
        Omit<FullOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, RedeclaredKeys> &
        ContractRouteOptions<RouteGeneric, TypeProvider, Subprotocols, Messages> & {
          method: GetMethod
          websocket?: true
          handler: RouteHandlerMethod<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>
          wsHandler: Handlers<
            FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
            RouteSocket<RouteGeneric, TypeProvider, Subprotocols, Messages>,
            RouteSockets<RouteGeneric, TypeProvider, Subprotocols, Messages>,
            SocketRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
          >
        }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }

  interface RouteShorthandMethod<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    <
      RouteGeneric extends RawRouteGeneric = RawRouteGeneric,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema
    >(
      path: string,
      options:
        Omit<RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, RedeclaredKeys> &
        { websocket: true } & RawRouteOptions,
      handler: Handler<
        FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
        RawSocket,
        SocketRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
      >
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    <
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends Schema = Schema,
      const Subprotocols extends Contracts = Contracts,
      const Messages extends Contract = Contract
    >(
      path: string,
      options:
        Omit<RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger>, RedeclaredKeys> &
        { websocket: true } & ContractRouteOptions<RouteGeneric, TypeProvider, Subprotocols, Messages>,
      handler: Handlers<
        FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>,
        RouteSocket<RouteGeneric, TypeProvider, Subprotocols, Messages>,
        RouteSockets<RouteGeneric, TypeProvider, Subprotocols, Messages>,
        SocketRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>
      >
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }
}
