/**
 * The grammar of the header fields of an opening handshake: tokens, lists, extension parameters and Host
 * (RFC 9110 §5.6 and §7.2, RFC 6455 §9.1).
 *
 * Each value is read once, from left to right, without a regular expression: what a peer sends cannot make
 * it backtrack. Values are text as node:http delivers it, one character per octet. Nothing here knows which
 * field is asked for, or what follows when a value is malformed.
 */

/** Longest field value that is parsed, in octets. A handshake needs a few hundred; node:http lets 16 KiB pass. */
export const MAX_FIELD_LENGTH = 4096

/** Header fields as node:http hands them over: names in lower case, repeated fields joined by commas. */
export type HeaderFields = Readonly<Record<string, string | string[] | undefined>>

/** A parameter of an extension; its value is true when it has none. */
export type ExtensionParam = readonly [name: string, value: string | true]

/** One element of Sec-WebSocket-Extensions. Names may repeat, offers and parameters alike: they stand in the peer's order. */
export interface ExtensionOffer {
  readonly name: string
  readonly params: readonly ExtensionParam[]
}

const TAB = 0x09
const SPACE = 0x20
const QUOTE = 0x22
const PERCENT = 0x25
const COMMA = 0x2c
const DOT = 0x2e
const SLASH = 0x2f
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const LEFT_BRACKET = 0x5b
const BACKSLASH = 0x5c
const RIGHT_BRACKET = 0x5d

/** The values of all fields that were not sent; it stays empty. */
const NONE: string[] = []

const ASCII_SIZE = 128
const HEX_DIGITS = '0123456789abcdefABCDEF'
const ALPHANUMERIC = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** tchar (RFC 9110 §5.6.2). */
const TOKEN = characterSet(ALPHANUMERIC + "!#$%&'*+-.^_`|~")
/** unreserved and sub-delims: what a reg-name holds besides percent-encoding (RFC 3986 §3.2.2). */
const REGISTERED_NAME = characterSet(ALPHANUMERIC + "-._~!$&'()*+,;=")
const HEX = characterSet(HEX_DIGITS)

const MAX_PORT = 65535
/** The shortest IPv6 address is `::`. */
const MIN_IPV6_COLONS = 2

function characterSet (characters: string): Uint8Array {
  const set = new Uint8Array(ASCII_SIZE)
  for (const character of characters) set[character.charCodeAt(0)] = 1
  return set
}

/** Whether the set holds this code; never for NaN, which is what charCodeAt() gives behind the end. */
function holds (set: Uint8Array, code: number): boolean {
  return set[code] === 1
}

function skip (set: Uint8Array, text: string, at: number): number {
  while (holds(set, text.charCodeAt(at))) at++
  return at
}

/** A place in a field value that only moves forward. Every method skips whitespace before it looks. */
class Scanner {
  readonly #text: string
  #at = 0

  constructor (text: string) {
    this.#text = text
  }

  #skipWhitespace (): void {
    let code = this.#text.charCodeAt(this.#at)
    while (code === SPACE || code === TAB) code = this.#text.charCodeAt(++this.#at)
  }

  /** Takes one separator, if it is the next. */
  take (separator: number): boolean {
    this.#skipWhitespace()
    if (this.#text.charCodeAt(this.#at) !== separator) return false
    this.#at++
    return true
  }

  /** Goes to the next element of a list: false at the end. */
  nextElement (): boolean {
    // RFC 9110 §5.6.1.2: a recipient ignores empty elements.
    while (this.take(COMMA));
    return this.#at < this.#text.length
  }

  /** Whether nothing more belongs to this element. */
  endsElement (): boolean {
    this.#skipWhitespace()
    return this.#at === this.#text.length || this.#text.charCodeAt(this.#at) === COMMA
  }

  /** Takes a token: '' if there is none. */
  token (): string {
    this.#skipWhitespace()
    const start = this.#at
    this.#at = skip(TOKEN, this.#text, start)
    return this.#text.slice(start, this.#at)
  }

  /** Takes a quoted string that is a token when unescaped: '' if there is none. */
  quotedToken (): string {
    if (!this.take(QUOTE)) return ''
    let token = ''
    while (!this.#isAt(QUOTE)) {
      if (this.#isAt(BACKSLASH)) this.#at++
      // RFC 6455 §9.1: after unescaping, a quoted value MUST conform to token. Behind the end nothing does.
      if (!holds(TOKEN, this.#text.charCodeAt(this.#at))) return ''
      token += this.#text.charAt(this.#at++)
    }
    this.#at++
    return token
  }

  #isAt (code: number): boolean {
    return this.#text.charCodeAt(this.#at) === code
  }
}

/** Whether the text is a token (RFC 9110 §5.6.2). */
export function isToken (text: string): boolean {
  return text !== '' && skip(TOKEN, text, 0) === text.length
}

/** The tokens of a comma-separated list, without its empty elements; null when it is malformed. */
export function parseTokenList (value: string): string[] | null {
  const scanner = new Scanner(value)
  const tokens: string[] = []
  while (scanner.nextElement()) {
    const token = scanner.token()
    if (token === '' || !scanner.endsElement()) return null
    tokens.push(token)
  }
  return tokens
}

/**
 * Whether a Connection or Upgrade field holds this token, in any case. False when the list is malformed.
 *
 * Elements may be `name/version` (RFC 9110 §7.8), which is another protocol than `name`: it never matches.
 */
export function hasToken (value: string, lowerCaseToken: string): boolean {
  const scanner = new Scanner(value)
  let found = false
  while (scanner.nextElement()) {
    const name = scanner.token()
    const versioned = scanner.take(SLASH)
    if (name === '' || (versioned && scanner.token() === '') || !scanner.endsElement()) return false
    if (!versioned && name.toLowerCase() === lowerCaseToken) found = true
  }
  return found
}

/**
 * The elements of a Sec-WebSocket-Extensions field (RFC 6455 §9.1); null when it is malformed.
 *
 * Whitespace is allowed around every separator, `=` too: that section keeps the "implied *LWS rule" of RFC 2616.
 */
export function parseExtensionList (value: string): ExtensionOffer[] | null {
  const scanner = new Scanner(value)
  const offers: ExtensionOffer[] = []
  while (scanner.nextElement()) {
    const name = scanner.token()
    if (name === '') return null
    const params: ExtensionParam[] = []
    while (scanner.take(SEMICOLON)) {
      const param = scanner.token()
      if (param === '') return null
      if (!scanner.take(EQUALS)) {
        params.push([param, true])
        continue
      }
      const paramValue = scanner.token() || scanner.quotedToken()
      if (paramValue === '') return null
      params.push([param, paramValue])
    }
    if (!scanner.endsElement()) return null
    offers.push({ name, params })
  }
  return offers
}

/**
 * Whether a Host field names a host and perhaps a port (RFC 9110 §7.2, RFC 3986 §3.2.2).
 *
 * Brackets must hold the characters of an IPv6 address. Whether it is one is for whoever resolves it: here a
 * host is compared, never resolved.
 */
export function isHost (value: string): boolean {
  const end = value.charCodeAt(0) === LEFT_BRACKET ? addressEnd(value) : registeredNameEnd(value)
  if (end === 0) return false
  return end === value.length || (value.charCodeAt(end) === COLON && isPort(value, end + 1))
}

/** The index behind the bracket that closes an IPv6 address; 0 if there is no such address. */
function addressEnd (text: string): number {
  let colons = 0
  let at = 1
  let code = text.charCodeAt(at)
  while (holds(HEX, code) || code === COLON || code === DOT) {
    if (code === COLON) colons++
    code = text.charCodeAt(++at)
  }
  return code === RIGHT_BRACKET && colons >= MIN_IPV6_COLONS ? at + 1 : 0
}

/** The index behind a reg-name, an IPv4 address included; 0 if there is none. */
function registeredNameEnd (text: string): number {
  let at = skip(REGISTERED_NAME, text, 0)
  while (text.charCodeAt(at) === PERCENT) {
    if (!holds(HEX, text.charCodeAt(at + 1)) || !holds(HEX, text.charCodeAt(at + 2))) return 0
    at = skip(REGISTERED_NAME, text, at + 3)
  }
  return at
}

/** RFC 3986 §3.2.3: digits only. None at all is allowed and means the default port. */
function isPort (text: string, start: number): boolean {
  let port = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < ZERO || code > NINE) return false
    port = port * 10 + code - ZERO
    if (port > MAX_PORT) return false
  }
  return true
}

/** The value of a field that is a list, as node:http has joined it; undefined if it was not sent. */
export function listField (headers: HeaderFields, lowerCaseName: string): string | undefined {
  const value = headers[lowerCaseName]
  return Array.isArray(value) ? value.join(', ') : value
}

/**
 * Every value of a field, in order, from the flat list of names and values.
 *
 * Only this list tells how often a field was sent: in `headers` node:http joins, drops or keeps apart what is
 * repeated, depending on the name.
 */
export function fieldValues (rawHeaders: readonly string[], lowerCaseName: string): readonly string[] {
  let values = NONE
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    // Most names differ in length: no copy is made of them.
    if (name.length !== lowerCaseName.length || name.toLowerCase() !== lowerCaseName) continue
    const value = rawHeaders[i + 1] as string
    // `push` onto an empty array makes room for sixteen.
    if (values === NONE) values = [value]
    else values.push(value)
  }
  return values
}
