import t from 'tap'
import {
  MAX_FIELD_LENGTH, fieldValues, hasToken, isHost, isToken, listField, parseExtensionList, parseTokenList
} from '../../lib/handshake/header-grammar.ts'

/** RFC 9110 §5.6.2, spelled out once more: the tests must not read the table that they check. */
const TOKEN_MARKS = "!#$%&'*+-.^_`|~"
const HOST_MARKS = "-._~!$&'()*+,;="
const OCTETS = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))

function isAlphanumeric (character: string): boolean {
  return /^[0-9A-Za-z]$/.test(character)
}

t.test('isToken', async t => {
  t.test('takes exactly the octets of tchar', async t => {
    for (const octet of OCTETS) {
      t.equal(isToken(octet), isAlphanumeric(octet) || TOKEN_MARKS.includes(octet), JSON.stringify(octet))
    }
  })

  t.test('judges every character', async t => {
    t.equal(isToken('chat.v2'), true)
    t.equal(isToken(' chat'), false)
    t.equal(isToken('chat '), false)
    t.equal(isToken('ch at'), false)
    t.equal(isToken('ch/at'), false)
  })

  t.test('takes neither the empty text nor what is no octet', async t => {
    t.equal(isToken(''), false)
    t.equal(isToken('chat\u0141'), false)
    t.equal(isToken('\u{1F600}'), false)
  })

  t.test('takes names of Object.prototype like any other', async t => {
    t.equal(isToken('__proto__'), true)
    t.equal(isToken('constructor'), true)
  })
})

t.test('parseTokenList', async t => {
  t.test('gives the elements in order, in their own case', async t => {
    t.strictSame(parseTokenList('one'), ['one'])
    t.strictSame(parseTokenList('b,A,c'), ['b', 'A', 'c'])
    t.strictSame(parseTokenList('__proto__, constructor, toString'), ['__proto__', 'constructor', 'toString'])
    t.strictSame(parseTokenList('a, a'), ['a', 'a'])
  })

  t.test('ignores spaces and tabs around elements', async t => {
    t.strictSame(parseTokenList(' \t a \t , \tb\t'), ['a', 'b'])
  })

  t.test('ignores empty elements', async t => {
    t.strictSame(parseTokenList(',a,, ,\t,b,'), ['a', 'b'])
    t.strictSame(parseTokenList(''), [])
    t.strictSame(parseTokenList(' , ,'), [])
  })

  t.test('is null for an element that is no token', async t => {
    for (const value of ['a b', 'a/b', 'a;b', 'a=b', '"a"', 'a,b c', 'a,(b)', 'a, \u00e9', 'a\r\nb', 'a\u00a0', 'a\u000b,b']) {
      t.equal(parseTokenList(value), null, JSON.stringify(value))
    }
  })
})

t.test('hasToken', async t => {
  t.test('finds a whole element, wherever it stands', async t => {
    t.equal(hasToken('upgrade', 'upgrade'), true)
    t.equal(hasToken('keep-alive, upgrade', 'upgrade'), true)
    t.equal(hasToken('upgrade , keep-alive', 'upgrade'), true)
    t.equal(hasToken(',\tupgrade,', 'upgrade'), true)
    t.equal(hasToken('keep-alive', 'upgrade'), false)
    t.equal(hasToken('upgrades', 'upgrade'), false)
    t.equal(hasToken('an-upgrade', 'upgrade'), false)
    t.equal(hasToken('', 'upgrade'), false)
  })

  t.test('compares ASCII letters in any case, and nothing else', async t => {
    t.equal(hasToken('Keep-Alive, UPGRADE', 'upgrade'), true)
    t.equal(hasToken('WebSocKet', 'websocket'), true)
    // U+212A, the Kelvin sign, is a k in lower case.
    t.equal(hasToken('webSoc\u212aet', 'websocket'), false)
  })

  t.test('knows elements with a version, and takes them for other protocols', async t => {
    t.equal(hasToken('HTTP/2.0, websocket', 'websocket'), true)
    t.equal(hasToken('websocket, h2c/1', 'websocket'), true)
    t.equal(hasToken('websocket/13', 'websocket'), false)
  })

  t.test('finds nothing in a malformed list', async t => {
    for (const value of ['websocket, a b', 'websocket, a/', 'websocket, /a', 'websocket, a/b/c', 'a b, websocket', 'websocket, "a"', 'websocket;a', '/websocket']) {
      t.equal(hasToken(value, 'websocket'), false, value)
    }
  })
})

t.test('parseExtensionList', async t => {
  t.test('gives names and parameters in order, repeated ones too', async t => {
    t.strictSame(parseExtensionList('foo'), [{ name: 'foo', params: [] }])
    t.strictSame(parseExtensionList('foo; bar'), [{ name: 'foo', params: [['bar', true]] }])
    t.strictSame(parseExtensionList('foo;a=1;b;a="2", foo, bar;c=d'), [
      { name: 'foo', params: [['a', '1'], ['b', true], ['a', '2']] },
      { name: 'foo', params: [] },
      { name: 'bar', params: [['c', 'd']] }
    ])
  })

  t.test('reads the examples of RFC 6455 §9.1 and RFC 7692 §7.1', async t => {
    t.strictSame(parseExtensionList('mux; max-channels=4; flow-control, deflate-stream'), [
      { name: 'mux', params: [['max-channels', '4'], ['flow-control', true]] },
      { name: 'deflate-stream', params: [] }
    ])
    t.strictSame(parseExtensionList('permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate'), [
      { name: 'permessage-deflate', params: [['client_max_window_bits', true], ['server_max_window_bits', '10']] },
      { name: 'permessage-deflate', params: [] }
    ])
  })

  t.test('ignores spaces and tabs around every separator', async t => {
    t.strictSame(parseExtensionList('\tfoo ;\t a \t= 1 ; b\t=\t"2" , bar '), [
      { name: 'foo', params: [['a', '1'], ['b', '2']] },
      { name: 'bar', params: [] }
    ])
  })

  t.test('ignores empty elements', async t => {
    t.strictSame(parseExtensionList(', foo,, bar ,'), [{ name: 'foo', params: [] }, { name: 'bar', params: [] }])
    t.strictSame(parseExtensionList(''), [])
    t.strictSame(parseExtensionList(' ,'), [])
  })

  t.test('unescapes quoted values, which must then be tokens', async t => {
    t.strictSame(parseExtensionList('foo; a="token"'), [{ name: 'foo', params: [['a', 'token']] }])
    t.strictSame(parseExtensionList('foo; a="\\t\\o\\ken"'), [{ name: 'foo', params: [['a', 'token']] }])
    for (const value of ['""', '"a b"', '"a,b"', '"a;b"', '" a"', '"a\\ b"', '"a\\"b"', '"a\\\\b"', '"\u00e9"']) {
      t.equal(parseExtensionList(`foo; a=${value}`), null, value)
    }
  })

  t.test('is null for an unfinished quoted value', async t => {
    for (const value of ['"', '"a', '"a\\', '"a\\"', '"\\']) {
      t.equal(parseExtensionList(`foo; a=${value}`), null, value)
    }
  })

  t.test('is null where a name or a value is missing', async t => {
    for (const value of [';', 'foo;', 'foo;;a', 'foo; ,bar', ';a', '=a', 'foo;=1', 'foo;a=', 'foo;a=,bar', 'foo;a=;b', 'foo;a==1']) {
      t.equal(parseExtensionList(value), null, value)
    }
  })

  t.test('is null where something follows that is no separator', async t => {
    for (const value of ['foo bar', 'foo=1', 'foo;a b', 'foo;a=1 2', 'foo;a="1"2', 'foo;a=1"2"', 'foo;a="1""2"', 'foo;"a"=1', '"foo"', 'foo/1', 'foo;a=1=2', 'foo\u00a0']) {
      t.equal(parseExtensionList(value), null, value)
    }
  })

  t.test('takes names of Object.prototype like any other', async t => {
    const offers = parseExtensionList('__proto__; constructor=toString; __proto__=x, hasOwnProperty')
    t.strictSame(offers?.map((offer) => [offer.name, ...offer.params]), [
      ['__proto__', ['constructor', 'toString'], ['__proto__', 'x']],
      ['hasOwnProperty']
    ])
    t.equal(Object.getPrototypeOf(offers?.[0]), Object.prototype)
  })
})

t.test('long hostile values', async t => {
  // 4 KiB of each behind each opening: a parser that backtracks would not come back.
  const hostile = [' ', '\t', ',', ', ', ';', ';=', '=', '"', '\\', '\\"', 'a ', 'a,', 'a;', 'a;b=', 'a;b="', '/', 'a/', '[', ':', '%', '%41', '\u00ff']
  const openings = ['', 'a', 'a;b=', 'a;b="', '[', 'host']

  t.test('come to an end in every parser', async t => {
    for (const opening of openings) {
      for (const part of hostile) {
        const value = (opening + part.repeat(MAX_FIELD_LENGTH)).slice(0, MAX_FIELD_LENGTH)
        const label = JSON.stringify(value.slice(0, 12))
        t.doesNotThrow(() => {
          parseTokenList(value)
          parseExtensionList(value)
          isHost(value)
        }, label)
        t.equal(hasToken(value, 'websocket'), false, label)
      }
    }
  })

  t.test('are judged like short ones', async t => {
    const half = MAX_FIELD_LENGTH / 2
    t.strictSame(parseTokenList(' '.repeat(MAX_FIELD_LENGTH)), [])
    t.strictSame(parseTokenList(','.repeat(MAX_FIELD_LENGTH)), [])
    t.equal(parseTokenList('a,'.repeat(half))?.length, half)
    t.strictSame(parseTokenList(`a${' '.repeat(MAX_FIELD_LENGTH)},b`), ['a', 'b'])
    t.equal(parseTokenList(`a${' '.repeat(MAX_FIELD_LENGTH)}b`), null)
    t.equal(parseExtensionList(`a;b="${'\\'.repeat(MAX_FIELD_LENGTH)}`), null)
    t.equal(parseExtensionList(`a;b="${'\\x'.repeat(half)}`), null)
    t.strictSame(parseExtensionList(`a;b="${'\\x'.repeat(half)}"`), [{ name: 'a', params: [['b', 'x'.repeat(half)]] }])
    t.equal(parseExtensionList('a;'.repeat(half)), null)
    t.equal(parseExtensionList(`a${';b'.repeat(half)}`)?.[0]?.params.length, half)
    t.equal(hasToken(`${','.repeat(MAX_FIELD_LENGTH)}websocket`, 'websocket'), true)
  })
})

t.test('isHost', async t => {
  t.test('takes names and addresses, with and without a port', async t => {
    for (const value of ['localhost', 'example.com', 'EXAMPLE.com.', 'a_b-c~d', '127.0.0.1', 'localhost:3000', '10.0.0.1:80', '__proto__']) {
      t.equal(isHost(value), true, value)
    }
  })

  t.test('takes exactly the octets of a reg-name', async t => {
    for (const octet of OCTETS) {
      t.equal(isHost(octet), isAlphanumeric(octet) || HOST_MARKS.includes(octet), JSON.stringify(octet))
      if (octet !== ':') t.equal(isHost(`a${octet}`), isAlphanumeric(octet) || HOST_MARKS.includes(octet), JSON.stringify(octet))
    }
  })

  t.test('takes percent-encoding when it is whole', async t => {
    for (const value of ['%41', 'a%2fb%Fe', 'a%20:80', '%00']) t.equal(isHost(value), true, value)
    for (const value of ['%', '%4', '%4g', '%g4', 'a%', 'a%4:80', '%41%', '%:1', '%41/']) t.equal(isHost(value), false, value)
  })

  t.test('takes IPv6 addresses in brackets', async t => {
    for (const value of ['[::]', '[::1]', '[::1]:8080', '[2001:DB8::a]', '[::ffff:127.0.0.1]:1']) t.equal(isHost(value), true, value)
  })

  t.test('refuses brackets that hold no IPv6 address', async t => {
    for (const value of ['[', '[]', '[:]', '[1]', '[127.0.0.1]', '[1:2]', '[::1', '::1', '[::1]]', '[[::1]', '[::g]', '[::1%25eth0]', '[v1.a::b]', '[::1]a', '[::1].', 'a[::1]', ']']) {
      t.equal(isHost(value), false, value)
    }
  })

  t.test('refuses userinfo, path, query, fragment and spaces', async t => {
    for (const value of ['user@host', 'user:1@host', 'host/', 'host/path', 'host:80/', 'host?a', 'host#a', 'a b', ' host', 'host ', 'host\t', 'host: 80', 'host:80 ', 'http://host', 'h\u00f6st', 'host\\a']) {
      t.equal(isHost(value), false, JSON.stringify(value))
    }
  })

  t.test('refuses an empty host', async t => {
    for (const value of ['', ':', ':80']) t.equal(isHost(value), false, value)
  })

  t.test('takes ports up to 65535, and none behind the colon', async t => {
    for (const value of ['a:0', 'a:9', 'a:65535', 'a:00080', 'a:', '[::1]:']) t.equal(isHost(value), true, value)
    for (const value of ['a:65536', 'a:70000', 'a:99999999999999999999', 'a:8o', 'a:-1', 'a:+1', 'a:1.0', 'a:80:80', 'a::1', 'a:/', '[::1]:a']) {
      t.equal(isHost(value), false, value)
    }
    t.equal(isHost(`a:${'9'.repeat(MAX_FIELD_LENGTH)}`), false)
  })
})

t.test('listField', async t => {
  t.test('gives the value as it was joined', async t => {
    t.equal(listField({ connection: 'a, b' }, 'connection'), 'a, b')
    t.equal(listField({ connection: '' }, 'connection'), '')
  })

  t.test('joins what was left apart', async t => {
    t.equal(listField({ connection: ['a', 'b'] }, 'connection'), 'a, b')
    t.strictSame(parseTokenList(listField({ connection: ['a', 'b'] }, 'connection') ?? ''), ['a', 'b'])
  })

  t.test('is undefined for a field that was not sent', async t => {
    t.equal(listField({}, 'connection'), undefined)
    t.equal(listField({ connection: undefined }, 'connection'), undefined)
  })
})

t.test('fieldValues', async t => {
  const rawHeaders = ['Host', 'a', 'X-Host', 'b', 'HOST', 'c', 'x', 'host', 'host', 'd', '__proto__', 'e']

  t.test('gives every value of a field in order, whatever the case of its name', async t => {
    t.strictSame(fieldValues(rawHeaders, 'host'), ['a', 'c', 'd'])
    t.strictSame(fieldValues(rawHeaders, '__proto__'), ['e'])
  })

  t.test('is empty for a field that was not sent, even if a value spells its name', async t => {
    t.strictSame(fieldValues(rawHeaders, 'a'), [])
    t.strictSame(fieldValues(rawHeaders, 'constructor'), [])
    t.strictSame(fieldValues([], 'host'), [])
  })
})
