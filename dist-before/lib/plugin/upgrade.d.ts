/**
 * The server's 'upgrade' event, brought into Fastify's router: the request gets a response on the same socket, and
 * routes, hooks, schemas and error handlers see it as any GET. Every way out of here is a 101 and an open connection,
 * a refusal that is written whole and then closes, or a destroyed socket.
 */
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { OpeningHandshake } from '../handshake/server-handshake.ts';
/** `fastify.routing`. */
export type Router = (request: IncomingMessage, response: ServerResponse) => void;
/** Opens the connection when the 101 has been written. */
export type Opener = (socket: Duplex, head: Buffer) => void;
/** What is asked of the reply: whether somebody has answered, or taken the socket over. */
interface Answer {
    readonly sent: boolean;
}
/** The upgrade that this raw request asks for; undefined if it is a plain request. */
export declare function upgradeOf(request: IncomingMessage): Upgrade | undefined;
/** One request for WebSocket on its way through the application. */
export declare class Upgrade {
    #private;
    /** Set by the check of the handshake. */
    handshake: OpeningHandshake | undefined;
    /** Gives back its place among the connections; set when it has one. */
    release: () => void;
    /** Called when it does not become a connection: with the status of the refusal, or undefined if the client has left. */
    onRefused: (statusCode: number | undefined) => void;
    constructor(request: IncomingMessage, socket: Duplex, head: Buffer);
    /** Goes to the router. */
    start(route: Router): void;
    /** A WebSocket route is found: from here on its hooks have so long. What is answered already may take its time. */
    limit(timeoutMs: number, answer: Answer, onTimeout: (error: Error) => void): void;
    /** Makes the answer a 101 with these fields, after which `open` is called. The reply itself is still to be sent. */
    accept(fields: Readonly<Record<string, string>>, open: Opener, onDropped: (names: string[]) => void): void;
}
/** Refuses on the socket itself, where there is no response yet. */
export declare function refuseSocket(socket: Duplex, statusCode: number): void;
export {};
