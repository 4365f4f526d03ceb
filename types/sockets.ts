/**
 * From a contract to the messages of a socket, through the type provider of the instance.
 *
 * A schema gives a type by the provider's `validator` where its messages come in and by its `serializer`
 * where they go out, as in Fastify. The server takes in what `receive` says, the client what `send` says:
 * both sides are one mapping, with the direction turned round.
 */
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifySchema, FastifyTypeProvider,
  FastifyTypeProviderDefault, RouteGenericInterface
} from 'fastify'
import type { WebSocket } from '../lib/socket/websocket.ts'
import type {
  BytesContract, Codec, Contract, CustomContract, JsonContract, RawContract, TextContract, WebSocketRoute
} from '../lib/subprotocol/contract.ts'

/** What can be sent on a raw route; a number as its decimal text. */
export type RawData = string | number | ArrayBuffer | ArrayBufferView

/** The socket of a route without contracts: `message` gives a Buffer; iteration and `next` give a string for text. */
export type RawSocket = WebSocket<string, string | Buffer, RawData, string | Buffer, Buffer>

/** A socket of which no more is known than that: any message may come, and whether one may be sent is unknown. */
export type AnySocket = WebSocket<string, unknown, never>

/** What each of these sockets takes: the intersection of what they send. */
export type MessageTo<Socket> =
  (Socket extends WebSocket<string, any, infer Send, any, any> ? (message: Send) => void : never) extends (message: infer Message) => void
    ? Message
    : never

// From a contract to messages.

/** Seen from the server. */
type Direction = 'receive' | 'send'

type ValidatedBy<TypeProvider extends FastifyTypeProvider, Schema> = (TypeProvider & { schema: Schema })['validator']
type SerializedBy<TypeProvider extends FastifyTypeProvider, Schema> = (TypeProvider & { schema: Schema })['serializer']

/** The message of a codec's function, which counts where there is no schema; an untyped codec's `any` is unknown. */
type Known<Message> = 0 extends 1 & Message ? unknown : Message

/** `json({ binary: true })` lets bytes pass beside the JSON. */
type IfBinary<Binary, Bytes> = Binary extends false ? never : Bytes

// Asked one by one, incoming and outgoing are a sixth fewer instantiations than as one object of both.

/** What comes in under a contract, for the side that takes this direction. */
type Incoming<TypeProvider extends FastifyTypeProvider, Of, In extends Direction> =
  Of extends JsonContract
    ? (unknown extends Of[In] ? unknown : ValidatedBy<TypeProvider, Of[In]>) | IfBinary<Of['binary'], Buffer>
    : Of extends TextContract ? string
      : Of extends BytesContract ? Buffer
        : Of extends RawContract ? string | Buffer
          : Of extends CustomContract<infer OwnCodec extends Codec>
            ? unknown extends Of[In] ? Known<ReturnType<OwnCodec['decode']>> : ValidatedBy<TypeProvider, Of[In]>
            : never

/** What goes out under a contract, for the side that gives this direction. */
type Outgoing<TypeProvider extends FastifyTypeProvider, Of, Out extends Direction> =
  Of extends JsonContract
    ? (unknown extends Of[Out] ? unknown : SerializedBy<TypeProvider, Of[Out]>) | IfBinary<Of['binary'], ArrayBufferView>
    : Of extends TextContract ? string
      : Of extends BytesContract ? ArrayBufferView
        : Of extends RawContract ? RawData
          : Of extends CustomContract<infer OwnCodec extends Codec>
            ? unknown extends Of[Out] ? Known<Parameters<OwnCodec['encode']>[0]> : SerializedBy<TypeProvider, Of[Out]>
            : never

/** What listeners of `message` get: on raw sockets always a Buffer, as users of @fastify/websocket know it. */
type Heard<Of, Received> = Of extends RawContract ? Buffer : Received

// From messages to sockets.

/** The contracts of a route by the value of `protocol`: `messages` stands under ''. */
type ContractsOf<Subprotocols, Messages> = NamedContracts<Subprotocols> & NamelessContract<Messages>

// Where a route has none, they are `never` (a route object) or as wide as their constraint (nothing to infer from).
type NamedContracts<Subprotocols> =
  [Subprotocols] extends [never] ? {} : string extends keyof Subprotocols ? {} : Subprotocols
type NamelessContract<Messages> =
  [Messages] extends [never] ? {} : Contract extends Messages ? {} : { readonly '': Messages }

/**
 * A socket for each protocol, of the side that takes `In` and gives `Out`. Listeners that differ between
 * sockets cannot be added to their union: all of them also have the listener of what any of them receives.
 */
type SocketsOf<TypeProvider extends FastifyTypeProvider, Contracts, In extends Direction, Out extends Direction> = {
  [Protocol in keyof Contracts & string]: WebSocket<
    Protocol,
    Incoming<TypeProvider, Contracts[Protocol], In>,
    Outgoing<TypeProvider, Contracts[Protocol], Out>,
    AnyIncoming<TypeProvider, Contracts, In>,
    Heard<Contracts[Protocol], Incoming<TypeProvider, Contracts[Protocol], In>>
  >
}

type AnyIncoming<TypeProvider extends FastifyTypeProvider, Contracts, In extends Direction> =
  { [Protocol in keyof Contracts]: Incoming<TypeProvider, Contracts[Protocol], In> }[keyof Contracts]

type ServerSockets<TypeProvider extends FastifyTypeProvider, Contracts> = SocketsOf<TypeProvider, Contracts, 'receive', 'send'>
type ClientSockets<TypeProvider extends FastifyTypeProvider, Contracts> = SocketsOf<TypeProvider, Contracts, 'send', 'receive'>

type ValueOf<T> = T[keyof T]

/** What a route serves: a union of sockets discriminated by `protocol`; unknown messages where there is no contract. */
type ServerSocket<TypeProvider extends FastifyTypeProvider, Subprotocols, Messages> =
  [keyof ContractsOf<Subprotocols, Messages>] extends [never]
    ? WebSocket<string, unknown, unknown>
    : ValueOf<ServerSockets<TypeProvider, ContractsOf<Subprotocols, Messages>>>

/** The same from the other side, for the protocols that the client offered; '' for none. */
export type ClientSocket<TypeProvider extends FastifyTypeProvider, Subprotocols, Messages, Offered> =
  [keyof ContractsOf<Subprotocols, Messages>] extends [never]
    ? RawSocket
    : ValueOf<ClientSockets<TypeProvider, Pick<ContractsOf<Subprotocols, Messages>, Offered & keyof ContractsOf<Subprotocols, Messages>>>>

// Explicit generics, for those who write their types by hand: `app.get<{ Receive: In, Send: Out }>(...)`.

/** The messages by subprotocol, in explicit generics. */
export interface ExplicitMessages {
  readonly [subprotocol: string]: { readonly receive?: unknown, readonly send?: unknown }
}

type AnyExplicit = { Receive: unknown } | { Send: unknown } | { Messages: ExplicitMessages }

type Property<T, Key extends PropertyKey> = T extends { readonly [K in Key]: infer Value } ? Value : unknown

/** By the value of `protocol`: `Receive` and `Send` stand under ''. */
type ExplicitByProtocol<RouteGeneric> =
  (RouteGeneric extends { Messages: infer Messages } ? Messages : {}) &
  (RouteGeneric extends { Receive: unknown } | { Send: unknown }
    ? { '': { receive: Property<RouteGeneric, 'Receive'>, send: Property<RouteGeneric, 'Send'> } }
    : {})

type ExplicitSockets<ByProtocol> = {
  [Protocol in keyof ByProtocol & string]: WebSocket<
    Protocol,
    Property<ByProtocol[Protocol], 'receive'>,
    Property<ByProtocol[Protocol], 'send'>,
    { [Any in keyof ByProtocol]: Property<ByProtocol[Any], 'receive'> }[keyof ByProtocol],
    Property<ByProtocol[Protocol], 'receive'>
  >
}

type ExplicitSocket<RouteGeneric> =
  RouteGeneric extends { Messages: ExplicitMessages }
    ? ValueOf<ExplicitSockets<ExplicitByProtocol<RouteGeneric>>>
    : WebSocket<string, Property<RouteGeneric, 'Receive'>, Property<RouteGeneric, 'Send'>>

/** Explicit messages need a contract that says how they travel; a raw route would not have them. */
export type ContractFor<RouteGeneric> =
  RouteGeneric extends { Messages: infer Messages }
    ? { readonly subprotocols: { readonly [Protocol in keyof Messages]: Contract } }
    : RouteGeneric extends AnyExplicit
      ? { readonly messages: Contract } | { readonly subprotocols: { readonly [subprotocol: string]: Contract } }
      : {}

// Routes.

/** The socket that the handler of a route gets: from explicit generics if there are any, else from its contracts. */
export type RouteSocket<RouteGeneric, TypeProvider extends FastifyTypeProvider, Subprotocols, Messages> =
  RouteGeneric extends AnyExplicit ? ExplicitSocket<RouteGeneric> : ServerSocket<TypeProvider, Subprotocols, Messages>

/** The same by protocol, for a map of handlers. A route of one contract takes no map. */
export type RouteSockets<RouteGeneric, TypeProvider extends FastifyTypeProvider, Subprotocols, Messages> =
  RouteGeneric extends { Messages: ExplicitMessages }
    ? ExplicitSockets<ExplicitByProtocol<RouteGeneric>>
    : [keyof NamedContracts<Subprotocols>] extends [never]
        ? never
        : ServerSockets<TypeProvider, ContractsOf<Subprotocols, Messages>>

/** One handler for all protocols of a route, or one for each. */
export type Handlers<This, Socket, Sockets, Request> = Handler<This, Socket, Request> | HandlerMap<This, Sockets, Request>

/** Called once the connection is open; the connection outlives what it returns. */
export type Handler<This, Socket, Request> = (this: This, socket: Socket, request: Request) => unknown

export type HandlerMap<This, Sockets, Request> =
  { readonly [Protocol in keyof Sockets]: (this: This, socket: Sockets[Protocol], request: Request) => unknown }

/** The sockets that the server has for a route object: `SocketOf<typeof chat, TypeBoxTypeProvider>`. */
export type SocketOf<Route, TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault> =
  Route extends WebSocketRoute<string, unknown, infer Subprotocols, infer Messages>
    ? [Subprotocols, Messages] extends [never, never] ? RawSocket : ServerSocket<TypeProvider, Subprotocols, Messages>
    : never

/** The protocols of a route object: its subprotocols, and '' for `messages`. */
export type ProtocolOf<Route> =
  Route extends WebSocketRoute<string, unknown, infer Subprotocols, infer Messages>
    ? keyof ContractsOf<Subprotocols, Messages> & string
    : never

/** The sockets that a client has for a route object, of all its protocols or of some. */
export type ClientOf<
  Route,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Protocol extends ProtocolOf<Route> = ProtocolOf<Route>
> = Route extends WebSocketRoute<string, unknown, infer Subprotocols, infer Messages>
  ? ClientSocket<TypeProvider, Subprotocols, Messages, Protocol>
  : never

/** The handler of a route object, for one that stands apart from its route. */
export type HandlerOf<Route, TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault> =
  Route extends WebSocketRoute<string, infer Schema, unknown, unknown>
    ? Handler<
        FastifyInstance<any, any, any, FastifyBaseLogger, TypeProvider>,
        SocketOf<Route, TypeProvider>,
        FastifyRequest<RouteGenericInterface, any, any, Schema & FastifySchema, TypeProvider, ContextConfigDefault, FastifyBaseLogger>
      >
    : never
