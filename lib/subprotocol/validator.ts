/**
 * Message schemas, compiled once by the compiler that is passed in: Fastify's own signature, so that Ajv,
 * TypeBox, zod and whatever else an application has set all work, and all four forms of their results.
 *
 * It knows neither routes nor close codes. What it reports about a message is bounded and spells only names
 * that stand in the schema: a peer must not be able to write into a log, nor to make a log line grow.
 */
import { FST_WS_ERR_ASYNC_VALIDATOR, FST_WS_ERR_INVALID_SCHEMA } from '../errors.ts'

/** Seen from the server, as in AsyncAPI 3. */
export type Direction = 'receive' | 'send'

/** Fastify's `validatorCompiler`; message schemas are compiled as a `body`, the part that no compiler coerces on its own. */
export type SchemaCompiler = (route: { schema: any, method: string, url: string, httpPart: 'body' }) => CompiledSchema

/** What a compiler returns: true, false with `errors` on the function, `{ error }`, `{ value }`, or nothing for valid. */
export interface CompiledSchema {
  (message: any, context?: any): unknown
  errors?: unknown
  /** What it was compiled from, as Ajv says. */
  schema?: unknown
}

/** Fastify's `schemaErrorFormatter`, with the part named `message`. Its `message` becomes the text of our error, and it the `cause`. */
export type SchemaErrorFormatter = (errors: any[], part: 'message') => Error

export interface ValidatorOptions {
  readonly method: string
  readonly url: string
  readonly direction: Direction
  /** How errors call the place: "route /chat, subprotocol 'chat.v2'". */
  readonly what: string
  readonly schemaErrorFormatter?: SchemaErrorFormatter | undefined
}

/** Thrown by `Validator.validate` for a message that does not fit: no Error, since every caller turns it into one of its own. */
export class ValidationFault {
  /** At most `MAX_TEXT_BYTES`; names fields and rules, no values. */
  readonly text: string
  /** Bounded copies of what the compiler reported. */
  readonly errors: any[]
  /** What the application's `schemaErrorFormatter` made of it. */
  readonly cause: Error | undefined

  constructor (text: string, errors: any[], cause?: Error) {
    this.text = shorten(text)
    this.errors = errors
    this.cause = cause
  }
}

/** With the words that the error table puts before it, a text stays below 1 KiB. */
export const MAX_TEXT_BYTES = 900
// E2, E9: compilers that collect every error give one for each item of an array, and paths hold the peer's keys.
const MAX_ENTRIES = 16
const MAX_STRING_LENGTH = 256
const MAX_DEPTH = 6

/** The text, cut at a whole character so that it takes at most `MAX_TEXT_BYTES` in UTF-8. */
export function shorten (text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_TEXT_BYTES))
  return read === text.length ? text : `${text.slice(0, read)}…`
}

/** Compiles one schema. A bad one, and a compiler that works asynchronously, throw here and so stop the start. */
export function compileValidator (compiler: SchemaCompiler, schema: unknown, options: ValidatorOptions): Validator {
  const { method, url, direction, what } = options
  let compiled: unknown
  let names: ReadonlySet<string>
  try {
    compiled = compiler({ schema, method, url, httpPart: 'body' })
    names = namesIn(schema)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw Object.assign(new FST_WS_ERR_INVALID_SCHEMA(direction, what, shorten(reason)), { cause: error })
  }
  // Ajv marks the function that it makes of an `$async` schema.
  if (isThenable(compiled) || (compiled as { $async?: unknown } | undefined)?.$async === true) {
    throw asyncValidator(compiled, options)
  }
  if (typeof compiled !== 'function') {
    throw new FST_WS_ERR_INVALID_SCHEMA(direction, what, 'the compiler returned no function')
  }
  return new Validator(compiled as CompiledSchema, names, options)
}

/** One compiled schema. */
export class Validator {
  readonly #compiled: CompiledSchema
  readonly #options: ValidatorOptions
  readonly #names: ReadonlySet<string>
  // Ajv coerces and replaces a value where it hangs; a whole message hangs on this, as a body hangs on Fastify's request.
  readonly #parent: { message: unknown } | undefined
  readonly #context: object | undefined

  constructor (compiled: CompiledSchema, names: ReadonlySet<string>, options: ValidatorOptions) {
    this.#compiled = compiled
    this.#options = options
    this.#names = names
    if ('schemaEnv' in compiled) {
      this.#parent = { message: undefined }
      this.#context = { parentData: this.#parent, parentDataProperty: 'message' }
    }
  }

  /**
   * Returns the message to deliver: the same one, perhaps with defaults filled in, or the one that the
   * compiler made of it. Throws a `ValidationFault` if it does not fit; whatever else it throws is a fault
   * of the application's validator. A valid message costs no allocation of ours.
   */
  validate (message: unknown): unknown {
    const parent = this.#parent
    let result: unknown
    try {
      if (parent === undefined) {
        result = this.#compiled(message)
      } else {
        parent.message = message
        result = this.#compiled(message, this.#context)
        message = parent.message
      }
    } catch (error) {
      // A recursive schema follows a message as deep as it goes: the peer, not the schema, chose the depth.
      if (error instanceof RangeError) throw new ValidationFault('message is nested too deeply', [])
      throw error
    } finally {
      if (parent !== undefined) parent.message = undefined
    }
    if (result === true) return message
    if (result === false) throw this.#fault(this.#compiled.errors)
    if (typeof result !== 'object' || result === null) return message
    if (isThenable(result)) throw asyncValidator(result, this.#options)
    const { error } = result as { error?: unknown }
    if (error) throw this.#fault(error)
    return 'value' in result ? result.value : message
  }

  #fault (reported: unknown): ValidationFault {
    // Joi and others report one Error. As in Fastify it speaks for itself and does not go through the formatter.
    if (reported instanceof Error) return new ValidationFault(reported.message, [{ instancePath: '', message: bounded(reported.message, 0) }])

    const errors: any[] = Array.isArray(reported) ? bounded(reported, MAX_DEPTH) as any[] : []
    const format = this.#options.schemaErrorFormatter
    if (format === undefined) return new ValidationFault(this.#text(errors), errors)
    const formatted = format(errors, 'message')
    return new ValidationFault(formatted.message, errors, formatted)
  }

  /** As Fastify words its 400, "message/user/name must be string", but for keys that the schema does not name. */
  #text (errors: readonly unknown[]): string {
    if (errors.length === 0) return 'message does not fit the schema'
    return errors.map((error) => {
      const { instancePath = '', message = 'is not valid', keyword } = Object(error) as { instancePath?: string, message?: string, keyword?: string }
      const path = instancePath.split('/').map((name) => name === '' || /^\d{1,9}$/.test(name) || this.#names.has(name) ? name : '*').join('/')
      // The only text among those of Ajv, TypeBox and zod that quotes what the peer sent.
      return `message${path} ${keyword === 'unrecognized_keys' ? 'has unrecognized keys' : message}`
    }).join(', ')
  }
}

/** All keys that a schema spells, whatever its library: those of `properties` among them. */
function namesIn (schema: unknown): Set<string> {
  const names = new Set<string>()
  const nodes = new Set<unknown>([schema])
  // A Set hands out what is added while it is walked, and each node once: schemas may be circular.
  for (const node of nodes) {
    if (typeof node !== 'object' || node === null) continue
    for (const [key, value] of Object.entries(node)) {
      names.add(key)
      nodes.add(value)
    }
  }
  return names
}

/**
 * A copy whose size does not depend on the message; instances of classes stay what they are. Objects keep
 * their symbols, by which zod's provider knows its own.
 */
function bounded (value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > MAX_STRING_LENGTH ? `${value.slice(0, MAX_STRING_LENGTH)}…` : value
  if (Array.isArray(value)) return depth === 0 ? [] : value.slice(0, MAX_ENTRIES).map((item) => bounded(item, depth - 1))
  if (!isPlainObject(value)) return value
  if (depth === 0) return {}
  const copy = { ...value }
  for (const [index, key] of Object.keys(copy).entries()) {
    if (index < MAX_ENTRIES) copy[key] = bounded(copy[key], depth - 1)
    else delete copy[key]
  }
  return copy
}

/** An object literal or parsed JSON: what may be copied key by key. */
export function isPlainObject (value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Whether it can be awaited, whoever made it. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function asyncValidator (result: unknown, options: ValidatorOptions): Error {
  if (isThenable(result)) ignoreRejection(result)
  return new FST_WS_ERR_ASYNC_VALIDATOR(options.what)
}

/** Nobody will wait for this promise; its rejection must not end the process. */
export function ignoreRejection (promise: PromiseLike<unknown>): void {
  promise.then(undefined, () => {})
}
