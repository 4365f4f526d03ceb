/**
 * The data of sections 12 and 13, made anew each time: of the kinds and sizes that the cases name, and about as easy to
 * compress. Every run makes the same octets.
 */
import { Buffer } from 'node:buffer'

export interface DataKind {
  /** How the cases name it. */
  readonly name: string
  readonly octets: number
  /** How many times smaller zlib makes it. */
  readonly ratio: number
  readonly make: (octets: number) => Buffer
}

/** Numbers from 0 to 1, the same for each run (mulberry32). */
function randomNumbers (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Lines until there are enough octets; the last is cut, and filled up where a character would have been cut in two. */
function lines (octets: number, line: (index: number) => string): Buffer {
  const parts: Buffer[] = []
  let length = 0
  for (let i = 0; length < octets; i++) {
    parts.push(Buffer.from(line(i)))
    length += parts.at(-1)!.length
  }
  const text = Buffer.concat(parts).toString('utf8', 0, octets).replace(/\ufffd+$/, '')
  return Buffer.from(text + ' '.repeat(octets - Buffer.byteLength(text)))
}

function json (octets: number): Buffer {
  const random = randomNumbers(1)
  return lines(octets, (i) => {
    const id = i * 7 + Math.floor(random() * 5)
    return `  {"id": ${id}, "type": "measurement", "sensor": {"name": "temperature", "unit": "celsius", "active": true}, "value": ${Math.floor(random() * 900)}, "tags": ["indoor", "ground floor"], "comment": null},\n`
  })
}

function html (octets: number): Buffer {
  const random = randomNumbers(2)
  const words = ['Übersicht', 'naïve', 'Größe', '東京', 'café', 'straße', 'плюс', 'total']
  return lines(octets, (i) => `    <tr class="row ${i % 2 === 0 ? 'even' : 'odd'}"><td class="number">${i}</td><td class="name"><a href="/items/view.html?category=books&amp;order=asc&amp;page=1">${words[Math.floor(random() * words.length)]}</a></td><td class="price">${Math.floor(random() * 90_000) / 100} €</td></tr>\n`)
}

/** Words of a vocabulary, the frequent ones very frequent, as in any language. */
function prose (octets: number): Buffer {
  const random = randomNumbers(3)
  const letters = 'eeeeennniiiissrrrattdhulcgmobwfkzpv'
  const letter = (): string => letters[Math.floor(random() * letters.length)]!
  const vocabulary = Array.from({ length: 6000 }, (_, i) => Array.from({ length: 2 + Math.floor(random() * (i < 100 ? 3 : 9)) }, letter).join(''))
  let column = 0
  return lines(octets, () => {
    const word = vocabulary[Math.floor(vocabulary.length * random() ** 3)]!
    column += word.length + 1
    if (column < 72) return `${word}${random() < 0.1 ? ',' : ''} `
    column = 0
    return `${word}.\n`
  })
}

/** A slope with noise: few values are alike, but they are near each other. */
function picture (octets: number): Buffer {
  const random = randomNumbers(4)
  const pixels = Buffer.alloc(octets)
  const header = octets - 512 * 512
  for (let i = 0; i < octets; i++) pixels[i] = i < header ? i % 7 : 40 + ((i - header) % 512) / 4 + Math.floor((random() + random() + random()) * 30)
  return pixels
}

/** Streams that are compressed already, between objects that are text. */
function document (octets: number): Buffer {
  const random = randomNumbers(5)
  const bytes = Buffer.alloc(octets)
  const object = Buffer.from('\nendstream endobj\n12 0 obj << /Type /Page /Parent 3 0 R /Resources << /Font << /F1 5 0 R >> >> /Contents 7 0 R >> stream\n')
  for (let at = 0; at < octets;) {
    for (let i = 0; i < 380 && at < octets; i++) bytes[at++] = Math.floor(random() * 256)
    at += object.copy(bytes, at)
  }
  return bytes
}

export const DATA_KINDS: readonly DataKind[] = [
  { name: 'JSON text', octets: 194_056, ratio: 23, make: json },
  { name: 'uncompressed grey picture', octets: 263_222, ratio: 1.2, make: picture },
  { name: 'German prose', octets: 222_218, ratio: 2.6, make: prose },
  { name: 'HTML page', octets: 263_647, ratio: 18, make: html },
  { name: 'PDF', octets: 1_042_328, ratio: 1.3, make: document }
]

const made = new Map<string, Buffer>()

/** The data that a case takes its messages from. */
export function dataOf (does: string): Buffer {
  const kind = DATA_KINDS.find(({ name }) => does.includes(`taken from: ${name}`))
  if (kind === undefined) throw new Error(`data of a kind that this runner does not know: ${does}`)
  if (!made.has(kind.name)) made.set(kind.name, kind.make(kind.octets))
  return made.get(kind.name)!
}

/** Pieces that slide over the data, each of so many code points of text, or octets: at the end the rest is followed by the beginning. */
export function slidingWindow (data: Buffer, isText: boolean, length: number): () => Buffer {
  const text = data.toString()
  const points = [...text]
  // Where every code point is one unit of a string, it can be cut as it is.
  const whole = !isText ? data : points.length === text.length ? text : points
  let at = 0
  return () => {
    const start = at
    const end = start + length
    at = end % whole.length
    const pieces = [whole.slice(start, end), whole.slice(0, Math.max(0, end - whole.length))]
    return Buffer.concat(pieces.map((piece) => Array.isArray(piece) ? Buffer.from(piece.join('')) : Buffer.from(piece as string)))
  }
}
