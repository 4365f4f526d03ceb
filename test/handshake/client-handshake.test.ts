import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import {
  createHandshake, verifyHandshake, type ClientHandshake, type HandshakeResponse
} from '../../lib/handshake/client-handshake.ts'
import { MAX_FIELD_LENGTH } from '../../lib/handshake/header-grammar.ts'
import { acceptHandshake, computeAccept, readHandshake } from '../../lib/handshake/server-handshake.ts'
import { HandshakeError } from '../../lib/protocol/errors.ts'

/** An IncomingMessage must fit without a cast. */
export const fits: (message: IncomingMessage) => HandshakeResponse = (message) => message

type Field = readonly [name: string, value: string]

const OFFER = createHandshake({ subprotocols: ['chat', 'superchat', '__proto__'], extensions: 'foo; a=1, bar, __proto__' })
const NO_OFFER = createHandshake()

function responseOf (fields: readonly Field[], statusCode: number | undefined = 101): HandshakeResponse {
  const headers: Record<string, string> = {}
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`
  }
  return { statusCode, headers, rawHeaders: fields.flat() }
}

function fieldsFor (request: ClientHandshake): Field[] {
  return [['Upgrade', 'websocket'], ['Connection', 'Upgrade'], ['Sec-WebSocket-Accept', computeAccept(request.key)]]
}

/** A good answer with these fields besides. */
function responseWith (request: ClientHandshake, ...fields: Field[]): HandshakeResponse {
  return responseOf([...fieldsFor(request), ...fields])
}

/** A good answer in which the values of a field are these; none: the field is missing. */
function responseWhere (name: string, ...values: string[]): HandshakeResponse {
  return responseOf([...fieldsFor(OFFER).filter((field) => field[0] !== name), ...values.map((value): Field => [name, value])])
}

function refuses (t: Test, request: ClientHandshake, response: HandshakeResponse, message: RegExp, statusCode = 101): void {
  try {
    verifyHandshake(request, response)
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error
    t.equal(error.statusCode, statusCode)
    t.match(error.message, message)
    return
  }
  t.fail(`accepted, though ${message} was expected`)
}

t.test('createHandshake', async t => {
  t.test('§4.1: gives the fields that every request has', async t => {
    const { key, headers, subprotocols, extensions } = createHandshake()
    t.strictSame(headers, { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-key': key, 'sec-websocket-version': '13' })
    t.strictSame(subprotocols, [])
    t.strictSame(extensions, [])
  })

  t.test('§4.1, 7: makes a new key of 16 bytes for each connection', async t => {
    const keys = new Set(Array.from({ length: 100 }, () => createHandshake().key))
    t.equal(keys.size, 100)
    for (const key of keys) {
      t.equal(Buffer.from(key, 'base64').length, 16)
      t.equal(Buffer.from(key, 'base64').toString('base64'), key)
    }
  })

  t.test('adds what is asked for', async t => {
    const { headers, subprotocols, extensions } = createHandshake({
      subprotocols: ['b', 'a'], extensions: 'foo; a="1", bar', origin: 'http://example.com:8080'
    })
    t.equal(headers['sec-websocket-protocol'], 'b, a')
    t.equal(headers['sec-websocket-extensions'], 'foo; a="1", bar')
    t.equal(headers.origin, 'http://example.com:8080')
    t.strictSame(subprotocols, ['b', 'a'])
    t.strictSame(extensions, [{ name: 'foo', params: [['a', '1']] }, { name: 'bar', params: [] }])
  })

  t.test('sends no field for nothing', async t => {
    const names = Object.keys(createHandshake().headers)
    t.strictSame(Object.keys(createHandshake({ subprotocols: [], extensions: '', origin: '' }).headers), names)
    t.strictSame(Object.keys(createHandshake({ subprotocols: undefined, extensions: undefined, origin: undefined }).headers), names)
  })

  t.test('keeps its own list of subprotocols', async t => {
    const subprotocols = ['a']
    const request = createHandshake({ subprotocols })
    subprotocols.push('b')
    t.strictSame(request.subprotocols, ['a'])
  })

  t.test('§4.1, 10: throws for subprotocols that are no tokens or not unique', async t => {
    for (const name of ['', 'a b', 'a,b', 'a/b', 'caf\u00e9', 'a\r\nb: c']) {
      t.throws(() => createHandshake({ subprotocols: ['ok', name] }), { name: 'TypeError', message: /token/ }, name)
    }
    t.throws(() => createHandshake({ subprotocols: ['a', 'b', 'a'] }), { name: 'TypeError', message: /twice/ })
    t.strictSame(createHandshake({ subprotocols: ['a', 'A', '__proto__'] }).subprotocols, ['a', 'A', '__proto__'])
  })

  t.test('§4.1, 11: throws for malformed extensions', async t => {
    for (const extensions of [',', ' ', 'a;', 'a b', 'a; b="c d"', 'a\r\nb: c', 'a; b=\n']) {
      t.throws(() => createHandshake({ extensions }), { name: 'TypeError', message: /extensions/ }, JSON.stringify(extensions))
    }
  })

  t.test('§4.1, 8: throws for an origin that is not visible ASCII', async t => {
    for (const origin of ['a\r\nb: c', 'http://a b', ' ', 'http://\u00e9', 'a\u007f', '\u{1F600}', 'a\u0000']) {
      t.throws(() => createHandshake({ origin }), { name: 'TypeError', message: /origin/ }, JSON.stringify(origin))
    }
    for (const origin of ['null', '!~']) t.equal(createHandshake({ origin }).headers.origin, origin)
  })

  t.test('makes what the server reads', async t => {
    const { key, headers } = createHandshake({ subprotocols: ['b', 'a'], extensions: 'foo; a=1', origin: 'http://example.com' })
    const all = { host: 'example.com', ...headers }
    t.strictSame(readHandshake({ method: 'GET', httpVersion: '1.1', headers: all, rawHeaders: Object.entries(all).flat() }), {
      key, subprotocols: ['b', 'a'], extensions: [{ name: 'foo', params: [['a', '1']] }], origin: 'http://example.com'
    })
  })
})

t.test('verifyHandshake', async t => {
  t.test('takes an answer without subprotocol and extensions, and leaves it to the caller', async t => {
    t.strictSame(verifyHandshake(NO_OFFER, responseWith(NO_OFFER)), { subprotocol: '', extensions: '' })
    t.strictSame(verifyHandshake(OFFER, responseWith(OFFER)), { subprotocol: '', extensions: '' })
  })

  t.test('takes what the server makes', async t => {
    const headers = acceptHandshake({ ...OFFER, origin: undefined }, { subprotocol: 'superchat', extensions: 'foo; a=1' })
    const response = { statusCode: 101, headers, rawHeaders: Object.entries(headers).flat() }
    t.strictSame(verifyHandshake(OFFER, response), { subprotocol: 'superchat', extensions: 'foo; a=1' })
  })

  t.test('§4.1, 1: refuses every status but 101, and hands it on', async t => {
    for (const statusCode of [100, 102, 200, 301, 401, 426, 503]) {
      refuses(t, OFFER, responseOf(fieldsFor(OFFER), statusCode), /refused/, statusCode)
    }
    refuses(t, OFFER, { headers: {}, rawHeaders: [] }, /refused/, 0)
  })

  t.test('refuses an answer without fields', async t => {
    refuses(t, OFFER, responseOf([]), /Upgrade/)
  })

  t.test('§4.1, 2: refuses an Upgrade that is not websocket, and two', async t => {
    refuses(t, OFFER, responseWhere('Upgrade'), /Upgrade/)
    for (const value of ['', 'h2c', 'websockets', 'websocket, h2c', 'websocket/13']) refuses(t, OFFER, responseWhere('Upgrade', value), /Upgrade/)
    refuses(t, OFFER, responseWhere('Upgrade', 'websocket', 'websocket'), /upgrade must not be sent more than once/)
    t.ok(verifyHandshake(OFFER, responseWhere('Upgrade', 'WebSocket')))
  })

  t.test('§4.1, 3: refuses a Connection that does not hold upgrade', async t => {
    refuses(t, OFFER, responseWhere('Connection'), /Connection/)
    for (const value of ['', 'keep-alive', 'upgraded', 'close']) refuses(t, OFFER, responseWhere('Connection', value), /Connection/)
    t.ok(verifyHandshake(OFFER, responseWhere('Connection', 'keep-alive, UPGRADE')))
    t.ok(verifyHandshake(OFFER, responseWhere('Connection', 'keep-alive', 'Upgrade')))
  })

  t.test('§4.1, 4: refuses a missing, wrong or repeated Sec-WebSocket-Accept', async t => {
    const accept = computeAccept(OFFER.key)
    refuses(t, OFFER, responseWhere('Sec-WebSocket-Accept'), /Accept/)
    for (const value of ['', accept.toLowerCase(), accept.slice(0, -1), `${accept}=`, OFFER.key, computeAccept(NO_OFFER.key), `${accept}, ${accept}`]) {
      refuses(t, OFFER, responseWhere('Sec-WebSocket-Accept', value), /Accept/)
    }
    refuses(t, OFFER, responseWhere('Sec-WebSocket-Accept', accept, accept), /sec-websocket-accept must not be sent more than once/)
  })

  t.test('§4.1, 4: ignores whitespace around Sec-WebSocket-Accept', async t => {
    t.ok(verifyHandshake(OFFER, responseWhere('Sec-WebSocket-Accept', ` \t${computeAccept(OFFER.key)}\t `)))
  })

  t.test('§4.1, 5: gives the extensions as they were written, if all were offered', async t => {
    for (const value of ['foo', 'bar; x=1', 'foo; a="1" , bar', '__proto__']) {
      t.equal(verifyHandshake(OFFER, responseWith(OFFER, ['Sec-WebSocket-Extensions', value])).extensions, value)
    }
  })

  t.test('§4.1, 5: refuses an extension that was not offered', async t => {
    for (const value of ['baz', 'foo, baz', 'baz, foo', 'Foo', 'constructor', 'a']) {
      refuses(t, OFFER, responseWith(OFFER, ['Sec-WebSocket-Extensions', value]), /not offered/)
    }
    for (const value of ['foo', '__proto__', 'toString']) {
      refuses(t, NO_OFFER, responseWith(NO_OFFER, ['Sec-WebSocket-Extensions', value]), /not offered/)
    }
  })

  t.test('§9.1: refuses extensions that are malformed or repeated', async t => {
    for (const value of ['', ',', 'foo;', 'foo bar', 'foo; a="']) {
      refuses(t, OFFER, responseWith(OFFER, ['Sec-WebSocket-Extensions', value]), /Extensions must be a list/)
    }
    refuses(t, OFFER, responseWith(OFFER, ['Sec-WebSocket-Extensions', 'foo'], ['sec-websocket-extensions', 'bar']), /sec-websocket-extensions must not be sent more than once/)
  })

  t.test('§4.1, 6: gives the subprotocol, if it was offered', async t => {
    for (const name of ['chat', 'superchat', '__proto__']) {
      t.equal(verifyHandshake(OFFER, responseWith(OFFER, ['Sec-WebSocket-Protocol', name])).subprotocol, name)
    }
  })

  t.test('§4.1, 6: refuses a subprotocol that was not offered, or more than one', async t => {
    for (const value of ['', 'other', 'Chat', 'chat, superchat', 'chat ', 'constructor']) {
      refuses(t, OFFER, responseWith(OFFER, ['Sec-WebSocket-Protocol', value]), /not offered/)
    }
    for (const value of ['chat', '', '__proto__']) {
      refuses(t, NO_OFFER, responseWith(NO_OFFER, ['Sec-WebSocket-Protocol', value]), /not offered/)
    }
    refuses(t, OFFER, responseWith(OFFER, ['Sec-WebSocket-Protocol', 'chat'], ['Sec-WebSocket-Protocol', 'chat']), /sec-websocket-protocol must not be sent more than once/)
  })

  t.test('refuses a value of more than 4 KiB, and takes one of 4 KiB', async t => {
    for (const name of ['Upgrade', 'Connection', 'Sec-WebSocket-Accept', 'Sec-WebSocket-Extensions', 'Sec-WebSocket-Protocol']) {
      for (const part of ['a', ' ', ',', '"', '\\']) {
        refuses(t, OFFER, responseWhere(name, part.repeat(MAX_FIELD_LENGTH + 1)), new RegExp(`${name.toLowerCase()} must not be longer than 4096`))
      }
    }
    t.ok(verifyHandshake(OFFER, responseWhere('Connection', 'upgrade'.padEnd(MAX_FIELD_LENGTH, ' ,'))))
  })

  t.test('never quotes the peer in a message', async t => {
    for (const name of ['Upgrade', 'Connection', 'Sec-WebSocket-Accept', 'Sec-WebSocket-Extensions', 'Sec-WebSocket-Protocol']) {
      try {
        verifyHandshake(OFFER, responseWhere(name, 'PEER'))
        t.fail(`${name} was accepted`)
      } catch (error) {
        t.notMatch((error as HandshakeError).message, /PEER/, name)
      }
    }
  })
})
