import t from 'tap'
import fc from 'fast-check'
import { checkUtf8, decodeUtf8 } from '../../lib/protocol/utf8.ts'

/** RFC 3629 §4, row by row: the range of each octet. */
const WELL_FORMED: ReadonlyArray<ReadonlyArray<readonly [number, number]>> = [
  [[0x00, 0x7f]],
  [[0xc2, 0xdf], [0x80, 0xbf]],
  [[0xe0, 0xe0], [0xa0, 0xbf], [0x80, 0xbf]],
  [[0xe1, 0xec], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xed, 0xed], [0x80, 0x9f], [0x80, 0xbf]],
  [[0xee, 0xef], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xf0, 0xf0], [0x90, 0xbf], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xf1, 0xf3], [0x80, 0xbf], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xf4, 0xf4], [0x80, 0x8f], [0x80, 0xbf], [0x80, 0xbf]]
]

/** Octet by octet by the table: where the first octet stands that cannot be (-1: nowhere), and where whole code points end. */
function reference (bytes: Uint8Array, start: number, end: number): { bad: number, boundary: number } {
  let boundary = start
  let row: ReadonlyArray<readonly [number, number]> | undefined
  for (let i = start; i < end; i++) {
    const octet = bytes[i]!
    row ??= WELL_FORMED.find(([first]) => octet >= first![0] && octet <= first![1])
    const range = row?.[i - boundary]
    if (row === undefined || range === undefined || octet < range[0] || octet > range[1]) return { bad: i, boundary }
    if (i - boundary === row.length - 1) {
      boundary = i + 1
      row = undefined
    }
  }
  return { bad: -1, boundary }
}

/** Octets at and beside all that bounds a range of the table. */
const EDGES = [0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbe, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0xff]
const ALL = Array.from({ length: 256 }, (_, octet) => octet)

const BAD = [
  { what: 'a continuation octet that continues nothing', hex: '80', at: 0 },
  { what: 'the last continuation octet that continues nothing', hex: 'bf', at: 0 },
  { what: 'a continuation octet too many', hex: '61c3a9a9', at: 3 },
  { what: 'an overlong form of two octets', hex: 'c080', at: 0 },
  { what: 'the other overlong form of two octets', hex: 'c1bf', at: 0 },
  { what: 'an overlong form of three octets', hex: 'e09fbf', at: 1 },
  { what: 'an overlong form of four octets', hex: 'f08fbfbf', at: 1 },
  { what: 'the first surrogate', hex: 'eda080', at: 1 },
  { what: 'the last surrogate', hex: 'edbfbf', at: 1 },
  { what: 'the first code point above U+10FFFF', hex: 'f4908080', at: 1 },
  { what: 'a lead octet far above it', hex: 'f5808080', at: 0 },
  { what: 'a lead octet of five', hex: 'f888808080', at: 0 },
  { what: 'a lead octet of six', hex: 'fc8480808080', at: 0 },
  { what: 'FE', hex: 'fe', at: 0 },
  { what: 'FF', hex: 'ff', at: 0 },
  { what: 'a sequence of two cut short by ASCII', hex: 'c341', at: 1 },
  { what: 'a sequence of three cut short by ASCII', hex: 'e28241', at: 2 },
  { what: 'a sequence of four cut short by a lead octet', hex: 'f09f98c3', at: 3 },
  { what: 'a bad octet behind good text', hex: 'cebae1bdb9cf83cebcceb5f4908080656469746564', at: 12 }
]

t.test('checkUtf8', async t => {
  t.test('judges every sequence of up to four octets as RFC 3629 does, cut off or not, and nothing around it', async t => {
    const failures: string[] = []
    let count = 0
    // A lead octet before it and continuation octets behind it: to look at them would change the result.
    const buffer = Buffer.from([0xf4, 0, 0, 0, 0, 0x80, 0x80])
    const check = (length: number): void => {
      count++
      const { bad, boundary } = reference(buffer, 1, 1 + length)
      const found = checkUtf8(buffer, 1, 1 + length)
      if (found !== (bad === -1 ? boundary : -1) && failures.length < 20) failures.push(`${buffer.toString('hex', 1, 1 + length)}: ${found}`)
    }
    for (const first of ALL) {
      buffer[1] = first
      check(1)
      for (const second of ALL) {
        buffer[2] = second
        check(2)
        for (const third of EDGES) {
          buffer[3] = third
          check(3)
        }
      }
      for (const second of EDGES) {
        buffer[2] = second
        for (const third of EDGES) {
          buffer[3] = third
          for (const fourth of EDGES) {
            buffer[4] = fourth
            check(4)
          }
        }
      }
    }
    t.strictSame(failures, [])
    t.equal(count, 256 + 256 * 256 + 256 * 256 * EDGES.length + 256 * EDGES.length ** 3)
  })

  t.test('judges them the same behind good text', async t => {
    const failures: string[] = []
    const before = Buffer.from('aé€😀')
    const buffer = Buffer.concat([before, Buffer.alloc(3)])
    for (const first of ALL) {
      for (const second of EDGES) {
        for (const third of EDGES) {
          buffer.set([first, second, third], before.length)
          for (let end = before.length; end <= buffer.length; end++) {
            const { bad, boundary } = reference(buffer, 0, end)
            const found = checkUtf8(buffer, 0, end)
            if (found !== (bad === -1 ? boundary : -1) && failures.length < 20) failures.push(`${buffer.toString('hex', 0, end)}: ${found}`)
          }
        }
      }
    }
    t.strictSame(failures, [])
  })

  t.test('is content with nothing', async t => {
    t.equal(checkUtf8(Buffer.from([0xff, 0xff]), 1, 1), 1)
  })

  for (const { what, hex, at } of BAD) {
    t.test(`finds ${what} as soon as it is there`, async t => {
      const bytes = Buffer.from(hex, 'hex')
      t.equal(checkUtf8(bytes, 0, bytes.length), -1)
      let checked = 0
      for (let end = 1; end <= at; end++) {
        checked = checkUtf8(bytes, checked, end)
        t.not(checked, -1, `not before octet ${at}: ${end}`)
      }
      t.equal(checkUtf8(bytes, checked, at + 1), -1)
    })
  }

  /** Text, octets that look like parts of it, and noise. */
  const bytes = fc.array(fc.oneof(
    fc.string({ unit: 'binary' }).map((text) => [...Buffer.from(text)]),
    fc.constantFrom(...BAD.map(({ hex }) => [...Buffer.from(hex, 'hex')])),
    fc.array(fc.constantFrom(...EDGES), { maxLength: 3 }),
    fc.array(fc.nat(255), { maxLength: 2 })
  ), { maxLength: 6 }).map((parts) => Buffer.from(parts.flat()))

  t.test('finds in any chunking what a fatal TextDecoder finds', async t => {
    let valid = 0
    let runs = 0
    fc.assert(fc.property(bytes, fc.array(fc.nat(40), { maxLength: 12 }), (bytes, sizes) => {
      let isText = true
      try {
        new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
      } catch {
        isText = false
      }
      runs++
      if (isText) valid++
      let checked = 0
      let end = 0
      for (const size of [...sizes, bytes.length]) {
        end = Math.min(end + size, bytes.length)
        checked = checkUtf8(bytes, checked, end)
        if (checked === -1) return !isText
      }
      return (checked === bytes.length) === isText
    }), { numRuns: 3000 })
    t.ok(valid > runs / 10 && valid < runs * 0.9, `both kinds were tried: ${valid} of ${runs} are text`)
  })

  t.test('fails at the first octet that cannot be, fed octet by octet', async t => {
    fc.assert(fc.property(bytes, (bytes) => {
      const { bad } = reference(bytes, 0, bytes.length)
      let checked = 0
      for (let end = 1; end <= bytes.length; end++) {
        checked = checkUtf8(bytes, checked, end)
        if (checked === -1) return bad === end - 1
      }
      return bad === -1
    }), { numRuns: 3000 })
    t.pass('for whatever fast-check tried')
  })
})

t.test('decodeUtf8', async t => {
  t.test('gives the text of the range and of nothing around it', async t => {
    const bytes = Buffer.from([0xff, ...Buffer.from('κόσμε 😀'), 0xff])
    t.equal(decodeUtf8(bytes, 1, bytes.length - 1), 'κόσμε 😀')
    t.equal(decodeUtf8(bytes, 1, 1), '')
    t.equal(decodeUtf8(bytes, 0, bytes.length - 1), undefined)
    t.equal(decodeUtf8(bytes, 1, bytes.length), undefined)
    t.equal(decodeUtf8(Buffer.from('ff61efbfbdff', 'hex'), 1, 5), 'a\ufffd', 'a text that has to be looked at twice')
  })

  t.test('keeps the replacement character, noncharacters, NUL and a byte order mark', async t => {
    for (const text of ['\ufffd', 'a\ufffdb\ufffd', '\ufffe\uffff\u{10ffff}\u{1fffe}', '\0', '\ufeffa']) {
      const bytes = Buffer.from(text)
      t.equal(decodeUtf8(bytes, 0, bytes.length), text, JSON.stringify(text))
    }
  })

  for (const { what, hex } of BAD) {
    t.test(`refuses ${what}`, async t => {
      const bytes = Buffer.from(hex, 'hex')
      t.equal(decodeUtf8(bytes, 0, bytes.length), undefined)
      t.equal(decodeUtf8(Buffer.concat([Buffer.from('\ufffd'), bytes]), 0, bytes.length + 3), undefined)
    })
  }

  t.test('refuses what is cut off', async t => {
    for (const hex of ['c3', 'e282', 'e2', 'f09f98', 'f09f', 'f0']) {
      t.equal(decodeUtf8(Buffer.from(hex, 'hex'), 0, hex.length / 2), undefined, hex)
    }
  })
})
