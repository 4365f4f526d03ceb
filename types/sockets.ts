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

/** What can be sent on a raw route. */
export type RawData = string | ArrayBuffer | ArrayBufferView

/** The socket of a route without contracts: `message` gives a Buffer; iteration and `next` give a string for text. */
export type RawSocket = WebSocket<string, string | Buffer, RawData, string | Buffer, Buffer>

/** A socket of which no more is known than that: any message may come, and whether one may be sent is unknown. */
export type AnySocket = WebSocket<string, unknown, never>

// From a contract to messages.

/** Seen from the server. */
type Direction = 'receive' | 'send'

/** The types of the messages under one contract, seen from one side. */
interface Exchange<Incoming, Outgoing, Heard = Incoming> {
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  /** What listeners of `message` get, which on raw connections is not what iteration gives. */
  readonly heard: Heard
}

type ValidatedBy<TypeProvider extends FastifyTypeProvider, Schema> = (TypeProvider & { schema: Schema })['validator']
type SerializedBy<TypeProvider extends FastifyTypeProvider, Schema> = (TypeProvider & { schema: Schema })['serializer']

/** The message of a codec's function, which counts where there is no schema; an untyped codec's `any` is unknown. */
type Known<Message> = 0 extends 1 & Message ? unknown : Message

/** A schema's type coming in; without a schema, what the codec gives. */
type Incoming<TypeProvider extends FastifyTypeProvider, Schema, Decoded = unknown> =
  unknown extends Schema ? Decoded : ValidatedBy<TypeProvider, Schema>

/** A schema's type going out; without a schema, what the codec takes. */
type Outgoing<TypeProvider extends FastifyTypeProvider, Schema, Encoded = unknown> =
  unknown extends Schema ? Encoded : SerializedBy<TypeProvider, Schema>

/** `json({ binary: true })` lets bytes pass beside the JSON. */
type IfBinary<Binary, Bytes> = Binary extends false ? never : Bytes

/** The messages under a contract, for the side that takes `In` and gives `Out`. */
type ExchangeOf<TypeProvider extends FastifyTypeProvider, From, In extends Direction, Out extends Direction> =
  From extends JsonContract
    ? Exchange<
        Incoming<TypeProvider, From[In]> | IfBinary<From['binary'], Buffer>,
        Outgoing<TypeProvider, From[Out]> | IfBinary<From['binary'], ArrayBufferView>
      >
    : From extends TextContract ? Exchange<string, string>
      : From extends BytesContract ? Exchange<Buffer, ArrayBufferView>
        : From extends RawContract ? Exchange<string | Buffer, RawData, Buffer>
          : From extends CustomContract<infer OwnCodec extends Codec>
            ? Exchange<
                Incoming<TypeProvider, From[In], Known<ReturnType<OwnCodec['decode']>>>,
                Outgoing<TypeProvider, From[Out], Known<Parameters<OwnCodec['encode']>[0]>>
              >
            : never

// From messages to sockets.

/** The contracts of a route by the value of `protocol`: `messages` stands under ''. */
type ContractsOf<Subprotocols, Messages> = NamedContracts<Subprotocols> & NamelessContract<Messages>

// Where a route has none, they are `never` (a route object) or as wide as their constraint (nothing to infer from).
type NamedContracts<Subprotocols> =
  [Subprotocols] extends [never] ? {} : string extends keyof Subprotocols ? {} : Subprotocols
type NamelessContract<Messages> =
  [Messages] extends [never] ? {} : Contract extends Messages ? {} : { readonly '': Messages }

type ServerExchanges<TypeProvider extends FastifyTypeProvider, Contracts> =
  { [Protocol in keyof Contracts & string]: ExchangeOf<TypeProvider, Contracts[Protocol], 'receive', 'send'> }

type ClientExchanges<TypeProvider extends FastifyTypeProvider, Contracts> =
  { [Protocol in keyof Contracts & string]: ExchangeOf<TypeProvider, Contracts[Protocol], 'send', 'receive'> }

/**
 * A socket for each protocol. What differs between them cannot be called on their union, so that all of
 * them also have the listener of the union.
 */
type SocketsOf<Exchanges> = {
  [Protocol in keyof Exchanges & string]: Exchanges[Protocol] extends Exchange<infer Incoming, infer Outgoing, infer Heard>
    ? WebSocket<Protocol, Incoming, Outgoing, IncomingOf<Exchanges[keyof Exchanges]>, Heard>
    : never
}

type IncomingOf<AnyExchange> = AnyExchange extends { readonly incoming: infer Message } ? Message : never

type ValueOf<T> = T[keyof T]

/** What a route serves: a union of sockets discriminated by `protocol`; unknown messages where there is no contract. */
type ServerSocket<TypeProvider extends FastifyTypeProvider, Subprotocols, Messages> =
  [keyof ContractsOf<Subprotocols, Messages>] extends [never]
    ? WebSocket<string, unknown, unknown>
    : ValueOf<SocketsOf<ServerExchanges<TypeProvider, ContractsOf<Subprotocols, Messages>>>>

/** The same from the other side, for the protocols that the client offered; '' for none. */
export type ClientSocket<TypeProvider extends FastifyTypeProvider, Subprotocols, Messages, Offered> =
  [keyof ContractsOf<Subprotocols, Messages>] extends [never]
    ? RawSocket
    : ClientExchanges<TypeProvider, ContractsOf<Subprotocols, Messages>> extends infer Exchanges
      ? ValueOf<SocketsOf<Pick<Exchanges, Offered & keyof Exchanges>>>
      : never

// Explicit generics, for those who write their types by hand: `app.get<{ Receive: In, Send: Out }>(...)`.

/** The messages by subprotocol, in explicit generics. */
export interface ExplicitMessages {
  readonly [subprotocol: string]: { readonly receive?: unknown, readonly send?: unknown }
}

type AnyExplicit = { Receive: unknown } | { Send: unknown } | { Messages: ExplicitMessages }

type Property<T, Key extends PropertyKey> = T extends { readonly [K in Key]: infer Value } ? Value : unknown

type ExplicitExchanges<RouteGeneric> =
  (RouteGeneric extends { Messages: infer Messages }
    ? { [Protocol in keyof Messages]: Exchange<Property<Messages[Protocol], 'receive'>, Property<Messages[Protocol], 'send'>> }
    : {}) &
  (RouteGeneric extends { Receive: unknown } | { Send: unknown }
    ? { '': Exchange<Property<RouteGeneric, 'Receive'>, Property<RouteGeneric, 'Send'>> }
    : {})

type ExplicitSocket<RouteGeneric> =
  RouteGeneric extends { Messages: ExplicitMessages }
    ? ValueOf<SocketsOf<ExplicitExchanges<RouteGeneric>>>
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
    ? SocketsOf<ExplicitExchanges<RouteGeneric>>
    : [keyof NamedContracts<Subprotocols>] extends [never]
        ? never
        : SocketsOf<ServerExchanges<TypeProvider, ContractsOf<Subprotocols, Messages>>>

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
        FastifyInstance<any, any, any, any, TypeProvider>,
        SocketOf<Route, TypeProvider>,
        FastifyRequest<RouteGenericInterface, any, any, Schema & FastifySchema, TypeProvider, ContextConfigDefault, FastifyBaseLogger>
      >
    : never
