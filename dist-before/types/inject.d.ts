/**
 * The types of `app.injectWebSocket`: its options, and the client that it gives.
 */
import type { Duplex } from 'node:stream';
import type { FastifyTypeProvider } from 'fastify';
import type { WebSocketRoute } from '../lib/subprotocol/contract.ts';
import type { ClientSocket, ProtocolOf } from './sockets.ts';
/** A client on an in-memory connection; `transport` is its end, for bytes that no client would send. */
export type InjectedSocket<Socket> = Socket & {
    readonly transport: Duplex;
};
/** The options of `injectWebSocket (path, options)`. */
export interface InjectOptions<Offered extends string = string> {
    /** Header fields of the handshake. */
    headers?: Readonly<Record<string, string | readonly string[]>>;
    /** Is put behind the path. */
    query?: Readonly<Record<string, string | number | boolean | ReadonlyArray<string | number | boolean>>>;
    /** What the client offers, the most wanted first. */
    subprotocols?: readonly Offered[];
    /** Where the connection seems to come from. Default: `127.0.0.1`. */
    remoteAddress?: string;
    /** Ends the handshake, and the connection. */
    signal?: AbortSignal;
    /** How long the handshake and each `next` may take, in milliseconds of the real clock. Default: 5 000. */
    timeoutMs?: number;
    /** Whether the client offers permessage-deflate. Default: false. */
    deflate?: boolean;
    /** Whether the client answers pings. Default: true. */
    autoPong?: boolean;
}
/** The options of `injectWebSocket (route, options)`: with the parameters of the route's path, and a subprotocol where it needs one. */
export type InjectRouteOptions<TypeProvider extends FastifyTypeProvider, Route, Offered extends string> = Omit<InjectOptions, 'subprotocols'> & ParamsOption<ParamsOf<TypeProvider, Route>> & ('' extends ProtocolOf<Route> ? {
    subprotocols?: readonly Offered[];
} : [ProtocolOf<Route>] extends [never] ? {
    subprotocols?: readonly string[];
} : {
    subprotocols: readonly Offered[];
});
/** The client of a route object, having offered these subprotocols. */
export type InjectedSocketOf<TypeProvider extends FastifyTypeProvider, Route, Offered extends string> = Route extends WebSocketRoute<string, unknown, infer Subprotocols, infer Messages> ? InjectedSocket<ClientSocket<TypeProvider, Subprotocols, Messages, [Offered] extends [never] ? '' : Offered>> : never;
type ParamsOption<Params> = {} extends Params ? {
    params?: Params;
} : {
    params: Params;
};
/** By the schema of `params`, as the client gives them; by the names in the path where no provider reads the schema. */
type ParamsOf<TypeProvider extends FastifyTypeProvider, Route> = Route extends {
    readonly schema: {
        readonly params: infer Schema;
    };
} ? unknown extends (TypeProvider & {
    schema: Schema;
})['serializer'] ? PathParams<Route> : (TypeProvider & {
    schema: Schema;
})['serializer'] : PathParams<Route>;
type PathParams<Route> = Route extends {
    readonly url: infer Url extends string;
} ? Readonly<Record<ParamNames<Url>, string | number>> : {};
/** The names between the slashes. A segment with more than a name (`:from-:to`, a pattern) allows any. */
type ParamNames<Url extends string> = Url extends `${infer Segment}/${infer Rest}` ? NameIn<Segment> | ParamNames<Rest> : NameIn<Url>;
type NameIn<Segment extends string> = Segment extends `${string}*` ? '*' : Segment extends `:${infer Name}` ? Name extends `${string}${':' | '(' | '-' | '.' | '?'}${string}` ? string : Name : Segment extends `${string}:${string}` ? string : never;
export {};
