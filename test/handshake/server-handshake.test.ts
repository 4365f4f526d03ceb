import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { MAX_FIELD_LENGTH } from '../../lib/handshake/header-grammar.ts'
import {
  acceptHandshake, checkPlainUpgrade, computeAccept, isWebSocketUpgrade, readHandshake, type HandshakeRequest, type OpeningHandshake
} from '../../lib/handshake/server-handshake.ts'
import { HandshakeError } from '../../lib/protocol/errors.ts'

/** The example of RFC 6455 §1.3. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** An IncomingMessage must fit without a cast. */
export const fits: (message: IncomingMessage) => HandshakeRequest = (message) => message

type Field = readonly [name: string, value: string]

const FIELDS: readonly Field[] = [
  ['Host', 'server.example.com'],
  ['Upgrade', 'websocket'],
  ['Connection', 'Upgrade'],
  ['Sec-WebSocket-Key', KEY],
  ['Sec-WebSocket-Version', '13']
]
/** Of these node:http keeps the first in `headers`; it joins the others. */
const FIRST_ONLY = ['host', 'origin', 'content-length']

function requestOf (fields: readonly Field[], line: Partial<HandshakeRequest> = {}): HandshakeRequest {
  const headers: Record<string, string> = {}
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    if (headers[key] === undefined) headers[key] = value
    else if (!FIRST_ONLY.includes(key)) headers[key] += `, ${value}`
  }
  return { method: 'GET', httpVersion: '1.1', headers, rawHeaders: fields.flat(), ...line }
}

/** A good request with these fields besides. */
function requestWith (...fields: Field[]): HandshakeRequest {
  return requestOf([...FIELDS, ...fields])
}

function requestWithout (name: string): HandshakeRequest {
  return requestOf(FIELDS.filter((field) => field[0] !== name))
}

/** A good request in which the values of a field are these. */
function requestWhere (name: string, ...values: string[]): HandshakeRequest {
  return requestOf([...FIELDS.filter((field) => field[0] !== name), ...values.map((value): Field => [name, value])])
}

/** Refused with this status, by an error whose message names the field. */
function refuses (t: Test, request: HandshakeRequest, statusCode: number, message: RegExp, headers: Record<string, string> = {}): void {
  try {
    readHandshake(request)
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error
    t.equal(error.statusCode, statusCode)
    t.match(error.message, message)
    t.strictSame(error.headers, headers)
    return
  }
  t.fail(`accepted, though ${message} was expected`)
}

t.test('isWebSocketUpgrade', async t => {
  t.test('finds the token websocket in Upgrade, in any case and in a list', async t => {
    for (const upgrade of ['websocket', 'WebSocket', 'h2c, websocket', 'websocket, HTTP/2.0']) {
      t.equal(isWebSocketUpgrade({ headers: { upgrade } }), true, upgrade)
    }
    for (const upgrade of ['', 'h2c', 'websockets', 'websocket/13', 'web socket']) {
      t.equal(isWebSocketUpgrade({ headers: { upgrade } }), false, upgrade)
    }
  })

  t.test('is false without Upgrade, whatever else is there', async t => {
    t.equal(isWebSocketUpgrade(requestWithout('Upgrade')), false)
    t.equal(isWebSocketUpgrade({ headers: {} }), false)
  })

  t.test('looks at nothing but Upgrade', async t => {
    t.equal(isWebSocketUpgrade({ headers: { upgrade: 'websocket' } }), true)
  })
})

t.test('readHandshake', async t => {
  t.test('reads the request of RFC 6455 §1.2', async t => {
    const handshake = readHandshake(requestWith(
      ['Origin', 'http://example.com'],
      ['Sec-WebSocket-Protocol', 'chat, superchat']
    ))
    t.strictSame(handshake, {
      key: KEY,
      subprotocols: ['chat', 'superchat'],
      extensions: [],
      origin: 'http://example.com'
    })
  })

  t.test('reads a request without optional fields', async t => {
    t.strictSame(readHandshake(requestOf(FIELDS)), { key: KEY, subprotocols: [], extensions: [], origin: undefined })
  })

  t.test('takes the names of fields in any case', async t => {
    for (const change of ['toLowerCase', 'toUpperCase'] as const) {
      t.equal(readHandshake(requestOf(FIELDS.map(([name, value]): Field => [name[change](), value]))).key, KEY)
    }
  })

  t.test('does not mind fields that it does not know', async t => {
    t.equal(readHandshake(requestWith(['Cookie', 'a=b'], ['__proto__', 'x'], ['constructor', 'y'])).key, KEY)
  })

  t.test('refuses a request that has lost all its fields', async t => {
    refuses(t, requestOf([]), 400, /Host/)
    // Past maxHeadersCount node:http drops fields from `headers` first.
    refuses(t, requestOf(FIELDS, { headers: {} }), 400, /Upgrade/)
  })

  t.test('§4.2.1, 1: refuses every method but GET with 405 and Allow', async t => {
    for (const method of ['POST', 'HEAD', 'OPTIONS', 'CONNECT', 'get', '', undefined]) {
      refuses(t, requestOf(FIELDS, { method }), 405, /GET/, { allow: 'GET' })
    }
  })

  t.test('§4.2.1, 1: refuses every version of HTTP but 1.1', async t => {
    for (const httpVersion of ['0.9', '1.0', '2.0', '']) refuses(t, requestOf(FIELDS, { httpVersion }), 400, /HTTP/)
  })

  t.test('§4.2.1, 2: refuses a request without Host, with two or with an invalid one', async t => {
    refuses(t, requestWithout('Host'), 400, /Host/)
    refuses(t, requestWith(['Host', 'server.example.com']), 400, /Host/)
    refuses(t, requestWith(['hOST', 'other.example.com']), 400, /Host/)
    for (const host of ['', 'a b', 'user@host', 'host/path', 'host:port', '::1']) refuses(t, requestWhere('Host', host), 400, /Host/)
  })

  t.test('§4.2.1, 2: takes a host with a port, and IPv6 in brackets', async t => {
    t.equal(readHandshake(requestWithout('Host'), false).key, KEY, 'where it is not required')
    t.throws(() => readHandshake(requestWhere('Host', 'a b'), false), /Host/, 'but one that is sent is looked at')
    for (const host of ['localhost:3000', '[::1]:3000', '127.0.0.1']) t.equal(readHandshake(requestWhere('Host', host)).key, KEY)
  })

  t.test('refuses a body', async t => {
    refuses(t, requestWith(['Content-Length', '5']), 400, /body/)
    refuses(t, requestWith(['Content-Length', '0'], ['Content-Length', '5']), 400, /body/)
    refuses(t, requestWith(['Content-Length', '']), 400, /body/)
    refuses(t, requestWith(['Transfer-Encoding', 'chunked']), 400, /body/)
    refuses(t, requestWith(['transfer-encoding', 'identity']), 400, /body/)
    t.equal(readHandshake(requestWith(['Content-Length', '0'])).key, KEY)
  })

  t.test('refuses more than 1000 fields: what follows the 2000th is hidden by node:http, a Content-Length too', async t => {
    const some = Array.from({ length: 1000 - FIELDS.length }, (): Field => ['X', ''])
    t.equal(readHandshake(requestWith(...some)).key, KEY)
    refuses(t, requestWith(...some, ['X', '']), 431, /1000/)
    refuses(t, requestOf([...some, ...some]), 431, /1000/)
  })

  t.test('refuses a body whose field is in rawHeaders alone', async t => {
    const { headers } = requestOf(FIELDS)
    refuses(t, { ...requestWith(['Content-Length', '5']), headers }, 400, /body/)
    refuses(t, { ...requestWith(['Transfer-Encoding', 'chunked']), headers }, 400, /body/)
  })

  t.test('§4.2.1, 3: refuses a request whose Upgrade does not hold websocket', async t => {
    refuses(t, requestWithout('Upgrade'), 400, /Upgrade/)
    for (const upgrade of ['', 'h2c', 'websockets', 'websocket/13']) refuses(t, requestWhere('Upgrade', upgrade), 400, /Upgrade/)
  })

  t.test('§4.2.1, 4: refuses a request whose Connection does not hold upgrade', async t => {
    refuses(t, requestWithout('Connection'), 400, /Connection/)
    for (const connection of ['', 'keep-alive', 'close', 'upgraded', 'upgrade upgrade']) {
      refuses(t, requestWhere('Connection', connection), 400, /Connection/)
    }
  })

  t.test('§4.2.1, 4: takes Connection as a list, in any case, in one field or several', async t => {
    t.equal(readHandshake(requestWhere('Connection', 'keep-alive, UPGRADE')).key, KEY)
    t.equal(readHandshake(requestWhere('Connection', 'keep-alive', 'upgrade')).key, KEY)
  })

  t.test('§4.2.1, 5: refuses a request without key or with two', async t => {
    refuses(t, requestWithout('Sec-WebSocket-Key'), 400, /Key/)
    refuses(t, requestWhere('Sec-WebSocket-Key', KEY, KEY), 400, /Key/)
    refuses(t, requestWith(['sec-websocket-KEY', 'AQIDBAUGBwgJCgsMDQ4PEC==']), 400, /Key/)
  })

  t.test('§4.2.1, 5: refuses a key that is not 16 bytes in base64', async t => {
    const digits = KEY.slice(0, -2)
    const bad = ['', '==', digits, `${digits}=`, `${digits}===`, `${digits}a=`, `${digits}=a`, `${digits}aa`, `${digits.slice(1)}==`, `${digits}a==`, ` ${KEY}`, `${KEY} `]
    for (const key of bad) refuses(t, requestWhere('Sec-WebSocket-Key', key), 400, /Key/)
    // Neighbours of the ranges of digits, the alphabet for URLs, padding, space, and what is no ASCII.
    for (const octet of ['@', '[', '`', '{', ':', '-', '_', '=', ' ', ',', '\u00e1', '\u0100']) {
      for (const at of [0, 10, 21]) {
        refuses(t, requestWhere('Sec-WebSocket-Key', `${digits.slice(0, at)}${octet}${digits.slice(at + 1)}==`), 400, /Key/)
      }
    }
  })

  t.test('§4.2.1, 5: takes every base64 digit, and unused bits that are set, as in the example of §4.1', async t => {
    for (const key of ['AQIDBAUGBwgJCgsMDQ4PEC==', 'ABCDEFGHIJKLMNOPQRSTUV==', 'WXYZabcdefghijklmnopqr==', 'stuvwxyz0123456789+///==']) {
      t.equal(readHandshake(requestWhere('Sec-WebSocket-Key', key)).key, key)
    }
  })

  t.test('§4.2.1, 6: answers 426 with the version and Upgrade to any version but 13, sent once', async t => {
    const headers = { 'sec-websocket-version': '13', upgrade: 'websocket', connection: 'close, Upgrade' }
    refuses(t, requestWithout('Sec-WebSocket-Version'), 426, /Version/, headers)
    refuses(t, requestWhere('Sec-WebSocket-Version', '13', '13'), 426, /Version/, headers)
    for (const version of ['', '7', '8', '12', '14', '25', '013', '13.0', '0xd', '1e1', '+13', '13, 8', '13 ']) {
      refuses(t, requestWhere('Sec-WebSocket-Version', version), 426, /Version/, headers)
    }
  })

  t.test('§4.4: tells the version to a client whose key is of another kind', async t => {
    refuses(t, requestOf([...FIELDS.slice(0, 3), ['Sec-WebSocket-Version', '25']]), 426, /Version/, {
      'sec-websocket-version': '13', upgrade: 'websocket', connection: 'close, Upgrade'
    })
  })

  t.test('§4.2.1, 7: gives Origin as it was sent, and refuses two', async t => {
    for (const origin of ['http://example.com', 'null', 'HTTP://EXAMPLE.com:80', '']) {
      t.equal(readHandshake(requestWith(['Origin', origin])).origin, origin)
    }
    refuses(t, requestWith(['Origin', 'http://a.example'], ['Origin', 'http://b.example']), 400, /Origin/)
    refuses(t, requestWith(['Origin', 'http://a.example'], ['ORIGIN', 'http://a.example']), 400, /Origin/)
  })

  t.test('§4.2.1, 8: gives the subprotocols in the client\'s order, from one field or several', async t => {
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Protocol', 'b,a , C'])).subprotocols, ['b', 'a', 'C'])
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Protocol', 'b'], ['sec-websocket-protocol', 'a'])).subprotocols, ['b', 'a'])
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Protocol', '__proto__, constructor'])).subprotocols, ['__proto__', 'constructor'])
    const headers = { ...requestOf(FIELDS).headers, 'sec-websocket-protocol': ['a', 'b'] }
    t.strictSame(readHandshake(requestOf(FIELDS, { headers })).subprotocols, ['a', 'b'])
  })

  t.test('§4.2.1, 8: refuses subprotocols that are no tokens', async t => {
    for (const value of ['', ' ', ',', 'a b', 'a/b', 'a;b', '"a"', 'caf\u00e9', 'a, b c', '(a)']) {
      refuses(t, requestWith(['Sec-WebSocket-Protocol', value]), 400, /Protocol must be a list/)
    }
  })

  t.test('§4.1, 10: refuses a subprotocol that is offered twice', async t => {
    refuses(t, requestWith(['Sec-WebSocket-Protocol', 'a, b, a']), 400, /twice/)
    refuses(t, requestWith(['Sec-WebSocket-Protocol', 'a'], ['Sec-WebSocket-Protocol', 'a']), 400, /twice/)
    refuses(t, requestWith(['Sec-WebSocket-Protocol', '__proto__, __proto__']), 400, /twice/)
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Protocol', 'a, A'])).subprotocols, ['a', 'A'])
  })

  t.test('takes 32 subprotocols, and not one more', async t => {
    const names = Array.from({ length: 33 }, (_, i) => `p${i}`)
    t.equal(readHandshake(requestWith(['Sec-WebSocket-Protocol', names.slice(1).join()])).subprotocols.length, 32)
    refuses(t, requestWith(['Sec-WebSocket-Protocol', names.join()]), 400, /32/)
  })

  t.test('§4.2.1, 9: gives the extension offers in the client\'s order, from one field or several', async t => {
    const offers = [
      { name: 'permessage-deflate', params: [['client_max_window_bits', true], ['server_max_window_bits', '10']] },
      { name: 'permessage-deflate', params: [] }
    ]
    const first = 'permessage-deflate; client_max_window_bits; server_max_window_bits="10"'
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Extensions', `${first}, permessage-deflate`])).extensions, offers)
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Extensions', first], ['Sec-WebSocket-Extensions', 'permessage-deflate'])).extensions, offers)
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Extensions', '__proto__; constructor'])).extensions, [
      { name: '__proto__', params: [['constructor', true]] }
    ])
  })

  t.test('§9.1: refuses malformed extensions', async t => {
    for (const value of ['', ',', 'a;', 'a b', 'a; b=', 'a; b="', 'a; b="c d"', '=', 'caf\u00e9']) {
      refuses(t, requestWith(['Sec-WebSocket-Extensions', value]), 400, /Extensions must be a list/)
    }
  })

  t.test('takes 8 extension offers, and not one more', async t => {
    t.equal(readHandshake(requestWith(['Sec-WebSocket-Extensions', Array(8).fill('a').join()])).extensions.length, 8)
    refuses(t, requestWith(['Sec-WebSocket-Extensions', Array(9).fill('a').join()]), 400, /8/)
  })

  t.test('refuses a value of more than 4 KiB with 431, whatever it says', async t => {
    const names = ['Host', 'Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions', 'Origin']
    for (const name of names) {
      const tooLong = new RegExp(`${name.toLowerCase()} must not be longer than 4096`)
      for (const part of ['a', ' ', ',', '"', '\\']) {
        refuses(t, requestWhere(name, part.repeat(MAX_FIELD_LENGTH + 1)), 431, tooLong)
      }
    }
    refuses(t, requestWith(['Sec-WebSocket-Protocol', 'a'.repeat(3000)], ['Sec-WebSocket-Protocol', 'b'.repeat(3000)]), 431, /protocol/)
  })

  t.test('takes a value of 4 KiB', async t => {
    const padded = (value: string): string => value.padEnd(MAX_FIELD_LENGTH, ' ,')
    t.equal(readHandshake(requestWhere('Upgrade', padded('websocket'))).key, KEY)
    t.equal(readHandshake(requestWhere('Connection', padded('upgrade'))).key, KEY)
    t.equal(readHandshake(requestWhere('Host', 'a'.repeat(MAX_FIELD_LENGTH))).key, KEY)
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Protocol', padded('a')])).subprotocols, ['a'])
    t.strictSame(readHandshake(requestWith(['Sec-WebSocket-Extensions', padded('a')])).extensions, [{ name: 'a', params: [] }])
    t.equal(readHandshake(requestWith(['Origin', 'a'.repeat(MAX_FIELD_LENGTH)])).origin?.length, MAX_FIELD_LENGTH)
  })

  t.test('never quotes the peer in a message', async t => {
    for (const name of ['Host', 'Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions']) {
      try {
        readHandshake(requestWhere(name, '@PEER@'))
        t.fail(`${name} was accepted`)
      } catch (error) {
        t.notMatch(`${(error as HandshakeError).message}${JSON.stringify((error as HandshakeError).headers)}`, /PEER/, name)
      }
    }
  })
})

t.test('computeAccept', async t => {
  t.test('gives the value of the example of RFC 6455 §1.3', async t => {
    t.equal(computeAccept(KEY), ACCEPT)
  })
})

t.test('acceptHandshake', async t => {
  const handshake: OpeningHandshake = { key: KEY, subprotocols: ['chat', 'superchat', '__proto__'], extensions: [], origin: undefined }
  const fields = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': ACCEPT }

  t.test('§4.2.2, 5: gives the fields of the 101', async t => {
    t.strictSame(acceptHandshake(handshake), fields)
    t.strictSame(acceptHandshake(handshake, {}), fields)
  })

  t.test('§4.2.2, 5: adds subprotocol and extensions when they are agreed on', async t => {
    t.strictSame(acceptHandshake(handshake, { subprotocol: 'superchat' }), { ...fields, 'sec-websocket-protocol': 'superchat' })
    t.strictSame(acceptHandshake(handshake, { extensions: 'a; b' }), { ...fields, 'sec-websocket-extensions': 'a; b' })
    t.strictSame(acceptHandshake(handshake, { subprotocol: '__proto__', extensions: 'a' }), {
      ...fields, 'sec-websocket-protocol': '__proto__', 'sec-websocket-extensions': 'a'
    })
  })

  t.test('§4.2.2, 4: sends no empty field', async t => {
    t.strictSame(acceptHandshake(handshake, { subprotocol: '', extensions: '' }), fields)
    t.strictSame(acceptHandshake(handshake, { subprotocol: undefined, extensions: undefined }), fields)
  })

  t.test('§4.2.2, 4: throws for a subprotocol that was not offered', async t => {
    for (const subprotocol of ['other', 'Chat', 'chat, superchat', 'chat\r\nset-cookie: a=b', 'constructor']) {
      t.throws(() => acceptHandshake(handshake, { subprotocol }), TypeError, subprotocol)
    }
  })

  t.test('writes nothing of the peer\'s into the answer', async t => {
    const peer = readHandshake(requestWith(
      ['Origin', 'http://PEER.example'],
      ['Sec-WebSocket-Protocol', 'PEER'],
      ['Sec-WebSocket-Extensions', 'PEER; PEER']
    ))
    t.strictSame(acceptHandshake(peer), fields)
  })
})

t.test('an upgrade request to a plain route is held to what node:http leaves unchecked, and to nothing else', async (t) => {
  const refusesPlain = (request: HandshakeRequest, statusCode: number, message: RegExp): void => {
    t.throws(() => checkPlainUpgrade(request), { name: 'HandshakeError', statusCode, message })
  }
  t.doesNotThrow(() => checkPlainUpgrade(requestOf([['Host', 'localhost'], ['Upgrade', 'h2c']], { method: 'POST' })))
  refusesPlain(requestWithout('Host'), 400, /Host/)
  refusesPlain(requestWhere('Host', 'a', 'a'), 400, /Host/)
  refusesPlain(requestWith(['Content-Length', '5']), 400, /body/)
  refusesPlain(requestWith(['Transfer-Encoding', 'chunked']), 400, /body/)
  refusesPlain(requestWith(...Array.from({ length: 1000 }, (_, i): Field => [`X-${i}`, ''])), 431, /fields/)
})
