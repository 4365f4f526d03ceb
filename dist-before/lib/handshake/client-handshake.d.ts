import { type ExtensionOffer, type HeaderFields } from './header-grammar.ts';
/** What to ask for; an empty list or '' is the same as nothing. */
export interface ClientHandshakeOptions {
    /** In order of preference. */
    readonly subprotocols?: readonly string[] | undefined;
    /** The value of Sec-WebSocket-Extensions. */
    readonly extensions?: string | undefined;
    /** For clients that act for a page, as browsers do. */
    readonly origin?: string | undefined;
}
/** What was asked for: `verifyHandshake` judges the answer by it. */
export interface ClientHandshake {
    readonly key: string;
    readonly subprotocols: readonly string[];
    readonly extensions: readonly ExtensionOffer[];
    /** The fields to send, names in lower case; Host is not among them. */
    readonly headers: Record<string, string>;
}
/** What is read of an answer; an IncomingMessage of node:http fits. */
export interface HandshakeResponse {
    readonly statusCode?: number | undefined;
    readonly headers: HeaderFields;
    readonly rawHeaders: readonly string[];
}
/** What the server agreed to; '' where it agreed to nothing. */
export interface NegotiatedHandshake {
    readonly subprotocol: string;
    /** The value of Sec-WebSocket-Extensions. Only names are checked: parameters are for each extension to judge. */
    readonly extensions: string;
}
/**
 * A request with a fresh key (§4.1, the list after "The requirements for this handshake").
 *
 * Throws a TypeError for subprotocols that are no tokens or not unique, for extensions that are malformed, and
 * for an origin that could not stand in a field.
 */
export declare function createHandshake(options?: ClientHandshakeOptions): ClientHandshake;
/**
 * Checks an answer by §4.1 ("The client MUST validate the server's response as follows"); throws a HandshakeError
 * at the first rule that is broken.
 *
 * A server that agrees to none of the subprotocols offered is within RFC 6455: `subprotocol` is then ''. The
 * WHATWG standard, and so every browser, fails such a connection; whether to do so is left to the caller.
 */
export declare function verifyHandshake(request: ClientHandshake, response: HandshakeResponse): NegotiatedHandshake;
