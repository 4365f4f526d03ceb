import { type ExtensionOffer } from './header-grammar.ts';
/** What both ends have agreed on. */
export interface DeflateParams {
    readonly serverNoContextTakeover: boolean;
    readonly clientNoContextTakeover: boolean;
    /** Base-2 logarithms of the windows that each end compresses with at most: 9 to 15; 8 for the window of a peer. */
    readonly serverMaxWindowBits: number;
    readonly clientMaxWindowBits: number;
}
/** What this end wants of the extension. */
export interface DeflateWishes {
    /** Whether either end may refer back to earlier messages. */
    readonly contextTakeover: boolean;
    /** The largest window that the server compresses with, 9 to 15. With takeover also what it remembers of a client. */
    readonly serverMaxWindowBits: number;
}
/** What a server agrees to. */
export interface AgreedDeflate {
    readonly params: DeflateParams;
    /** The value of Sec-WebSocket-Extensions. */
    readonly answer: string;
}
/** Agrees to the first offer that can be met, in the client's order (§5); undefined if there is none. */
export declare function negotiateDeflate(offers: readonly ExtensionOffer[], wishes: DeflateWishes): AgreedDeflate | undefined;
/** The offer of a client. It can keep to a smaller window, if the server asks for one. */
export declare function offerDeflate(wishes: Pick<DeflateWishes, 'contextTakeover'>): string;
/**
 * Reads what a server answered to `offerDeflate` with the same wishes; undefined if it declined. Throws a HandshakeError
 * for what that offer does not allow.
 */
export declare function readDeflateAnswer(answer: string, wishes: Pick<DeflateWishes, 'contextTakeover'>): DeflateParams | undefined;
