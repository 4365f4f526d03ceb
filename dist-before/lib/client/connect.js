import { request as httpRequest } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { createHandshake, verifyHandshake } from '../handshake/client-handshake.js';
import { parseExtensionList, parseTokenList } from '../handshake/header-grammar.js';
const SWITCHING_PROTOCOLS = 101;
/**
 * Shakes hands. A refusal is a result, not an error.
 *
 * Rejects, and destroys the stream: with a HandshakeError when the server agreed but broke a rule, with the signal's
 * reason, with a TypeError for a path, field or subprotocol that cannot be sent, and with the stream's or node:http's error.
 */
export async function connect(duplex, options) {
    // node:http takes its listener away with the upgrade, and an error may come before the next one is there.
    duplex.on('error', ignore);
    try {
        options.signal?.throwIfAborted();
        return await shakeHands(duplex, options);
    }
    catch (error) {
        duplex.destroy();
        throw options.signal?.aborted === true ? options.signal.reason : error;
    }
}
function shakeHands(duplex, options) {
    if (!isRequestTarget(options.path))
        throw new TypeError('The path must be visible ASCII without a fragment: what is not is to be percent-encoded');
    const handshake = createHandshake(options);
    const headers = { ...handshake.headers, ...inLowerCase(options.headers ?? {}) };
    const asked = asSent(handshake, headers);
    return new Promise((resolve, reject) => {
        const request = httpRequest({ createConnection: () => duplex, path: options.path, headers, signal: options.signal });
        request.on('error', reject);
        request.on('upgrade', (response, _duplex, head) => {
            try {
                resolve({ accepted: true, ...verifyHandshake(asked, response), headers: response.headers, head });
            }
            catch (error) {
                reject(error);
            }
        });
        request.on('response', (response) => resolve(refusal(asked, response, duplex)));
        request.end();
    });
}
async function refusal(asked, response, duplex) {
    // node:http takes a 101 without Upgrade for an answer like any other.
    if (response.statusCode === SWITCHING_PROTOCOLS)
        verifyHandshake(asked, response);
    const body = await buffer(response);
    // A server that did not know it for an upgrade waits for further requests.
    duplex.end();
    return { accepted: false, statusCode: response.statusCode, headers: response.headers, body };
}
/** RFC 6455 §3: what is not ASCII is encoded, and there is no fragment; a '#' in the path would begin one. */
function isRequestTarget(path) {
    for (const character of path) {
        if (character <= ' ' || character > '~' || character === '#')
            return false;
    }
    return true;
}
/** Header fields by lower-case names, so that those of a caller take the place of others. */
export function inLowerCase(headers) {
    return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), typeof value === 'string' ? value : [...value]]));
}
/** The handshake by which the answer is judged: the caller's fields may have replaced its own. */
function asSent(handshake, headers) {
    const subprotocols = headers['sec-websocket-protocol'];
    const extensions = headers['sec-websocket-extensions'];
    return {
        ...handshake,
        key: String(headers['sec-websocket-key']),
        subprotocols: subprotocols === undefined ? [] : parseTokenList(String(subprotocols)) ?? [],
        extensions: extensions === undefined ? [] : parseExtensionList(String(extensions)) ?? []
    };
}
function ignore() { }
