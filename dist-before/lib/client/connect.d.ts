/**
 * The client's opening handshake (RFC 6455 §4.1) over a stream that is connected already. The HTTP is node:http's,
 * the rules of the handshake are those of `lib/handshake`.
 *
 * Where the stream comes from, how long to wait, and what to do with a redirect or a 401 are for the caller.
 */
import type { Buffer } from 'node:buffer';
import { type IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
export interface ConnectOptions {
    /** The request target, with its query: visible ASCII, no fragment. */
    readonly path: string;
    /** Host, and what else shall be sent. Fields of the handshake take the place of its own, right or wrong. */
    readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
    readonly subprotocols?: readonly string[] | undefined;
    /** The value of Sec-WebSocket-Extensions. */
    readonly extensions?: string | undefined;
    readonly signal?: AbortSignal | undefined;
}
/** The stream speaks WebSocket from now on; it is paused, and has no listener but one of `error`. */
export interface Connected {
    readonly accepted: true;
    readonly subprotocol: string;
    readonly extensions: string;
    readonly headers: IncomingHttpHeaders;
    /** What came behind the answer. */
    readonly head: Buffer;
}
/** An HTTP answer other than 101, read to its end; our side of the stream is ended. */
export interface Refused {
    readonly accepted: false;
    readonly statusCode: number;
    readonly headers: IncomingHttpHeaders;
    readonly body: Buffer;
}
/**
 * Shakes hands. A refusal is a result, not an error.
 *
 * Rejects, and destroys the stream: with a HandshakeError when the server agreed but broke a rule, with the signal's
 * reason, with a TypeError for a path, field or subprotocol that cannot be sent, and with the stream's or node:http's error.
 */
export declare function connect(duplex: Duplex, options: ConnectOptions): Promise<Connected | Refused>;
/** Header fields by lower-case names, so that those of a caller take the place of others. */
export declare function inLowerCase(headers: Readonly<Record<string, string | readonly string[]>>): Record<string, string | string[]>;
