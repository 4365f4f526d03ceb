/**
 * The tester's side of permessage-deflate (RFC 7692), with live streams of zlib: it loses its context, or has the smaller
 * window, just as the answer of the server says, so that a server that breaks its own answer is found out.
 */
import { Buffer } from 'node:buffer'
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from 'node:zlib'

/** What the parameters of an offer or answer say. */
type Params = ReadonlyMap<string, string | undefined>

const NAME = 'permessage-deflate'
const FLAGS = ['server_no_context_takeover', 'client_no_context_takeover']
const WINDOWS = ['server_max_window_bits', 'client_max_window_bits']
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff])

export class AnswerFault extends Error {}

function readParams (extension: string): Params {
  const [name, ...params] = extension.split(';').map((part) => part.trim())
  if (name !== NAME) throw new AnswerFault(`the server agreed to "${extension}", which was not offered`)
  const read = new Map<string, string | undefined>()
  for (const param of params) {
    const [key = '', value] = param.split('=')
    const isRight = FLAGS.includes(key) ? value === undefined : WINDOWS.includes(key) && (value === undefined || /^([89]|1[0-5])$/.test(value))
    if (!isRight || read.has(key)) throw new AnswerFault(`the server agreed with the parameter "${param}"`)
    read.set(key, value)
  }
  return read
}

/** Whether this is an answer to this offer (§7.1). */
function answers (answer: Params, offer: Params): boolean {
  const serverWindow = offer.get('server_max_window_bits')
  if (offer.has('server_no_context_takeover') && !answer.has('server_no_context_takeover')) return false
  if (serverWindow !== undefined && !(Number(answer.get('server_max_window_bits') ?? NaN) <= Number(serverWindow))) return false
  return !answer.has('client_max_window_bits') || offer.has('client_max_window_bits')
}

/** Both directions of one connection. */
export class DeflateTester {
  readonly #deflate: DeflateRaw
  readonly #inflate: InflateRaw
  readonly #resetsDeflate: boolean
  readonly #resetsInflate: boolean

  /** Throws an AnswerFault for an answer that fits none of the offers. */
  constructor (answer: string, offers: readonly string[]) {
    const agreed = readParams(answer)
    const fitting = offers.map(readParams).find((offer) => answers(agreed, offer))
    if (fitting === undefined || WINDOWS.some((name) => agreed.has(name) && agreed.get(name) === undefined)) throw new AnswerFault(`the server agreed to "${answer}", which answers none of the offers`)
    // §7.1.1.2: what the offer says of the client binds it too.
    this.#resetsDeflate = agreed.has('client_no_context_takeover') || fitting.has('client_no_context_takeover')
    this.#resetsInflate = agreed.has('server_no_context_takeover')
    this.#deflate = createDeflateRaw({ windowBits: Number(agreed.get('client_max_window_bits') ?? 15) })
    const windowBits = Number(agreed.get('server_max_window_bits') ?? 15)
    // zlib looks back over all it has put out in one piece, whatever the window: a piece must not be larger than that.
    this.#inflate = createInflateRaw({ windowBits, chunkSize: Math.min(constants.Z_DEFAULT_CHUNK, 2 ** windowBits) })
  }

  async compress (message: Buffer): Promise<Buffer> {
    const octets = await pass(this.#deflate, message)
    if (this.#resetsDeflate) this.#deflate.reset()
    return octets.subarray(0, octets.length - TAIL.length)
  }

  /** Rejects with zlib's error for what is not compressed as was agreed. */
  async inflate (payload: Buffer): Promise<Buffer> {
    const message = await pass(this.#inflate, Buffer.concat([payload, TAIL]))
    if (this.#resetsInflate) this.#inflate.reset()
    return message
  }

  close (): void {
    this.#deflate.close()
    this.#inflate.close()
  }
}

function pass (stream: DeflateRaw | InflateRaw, octets: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    const onData = (part: Buffer): void => { parts.push(part) }
    stream.on('data', onData)
    stream.once('error', reject)
    stream.write(octets)
    stream.flush(constants.Z_SYNC_FLUSH, () => {
      stream.off('data', onData)
      stream.off('error', reject)
      resolve(Buffer.concat(parts))
    })
  })
}
