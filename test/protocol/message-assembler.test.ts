import t, { type Test } from 'tap'
import fc from 'fast-check'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { MAX_EMPTY_FRAGMENTS, MessageAssembler, messageOf, unmasked, wholeMessage, type MessageSink, type TextAs } from '../../lib/protocol/message-assembler.ts'
import { copyAt } from '../helpers/every-cut.ts'
import { masked } from '../helpers/frames.ts'

const CONTINUATION = 0
const TEXT = 1
const BINARY = 2
const VIEW_FROM = 512

/** The first octet of a frame. */
function first (opcode: number, fin: boolean, rsv1 = false): number {
  return (fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode
}

interface Message { data: string | Buffer, isBinary: boolean }

/** An assembler, what it has delivered, and the ways to feed it. */
function assembler (maxMessageBytes = 1024 * 1024, textAs: TextAs = 'string') {
  const messages: Message[] = []
  /** What came compressed, as it came. */
  const compressed: Message[] = []
  const target = new MessageAssembler({
    onMessage (data, isBinary) { messages.push({ data, isBinary }) },
    onCompressedMessage (data, isBinary) { compressed.push({ data: Buffer.from(data), isBinary }) }
  }, maxMessageBytes, textAs)
  return {
    target,
    messages,
    compressed,
    /** A whole frame; other octets lie around it, and it is written over afterwards. */
    frame (opcode: number, fin: boolean, payload: string | Uint8Array, rsv1 = false): void {
      const bytes = Buffer.from(payload)
      const chunk = Buffer.concat([Buffer.from([0xff]), bytes, Buffer.from([0xff])])
      target.onFrame(first(opcode, fin, rsv1), chunk, 1, 1 + bytes.length, 0)
      chunk.fill(0xee)
    },
    start (opcode: number, fin: boolean, length: number, rsv1 = false): void {
      target.onFrameStart(first(opcode, fin, rsv1), length)
    },
    part (payload: string | Uint8Array, last: boolean): void {
      const bytes = Buffer.from(payload)
      const chunk = Buffer.concat([Buffer.from([0xff]), bytes, Buffer.from([0xff])])
      target.onFramePart(chunk, 1, 1 + bytes.length, 0, last)
      chunk.fill(0xee)
    }
  }
}

function sink (onMessage: (data: string | Buffer, isBinary: boolean) => void = () => {}): MessageSink {
  return { onMessage, onCompressedMessage () {} }
}

function fails (t: Test, action: () => void, closeCode: number, message: string, name?: string): void {
  let found: unknown
  try {
    action()
  } catch (error) {
    found = error instanceof ProtocolError ? [error.closeCode, error.message] : error
  }
  t.strictSame(found, [closeCode, message], name ?? message)
}

const NOT_UTF8 = 'text that is not UTF-8'
const ABOVE = 'message above the limit'

/** Sizes of the buffers that are made while the test runs. */
function spyOnAllocation (t: Test): number[] {
  const sizes: number[] = []
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const original = Buffer[name]
    Buffer[name] = (size: number) => {
      sizes.push(size)
      return original(size)
    }
    t.teardown(() => { Buffer[name] = original })
  }
  return sizes
}

t.test('a message in one frame', async t => {
  t.test('is delivered at once, text as a string or as its octets', async t => {
    for (const [text, octets] of [['', ''], ['héllo', 'héllo'], ['\ufffd', '\ufffd']] as const) {
      const strings = assembler()
      strings.frame(TEXT, true, text)
      t.strictSame(strings.messages, [{ data: text, isBinary: false }])
      const buffers = assembler(100, 'buffer')
      buffers.frame(TEXT, true, text)
      t.strictSame(buffers.messages, [{ data: Buffer.from(octets), isBinary: false }])
      const binary = assembler()
      binary.frame(BINARY, true, text)
      t.strictSame(binary.messages, [{ data: Buffer.from(octets), isBinary: true }])
    }
  })

  t.test('text that is not UTF-8 is refused, binary is not looked at', async t => {
    for (const textAs of ['string', 'buffer'] as const) {
      for (const hex of ['ff', '61c3', 'eda080', 'f4908080']) {
        const octets = Buffer.from(hex, 'hex')
        const target = assembler(100, textAs)
        fails(t, () => target.frame(TEXT, true, octets), 1007, NOT_UTF8)
        t.strictSame(target.messages, [])
        const binary = assembler(100, textAs)
        binary.frame(BINARY, true, octets)
        t.strictSame(binary.messages, [{ data: octets, isBinary: true }])
        fails(t, () => wholeMessage(false, Buffer.from(octets), 0, octets.length, 0, textAs), 1007, NOT_UTF8)
        t.strictSame(wholeMessage(true, Buffer.from(octets), 0, octets.length, 0, textAs), octets)
      }
    }
  })

  t.test('whole messages come one after another', async t => {
    const target = assembler()
    target.frame(TEXT, true, 'one')
    target.frame(BINARY, true, 'two')
    target.frame(TEXT, true, '')
    target.start(TEXT, true, 4)
    target.part('fo', false)
    target.part('ur', true)
    target.frame(TEXT, true, 'five')
    t.strictSame(target.messages.map(({ data }) => data.toString()), ['one', 'two', '', 'four', 'five'])
  })

  t.test('small ones are copies that the receiver keeps, large ones are views of the chunk that they end', async t => {
    for (const [isBinary, textAs] of [[true, 'string'], [true, 'buffer'], [false, 'buffer']] as Array<[boolean, TextAs]>) {
      for (const length of [0, 1, 100, VIEW_FROM - 1, VIEW_FROM, VIEW_FROM + 1, 60000]) {
        const chunk = copyAt(Buffer.alloc(length + 1, 'a'), 3)
        const longer = copyAt(Buffer.alloc(length + 2, 'a'), 3)
        const data = wholeMessage(isBinary, chunk, 1, length + 1, 0, textAs) as Buffer
        const before = wholeMessage(isBinary, longer, 1, length + 1, 0, textAs) as Buffer
        const isView = length >= VIEW_FROM
        t.equal(data.buffer === chunk.buffer, isView, `${length} octets`)
        t.not(before.buffer, longer.buffer, 'something follows')
        chunk.fill('b')
        longer.fill('b')
        t.ok(data.equals(Buffer.alloc(length, isView ? 'b' : 'a')))
        t.ok(before.equals(Buffer.alloc(length, 'a')))
      }
    }
  })

  t.test('is unmasked, whichever way it goes, and nothing around it changes', async t => {
    const key = [0x37, 0xfa, 0x21, 0x3d]
    for (const length of [0, 1, 6, 100, VIEW_FROM - 1, VIEW_FROM, 5000]) {
      const payload = Buffer.from(Array.from({ length }, (_, i) => 97 + i % 26))
      const send = (textAs: TextAs, opcodes: number[], rsv1 = false, behind = 'behind'): Buffer[] => {
        const messages: Buffer[] = []
        const target = new MessageAssembler({
          onMessage (data) { messages.push(Buffer.from(data)) },
          onCompressedMessage (data) { messages.push(Buffer.from(data)) }
        }, 1024 * 1024, textAs)
        opcodes.forEach((opcode, index) => {
          const chunk = Buffer.concat([Buffer.from('before'), masked(payload, key), Buffer.from(behind)])
          const word = Buffer.from(key).readInt32BE()
          if (opcodes.length > 1) target.onFrame(first(opcode, index === opcodes.length - 1, rsv1), chunk, 6, 6 + length, word)
          else if (rsv1) messages.push(Buffer.from(unmasked(chunk, 6, 6 + length, word)))
          else messages.push(Buffer.from(wholeMessage(opcode === BINARY, chunk, 6, 6 + length, word, textAs)))
          t.equal(chunk.toString('latin1', 0, 6) + chunk.toString('latin1', 6 + length), `before${behind}`)
        })
        return messages
      }
      t.strictSame(send('string', [TEXT]), [payload], `text of ${length} octets`)
      t.strictSame(send('buffer', [TEXT]), [payload], 'text as octets')
      t.strictSame(send('string', [BINARY]), [payload], 'binary')
      t.strictSame(send('string', [BINARY], false, ''), [payload], 'binary that ends a read')
      t.strictSame(send('buffer', [TEXT], false, ''), [payload], 'text that does')
      t.strictSame(send('string', [BINARY], true), [payload], 'compressed')
      t.strictSame(send('string', [TEXT, CONTINUATION]), [Buffer.concat([payload, payload])], 'text in fragments')
      t.strictSame(send('string', [BINARY, CONTINUATION, CONTINUATION]), [Buffer.concat([payload, payload, payload])], 'binary in fragments')
    }
  })

  t.test('a view keeps alive four times its size at most', async t => {
    for (const [read, isView] of [[4 * VIEW_FROM, true], [4 * VIEW_FROM + 1, false], [64 * 1024, false]] as const) {
      const chunk = Buffer.allocUnsafeSlow(read)
      const data = wholeMessage(true, chunk, read - VIEW_FROM, read, 0, 'buffer') as Buffer
      t.equal(data.buffer === chunk.buffer, isView, `of ${read} octets`)
    }
  })
})

t.test('fragments', async t => {
  t.test('are joined, text and binary', async t => {
    const target = assembler()
    target.frame(TEXT, false, 'a')
    target.frame(CONTINUATION, false, 'bc')
    target.frame(CONTINUATION, true, 'd')
    target.frame(BINARY, false, 'e')
    target.frame(CONTINUATION, true, 'f')
    t.strictSame(target.messages, [{ data: 'abcd', isBinary: false }, { data: Buffer.from('ef'), isBinary: true }])
  })

  t.test('may be empty: the first, the last, all of them', async t => {
    for (const textAs of ['string', 'buffer'] as const) {
      for (const fragments of [['', 'ab'], ['ab', ''], ['', '', 'ab', '', ''], ['', ''], ['', '', '']]) {
        for (const opcode of [TEXT, BINARY]) {
          const target = assembler(2, textAs)
          fragments.forEach((fragment, i) => target.frame(i === 0 ? opcode : CONTINUATION, i === fragments.length - 1, fragment))
          const data = fragments.join('')
          t.strictSame(target.messages, [{ data: opcode === TEXT && textAs === 'string' ? data : Buffer.from(data), isBinary: opcode === BINARY }])
        }
      }
    }
  })

  t.test('straddle chunks or not', async t => {
    const target = assembler()
    target.start(BINARY, false, 3)
    target.part('a', false)
    target.part('', false)
    target.part('bc', true)
    t.strictSame(target.messages, [], 'its last part does not end the message')
    target.frame(CONTINUATION, false, 'd')
    target.start(CONTINUATION, true, 4)
    target.part('ef', false)
    t.strictSame(target.messages, [], 'its last fragment does not end it before its last part')
    target.part('gh', true)
    t.strictSame(target.messages, [{ data: Buffer.from('abcdefgh'), isBinary: true }])
  })

  t.test('a code point may be cut between them, and between their parts', async t => {
    for (const textAs of ['string', 'buffer'] as const) {
      const target = assembler(100, textAs)
      const bytes = Buffer.from('é€😀')
      bytes.forEach((_, i) => target.frame(i === 0 ? TEXT : CONTINUATION, i === bytes.length - 1, bytes.subarray(i, i + 1)))
      target.start(TEXT, true, bytes.length)
      bytes.forEach((_, i) => target.part(bytes.subarray(i, i + 1), i === bytes.length - 1))
      const data = textAs === 'string' ? 'é€😀' : bytes
      t.strictSame(target.messages, [{ data, isBinary: false }, { data, isBinary: false }])
    }
  })

  t.test('a continuation needs a message to continue', async t => {
    for (const fin of [true, false]) {
      fails(t, () => assembler().frame(CONTINUATION, fin, 'x'), 1002, 'continuation frame without a message to continue')
      fails(t, () => assembler().start(CONTINUATION, fin, 1), 1002, 'continuation frame without a message to continue')
    }
    const target = assembler()
    target.frame(TEXT, false, 'a')
    target.frame(CONTINUATION, true, 'b')
    fails(t, () => target.frame(CONTINUATION, true, 'c'), 1002, 'continuation frame without a message to continue', 'after its last fragment')
    const single = assembler()
    single.frame(BINARY, true, 'a')
    fails(t, () => single.frame(CONTINUATION, true, 'c'), 1002, 'continuation frame without a message to continue', 'after a message in one frame')
    t.strictSame(single.messages.length, 1)
  })

  t.test('a new message may not begin among them', async t => {
    for (const opcode of [TEXT, BINARY]) {
      for (const fin of [true, false]) {
        const target = assembler()
        target.frame(TEXT, false, 'a')
        fails(t, () => target.frame(opcode, fin, 'b'), 1002, 'new message before the last fragment of the one before')
        const straddling = assembler()
        straddling.frame(BINARY, false, '')
        fails(t, () => straddling.start(opcode, fin, 1), 1002, 'new message before the last fragment of the one before')
        t.strictSame([...target.messages, ...straddling.messages], [])
      }
    }
  })
})

t.test('the limit on the size', async t => {
  t.test('is judged by the header alone', async t => {
    for (const opcode of [TEXT, BINARY]) {
      for (const fin of [true, false]) {
        fails(t, () => assembler(10).start(opcode, fin, 11), 1009, ABOVE)
        fails(t, () => assembler(10).frame(opcode, fin, 'x'.repeat(11)), 1009, ABOVE)
        fails(t, () => assembler(10).start(opcode, fin, 2 ** 32 - 1), 1009, ABOVE)
        assembler(10).start(opcode, fin, 10)
      }
    }
  })

  t.test('a message of just this size is delivered', async t => {
    const target = assembler(10)
    target.frame(BINARY, true, '0123456789')
    target.frame(TEXT, false, '01234')
    target.frame(CONTINUATION, true, '56789')
    target.start(TEXT, true, 10)
    target.part('0123456', false)
    target.part('789', true)
    t.strictSame(target.messages.map(({ data }) => data.toString()), ['0123456789', '0123456789', '0123456789'])
  })

  t.test('holds for the sum of the fragments, and begins anew with each message', async t => {
    const target = assembler(10)
    for (let i = 0; i < 3; i++) {
      target.frame(BINARY, false, '0123456')
      target.frame(CONTINUATION, true, '789')
    }
    target.frame(BINARY, false, '0123456')
    target.frame(CONTINUATION, false, '')
    fails(t, () => target.frame(CONTINUATION, true, '789x'), 1009, ABOVE)
    t.equal(target.messages.length, 3)

    const straddling = assembler(10)
    straddling.start(BINARY, false, 6)
    straddling.part('0123', false)
    straddling.part('45', true)
    fails(t, () => straddling.start(CONTINUATION, true, 5), 1009, ABOVE)
  })

  t.test('is judged before text is looked at', async t => {
    fails(t, () => assembler(3).frame(TEXT, true, Buffer.from('ffffffff', 'hex')), 1009, ABOVE)
  })

  t.test('may be 0', async t => {
    const target = assembler(0)
    target.frame(TEXT, true, '')
    target.frame(BINARY, false, '')
    target.frame(CONTINUATION, true, '')
    t.strictSame(target.messages, [{ data: '', isBinary: false }, { data: Buffer.alloc(0), isBinary: true }])
    fails(t, () => target.frame(TEXT, true, 'x'), 1009, ABOVE)
  })
})

t.test('empty fragments', async t => {
  t.test('256 are taken, one more is refused', async t => {
    t.equal(MAX_EMPTY_FRAGMENTS, 256)
    const target = assembler()
    for (let i = 0; i < 256; i++) target.frame(i === 0 ? TEXT : CONTINUATION, false, '')
    target.frame(CONTINUATION, false, 'x')
    fails(t, () => target.frame(CONTINUATION, false, ''), 1008, 'too many empty fragments')
    t.strictSame(target.messages, [])
  })

  t.test('the last one ends the message and does not count', async t => {
    const target = assembler()
    for (let i = 0; i < 256; i++) target.frame(i === 0 ? TEXT : CONTINUATION, false, '')
    target.frame(CONTINUATION, true, '')
    t.strictSame(target.messages, [{ data: '', isBinary: false }])
  })

  t.test('are counted for each message', async t => {
    const target = assembler()
    for (let message = 0; message < 3; message++) {
      for (let i = 0; i < 200; i++) target.frame(i === 0 ? BINARY : CONTINUATION, false, '')
      target.frame(CONTINUATION, true, 'x')
    }
    t.equal(target.messages.length, 3)
  })

  t.test('whole empty messages are no fragments', async t => {
    const target = assembler()
    for (let i = 0; i < 1000; i++) target.frame(TEXT, true, '')
    t.equal(target.messages.length, 1000)
  })
})

t.test('text fails with the octet that is wrong', async t => {
  const BAD: Array<[string, string, string]> = [
    ['a lead octet that cannot be', '61', 'c0'],
    ['a continuation octet of nothing', 'c3a9', '80'],
    ['an overlong form', 'e0', '9f'],
    ['a surrogate', '61ed', 'a0'],
    ['above U+10FFFF', 'cebae1bdb9f4', '90'],
    ['cut short', 'f09f98', '61']
  ]
  for (const textAs of ['string', 'buffer'] as const) {
    for (const [what, good, bad] of BAD) {
      t.test(`${what}, text as ${textAs}`, async t => {
        const goodBytes = Buffer.from(good, 'hex')
        const badBytes = Buffer.from(bad, 'hex')

        const fragments = assembler(1000, textAs)
        fragments.frame(TEXT, false, goodBytes)
        fails(t, () => fragments.frame(CONTINUATION, false, badBytes), 1007, NOT_UTF8, 'in a fragment')

        const parts = assembler(1000, textAs)
        parts.start(TEXT, true, 1000)
        parts.part(goodBytes, false)
        fails(t, () => parts.part(badBytes, false), 1007, NOT_UTF8, 'in a part, with most of the frame still to come')

        const first = assembler(1000, textAs)
        fails(t, () => first.frame(TEXT, false, Buffer.concat([goodBytes, badBytes])), 1007, NOT_UTF8, 'in the first fragment')

        const binary = assembler(1000, textAs)
        binary.frame(BINARY, false, goodBytes)
        binary.frame(CONTINUATION, true, badBytes)
        t.equal(binary.messages.length, 1, 'binary is not looked at')
        t.strictSame([...fragments.messages, ...parts.messages, ...first.messages], [])
      })
    }

    t.test(`a code point that the end of the message cuts off, text as ${textAs}`, async t => {
      for (const hex of ['c3', 'e282', 'f09f98']) {
        const bytes = Buffer.from(`61${hex}`, 'hex')
        const fragments = assembler(1000, textAs)
        fragments.frame(TEXT, false, bytes)
        fails(t, () => fragments.frame(CONTINUATION, true, ''), 1007, NOT_UTF8, `${hex}, then an empty fragment`)
        const parts = assembler(1000, textAs)
        parts.start(TEXT, true, bytes.length)
        parts.part(bytes.subarray(0, 1), false)
        fails(t, () => parts.part(bytes.subarray(1), true), 1007, NOT_UTF8, `${hex} in the last part`)
        t.strictSame([...fragments.messages, ...parts.messages], [])
      }
    })
  }

  t.test('the check begins anew with each message', async t => {
    const target = assembler()
    for (const text of ['long enough, é', 'é', 'éé']) {
      const bytes = Buffer.from(text)
      target.frame(TEXT, false, bytes.subarray(0, 1))
      target.frame(CONTINUATION, true, bytes.subarray(1))
    }
    t.strictSame(target.messages.map(({ data }) => data), ['long enough, é', 'é', 'éé'])
    target.frame(TEXT, false, 'a')
    fails(t, () => target.frame(CONTINUATION, true, Buffer.from([0xff])), 1007, NOT_UTF8)
  })
})

t.test('a compressed message', async t => {
  const NOISE = Buffer.from('ff00c3ff', 'hex')

  t.test('goes on as it came, in one frame, in fragments and in parts, and its octets are not taken for text', async t => {
    for (const textAs of ['string', 'buffer'] as const) {
      for (const opcode of [TEXT, BINARY]) {
        const isBinary = opcode === BINARY
        const on = assembler(100, textAs)
        on.frame(opcode, true, NOISE, true)
        on.frame(opcode, false, NOISE.subarray(0, 1), true)
        on.frame(CONTINUATION, false, '')
        on.frame(CONTINUATION, true, NOISE.subarray(1))
        on.start(opcode, true, 4, true)
        on.part(NOISE.subarray(0, 3), false)
        on.part(NOISE.subarray(3), true)
        on.frame(opcode, true, '', true)
        on.frame(opcode, false, '', true)
        on.frame(CONTINUATION, true, '')
        t.strictSame(on.compressed, [NOISE, NOISE, NOISE, Buffer.alloc(0), Buffer.alloc(0)].map((data) => ({ data, isBinary })))
        t.strictSame(on.messages, [])
      }
    }
  })

  t.test('and those that are not take turns', async t => {
    const on = assembler()
    on.frame(TEXT, true, NOISE, true)
    on.frame(TEXT, true, 'a')
    on.frame(TEXT, false, NOISE, true)
    on.frame(CONTINUATION, true, '')
    on.frame(TEXT, false, 'b')
    fails(t, () => on.frame(CONTINUATION, true, NOISE), 1007, NOT_UTF8)
    t.equal(on.compressed.length, 2)
    t.strictSame(on.messages, [{ data: 'a', isBinary: false }])
  })

  t.test('comes back inflated: text is checked, and is what it shall be', async t => {
    for (const [textAs, data] of [['string', 'é'], ['buffer', Buffer.from('é')]] as const) {
      t.strictSame(messageOf(false, Buffer.from('é'), textAs), data)
      t.equal(messageOf(true, NOISE, textAs), NOISE)
      fails(t, () => messageOf(false, NOISE, textAs), 1007, NOT_UTF8)
      fails(t, () => messageOf(false, Buffer.from([0xc3]), textAs), 1007, NOT_UTF8, 'cut off')
    }
  })

  t.test('may be as long as what cannot be compressed becomes', async t => {
    for (const [most, limit] of [[0, 64], [1, 66], [8, 73], [9, 75], [80, 154], [1000, 1189]] as const) {
      for (const opcode of [TEXT, BINARY]) {
        const on = assembler(most)
        on.frame(opcode, true, Buffer.alloc(limit), true)
        on.start(opcode, false, limit - 1, true)
        on.part(Buffer.alloc(limit - 1), true)
        on.frame(CONTINUATION, true, 'x')
        t.equal(on.compressed.length, 2, `${most}`)
        fails(t, () => on.start(opcode, true, limit + 1, true), 1009, ABOVE)
        const fragments = assembler(most)
        fragments.frame(opcode, false, Buffer.alloc(limit), true)
        fails(t, () => fragments.frame(CONTINUATION, true, 'x'), 1009, ABOVE)
        fails(t, () => assembler(most).start(opcode, true, most + 1), 1009, ABOVE, 'and no other')
      }
    }
  })

  t.test('has the limit of its first frame, and the next has its own', async t => {
    const on = assembler(8)
    on.frame(BINARY, false, Buffer.alloc(20), true)
    on.frame(CONTINUATION, true, Buffer.alloc(53))
    fails(t, () => on.frame(BINARY, false, Buffer.alloc(9)), 1009, ABOVE)
  })
})

t.test('memory', async t => {
  t.test('follows what has arrived, not what was announced', async t => {
    const sizes = spyOnAllocation(t)
    for (const [fin, growth] of [[true, 16], [false, 2]] as const) {
      const target = new MessageAssembler(sink(), 2 ** 32, 'string')
      const chunk = Buffer.alloc(4000)
      sizes.length = 0
      target.onFrameStart(first(BINARY, fin), 2 ** 32 - 1)
      t.strictSame(sizes, [])
      target.onFramePart(chunk, 0, 1, 0, false)
      t.strictSame(sizes, [128], 'a little')
      target.onFramePart(chunk, 0, 100, 0, false)
      target.onFramePart(chunk, 0, 27, 0, false)
      t.strictSame(sizes, [128], 'it is filled')
      target.onFramePart(chunk, 0, 1, 0, false)
      t.strictSame(sizes, [128, growth * 129], 'so many times what is there')
      target.onFramePart(chunk, 0, growth * 129 - 129, 0, false)
      t.strictSame(sizes, [128, growth * 129], 'it is filled')
      target.onFramePart(chunk, 0, 1, 0, false)
      t.strictSame(sizes, [128, growth * 129, growth * (growth * 129 + 1)])
    }
  })

  t.test('of a frame that ends the message is no more than the message needs', async t => {
    const sizes = spyOnAllocation(t)
    const target = new MessageAssembler(sink(), 2 ** 20, 'string')
    const chunk = Buffer.from('x'.repeat(5000))
    sizes.length = 0
    target.onFrameStart(first(BINARY, true), 50)
    target.onFramePart(chunk, 0, 1, 0, false)
    target.onFramePart(chunk, 0, 49, 0, true)
    t.strictSame(sizes, [50])
    sizes.length = 0
    target.onFrameStart(first(BINARY, true), 5000)
    target.onFramePart(chunk, 0, 3000, 0, false)
    target.onFramePart(chunk, 0, 2000, 0, true)
    t.strictSame(sizes, [5000])
    sizes.length = 0
    target.onFrame(first(BINARY, false), chunk, 0, 10, 0)
    target.onFrame(first(CONTINUATION, true), chunk, 0, 5000, 0)
    t.strictSame(sizes, [128, 5010], 'with the fragments before it')
  })

  t.test('never above the limit', async t => {
    const sizes = spyOnAllocation(t)
    const target = new MessageAssembler(sink(), 1000, 'string')
    const chunk = Buffer.from('x'.repeat(1000))
    sizes.length = 0
    target.onFrame(first(BINARY, false), chunk, 0, 600, 0)
    target.onFrame(first(CONTINUATION, false), chunk, 0, 400, 0)
    t.strictSame(sizes, [1000])
    const tiny = new MessageAssembler(sink(), 10, 'string')
    sizes.length = 0
    tiny.onFrame(first(BINARY, false), chunk, 0, 1, 0)
    t.strictSame(sizes, [10])
  })

  t.test('of 65,537 fragments of one octet is that of their octets', async t => {
    const sizes = spyOnAllocation(t)
    for (const opcode of [TEXT, BINARY]) {
      const messages: Array<string | Buffer> = []
      const target = new MessageAssembler(sink((data) => messages.push(data)), 2 ** 20, 'string')
      const chunk = Buffer.from('x')
      sizes.length = 0
      for (let i = 0; i < 65537; i++) target.onFrame(first(i === 0 ? opcode : CONTINUATION, i === 65536), chunk, 0, 1, 0)
      t.equal(messages.length, 1)
      t.equal(messages[0]!.length, 65537)
      t.ok(sizes.length <= 11, `${sizes.length} buffers`)
      t.ok(Math.max(...sizes) <= 2 * 65537, `the largest of ${Math.max(...sizes)}`)
    }
  })

  t.test('and the work for them is that of their octets: none is checked again and again', async t => {
    let seen = 0
    const { subarray } = Buffer.prototype
    t.teardown(() => { Buffer.prototype.subarray = subarray })
    Buffer.prototype.subarray = function (start?: number, end?: number) {
      const range = subarray.call(this, start, end)
      seen += range.length
      return range
    }
    const target = new MessageAssembler(sink(), 2 ** 20, 'string')
    const chunk = Buffer.from('x')
    for (let i = 0; i < 10_000; i++) target.onFrame(first(i === 0 ? TEXT : CONTINUATION, i === 9_999), chunk, 0, 1, 0)
    t.ok(seen <= 40_000, `${seen} octets`)
  })

  t.test('of a message is its own: the next one does not write over it', async t => {
    const target = assembler(1000, 'buffer')
    for (const letter of ['a', 'b', 'c']) {
      for (const opcode of [TEXT, BINARY]) {
        target.frame(opcode, false, letter)
        target.frame(CONTINUATION, true, letter.repeat(9))
        target.frame(opcode, true, letter.repeat(10))
      }
    }
    const letters = target.messages.map(({ data }) => data.toString())
    t.strictSame(letters, ['a', 'b', 'c'].flatMap((letter) => Array.from({ length: 4 }, () => letter.repeat(10))))
    const [first] = target.messages as [Message]
    t.ok((first.data as Buffer).buffer.byteLength <= 128, 'it keeps no pool alive')
  })
})

t.test('any messages in any fragments and parts come out as they went in', async t => {
  const message = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }).map((text) => ({ opcode: TEXT, bytes: Buffer.from(text) })),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ opcode: BINARY, bytes: Buffer.from(bytes) }))
  )
  const plan = fc.array(fc.record({ message, fragments: fc.array(fc.nat(60), { maxLength: 6 }), parts: fc.array(fc.nat(9), { maxLength: 4 }) }), { maxLength: 6 })

  for (const textAs of ['string', 'buffer'] as const) {
    fc.assert(fc.property(plan, (plan) => {
      const target = assembler(1000, textAs)
      for (const { message: { opcode, bytes }, fragments, parts } of plan) {
        split(bytes, fragments).forEach((fragment, i, all) => {
          const head = i === 0 ? opcode : CONTINUATION
          const fin = i === all.length - 1
          if (parts.length === 0 || fragment.length === 0) return target.frame(head, fin, fragment)
          target.start(head, fin, fragment.length)
          split(fragment, parts).forEach((part, j, all) => target.part(part, j === all.length - 1))
        })
      }
      const expected = plan.map(({ message: { opcode, bytes } }) => `${opcode === BINARY} ${bytes.toString('hex')}`)
      const found = target.messages.map(({ data, isBinary }) => `${isBinary} ${Buffer.from(data as string).toString('hex')}`)
      const types = target.messages.every(({ data, isBinary }) => (typeof data === 'string') === (textAs === 'string' && !isBinary))
      return types && found.join() === expected.join()
    }), { numRuns: 500 })
    t.pass(textAs)
  }
})

/** In pieces of these lengths, and one with what is left, which is not empty unless there is no other. */
function split (bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const length of lengths) {
    if (at + length >= bytes.length) break
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  pieces.push(bytes.subarray(at))
  return pieces
}
