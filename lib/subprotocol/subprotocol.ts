/**
 * A subprotocol as the server speaks it: its name, its codec and its compiled schemas (RFC 6455 §1.9).
 *
 * One object for each contract of a route, made at the start and shared by all its connections, so that it
 * holds nothing of theirs. It says which close code a bad message deserves; closing is left to the socket.
 */
import { types } from 'node:util'
import { FST_WS_ERR_DATA_TYPE, FST_WS_ERR_INVALID_CONTRACT, FST_WS_ERR_INVALID_MESSAGE, FST_WS_ERR_INVALID_SEND } from '../errors.ts'
import { CloseCode } from '../protocol/constants.ts'
import { encodeRaw, isBytes, jsonOrBytesCodec, resolveCodec } from './codec.ts'
import type { Codec, Contract } from './contract.ts'
import {
  compileValidator, ignoreRejection, isPlainObject, isThenable, shorten, ValidationFault,
  type Direction, type SchemaCompiler, type SchemaErrorFormatter, type Validator
} from './validator.ts'

/** FST_WS_ERR_INVALID_MESSAGE as `onInvalidMessage` gets it; Fastify's own type knows no context 'message'. */
export interface InvalidMessageError extends Error {
  code: string
  statusCode?: number
  closeCode: number
  /** What the schema compiler reported, bounded; only with 1008. */
  validation?: any[]
  validationContext: 'message'
}

/**
 * Thrown by `Subprotocol.decode` for a message that the contract does not allow, and by nothing else: any
 * other exception of `decode` is a fault of the application (its validator, its formatter).
 */
export class InvalidMessage {
  readonly error: InvalidMessageError
  /** Decoded, but not valid; undefined if it could not be decoded. */
  readonly message: unknown

  constructor (closeCode: number, text: string, fault?: ValidationFault, message?: unknown) {
    this.error = Object.assign(new FST_WS_ERR_INVALID_MESSAGE(text), { closeCode, validationContext: 'message' as const })
    if (fault !== undefined) describe(this.error, fault)
    this.message = message
  }
}

export interface SubprotocolParts {
  /** '' for a connection without subprotocol. */
  readonly name: string
  /** How errors call the place: "route /chat, subprotocol 'chat.v2'". */
  readonly what: string
  /** Undefined for a raw contract. */
  readonly codec: Codec | undefined
  readonly receive?: Validator | undefined
  /** Only with `validateSend`. */
  readonly send?: Validator | undefined
}

export interface SubprotocolOptions {
  readonly method: string
  readonly url: string
  readonly compiler: SchemaCompiler
  readonly validateSend: boolean
  readonly schemaErrorFormatter?: SchemaErrorFormatter | undefined
}

/** All raw connections encode alike. */
const RAW_ENCODING = {}

export class Subprotocol {
  readonly name: string
  /** No codec: data passes as it is. */
  readonly raw: boolean
  /** The kinds of data messages that the peer may send. */
  readonly wire: 'text' | 'binary' | 'both'
  /** As what the connection hands text over: no string is made for those who want none. */
  readonly textAs: 'string' | 'buffer'
  /** Where two have the same, a message that one has encoded need not be encoded for the other. */
  readonly encodingKey: object
  readonly #what: string
  readonly #codec: Codec | undefined
  readonly #receive: Validator | undefined
  readonly #send: Validator | undefined
  readonly #bytesPass: boolean

  constructor (parts: SubprotocolParts) {
    const { codec } = parts
    this.name = parts.name
    this.raw = codec === undefined
    this.wire = codec === undefined ? 'both' : codec.wire
    this.textAs = codec === undefined || codec.wire === 'binary' ? 'buffer' : 'string'
    // A message that has passed one schema has not passed another.
    this.encodingKey = parts.send === undefined ? codec ?? RAW_ENCODING : this
    this.#what = parts.what
    this.#codec = codec
    this.#receive = parts.receive
    this.#send = parts.send
    this.#bytesPass = codec === jsonOrBytesCodec
  }

  /**
   * A received message, ready for the application. `data` is a string for text and a Buffer for binary (on
   * a raw connection whatever the socket has), and may be returned as it is. Throws an `InvalidMessage`.
   */
  decode (data: string | Buffer, isBinary: boolean): unknown {
    const codec = this.#codec
    if (codec === undefined) return data
    if (codec.wire !== 'both' && isBinary !== (codec.wire === 'binary')) {
      throw new InvalidMessage(CloseCode.UnsupportedData, isBinary ? 'binary where the contract has text' : 'text where the contract has binary')
    }

    let message: unknown
    try {
      message = codec.decode(data)
    } catch (error) {
      // Only the error's name: its text may quote the payload, as that of V8's JSON.parse does.
      const name = error instanceof Error ? error.name : typeof error
      throw new InvalidMessage(CloseCode.InvalidFramePayloadData, shorten(`the codec '${codec.name}' cannot decode it (${name})`))
    }
    if (message instanceof Promise) {
      ignoreRejection(message)
      throw new FST_WS_ERR_INVALID_CONTRACT(this.#what, `the codec '${codec.name}' decoded to a promise: codecs are synchronous`)
    }

    if (this.#receive === undefined || (isBinary && this.#bytesPass)) return message
    try {
      return this.#receive.validate(message)
    } catch (fault) {
      if (!(fault instanceof ValidationFault)) throw fault
      throw new InvalidMessage(CloseCode.PolicyViolation, fault.text, fault, message)
    }
  }

  /**
   * A string for a text message, bytes for a binary one; the bytes may be the caller's own memory.
   *
   * With `validateSend` a copy is checked and the message itself is encoded: the option never changes what
   * is sent, and neither defaults nor transforms of the schema touch the application's object. Throws
   * FST_WS_ERR_INVALID_SEND, FST_WS_ERR_DATA_TYPE for what the codec cannot send, and what an own codec throws.
   */
  encode (message: unknown): string | Uint8Array {
    const codec = this.#codec
    if (codec === undefined) return encodeRaw(message)
    if (this.#send !== undefined && !(this.#bytesPass && isBytes(message))) checkSend(this.#send, message)

    const encoded: unknown = codec.encode(message)
    if (typeof encoded === 'string' && codec.wire !== 'binary') return encoded
    if (types.isUint8Array(encoded) && codec.wire !== 'text') return encoded
    // It would go out as a message that the peer, by the same contract, must refuse.
    if (isThenable(encoded)) ignoreRejection(encoded)
    throw new FST_WS_ERR_DATA_TYPE(`the codec '${codec.name}' must encode to ${WIRE_TYPE[codec.wire]}, synchronously`)
  }

  /** For the peer of a connection in the same process: the same messages, the schemas left to this side. */
  flipped (): Subprotocol {
    return new Subprotocol({ name: this.name, what: this.#what, codec: this.#codec })
  }
}

const WIRE_TYPE = { text: 'a string', binary: 'a Uint8Array', both: 'a string or a Uint8Array' } as const

/**
 * Compiles what a contract says. Throws FST_WS_ERR_INVALID_SCHEMA or FST_WS_ERR_ASYNC_VALIDATOR, for the
 * schema of `send` also where it will not be used: a schema that cannot work is found at the start.
 */
export function createSubprotocol (name: string, contract: Contract, options: SubprotocolOptions): Subprotocol {
  const { method, url, compiler, validateSend, schemaErrorFormatter } = options
  const what = name === '' ? `route ${url}` : `route ${url}, subprotocol '${name}'`
  const { receive: receiveSchema, send: sendSchema } = contract as { receive?: unknown, send?: unknown }
  const compile = (direction: Direction, schema: unknown): Validator | undefined =>
    schema === undefined ? undefined : compileValidator(compiler, schema, { method, url, direction, what, schemaErrorFormatter })
  const receive = compile('receive', receiveSchema)
  const send = compile('send', sendSchema)
  return new Subprotocol({ name, what, codec: resolveCodec(contract), receive, send: validateSend ? send : undefined })
}

/**
 * The first subprotocol in the client's order that the server has (RFC 6455 §4.2.2 leaves the choice to
 * the server); undefined if there is none in common.
 */
export function selectSubprotocol (offered: readonly string[], available: ReadonlyMap<string, Subprotocol>): Subprotocol | undefined {
  for (const name of offered) {
    const subprotocol = available.get(name)
    if (subprotocol !== undefined) return subprotocol
  }
  return undefined
}

function checkSend (validator: Validator, message: unknown): void {
  try {
    validator.validate(copyOf(message))
  } catch (error) {
    // Of the copy; a validator's own has become a fault already.
    const fault = error instanceof RangeError ? new ValidationFault('message is nested too deeply, or in a circle', []) : error
    if (!(fault instanceof ValidationFault)) throw fault
    throw describe(Object.assign(new FST_WS_ERR_INVALID_SEND(fault.text), { validationContext: 'message' as const }), fault)
  }
}

function describe<E extends Error & { validation?: any[] }> (error: E, fault: ValidationFault): E {
  error.validation = fault.errors
  if (fault.cause !== undefined) error.cause = fault.cause
  return error
}

/** Objects and arrays, which a validator may fill in, are copied; dates, class instances and bytes are not. */
function copyOf (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  if (!isPlainObject(value)) return value
  const copy = { ...value }
  for (const key of Object.keys(copy)) copy[key] = copyOf(copy[key])
  return copy
}
