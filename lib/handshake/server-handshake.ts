/**
 * The server's side of the opening handshake (RFC 6455 §4.2): the fields of a request in, the fields of the
 * answer out, or a HandshakeError with the status of the refusal.
 *
 * Pure functions: nothing here knows a socket, a route, or whether an Origin is welcome. What is negotiated
 * (`readNegotiation`, `negotiatedFields`) stands apart from what only HTTP/1.1 has (Upgrade, Connection, key and
 * accept), because an extended CONNECT of HTTP/2 (RFC 8441 §5) has the one without the other.
 */
import { createHash } from 'node:crypto'
import { GUID } from '../protocol/constants.ts'
import { HandshakeError } from '../protocol/errors.ts'
import {
  MAX_FIELD_LENGTH, fieldValues, hasToken, isHost, listField, parseExtensionList, parseTokenList,
  type ExtensionOffer, type HeaderFields
} from './header-grammar.ts'

/** What is read of a request; an IncomingMessage of node:http fits. */
export interface HandshakeRequest {
  readonly method?: string | undefined
  readonly httpVersion: string
  readonly headers: HeaderFields
  readonly rawHeaders: readonly string[]
}

/** What the client asks for. All texts are the peer's: all but the origin are known to be tokens or base64. */
export interface OpeningHandshake {
  readonly key: string
  /** As offered, the client's favourite first; no name twice. */
  readonly subprotocols: readonly string[]
  /** As offered, the client's favourite first; unknown ones are for the negotiation to ignore. */
  readonly extensions: readonly ExtensionOffer[]
  /** undefined when none was sent: then the client is no browser (§4.2.1, 7). */
  readonly origin: string | undefined
}

/** What the server agrees to; '' means nothing, as if it were not there. */
export interface AcceptOptions {
  readonly subprotocol?: string | undefined
  /** The value of Sec-WebSocket-Extensions, written by this server. */
  readonly extensions?: string | undefined
}

/** The version of RFC 6455, and the only one spoken here: the drafts called themselves 7 and 8. */
export const VERSION = '13'
/** 16 bytes in base64 are this many digits, and padding (RFC 4648 §4). */
const KEY_DIGITS = 22
const KEY_PADDING = '=='
/**
 * Past 2000 fields (its `maxHeadersCount`) node:http keeps none, yet obeys them: a Content-Length could hide there,
 * and a body become frames. So this limit must stay below that one.
 */
const MAX_FIELDS = 1000
const MAX_SUBPROTOCOLS = 32
const MAX_EXTENSION_OFFERS = 8

/** Whether a request asks for WebSocket at all. Whether it does so rightly is for `readHandshake` to say. */
export function isWebSocketUpgrade (request: Pick<HandshakeRequest, 'headers'>): boolean {
  const upgrade = listField(request.headers, 'upgrade')
  return upgrade !== undefined && hasToken(upgrade, 'websocket')
}

/**
 * Reads and checks a request by §4.2.1; throws a HandshakeError at the first rule that is broken. Without `hostRequired` a
 * request may lack Host, as scripts written by hand do; one that is sent is checked.
 */
export function readHandshake (request: HandshakeRequest, hostRequired = true): OpeningHandshake {
  checkRequestLine(request)
  checkFieldCount(request)
  if (hostRequired || fieldValues(request.rawHeaders, 'host').length > 0) checkHost(request)
  checkBody(request)
  checkUpgrade(request)
  // Before the key: a client of another version learns which one to speak, whatever its key looks like.
  checkVersion(request)
  return { key: readKey(request), ...readNegotiation(request) }
}

/**
 * Checks an upgrade request that a plain route is going to answer: node:http leaves Host unchecked where there is an
 * Upgrade field, and loses the body. Throws a HandshakeError.
 */
export function checkPlainUpgrade (request: HandshakeRequest): void {
  checkFieldCount(request)
  checkHost(request)
  checkBody(request)
}

/**
 * The fields of the answer with status 101 (§4.2.2).
 *
 * Throws a TypeError when the subprotocol is none that was offered: so it is a token, and cannot end the field.
 */
export function acceptHandshake (handshake: OpeningHandshake, options: AcceptOptions = {}): Record<string, string> {
  return {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-accept': computeAccept(handshake.key),
    ...negotiatedFields(handshake, options)
  }
}

/** The value of Sec-WebSocket-Accept, which proves that the key was read by a WebSocket server (§4.2.2, 5.4). */
export function computeAccept (key: string): string {
  return createHash('sha1').update(key + GUID).digest('base64')
}

function checkRequestLine (request: HandshakeRequest): void {
  // §4.2.1, 1: a GET. RFC 9110 §15.5.6: a 405 must say in Allow what would do.
  if (request.method !== 'GET') throw new HandshakeError(405, 'The method must be GET', { allow: 'GET' })
  // §4.2.1, 1: HTTP/1.1 or higher. node:http knows no later 1.x, and HTTP/2 has no Upgrade (RFC 9113 §8.6).
  if (request.httpVersion !== '1.1') throw new HandshakeError(400, 'The version of HTTP must be 1.1')
}

function checkFieldCount (request: HandshakeRequest): void {
  // Names and values stand side by side.
  if (request.rawHeaders.length > 2 * MAX_FIELDS) throw new HandshakeError(431, `There must not be more than ${MAX_FIELDS} header fields`)
}

function checkHost (request: HandshakeRequest): void {
  // §4.2.1, 2, and RFC 9112 §3.2: missing, repeated or invalid is 400. For upgrades node:http does not look.
  const host = singleField(request, 'host')
  if (host === undefined || !isHost(host)) throw new HandshakeError(400, 'Host must be sent once, with a host and at most a port')
}

/** node:http hands a body over together with what follows the head: it would be read as frames. */
function checkBody (request: HandshakeRequest): void {
  const hasBody = fieldValues(request.rawHeaders, 'transfer-encoding').length > 0 ||
    fieldValues(request.rawHeaders, 'content-length').some((length) => length !== '0')
  if (hasBody) throw new HandshakeError(400, 'A handshake must not have a body')
}

function checkUpgrade (request: HandshakeRequest): void {
  limitedList(request, 'upgrade')
  // §4.2.1, 3
  if (!isWebSocketUpgrade(request)) throw new HandshakeError(400, 'Upgrade must hold "websocket"')
  const connection = limitedList(request, 'connection')
  // §4.2.1, 4
  if (connection === undefined || !hasToken(connection, 'upgrade')) throw new HandshakeError(400, 'Connection must hold "Upgrade"')
}

function checkVersion (request: HandshakeRequest): void {
  // §4.2.1, 6: compared as text, for 0xd is a 13 too. §11.3.5: MUST NOT appear more than once.
  if (singleField(request, 'sec-websocket-version') === VERSION) return
  throw new HandshakeError(426, `Sec-WebSocket-Version must be sent once and be ${VERSION}`, {
    // §4.2.2, 4 and §4.4: the answer names the version that is understood.
    'sec-websocket-version': VERSION,
    // RFC 9110 §15.5.22: a 426 MUST have Upgrade, which needs its name in Connection (§7.8).
    upgrade: 'websocket',
    // A refused upgrade closes: whoever sends this must not lose the `close` that it would have sent otherwise.
    connection: 'close, Upgrade'
  })
}

function readKey (request: HandshakeRequest): string {
  // §4.2.1, 5. §11.3.1: MUST NOT appear more than once.
  const key = singleField(request, 'sec-websocket-key')
  if (key === undefined || !isKey(key)) throw new HandshakeError(400, 'Sec-WebSocket-Key must be sent once and be 16 bytes in base64')
  return key
}

/** Whether it decodes to 16 bytes. Unused bits of the last digit may be set: they are in the example of §4.1, 7. */
function isKey (text: string): boolean {
  if (text.length !== KEY_DIGITS + KEY_PADDING.length || !text.endsWith(KEY_PADDING)) return false
  for (let i = 0; i < KEY_DIGITS; i++) {
    if (!isBase64Digit(text.charAt(i))) return false
  }
  return true
}

function isBase64Digit (character: string): boolean {
  return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z') ||
    (character >= '0' && character <= '9') || character === '+' || character === '/'
}

/** What is the same in every version of HTTP. */
function readNegotiation (request: HandshakeRequest): Omit<OpeningHandshake, 'key'> {
  return {
    subprotocols: readSubprotocols(request),
    extensions: readExtensions(request),
    origin: readOrigin(request)
  }
}

function readSubprotocols (request: HandshakeRequest): string[] {
  const value = limitedList(request, 'sec-websocket-protocol')
  if (value === undefined) return []
  const subprotocols = parseTokenList(value)
  // §4.3: 1#token, so a field that was sent holds one at least.
  if (subprotocols === null || subprotocols.length === 0) throw new HandshakeError(400, 'Sec-WebSocket-Protocol must be a list of tokens')
  if (subprotocols.length > MAX_SUBPROTOCOLS) {
    throw new HandshakeError(400, `Sec-WebSocket-Protocol must not hold more than ${MAX_SUBPROTOCOLS} names`)
  }
  // §4.1, 10: they MUST all be unique.
  if (new Set(subprotocols).size !== subprotocols.length) throw new HandshakeError(400, 'Sec-WebSocket-Protocol must not hold a name twice')
  return subprotocols
}

function readExtensions (request: HandshakeRequest): ExtensionOffer[] {
  const value = limitedList(request, 'sec-websocket-extensions')
  if (value === undefined) return []
  const extensions = parseExtensionList(value)
  // §9.1: 1#extension, and whoever receives something else MUST fail, even if it knows no extension.
  if (extensions === null || extensions.length === 0) throw new HandshakeError(400, 'Sec-WebSocket-Extensions must be a list of extensions')
  if (extensions.length > MAX_EXTENSION_OFFERS) {
    throw new HandshakeError(400, `Sec-WebSocket-Extensions must not hold more than ${MAX_EXTENSION_OFFERS} offers`)
  }
  return extensions
}

function readOrigin (request: HandshakeRequest): string | undefined {
  // RFC 6454 §7.3: not more than one. `headers` holds the first, and a proxy may have judged by the last.
  if (fieldValues(request.rawHeaders, 'origin').length > 1) throw new HandshakeError(400, 'Origin must not be sent more than once')
  return singleField(request, 'origin')
}

function negotiatedFields (handshake: OpeningHandshake, options: AcceptOptions): Record<string, string> {
  const fields: Record<string, string> = {}
  if (options.subprotocol) {
    // §4.2.2, 4: selected from what the client has sent.
    if (!handshake.subprotocols.includes(options.subprotocol)) throw new TypeError('The subprotocol must be one that the client offered')
    fields['sec-websocket-protocol'] = options.subprotocol
  }
  // §4.2.2, 4: the empty string is no legal value; a field without one is left out.
  if (options.extensions) fields['sec-websocket-extensions'] = options.extensions
  return fields
}

/** The value of a field that was sent exactly once; undefined otherwise. */
function singleField (request: HandshakeRequest, lowerCaseName: string): string | undefined {
  const values = fieldValues(request.rawHeaders, lowerCaseName)
  return values.length === 1 ? limited(lowerCaseName, values[0]) : undefined
}

/** The value of a field that is a list; undefined if it was not sent. */
function limitedList (request: HandshakeRequest, lowerCaseName: string): string | undefined {
  return limited(lowerCaseName, listField(request.headers, lowerCaseName))
}

/** RFC 6585 §5: 431 names the fault, which 400 would not, and is what node:http says of a head that is too long. */
function limited (name: string, value: string | undefined): string | undefined {
  if (value !== undefined && value.length > MAX_FIELD_LENGTH) {
    throw new HandshakeError(431, `${name} must not be longer than ${MAX_FIELD_LENGTH} bytes`)
  }
  return value
}
