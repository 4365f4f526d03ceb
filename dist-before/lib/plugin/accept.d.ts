/**
 * From a request that has passed every hook to an open connection: the handshake is checked before the hooks, the
 * handler at their end answers 101, and the socket opens when that has been written.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Endpoint } from './endpoint.ts';
/** Where a route keeps its endpoint, in `config`. */
export declare const kEndpoint: unique symbol;
/** Filled when the route is adopted, which may be later than its declaration. */
export interface EndpointSlot {
    endpoint: Endpoint | undefined;
    adopted: boolean;
}
/** The endpoint that a request was routed to; undefined on plain routes, and where there is no route. */
export declare function endpointOf(request: FastifyRequest): Endpoint | undefined;
/** The `onRequest` hook that comes before all others: checks handshake and Origin of requests for WebSocket routes. */
export declare function checkUpgrade(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void;
/** Answers 101, and opens the connection when that has been written. Throws FST_WS_ERR_SUBPROTOCOL. */
export declare function acceptUpgrade(instance: FastifyInstance, endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): void;
/** Whether a request that reached a WebSocket route asks to be upgraded, its handshake checked. */
export declare function isChecked(request: FastifyRequest): boolean;
/** A plain request on a route that speaks WebSocket only. */
export declare function refusePlainRequest(request: FastifyRequest, reply: FastifyReply): never;
