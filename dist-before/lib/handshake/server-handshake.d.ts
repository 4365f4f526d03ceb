import { type ExtensionOffer, type HeaderFields } from './header-grammar.ts';
/** What is read of a request; an IncomingMessage of node:http fits. */
export interface HandshakeRequest {
    readonly method?: string | undefined;
    readonly httpVersion: string;
    readonly headers: HeaderFields;
    readonly rawHeaders: readonly string[];
}
/** What the client asks for. All texts are the peer's: all but the origin are known to be tokens or base64. */
export interface OpeningHandshake {
    readonly key: string;
    /** As offered, the client's favourite first; no name twice. */
    readonly subprotocols: readonly string[];
    /** As offered, the client's favourite first; unknown ones are for the negotiation to ignore. */
    readonly extensions: readonly ExtensionOffer[];
    /** undefined when none was sent: then the client is no browser (§4.2.1, 7). */
    readonly origin: string | undefined;
}
/** What the server agrees to; '' means nothing, as if it were not there. */
export interface AcceptOptions {
    readonly subprotocol?: string | undefined;
    /** The value of Sec-WebSocket-Extensions, written by this server. */
    readonly extensions?: string | undefined;
}
/** The version of RFC 6455, and the only one spoken here: the drafts called themselves 7 and 8. */
export declare const VERSION = "13";
/** Whether a request asks for WebSocket at all. Whether it does so rightly is for `readHandshake` to say. */
export declare function isWebSocketUpgrade(request: Pick<HandshakeRequest, 'headers'>): boolean;
/** Reads and checks a request by §4.2.1; throws a HandshakeError at the first rule that is broken. */
export declare function readHandshake(request: HandshakeRequest): OpeningHandshake;
/**
 * Checks an upgrade request that a plain route is going to answer: node:http leaves Host unchecked where there is an
 * Upgrade field, and loses the body. Throws a HandshakeError.
 */
export declare function checkPlainUpgrade(request: HandshakeRequest): void;
/**
 * The fields of the answer with status 101 (§4.2.2).
 *
 * Throws a TypeError when the subprotocol is none that was offered: so it is a token, and cannot end the field.
 */
export declare function acceptHandshake(handshake: OpeningHandshake, options?: AcceptOptions): Record<string, string>;
/** The value of Sec-WebSocket-Accept, which proves that the key was read by a WebSocket server (§4.2.2, 5.4). */
export declare function computeAccept(key: string): string;
