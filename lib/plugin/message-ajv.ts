/**
 * Ajv for the schemas of messages, where an application has set no compiler of its own. Unlike Fastify's default it
 * neither coerces (null would become '') nor removes (a branch of a union would lose what the next one has), and it uses
 * the discriminator where a union has one.
 */
import { isDeepStrictEqual } from 'node:util'
import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifyInstance } from 'fastify'
import type { SchemaCompiler } from '../subprotocol/validator.ts'
import type { ResolvedOptions } from './options.ts'

type Build = ReturnType<typeof AjvCompiler>

/** One for each registration of the plugin: what two applications call by the same `$id` need not be the same. */
export class MessageAjv {
  readonly #options: ResolvedOptions['ajv']
  // Scopes with the same shared schemas share an Ajv.
  readonly #build = AjvCompiler()

  constructor (options: ResolvedOptions['ajv']) {
    this.#options = options
  }

  /**
   * The compiler of a scope. It is made for the first schema: that takes milliseconds, which routes without schemas need
   * not wait for. It throws for a schema whose `$id` another one has, since Ajv would silently give that one's validator.
   */
  compilerOf (scope: FastifyInstance): SchemaCompiler {
    let compiler: SchemaCompiler | undefined
    return (route) => {
      compiler ??= this.#make(scope)
      const validate = compiler(route)
      assertOf(route.schema, validate)
      return validate
    }
  }

  #make (scope: FastifyInstance): SchemaCompiler {
    const { customOptions, ...rest } = this.#options ?? {}
    return this.#build(scope.getSchemas() as Parameters<Build>[0], {
      plugins: [],
      ...rest,
      customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true, discriminator: true, addUsedSchema: true, ...customOptions }
    } as unknown as Parameters<Build>[1]) as unknown as SchemaCompiler
  }
}

/** Whatever Ajv has found by the `$id`, of this schema or within another one, must be this schema. */
function assertOf (schema: { readonly $id?: unknown }, validate: { readonly schema?: unknown }): void {
  const { schema: found } = validate
  if (found === schema || found === undefined || schema.$id === undefined || isDeepStrictEqual(plain(found), plain(schema))) return
  throw new Error(`another schema has the $id '${String(schema.$id)}': give one of them its own`)
}

/** Without what JSON Schema does not know, such as the symbols of TypeBox. */
function plain (schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema))
}
