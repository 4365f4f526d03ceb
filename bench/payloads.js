/** What is sent in the scenarios, and what must come back: the same bytes on every run. */
import { constants, deflateRawSync } from 'node:zlib'
import { Opcode } from './frames.js'
import { message, reply } from './servers/typed.js'

const JSON_BYTES = 1024
/** Enough that neither a cache nor a window of 32 KiB holds them all. */
const DIFFERENT = 64

/** Numbers from 0 to 1 that look like chance (a linear congruential generator). */
function numbers (seed = 1) {
  return () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

function bytes (size) {
  const random = numbers()
  return Array.from({ length: size > 4096 ? 4 : DIFFERENT }, () => {
    const payload = Buffer.allocUnsafe(size)
    for (let i = 0; i < size; i++) payload[i] = 256 * random()
    return payload
  })
}

/** Two octets and three for a character now and then, as in most languages. */
function text (size) {
  const random = numbers()
  const words = ['größer', 'straße', 'message', 'число', 'été', 'server', '日本語', 'naïve', 'socket', 'frame']
  return Array.from({ length: DIFFERENT }, () => {
    let line = ''
    while (Buffer.byteLength(line) < size - 20) line += words[Math.floor(words.length * random())] + ' '
    return Buffer.from(line + '.'.repeat(size - Buffer.byteLength(line)))
  })
}

/** Rows as a table of a database would give them. */
function json () {
  const random = numbers()
  const names = ['amber', 'birch', 'cedar', 'dune', 'ember', 'fjord', 'grove', 'heath']
  return Array.from({ length: DIFFERENT }, () => {
    const rows = []
    while (JSON.stringify(rows).length < JSON_BYTES) {
      rows.push({ id: Math.floor(1e6 * random()), name: names[Math.floor(8 * random())] + Math.floor(1e4 * random()), active: random() < 0.5, score: Math.floor(1e5 * random()) / 1000 })
    }
    return Buffer.from(JSON.stringify(rows))
  })
}

/**
 * Without takeover each message stands alone; with it, it refers to the text of those before: sent over and over
 * again from the first on, the row is still right.
 */
function compress (payloads, takeover, windowBits) {
  let history = Buffer.alloc(0)
  return payloads.map((payload) => {
    const options = { windowBits, finishFlush: constants.Z_SYNC_FLUSH, ...takeover && history.length > 0 && { dictionary: history } }
    history = Buffer.concat([history, payload]).subarray(-(2 ** windowBits))
    return deflateRawSync(payload, options).subarray(0, -4)
  })
}

/**
 * The messages of a scenario: what goes over the wire (`sent`), and what the first echo says when it is inflated
 * (`expected`). `length` is that of every echo's payload, undefined where it is compressed. `deflate` is what was
 * agreed on, if anything: `{ takeover, windowBits }` of the client.
 */
export function payloadsOf ({ payload, bytes: size }, deflate) {
  const plain = payload === 'binary' ? bytes(size) : payload === 'text' ? text(size) : payload === 'json' ? json() : [message]
  const expected = payload === 'typed' ? Buffer.from(JSON.stringify(reply(JSON.parse(message)))) : plain[0]
  const opcode = payload === 'binary' ? Opcode.Binary : Opcode.Text
  if (deflate === undefined) return { opcode, sent: plain, expected, length: expected.length, compressed: false }
  return { opcode, sent: compress(plain, deflate.takeover, deflate.windowBits), expected, length: undefined, compressed: true }
}
