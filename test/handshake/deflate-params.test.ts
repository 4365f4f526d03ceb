import t, { type Test } from 'tap'
import fc from 'fast-check'
import { createHandshake, verifyHandshake } from '../../lib/handshake/client-handshake.ts'
import { negotiateDeflate, offerDeflate, readDeflateAnswer, type DeflateWishes } from '../../lib/handshake/deflate-params.ts'
import { parseExtensionList } from '../../lib/handshake/header-grammar.ts'
import { acceptHandshake, readHandshake } from '../../lib/handshake/server-handshake.ts'
import { HandshakeError } from '../../lib/protocol/errors.ts'

/** What a server wants if nothing is said, and the same with takeover. */
const DEFAULT: DeflateWishes = { contextTakeover: false, serverMaxWindowBits: 12 }
const TAKEOVER: DeflateWishes = { contextTakeover: true, serverMaxWindowBits: 12 }
const LARGEST: DeflateWishes = { contextTakeover: true, serverMaxWindowBits: 15 }
const ALL_WISHES: readonly DeflateWishes[] = [true, false].flatMap((contextTakeover) =>
  [9, 10, 11, 12, 13, 14, 15].map((serverMaxWindowBits) => ({ contextTakeover, serverMaxWindowBits })))

/** The answer to this field of a request; undefined: every offer is declined. */
function answerTo (offers: string, wishes: DeflateWishes = DEFAULT): string | undefined {
  return negotiateDeflate(parseExtensionList(offers)!, wishes)?.answer
}

/** The offer is declined, alone and before another: that one is taken as if it stood alone. */
function declines (t: Test, offer: string): void {
  for (const wishes of [DEFAULT, TAKEOVER, LARGEST]) {
    t.equal(answerTo(offer, wishes), undefined, offer)
    t.equal(answerTo(`${offer}, permessage-deflate; server_max_window_bits=9`, wishes), answerTo('permessage-deflate; server_max_window_bits=9', wishes), offer)
  }
}

function refuses (t: Test, answer: string, message: RegExp, wishes: Pick<DeflateWishes, 'contextTakeover'>): void {
  try {
    readDeflateAnswer(answer, wishes)
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error
    t.equal(error.statusCode, 101, answer)
    t.match(error.message, message, answer)
    t.notMatch(error.message, /PEER/, answer)
    return
  }
  t.fail(`accepted ${JSON.stringify(answer)}`)
}

/** Texts that are not one of 8 to 15, though many of them are such a number. */
const NO_WINDOW_BITS = [
  '0', '1', '7', '16', '17', '20', '80', '99', '100', '150', '08', '09', '010', '0010', '015', '1e1', '1E1', '0xa', '0xA', '0b1010', '0o12',
  '10.0', '9.5', '9.', '.9', '+9', '+10', '-8', '-9', '10n', '1_0', 'a', '9a', 'true', 'NaN', 'Infinity', 'undefined', '99999999999999999999', '__proto__', 'constructor', 'length'
]

/** The name of the extension, with the parameters whose short forms are S, C, s and c. */
function spelled (params: string): string {
  const names: Record<string, string> = { S: 'server_no_context_takeover', C: 'client_no_context_takeover', s: 'server_max_window_bits', c: 'client_max_window_bits' }
  const spelledOut = params.split('; ').filter((param) => param !== '').map((param) => names[param.charAt(0)] + param.slice(1))
  return ['permessage-deflate', ...spelledOut].join('; ')
}

function valuesOf (params: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(params.map((param) => param.split('=') as [string, string | undefined]))
}

function hasNoNameTwice (params: readonly string[]): boolean {
  return new Set(params.map((param) => param.split('=')[0])).size === params.length
}

/** RFC 7692 §7 for offers, once more; and no server_max_window_bits=8. */
function canBeMet ({ name, params }: { name: string, params: readonly string[] }): boolean {
  const allowed = /^(server_no_context_takeover|client_no_context_takeover|server_max_window_bits=(9|1[0-5])|client_max_window_bits(=([89]|1[0-5]))?)$/
  return name === 'permessage-deflate' && hasNoNameTwice(params) && params.every((param) => allowed.test(param))
}

/** §7 for answers, and what §7.1 says of an answer to this offer. */
function isLegal (given: readonly string[], offer: Record<string, string | undefined>): boolean {
  const allowed = /^(server_no_context_takeover|client_no_context_takeover|(server|client)_max_window_bits=([89]|1[0-5]))$/
  const answer = valuesOf(given)
  // An offer without a number allows every one; no answer holds more than 15.
  const isWithin = (name: string): boolean => Number(answer[name] ?? 0) <= Number(offer[name] ?? 15)
  return hasNoNameTwice(given) && given.every((param) => allowed.test(param)) &&
    // §7.1.1.1
    (!('server_no_context_takeover' in offer) || 'server_no_context_takeover' in answer) &&
    // §7.1.2.1
    (!('server_max_window_bits' in offer) || 'server_max_window_bits' in answer) && isWithin('server_max_window_bits') &&
    // §7.1.2.2
    (!('client_max_window_bits' in answer) || 'client_max_window_bits' in offer) && isWithin('client_max_window_bits')
}

t.test('negotiateDeflate', async t => {
  t.test('§7.1: answers what will really be used', async t => {
    const table: Array<[offer: string, byDefault: string, withTakeover: string, largest: string]> = [
      ['', 'S; C; s=12', 's=12', ''],
      // Chromium, ws and undici; with takeover the server must remember no more of a client than of itself.
      ['c', 'S; C; s=12', 's=12; c=12', ''],
      ['c=15', 'S; C; s=12', 's=12; c=12', ''],
      ['c=13', 'S; C; s=12', 's=12; c=12', 'c=13'],
      ['c=12', 'S; C; s=12', 's=12; c=12', 'c=12'],
      ['c=9', 'S; C; s=12', 's=12; c=9', 'c=9'],
      // The server only inflates what is compressed so.
      ['c=8', 'S; C; s=12', 's=12; c=8', 'c=8'],
      ['s=15', 'S; C; s=12', 's=12', 's=15'],
      ['s=13', 'S; C; s=12', 's=12', 's=13'],
      ['s=12', 'S; C; s=12', 's=12', 's=12'],
      ['s=11', 'S; C; s=11', 's=11', 's=11'],
      ['s=9', 'S; C; s=9', 's=9', 's=9'],
      ['S', 'S; C; s=12', 'S; s=12', 'S'],
      ['C', 'S; C; s=12', 'C; s=12', 'C'],
      ['S; C', 'S; C; s=12', 'S; C; s=12', 'S; C'],
      // Whoever has nothing to be remembered need not be limited.
      ['C; c', 'S; C; s=12', 'C; s=12', 'C'],
      ['C; c=10', 'S; C; s=12', 'C; s=12', 'C'],
      ['S; c', 'S; C; s=12', 'S; s=12; c=12', 'S'],
      ['c=9; s=10; C; S', 'S; C; s=10', 'S; C; s=10', 'S; C; s=10'],
      ['s=10; c=9', 'S; C; s=10', 's=10; c=9', 's=10; c=9']
    ]
    for (const [offer, ...answers] of table) {
      t.strictSame([DEFAULT, TAKEOVER, LARGEST].map((wishes) => answerTo(spelled(offer), wishes)), answers.map(spelled), offer)
    }
  })

  t.test('§7.1.2.1: never promises more than was asked for, and says what was asked for even where it changes nothing', async t => {
    for (const { contextTakeover, serverMaxWindowBits } of ALL_WISHES) {
      const flags = contextTakeover ? '' : 'S; C; '
      const own = serverMaxWindowBits === 15 ? '' : `s=${serverMaxWindowBits}`
      t.equal(answerTo('permessage-deflate', { contextTakeover, serverMaxWindowBits }), spelled(flags + own), `${serverMaxWindowBits}`)
      for (let asked = 9; asked <= 15; asked++) {
        const answer = spelled(`${flags}s=${Math.min(asked, serverMaxWindowBits)}`)
        t.equal(answerTo(`permessage-deflate; server_max_window_bits=${asked}`, { contextTakeover, serverMaxWindowBits }), answer)
      }
    }
  })

  t.test('gives both ends what the answer says', async t => {
    t.strictSame(negotiateDeflate([{ name: 'permessage-deflate', params: [['client_max_window_bits', '9']] }], TAKEOVER), {
      params: { serverNoContextTakeover: false, clientNoContextTakeover: false, serverMaxWindowBits: 12, clientMaxWindowBits: 9 },
      answer: 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=9'
    })
    t.strictSame(negotiateDeflate([{ name: 'permessage-deflate', params: [['client_max_window_bits', '9']] }], DEFAULT)?.params, {
      serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 12, clientMaxWindowBits: 15
    })
  })

  t.test('takes values in quotes, and whitespace, as the grammar does', async t => {
    t.equal(answerTo('permessage-deflate ;\tserver_max_window_bits = "10" ; client_max_window_bits="\\1\\0"', TAKEOVER), spelled('s=10; c=10'))
    declines(t, 'permessage-deflate; server_max_window_bits="010"')
    declines(t, 'permessage-deflate; client_max_window_bits="16"')
  })

  t.test('§5: takes the first offer that can be met, and passes over all others', async t => {
    t.equal(answerTo('permessage-deflate; server_max_window_bits=10, permessage-deflate'), spelled('S; C; s=10'))
    t.equal(answerTo('permessage-deflate, permessage-deflate; server_max_window_bits=10'), spelled('S; C; s=12'))
    t.equal(answerTo('x-webkit-deflate-frame, mux; max-channels=4, permessage-deflate; server_max_window_bits=11'), spelled('S; C; s=11'))
    t.equal(answerTo('permessage-deflate; x, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9, permessage-deflate'), spelled('S; C; s=9'))
    t.equal(answerTo('permessage-deflate; server_max_window_bits=9, permessage-deflate; x, a'), spelled('S; C; s=9'))
  })

  t.test('declines where nothing is offered', async t => {
    t.equal(negotiateDeflate([], DEFAULT), undefined)
  })

  t.test('passes over every other extension, and other spellings of this one', async t => {
    const names = [
      'x-webkit-deflate-frame', 'deflate-frame', 'perframe-deflate', 'permessage-bzip2', 'permessage-deflates', 'permessage_deflate', 'permessage',
      'Permessage-Deflate', 'PERMESSAGE-DEFLATE', '__proto__', 'constructor', 'a'
    ]
    for (const name of names) {
      declines(t, name)
      declines(t, `${name}; client_max_window_bits`)
    }
  })

  t.test('§7: declines an offer with a parameter that is unknown, even if it has others', async t => {
    const names = [
      'x', 'max_window_bits', 'no_context_takeover', 'server_max_window_bit', 'server-max-window-bits', 'c2s_max_window_bits', 's2c_no_context_takeover', 'mem_level',
      'Server_No_Context_Takeover', 'CLIENT_MAX_WINDOW_BITS', 'permessage-deflate', '__proto__', 'constructor', 'toString', 'hasOwnProperty'
    ]
    for (const name of names) {
      for (const param of [name, `${name}=10`, `${name}=true`]) {
        declines(t, `permessage-deflate; ${param}`)
        declines(t, `permessage-deflate; client_max_window_bits; ${param}`)
        declines(t, `permessage-deflate; ${param}; server_no_context_takeover`)
      }
    }
  })

  t.test('§7: declines an offer with a parameter twice, even if both say the same', async t => {
    const table: Record<string, readonly string[]> = {
      server_no_context_takeover: [''],
      client_no_context_takeover: [''],
      server_max_window_bits: ['=10', '=12'],
      client_max_window_bits: ['', '=10', '=12']
    }
    for (const [name, values] of Object.entries(table)) {
      for (const first of values) {
        for (const second of values) {
          declines(t, `permessage-deflate; ${name}${first}; ${name}${second}`)
          declines(t, `permessage-deflate; ${name}${first}; x; ${name}${second}`)
        }
      }
    }
    declines(t, 'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_no_context_takeover')
  })

  t.test('§7.1.1: declines a value where none belongs', async t => {
    for (const value of ['true', 'false', '1', '0', '10', '"true"', 'server_no_context_takeover']) {
      declines(t, `permessage-deflate; server_no_context_takeover=${value}`)
      declines(t, `permessage-deflate; client_no_context_takeover=${value}`)
    }
  })

  t.test('§7.1.2: declines a window that is none', async t => {
    for (const value of NO_WINDOW_BITS) {
      declines(t, `permessage-deflate; server_max_window_bits=${value}`)
      declines(t, `permessage-deflate; client_max_window_bits=${value}`)
      declines(t, `permessage-deflate; server_max_window_bits=10; client_max_window_bits=${value}`)
    }
  })

  t.test('§7.1.2.1: declines server_max_window_bits without a value, and 8, which zlib cannot keep to', async t => {
    declines(t, 'permessage-deflate; server_max_window_bits')
    declines(t, 'permessage-deflate; server_max_window_bits=8')
    declines(t, 'permessage-deflate; server_max_window_bits="8"; client_max_window_bits=8')
  })
})

t.test('offerDeflate', async t => {
  t.test('offers a smaller window, and no takeover unless it is wanted', async t => {
    t.equal(offerDeflate({ contextTakeover: true }), 'permessage-deflate; client_max_window_bits')
    t.equal(offerDeflate({ contextTakeover: false }), 'permessage-deflate; client_max_window_bits; server_no_context_takeover; client_no_context_takeover')
  })

  t.test('is taken by every server of this package, and both ends understand the same', async t => {
    for (const wishes of ALL_WISHES) {
      for (const contextTakeover of [true, false]) {
        const agreed = negotiateDeflate(parseExtensionList(offerDeflate({ contextTakeover }))!, wishes)
        t.ok(agreed)
        t.strictSame(readDeflateAnswer(agreed!.answer, { contextTakeover }), agreed!.params, `${contextTakeover}, ${JSON.stringify(wishes)}`)
      }
    }
  })

  t.test('goes through both handshakes', async t => {
    const client = createHandshake({ extensions: offerDeflate(DEFAULT) })
    const headers = { host: 'localhost', ...client.headers }
    const server = readHandshake({ method: 'GET', httpVersion: '1.1', headers, rawHeaders: Object.entries(headers).flat() })
    const agreed = negotiateDeflate(server.extensions, DEFAULT)
    for (const { answer, params } of [agreed!, { answer: undefined, params: undefined }]) {
      const fields = acceptHandshake(server, { extensions: answer })
      const { extensions } = verifyHandshake(client, { statusCode: 101, headers: fields, rawHeaders: Object.entries(fields).flat() })
      t.equal(extensions, answer ?? '')
      t.strictSame(readDeflateAnswer(extensions, DEFAULT), params)
    }
  })
})

t.test('readDeflateAnswer', async t => {
  const BOTH: ReadonlyArray<Pick<DeflateWishes, 'contextTakeover'>> = [DEFAULT, TAKEOVER]

  t.test('is undefined where the server declined', async t => {
    for (const wishes of BOTH) t.equal(readDeflateAnswer('', wishes), undefined)
  })

  t.test('§7.1: reads what the server may choose', async t => {
    const table: Array<[answer: string, serverNoTakeover: boolean, clientNoTakeover: boolean, serverBits: number, clientBits: number]> = [
      ['', false, false, 15, 15],
      ['S', true, false, 15, 15],
      ['C', false, true, 15, 15],
      ['S; C', true, true, 15, 15],
      ['C; S; s=15; c=15', true, true, 15, 15],
      ['s=8', false, false, 8, 15],
      ['s=9', false, false, 9, 15],
      ['c=9', false, false, 15, 9],
      ['c="10"; s="\\1\\1"', false, false, 11, 10],
      ['c=14; S; s=13', true, false, 13, 14]
    ]
    for (const [answer, serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits] of table) {
      const params = { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits }
      t.strictSame(readDeflateAnswer(spelled(answer), TAKEOVER), params, answer)
      // §7.1.1.2: that the client does not take over was promised in the offer.
      if (serverNoContextTakeover) t.strictSame(readDeflateAnswer(spelled(answer), DEFAULT), { ...params, clientNoContextTakeover: true }, answer)
    }
  })

  t.test('§7.1.1.1: fails without server_no_context_takeover, if the offer asks for it', async t => {
    for (const answer of ['', 'C', 's=9', 'C; c=9; s=9']) {
      refuses(t, spelled(answer), /without server_no_context_takeover/, DEFAULT)
      t.ok(readDeflateAnswer(spelled(answer), TAKEOVER))
    }
  })

  t.test('fails for another extension, for two, and for what is no list', async t => {
    const good = 'permessage-deflate; server_no_context_takeover'
    const answers = [
      'PEER', 'permessage-deflates', 'Permessage-Deflate; server_no_context_takeover', 'x-webkit-deflate-frame', 'server_no_context_takeover', '__proto__',
      `${good}, ${good}`, `${good}, permessage-deflate`, `${good}, PEER`, `PEER, ${good}`, `${good}, permessage-deflate; PEER`,
      ' ', ',', ';', `${good};`, `${good}; PEER=`, 'permessage-deflate server_no_context_takeover', 'permessage-deflate=1', `${good}; PEER="a b"`
    ]
    for (const answer of answers) {
      for (const wishes of BOTH) refuses(t, answer, /the only extension/, wishes)
    }
  })

  t.test('takes empty elements around the extension for nothing', async t => {
    t.ok(readDeflateAnswer(', permessage-deflate; server_no_context_takeover ,', DEFAULT))
  })

  t.test('§7: fails for a parameter that is unknown, repeated, or has a value that is wrong', async t => {
    const bad = [
      'PEER', 'PEER=10', 'Server_max_window_bits=10', '__proto__', 'constructor=1', 'toString',
      'server_no_context_takeover; server_no_context_takeover', 'client_no_context_takeover; client_no_context_takeover',
      'server_max_window_bits=10; server_max_window_bits=10', 'client_max_window_bits=10; client_max_window_bits=11',
      'server_no_context_takeover=true', 'client_no_context_takeover=1', 'server_no_context_takeover="1"',
      // §7.1.2.2: here it has a value, and 8 is one that zlib cannot keep to.
      'server_max_window_bits', 'client_max_window_bits', 'client_max_window_bits=8', 'client_max_window_bits="8"',
      ...NO_WINDOW_BITS.flatMap((bits) => [`server_max_window_bits=${bits}`, `client_max_window_bits=${bits}`])
    ]
    for (const params of bad) {
      for (const wishes of BOTH) {
        refuses(t, `permessage-deflate; ${params}`, /cannot be kept to/, wishes)
        refuses(t, `permessage-deflate; ${params}; client_max_window_bits=9`, /cannot be kept to/, wishes)
      }
    }
    for (const wishes of BOTH) refuses(t, 'permessage-deflate; server_no_context_takeover; server_max_window_bits=10; PEER', /cannot be kept to/, wishes)
  })
})

t.test('whatever is offered', async t => {
  const name = fc.oneof({ weight: 5, arbitrary: fc.constant('permessage-deflate') }, fc.constantFrom('Permessage-deflate', 'x-webkit-deflate-frame', '__proto__'))
  const param = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('server_no_context_takeover', 'client_no_context_takeover', 'client_max_window_bits') },
    { weight: 3, arbitrary: fc.tuple(fc.constantFrom('server_max_window_bits', 'client_max_window_bits'), fc.integer({ min: 7, max: 16 })).map(([name, bits]) => `${name}=${bits}`) },
    { weight: 1, arbitrary: fc.constantFrom('x', 'server_max_window_bits', 'server_no_context_takeover=1', 'client_no_context_takeover=10', 'constructor=9', ...NO_WINDOW_BITS.map((bits) => `client_max_window_bits=${bits}`)) }
  )
  const offer = fc.tuple(name, fc.array(param, { maxLength: 4 })).map(([name, params]) => ({ name, params }))
  const wishes = fc.constantFrom(...ALL_WISHES)

  t.test('§7.1: the answer is one that the client which offered it must take, to the first offer that can be met', async t => {
    let answered = 0
    fc.assert(fc.property(fc.array(offer, { maxLength: 5 }), wishes, fc.boolean(), (offers, wishes, quoted) => {
      const field = offers.map(({ name, params }) => [name, ...params].join('; ')).join(', ')
      const agreed = negotiateDeflate(parseExtensionList(quoted ? field.replace(/=([^;,]+)/g, '="$1"') : field)!, wishes)
      const first = offers.find(canBeMet)
      if (first === undefined || agreed === undefined) return first === agreed
      answered++

      const [name, ...given] = agreed.answer.split('; ')
      const answer = valuesOf(given)
      const said = {
        serverNoContextTakeover: 'server_no_context_takeover' in answer,
        clientNoContextTakeover: 'client_no_context_takeover' in answer,
        serverMaxWindowBits: Number(answer.server_max_window_bits ?? 15),
        clientMaxWindowBits: Number(answer.client_max_window_bits ?? 15)
      }
      return name === 'permessage-deflate' && isLegal(given, valuesOf(first.params)) &&
        JSON.stringify(agreed.params) === JSON.stringify(said) &&
        said.serverMaxWindowBits >= 9 && said.serverMaxWindowBits <= wishes.serverMaxWindowBits &&
        (wishes.contextTakeover || (said.serverNoContextTakeover && said.clientNoContextTakeover))
    }), { numRuns: 3000 })
    t.ok(answered > 1000, `${answered} answers`)
  })

  t.test('and whatever is answered, a client takes it or fails with a HandshakeError', async () => {
    const text = fc.oneof(fc.string({ maxLength: 60 }), fc.array(offer, { minLength: 1, maxLength: 2 }).map((offers) => offers.map(({ name, params }) => [name, ...params].join('; ')).join(', ')))
    fc.assert(fc.property(text, wishes, (answer, wishes) => {
      try {
        const params = readDeflateAnswer(answer, wishes)
        if (params === undefined) return answer === ''
        return (params.serverNoContextTakeover || wishes.contextTakeover) && params.serverMaxWindowBits >= 8 && params.serverMaxWindowBits <= 15 &&
          params.clientMaxWindowBits >= 9 && params.clientMaxWindowBits <= 15
      } catch (error) {
        return error instanceof HandshakeError && error.statusCode === 101
      }
    }), { numRuns: 3000 })
  })
})
