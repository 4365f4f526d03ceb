/**
 * The grammar of the header fields of an opening handshake: tokens, lists, extension parameters and Host
 * (RFC 9110 §5.6 and §7.2, RFC 6455 §9.1).
 *
 * Each value is read once, from left to right, without a regular expression: what a peer sends cannot make
 * it backtrack. Values are text as node:http delivers it, one character per octet. Nothing here knows which
 * field is asked for, or what follows when a value is malformed.
 */
/** Longest field value that is parsed, in octets. A handshake needs a few hundred; node:http lets 16 KiB pass. */
export declare const MAX_FIELD_LENGTH = 4096;
/** Header fields as node:http hands them over: names in lower case, repeated fields joined by commas. */
export type HeaderFields = Readonly<Record<string, string | string[] | undefined>>;
/** A parameter of an extension; its value is true when it has none. */
export type ExtensionParam = readonly [name: string, value: string | true];
/** One element of Sec-WebSocket-Extensions. Names may repeat, offers and parameters alike: they stand in the peer's order. */
export interface ExtensionOffer {
    readonly name: string;
    readonly params: readonly ExtensionParam[];
}
/** Whether the text is a token (RFC 9110 §5.6.2). */
export declare function isToken(text: string): boolean;
/** The tokens of a comma-separated list, without its empty elements; null when it is malformed. */
export declare function parseTokenList(value: string): string[] | null;
/**
 * Whether a Connection or Upgrade field holds this token, in any case. False when the list is malformed.
 *
 * Elements may be `name/version` (RFC 9110 §7.8), which is another protocol than `name`: it never matches.
 */
export declare function hasToken(value: string, lowerCaseToken: string): boolean;
/**
 * The elements of a Sec-WebSocket-Extensions field (RFC 6455 §9.1); null when it is malformed.
 *
 * Whitespace is allowed around every separator, `=` too: that section keeps the "implied *LWS rule" of RFC 2616.
 */
export declare function parseExtensionList(value: string): ExtensionOffer[] | null;
/**
 * Whether a Host field names a host and perhaps a port (RFC 9110 §7.2, RFC 3986 §3.2.2).
 *
 * Brackets must hold the characters of an IPv6 address. Whether it is one is for whoever resolves it: here a
 * host is compared, never resolved.
 */
export declare function isHost(value: string): boolean;
/** The value of a field that is a list, as node:http has joined it; undefined if it was not sent. */
export declare function listField(headers: HeaderFields, lowerCaseName: string): string | undefined;
/**
 * Every value of a field, in order, from the flat list of names and values.
 *
 * Only this list tells how often a field was sent: in `headers` node:http joins, drops or keeps apart what is
 * repeated, depending on the name.
 */
export declare function fieldValues(rawHeaders: readonly string[], lowerCaseName: string): string[];
