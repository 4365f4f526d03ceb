/**
 * The client's side of the opening handshake (RFC 6455 §4.1): the fields of a request out, the fields of the
 * answer in, or a HandshakeError with the status that the server gave.
 *
 * Pure functions but for the random key. Host, the request line, and what to do with a redirect or a 401 are
 * for whoever sends the request.
 */
import { randomBytes } from 'node:crypto';
import { HandshakeError } from '../protocol/errors.js';
import { MAX_FIELD_LENGTH, fieldValues, hasToken, isToken, listField, parseExtensionList } from './header-grammar.js';
import { VERSION, computeAccept } from './server-handshake.js';
const KEY_BYTES = 16;
const SWITCHING_PROTOCOLS = 101;
/**
 * A request with a fresh key (§4.1, the list after "The requirements for this handshake").
 *
 * Throws a TypeError for subprotocols that are no tokens or not unique, for extensions that are malformed, and
 * for an origin that could not stand in a field.
 */
export function createHandshake(options = {}) {
    const subprotocols = [...options.subprotocols ?? []];
    const extensions = parseOffers(options.extensions);
    // 7: a nonce of 16 bytes, selected randomly for each connection.
    const key = randomBytes(KEY_BYTES).toString('base64');
    const headers = {
        // 5 and 6
        upgrade: 'websocket',
        connection: 'Upgrade',
        'sec-websocket-key': key,
        // 9
        'sec-websocket-version': VERSION
    };
    if (options.origin)
        headers.origin = checkedOrigin(options.origin);
    if (subprotocols.length > 0)
        headers['sec-websocket-protocol'] = joinSubprotocols(subprotocols);
    if (options.extensions)
        headers['sec-websocket-extensions'] = options.extensions;
    return { key, subprotocols, extensions, headers };
}
/**
 * Checks an answer by §4.1 ("The client MUST validate the server's response as follows"); throws a HandshakeError
 * at the first rule that is broken.
 *
 * A server that agrees to none of the subprotocols offered is within RFC 6455: `subprotocol` is then ''. The
 * WHATWG standard, and so every browser, fails such a connection; whether to do so is left to the caller.
 */
export function verifyHandshake(request, response) {
    // 1: any other status is HTTP's.
    if (response.statusCode !== SWITCHING_PROTOCOLS)
        fail(response, 'The server refused the handshake');
    // 2: the whole value, not an element of a list.
    if (singleField(response, 'upgrade')?.toLowerCase() !== 'websocket')
        fail(response, 'Upgrade must be "websocket"');
    // 3
    const connection = limited(response, 'connection', listField(response.headers, 'connection'));
    if (connection === undefined || !hasToken(connection, 'upgrade'))
        fail(response, 'Connection must hold "Upgrade"');
    // 4: leading and trailing whitespace is ignored.
    const accept = singleField(response, 'sec-websocket-accept')?.trim();
    if (accept !== computeAccept(request.key))
        fail(response, 'Sec-WebSocket-Accept does not fit the key');
    return { extensions: agreedExtensions(request, response), subprotocol: agreedSubprotocol(request, response) };
}
function agreedExtensions(request, response) {
    const value = singleField(response, 'sec-websocket-extensions');
    if (value === undefined)
        return '';
    const extensions = parseExtensionList(value);
    // §9.1: 1#extension, else fail.
    if (extensions === null || extensions.length === 0)
        fail(response, 'Sec-WebSocket-Extensions must be a list of extensions');
    const offered = new Set(request.extensions.map((offer) => offer.name));
    // 5
    const allOffered = extensions.every((extension) => offered.has(extension.name));
    if (!allOffered)
        fail(response, 'Sec-WebSocket-Extensions holds an extension that was not offered');
    return value;
}
function agreedSubprotocol(request, response) {
    const value = singleField(response, 'sec-websocket-protocol');
    if (value === undefined)
        return '';
    // 6: one name, exactly as it was offered.
    if (!request.subprotocols.includes(value))
        fail(response, 'Sec-WebSocket-Protocol is a subprotocol that was not offered');
    return value;
}
function parseOffers(extensions) {
    if (!extensions)
        return [];
    const offers = parseExtensionList(extensions);
    // 11 and §9.1
    if (offers === null || offers.length === 0)
        throw new TypeError('The extensions must be a list as in RFC 6455 §9.1');
    return offers;
}
function joinSubprotocols(subprotocols) {
    // 10: tokens, all unique.
    if (!subprotocols.every(isToken))
        throw new TypeError('Every subprotocol must be a token');
    if (new Set(subprotocols).size !== subprotocols.length)
        throw new TypeError('No subprotocol may be offered twice');
    return subprotocols.join(', ');
}
function checkedOrigin(origin) {
    // 8: an ASCII serialization. The connection may be a bare Duplex, where nobody else keeps a line break out.
    for (const character of origin) {
        if (character <= ' ' || character > '~')
            throw new TypeError('The origin must be visible ASCII');
    }
    return origin;
}
/** The value of a field that an answer holds once at most; undefined if it does not. */
function singleField(response, lowerCaseName) {
    const values = fieldValues(response.rawHeaders, lowerCaseName);
    // §11.3.2 to §11.3.4: MUST NOT appear more than once. (For extensions §4.2.2, 5.6 says MAY: the stricter holds.)
    if (values.length > 1)
        fail(response, `${lowerCaseName} must not be sent more than once`);
    return limited(response, lowerCaseName, values[0]);
}
function limited(response, name, value) {
    if (value !== undefined && value.length > MAX_FIELD_LENGTH)
        fail(response, `${name} must not be longer than ${MAX_FIELD_LENGTH} bytes`);
    return value;
}
/** The status is the server's: 101 says that it agreed, but broke a rule; 0 that there was none. */
function fail(response, message) {
    throw new HandshakeError(response.statusCode ?? 0, message);
}
