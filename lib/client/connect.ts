/**
 * The client's opening handshake (RFC 6455 §4.1) over a stream that is connected already. The HTTP is node:http's,
 * the rules of the handshake are those of `lib/handshake`.
 *
 * Where the stream comes from, how long to wait, and what to do with a redirect or a 401 are for the caller.
 */
import type { Buffer } from 'node:buffer'
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createHandshake, verifyHandshake, type ClientHandshake } from '../handshake/client-handshake.ts'
import { parseExtensionList, parseTokenList } from '../handshake/header-grammar.ts'

export interface ConnectOptions {
  /** The request target, with its query: visible ASCII, no fragment. */
  readonly path: string
  /** Host, and what else shall be sent. Fields of the handshake take the place of its own, right or wrong. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined
  readonly subprotocols?: readonly string[] | undefined
  /** The value of Sec-WebSocket-Extensions. */
  readonly extensions?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** The stream speaks WebSocket from now on; it is paused, and has no listener but one of `error`. */
export interface Connected {
  readonly accepted: true
  readonly subprotocol: string
  readonly extensions: string
  readonly headers: IncomingHttpHeaders
  /** What came behind the answer. */
  readonly head: Buffer
}

/** An HTTP answer other than 101, read to its end; our side of the stream is ended. */
export interface Refused {
  readonly accepted: false
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

const SWITCHING_PROTOCOLS = 101

/**
 * Shakes hands. A refusal is a result, not an error.
 *
 * Rejects, and destroys the stream: with a HandshakeError when the server agreed but broke a rule, with the signal's
 * reason, with a TypeError for a path, field or subprotocol that cannot be sent, and with the stream's or node:http's error.
 */
export async function connect (duplex: Duplex, options: ConnectOptions): Promise<Connected | Refused> {
  // node:http takes its listener away with the upgrade, and an error may come before the next one is there.
  duplex.on('error', ignore)
  try {
    options.signal?.throwIfAborted()
    return await shakeHands(duplex, options)
  } catch (error) {
    duplex.destroy()
    throw options.signal?.aborted === true ? options.signal.reason : error
  }
}

function shakeHands (duplex: Duplex, options: ConnectOptions): Promise<Connected | Refused> {
  if (!isRequestTarget(options.path)) throw new TypeError('The path must be visible ASCII without a fragment: what is not is to be percent-encoded')
  const handshake = createHandshake(options)
  const headers = { ...handshake.headers, ...inLowerCase(options.headers ?? {}) }
  const asked = asSent(handshake, headers)
  return new Promise((resolve, reject) => {
    const request = httpRequest({ createConnection: () => duplex, path: options.path, headers, signal: options.signal })
    request.on('error', reject)
    request.on('upgrade', (response, _duplex, head) => {
      try {
        resolve({ accepted: true, ...verifyHandshake(asked, response), headers: response.headers, head })
      } catch (error) {
        reject(error)
      }
    })
    request.on('response', (response) => resolve(refusal(asked, response, duplex)))
    request.end()
  })
}

async function refusal (asked: ClientHandshake, response: IncomingMessage, duplex: Duplex): Promise<Refused> {
  // node:http takes a 101 without Upgrade for an answer like any other.
  if (response.statusCode === SWITCHING_PROTOCOLS) verifyHandshake(asked, response)
  const body = await buffer(response)
  // A server that did not know it for an upgrade waits for further requests.
  duplex.end()
  return { accepted: false, statusCode: response.statusCode!, headers: response.headers, body }
}

/** RFC 6455 §3: what is not ASCII is encoded, and there is no fragment; a '#' in the path would begin one. */
function isRequestTarget (path: string): boolean {
  for (const character of path) {
    if (character <= ' ' || character > '~' || character === '#') return false
  }
  return true
}

/** Header fields by lower-case names, so that those of a caller take the place of others. */
export function inLowerCase (headers: Readonly<Record<string, string | readonly string[]>>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), typeof value === 'string' ? value : [...value]]))
}

/** The handshake by which the answer is judged: the caller's fields may have replaced its own. */
function asSent (handshake: ClientHandshake, headers: Readonly<Record<string, string | string[]>>): ClientHandshake {
  const subprotocols = headers['sec-websocket-protocol']
  const extensions = headers['sec-websocket-extensions']
  return {
    ...handshake,
    key: String(headers['sec-websocket-key']),
    subprotocols: subprotocols === undefined ? [] : parseTokenList(String(subprotocols)) ?? [],
    extensions: extensions === undefined ? [] : parseExtensionList(String(extensions)) ?? []
  }
}

function ignore (): void {}
