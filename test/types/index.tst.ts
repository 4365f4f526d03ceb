/**
 * What an application sees of the types, for each type provider and for none. The text behind `@ts-expect-error` is
 * compared with the compiler's message: it must say which field or key is wrong.
 */
import type { Duplex } from 'node:stream'
import { Type as T, type Static } from '@sinclair/typebox'
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { describe, expect, test } from 'tstyche'
import type { TypeBoxTypeProvider as TypeBox1Provider } from 'type-provider-typebox-1'
import { Type as T1 } from 'typebox'
import { z } from 'zod'
import duplex, {
  bytes, custom, defineWebSocketRoute, json, prepare, raw, text,
  type BroadcastResult, type ClientOf, type CloseInfo, type Codec, type ConnectionError, type HandlerOf, type InvalidMessageError, type Prepared,
  type RawSocket, type SocketOf, type WebSocket
} from '../../index.ts'

type In = { type: 'say', text: string } | { type: 'typing' }
interface Out { type: 'said', from: string }

const SayIn = T.Union([T.Object({ type: T.Literal('say'), text: T.String() }), T.Object({ type: T.Literal('typing') })])
const SaidOut = T.Object({ type: T.Literal('said'), from: T.String() })

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()

const chat = defineWebSocketRoute({
  url: '/chat/:room',
  schema: { params: T.Object({ room: T.String() }) },
  subprotocols: {
    'chat.v2': json({ receive: SayIn, send: SaidOut }),
    'chat.v1': json({ receive: T.Object({ text: T.String() }), send: T.Object({ text: T.String() }) })
  }
})

const market = defineWebSocketRoute({
  url: '/ticks',
  messages: json({ receive: T.Object({ subscribe: T.Array(T.String()) }), send: T.Object({ price: T.Number() }) })
})

type ChatSocket = SocketOf<typeof chat, TypeBoxTypeProvider>
type MarketSocket = SocketOf<typeof market, TypeBoxTypeProvider>

describe('every type provider', () => {
  test('TypeBox 0.34', () => {
    app.get('/:id', {
      websocket: true,
      schema: { params: T.Object({ id: T.String() }) },
      messages: json({ receive: SayIn, send: SaidOut })
    }, async (socket, request) => {
      expect(request.params).type.toBe<{ id: string }>()
      expect(socket.protocol).type.toBe<''>()
      expect(socket.next()).type.toBe<Promise<In>>()
      expect(socket.send).type.toBeCallableWith({ type: 'said', from: '' } satisfies Out)
      socket.on('message', (message) => expect(message).type.toBe<In>())
      for await (const message of socket) expect(message).type.toBe<In>()
    })
  })

  test('TypeBox 1.x', () => {
    Fastify().withTypeProvider<TypeBox1Provider>().get('/:id', {
      websocket: true,
      schema: { params: T1.Object({ id: T1.String() }) },
      messages: json({
        receive: T1.Union([T1.Object({ type: T1.Literal('say'), text: T1.String() }), T1.Object({ type: T1.Literal('typing') })]),
        send: T1.Object({ type: T1.Literal('said'), from: T1.String() })
      })
    }, (socket, request) => {
      expect(request.params).type.toBe<{ id: string }>()
      expect(socket.next()).type.toBe<Promise<In>>()
      expect(socket.send).type.toBeCallableWith({ type: 'said', from: '' } satisfies Out)
      expect(socket.send).type.not.toBeCallableWith({ type: 'said', from: 1 })
    })
  })

  test('json-schema-to-ts', () => {
    Fastify().withTypeProvider<JsonSchemaToTsProvider>().get('/:id', {
      websocket: true,
      schema: { params: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'], additionalProperties: false } },
      subprotocols: {
        a: json({
          receive: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false },
          send: { type: 'object', properties: { n: { type: 'number', enum: [1, 2] } }, required: ['n'], additionalProperties: false }
        }),
        b: json({ receive: { type: 'string' } })
      }
    }, (socket, request) => {
      expect(request.params).type.toBe<{ id: string }>()
      if (socket.protocol === 'a') {
        expect(socket.next()).type.toBe<Promise<{ text: string }>>()
        expect(socket.send).type.toBeCallableWith({ n: 2 as const })
        expect(socket.send).type.not.toBeCallableWith({ n: 3 as const })
      } else {
        expect(socket.next()).type.toBe<Promise<string>>()
      }
    })
  })

  test('zod: the server receives what comes out of the schema', () => {
    const route = defineWebSocketRoute({
      url: '/:id',
      schema: { params: z.object({ id: z.string() }) },
      messages: json({ receive: z.object({ at: z.string().transform((at) => new Date(at)) }), send: z.object({ n: z.number() }) })
    })
    Fastify().withTypeProvider<ZodTypeProvider>().get(route.url, route, (socket, request) => {
      expect(request.params).type.toBe<{ id: string }>()
      expect(socket.next()).type.toBe<Promise<{ at: Date }>>()
      expect(socket.send).type.toBeCallableWith({ n: 1 })
      expect(socket.send).type.not.toBeCallableWith({ n: '1' })
    })
  })

  test('none: what a schema describes is unknown, what a codec gives is known', () => {
    const plain = Fastify()
    plain.get('/', { websocket: true, messages: json({ receive: { type: 'object' }, send: SaidOut }) }, (socket) => {
      expect(socket.next()).type.toBe<Promise<unknown>>()
      expect(socket.send).type.toBeCallableWith(1)
    })
    plain.get('/', { websocket: true, subprotocols: { text: text(), bytes: bytes() } }, (socket) => {
      if (socket.protocol === 'text') {
        expect(socket.next()).type.toBe<Promise<string>>()
        expect(socket.send).type.toBeCallableWith('a')
        expect(socket.send).type.not.toBeCallableWith(Buffer.of(1))
      } else {
        expect(socket.next()).type.toBe<Promise<Buffer>>()
        expect(socket.send).type.toBeCallableWith(new Uint16Array(1))
        expect(socket.send).type.not.toBeCallableWith('a')
      }
    })
  })

  test('another one, with a schema of its own kind', () => {
    interface Own { readonly is: unknown }
    interface OwnProvider {
      readonly schema: unknown
      readonly validator: this['schema'] extends Own ? this['schema']['is'] : unknown
      readonly serializer: this['schema'] extends Own ? [this['schema']['is']] : unknown
    }
    app.withTypeProvider<OwnProvider>().get('/', { websocket: true, messages: json({ receive: { is: 'in' }, send: { is: 'out' } }) }, (socket) => {
      expect(socket.next()).type.toBe<Promise<'in'>>()
      expect(socket.send).type.toBeCallableWith(['out'] as ['out'])
    })
  })
})

describe('contracts', () => {
  test('json with binary passes bytes beside the JSON', () => {
    app.get('/', { websocket: true, messages: json({ receive: T.Object({ size: T.Integer() }), send: SaidOut, binary: true }) }, (socket) => {
      expect(socket.next()).type.toBe<Promise<{ size: number } | Buffer>>()
      expect(socket.send).type.toBeCallableWith(new Uint8Array(1))
      expect(socket.send).type.not.toBeCallableWith('a')
    })
    app.get('/', { websocket: true, subprotocols: { a: json({ receive: SaidOut, binary: false }) } }, (socket) => {
      expect(socket.next()).type.toBe<Promise<Out>>()
    })
  })

  test('a direction without schema is unknown', () => {
    app.get('/', { websocket: true, messages: json({ send: SaidOut }) }, (socket) => {
      expect(socket.next()).type.toBe<Promise<unknown>>()
      expect(socket.send).type.not.toBeCallableWith(1)
    })
    app.get('/', { websocket: true, subprotocols: { a: json({ receive: SaidOut }), b: json() } }, (socket) => {
      if (socket.protocol === 'a') {
        expect(socket.next()).type.toBe<Promise<Out>>()
        expect(socket.send).type.toBeCallableWith(1)
      } else {
        expect(socket.next()).type.toBe<Promise<unknown>>()
      }
    })
  })

  test('a raw route and a raw contract give Buffers to listeners, and strings for text to the others', () => {
    app.get('/', { websocket: true }, async (socket) => {
      expect(socket).type.toBe<RawSocket>()
      socket.on('message', (data, isBinary) => {
        expect(data).type.toBe<Buffer>()
        expect(isBinary).type.toBe<boolean>()
      })
      for await (const data of socket) expect(data).type.toBe<string | Buffer>()
      expect(socket.next()).type.toBe<Promise<string | Buffer>>()
      expect(socket.send).type.toBeCallableWith('a', { binary: true, fin: false })
      expect(socket.send).type.toBeCallableWith(new ArrayBuffer(1))
      expect(socket.send).type.not.toBeCallableWith({})
    })
    app.get('/', { websocket: true, subprotocols: { 'graphql-transport-ws': raw() } }, (socket) => {
      expect(socket.protocol).type.toBe<'graphql-transport-ws'>()
      socket.on('message', (data) => expect(data).type.toBe<Buffer>())
      expect(socket.next()).type.toBe<Promise<string | Buffer>>()
    })
  })

  test('an own codec gives the types where there is no schema', () => {
    const tuples = {
      name: 'tuples',
      wire: 'binary' as const,
      encode: (message: readonly number[]) => Uint8Array.from(message),
      decode: (data: string | Uint8Array) => [...data as Uint8Array]
    }
    const untyped: Codec = tuples
    app.get('/', {
      websocket: true,
      subprotocols: { tuples: custom({ codec: tuples }), typed: custom({ codec: tuples, receive: SayIn, send: SaidOut }), untyped: custom({ codec: untyped }) }
    }, (socket) => {
      switch (socket.protocol) {
        case 'tuples':
          expect(socket.next()).type.toBe<Promise<number[]>>()
          expect(socket.send).type.toBeCallableWith([1])
          expect(socket.send).type.not.toBeCallableWith(['a'])
          break
        case 'typed':
          expect(socket.next()).type.toBe<Promise<In>>()
          expect(socket.send).type.not.toBeCallableWith([1])
          break
        default:
          expect(socket.next()).type.toBe<Promise<unknown>>()
          expect(socket.send).type.toBeCallableWith(1)
      }
    })
    expect(custom).type.not.toBeCallableWith({ codec: { ...tuples, wire: 'utf8' } })
  })

  test('contracts that are made elsewhere, one of several or by names that are not known', () => {
    const either = Math.random() > 0.5 ? json({ receive: T.Object({ a: T.String() }) }) : text()
    app.get('/', { websocket: true, messages: either }, (socket) => {
      expect(socket.next()).type.toBe<Promise<{ a: string } | string>>()
    })
    const byName: Record<string, ReturnType<typeof text>> = {}
    app.get('/', { websocket: true, subprotocols: byName }, (socket) => {
      expect(socket).type.toBe<WebSocket<string, unknown, unknown>>()
    })
  })

  test('a wrong key is named', () => {
    // @ts-expect-error 'recieve' does not exist
    app.get('/', { websocket: true, messages: json({ recieve: SayIn }) }, () => {})
    // @ts-expect-error 'sent' does not exist
    app.get('/', { websocket: true, subprotocols: { a: json({ receive: SayIn, sent: SaidOut }) } }, () => {})
    // @ts-expect-error 'calls' does not exist
    json({ calls: {} })
    // @ts-expect-error 'message' does not exist
    defineWebSocketRoute({ url: '/', message: json() })
    // @ts-expect-error 'binary' does not exist
    custom({ codec: { name: 'x', wire: 'text', encode: String, decode: String }, binary: true })
    // @ts-expect-error Expected 0 arguments
    text({ receive: SayIn })
    // @ts-expect-error Type 'string' is not assignable to type 'boolean | undefined'
    json({ binary: 'yes' })
    // @ts-expect-error the contract of a connection without subprotocol is `messages`
    defineWebSocketRoute({ url: '/', subprotocols: { '': json() } })
  })

  test('a wrong route says so', () => {
    // @ts-expect-error the options or the handler do not fit a WebSocket route
    app.get('/', { websocket: true, messages: { receive: SayIn } }, () => {})
    // @ts-expect-error the options or the handler do not fit a WebSocket route
    app.get('/', { messages: json() }, () => {})
    // @ts-expect-error the options or the handler do not fit a WebSocket route
    app.get('/', { websocket: true, subprotocols: { '': json() } }, () => {})
    // @ts-expect-error the options or the handler do not fit a WebSocket route
    app.route({ method: 'POST', url: '/', websocket: true, messages: json(), handler: () => {} })
    // @ts-expect-error 'maxPayload' does not exist
    app.get('/', { websocket: true, messages: json(), websocketOptions: { maxPayload: 1 } }, () => {})
    // @ts-expect-error 'threshold' does not exist
    app.get('/', { websocket: true, messages: json(), websocketOptions: { deflate: { threshold: 1 } } }, () => {})
  })
})

describe('sockets', () => {
  test('are a union that protocol discriminates', () => {
    app.get(chat.url, chat, async (socket, request) => {
      expect(request.params).type.toBe<{ room: string }>()
      expect(socket).type.toBe<ChatSocket>()
      expect(socket.protocol).type.toBe<'chat.v2' | 'chat.v1'>()
      socket.on('message', (message) => expect(message).type.toBe<In | { text: string }>())
      socket.once('close', (code, reason) => expect<[number, Buffer]>().type.toBe<[typeof code, typeof reason]>())
      expect(await socket.next()).type.toBe<In | { text: string }>()
      for await (const message of socket) expect(message).type.toBe<In | { text: string }>()
      expect(socket.send).type.toBeCallableWith({ type: 'said', from: '', text: '' } as Out & { text: string })
      expect(socket.send).type.not.toBeCallableWith({ text: '' })
      if (socket.protocol === 'chat.v2') {
        socket.on('message', (message) => expect(message).type.toBe<In>())
        expect(socket.send).type.toBeCallableWith({ type: 'said', from: '' } satisfies Out)
      } else {
        socket.on('message', (message) => expect(message).type.toBe<{ text: string }>())
        expect(socket.send).type.toBeCallableWith({ text: '' })
      }
    })
  })

  test('are typed by a map of handlers', () => {
    app.get(chat.url, chat, {
      'chat.v2' (socket, request) {
        expect(this).type.toBe<FastifyInstance<FastifyInstance['server'], Parameters<FastifyInstance['routing']>[0], Parameters<FastifyInstance['routing']>[1], FastifyBaseLogger, TypeBoxTypeProvider>>()
        expect(request.params).type.toBe<{ room: string }>()
        expect(socket.next()).type.toBe<Promise<In>>()
      },
      'chat.v1': async (socket) => {
        for await (const message of socket) expect(message).type.toBe<{ text: string }>()
      }
    })
    app.get('/', { websocket: true, messages: text(), subprotocols: { a: json({ receive: SayIn }) } }, {
      '': (socket) => expect(socket.next()).type.toBe<Promise<string>>(),
      a: (socket) => expect(socket.next()).type.toBe<Promise<In>>()
    })
    // @ts-expect-error Property '"chat.v1"' is missing
    app.get(chat.url, chat, { 'chat.v2': () => {} })
    // @ts-expect-error ''chat.v3'' does not exist
    app.get(chat.url, chat, { 'chat.v2': () => {}, 'chat.v1': () => {}, 'chat.v3': () => {} })
    // @ts-expect-error '''' does not exist
    app.get(market.url, market, { '': () => {} })
  })

  test('of messages beside subprotocols have both', () => {
    app.get('/', { websocket: true, messages: text(), subprotocols: { a: json({ receive: SayIn }) } }, (socket) => {
      expect(socket.protocol).type.toBe<'' | 'a'>()
      if (socket.protocol === '') expect(socket.next()).type.toBe<Promise<string>>()
      else expect(socket.next()).type.toBe<Promise<In>>()
    })
  })

  test('say which field of a message is wrong', () => {
    app.get(market.url, market, (socket) => {
      // @ts-expect-error Type 'string' is not assignable to type 'number'
      socket.send({ price: '1' })
      // @ts-expect-error 'prize' does not exist
      socket.send({ prize: 1 })
      // @ts-expect-error Property 'unsubscribe' does not exist
      socket.on('message', (message) => message.unsubscribe)
      // @ts-expect-error Types of property 'price' are incompatible
      socket.send(prepare({ price: '1' }))
    })
  })

  test('type the listeners of every kind', () => {
    app.get(chat.url, chat, (socket) => {
      socket.addEventListener('message', (event) => expect(event.data).type.toBe<In | { text: string }>())
      socket.addEventListener('close', { handleEvent: (event) => expect(event.code).type.toBe<number>() })
      socket.once('message', (message) => expect(message).type.toBe<In | { text: string }>())
      if (socket.protocol === 'chat.v2') {
        socket.onmessage = (event) => expect(event.data).type.toBe<In>()
        socket.addEventListener('message', (event) => expect(event.data).type.toBe<In>(), { once: true })
        socket.once('message', (message, isBinary) => expect<[In, boolean]>().type.toBe<[typeof message, typeof isBinary]>())
        socket.on('of the application', (anything) => expect(anything).type.toBe<any>())
        // @ts-expect-error not assignable
        socket.on('message', (message: { text: number }) => message)
      }
      for (const event of ['open', 'message', 'close'] as const) socket.on(event, () => {})
    })
  })

  test('are assignable to wider ones, and not to those that send more', () => {
    expect<MarketSocket>().type.toBeAssignableTo<WebSocket<string, unknown, never>>()
    expect<ChatSocket>().type.toBeAssignableTo<WebSocket<string, unknown, never>>()
    expect<RawSocket>().type.toBeAssignableTo<WebSocket<string, unknown, never>>()
    expect<MarketSocket>().type.toBeAssignableTo<WebSocket<string, { subscribe: string[] }, { price: number }>>()
    expect<MarketSocket>().type.not.toBeAssignableTo<WebSocket<string, { unsubscribe: string[] }, { price: number }>>()
    expect<MarketSocket>().type.not.toBeAssignableTo<WebSocket<string, unknown, { prize: number }>>()
    expect<WebSocket>().type.toBeAssignableTo<NodeJS.EventEmitter>()
    for (const socket of app.websockets) {
      expect(socket.sendRaw).type.toBeCallableWith('a')
      expect(socket.send).type.not.toBeCallableWith('a')
    }
    expect(app.websockets.size).type.toBe<number>()
    expect(app.websockets.closeAll(1001, 'bye')).type.toBe<Promise<void>>()
  })

  test('have the rest of the interface', async () => {
    const socket = {} as MarketSocket
    expect(socket.closed).type.toBe<Promise<CloseInfo>>()
    expect(socket.signal).type.toBe<AbortSignal>()
    expect(socket.drained()).type.toBe<Promise<void>>()
    expect(socket.stream()).type.toBe<Duplex>()
    expect(socket.send({ price: 1 }, { compress: false }, (error) => expect(error).type.toBeAssignableTo<Error | null | undefined>())).type.toBe<boolean>()
    await using closing = socket
    expect(closing.readyState).type.toBeAssignableTo<number>()
  })
})

describe('prepare', () => {
  test('keeps literals, and leaves arrays writable as schemas have them', () => {
    expect(prepare({ type: 'said', from: '' as string })).type.toBeAssignableTo<Prepared<Out>>()
    expect(prepare({ type: 'sad', from: '' as string })).type.not.toBeAssignableTo<Prepared<Out>>()
    expect(prepare({ list: [1, { deep: ['a'] }] })).type.toBeAssignableTo<Prepared<{ list: Array<number | { deep: string[] }> }>>()
    expect(prepare(Buffer.of(1))).type.toBeAssignableTo<Prepared<ArrayBufferView>>()
    const out: Static<typeof SaidOut> = { type: 'said', from: '' }
    expect(prepare(out)).type.toBeAssignableTo<Prepared<Out>>()
  })
})

describe('explicit generics', () => {
  test('one contract', () => {
    app.get<{ Params: { id: string }, Receive: 'in', Send: 'out' }>('/:id', { websocket: true, messages: json() }, (socket, request) => {
      expect(request.params.id).type.toBe<string>()
      expect(socket).type.toBe<WebSocket<string, 'in', 'out'>>()
    })
    app.get<{ Receive: 'in' }>('/', { websocket: true, subprotocols: { a: json(), b: json() } }, (socket) => {
      expect(socket).type.toBe<WebSocket<string, 'in', unknown>>()
    })
  })

  test('by subprotocol', () => {
    app.get<{ Messages: { a: { receive: 'a', send: 1 }, b: { receive: 'b' } } }>('/', { websocket: true, subprotocols: { a: json(), b: json() } }, (socket) => {
      socket.on('message', (message) => expect(message).type.toBe<'a' | 'b'>())
      if (socket.protocol === 'a') {
        expect(socket.next()).type.toBe<Promise<'a'>>()
        expect(socket.send).type.toBeCallableWith(1)
        expect(socket.send).type.not.toBeCallableWith(2)
      } else {
        expect(socket.next()).type.toBe<Promise<'b'>>()
        expect(socket.send).type.toBeCallableWith(2)
      }
    })
    app.get<{ Messages: { a: { receive: 'a' } }, Receive: 'none' }>('/', { websocket: true, messages: json(), subprotocols: { a: json() } }, {
      '': (socket) => expect(socket.next()).type.toBe<Promise<'none'>>(),
      a: (socket) => expect(socket.next()).type.toBe<Promise<'a'>>()
    })
    // @ts-expect-error Property 'a' is missing
    app.get<{ Messages: { a: { receive: 'a' } } }>('/', { websocket: true, subprotocols: { b: json() } }, () => {})
  })

  test('without messages they are unknown, and never raw', () => {
    app.get<{ Params: { id: string } }>('/:id', { websocket: true, messages: json({ receive: SayIn }) }, (socket) => {
      expect(socket).type.toBe<WebSocket<string, unknown, unknown>>()
    })
    app.get<{ Params: { id: string } }>('/:id', { websocket: true }, (socket, request) => {
      expect(request.params.id).type.toBe<string>()
      expect(socket).type.toBe<RawSocket>()
    })
    // @ts-expect-error Property 'next' does not exist
    app.get<{ Receive: 'in' }>('/', { websocket: true }, (socket) => socket.next())
  })
})

describe('route objects', () => {
  test('give both sides', () => {
    type V2 = WebSocket<'chat.v2', In, Out, In | { text: string }>
    type V1 = WebSocket<'chat.v1', { text: string }, { text: string }, In | { text: string }>
    expect<ChatSocket>().type.toBe<V2 | V1>()
    expect<ClientOf<typeof chat, TypeBoxTypeProvider, 'chat.v2'>>().type.toBe<WebSocket<'chat.v2', Out, In>>()
    expect<ClientOf<typeof market, TypeBoxTypeProvider>>().type.toBe<WebSocket<'', { price: number }, { subscribe: string[] }>>()
    expect<SocketOf<typeof market>>().type.toBe<WebSocket<'', unknown, unknown>>()
  })

  test('without contracts are raw', () => {
    const plain = defineWebSocketRoute({ url: '/raw' })
    expect<SocketOf<typeof plain>>().type.toBe<RawSocket>()
    expect<ClientOf<typeof plain>>().type.toBe<RawSocket>()
    app.get(plain.url, plain, (socket) => expect(socket).type.toBe<RawSocket>())
  })

  test('have handlers that stand apart', () => {
    const handler: HandlerOf<typeof chat, TypeBoxTypeProvider> = function (socket, request) {
      expect(this.log.info).type.toBeCallableWith('a')
      expect(request.params).type.toBe<{ room: string }>()
      expect(socket).type.toBe<ChatSocket>()
    }
    app.get(chat.url, chat, handler)
    app.route({ ...chat, method: 'GET', handler })
    app.route({ ...chat, method: 'GET', handler: () => 'plain', wsHandler: handler })
  })

  test('type the callbacks of their options', () => {
    app.get(market.url, {
      ...market,
      websocketOptions: {
        maxMessageBytes: 1,
        deflate: { level: 9, contextTakeover: true },
        onInvalidMessage (error, socket, request, message) {
          expect(error).type.toBe<InvalidMessageError>()
          expect(socket).type.toBe<MarketSocket>()
          expect(request.ip).type.toBe<string>()
          expect(message).type.toBe<unknown>()
        },
        errorHandler: (error, socket) => {
          expect(error).type.toBe<ConnectionError>()
          expect(socket).type.toBe<MarketSocket>()
        }
      }
    }, (socket) => expect(socket).type.toBe<MarketSocket>())
    app.get('/', { websocket: true, selectSubprotocol: (offered) => offered[0] ?? false }, (socket) => expect(socket).type.toBe<RawSocket>())
    app.register(duplex, { errorHandler: (error, socket) => { if (error.kind === 'handler') socket.close(1011) } })
  })
})

describe('the full declaration', () => {
  test('of a WebSocket route', () => {
    app.route({ method: 'GET', url: '/', websocket: true, handler: (socket) => expect(socket).type.toBe<RawSocket>() })
    app.route({
      method: 'GET',
      url: '/:id',
      websocket: true,
      schema: { params: T.Object({ id: T.String() }) },
      messages: json({ receive: SayIn }),
      handler: (socket, request) => {
        expect(request.params).type.toBe<{ id: string }>()
        expect(socket.next()).type.toBe<Promise<In>>()
      }
    })
  })

  test('of a path that serves plain requests too', () => {
    app.route({
      method: 'GET',
      url: '/',
      handler: (_request, reply) => expect(reply.code).type.toBeCallableWith(200),
      wsHandler: (socket) => expect(socket).type.toBe<RawSocket>()
    })
    app.route({
      method: 'GET',
      url: '/',
      subprotocols: chat.subprotocols,
      handler: (_request, reply) => expect(reply.code).type.toBeCallableWith(200),
      wsHandler: {
        'chat.v2': (socket) => expect(socket.next()).type.toBe<Promise<In>>(),
        'chat.v1': (socket) => expect(socket.next()).type.toBe<Promise<{ text: string }>>()
      }
    })
  })
})

describe('injectWebSocket', () => {
  test('by path is untyped', async () => {
    const client = await app.injectWebSocket('/chat/x', { subprotocols: ['any'], query: { a: 1, b: ['x'] }, headers: { cookie: 'a=b' } })
    expect(client.send).type.toBeCallableWith({ anything: true })
    expect(await client.next()).type.toBe<any>()
    expect(client.transport).type.toBe<Duplex>()
  })

  test('offers permessage-deflate', () => {
    expect(app.injectWebSocket).type.toBeCallableWith('/chat/x', { deflate: true })
    expect(app.injectWebSocket).type.not.toBeCallableWith('/chat/x', { deflate: {} })
  })

  test('by route object is typed and flipped', async () => {
    const v2 = await app.injectWebSocket(chat, { params: { room: 'x' }, subprotocols: ['chat.v2'] })
    expect(v2.protocol).type.toBe<'chat.v2'>()
    expect(v2.next()).type.toBe<Promise<Out>>()
    expect(v2.send).type.toBeCallableWith({ type: 'say', text: '' } as In)
    expect(v2.send).type.not.toBeCallableWith({ type: 'said', from: '' } satisfies Out)
    expect(v2.transport).type.toBe<Duplex>()

    const either = await app.injectWebSocket(chat, { params: { room: 'x' }, subprotocols: ['chat.v2', 'chat.v1'] })
    if (either.protocol === 'chat.v1') expect(either.next()).type.toBe<Promise<{ text: string }>>()
    else expect(either.next()).type.toBe<Promise<Out>>()

    const ticks = await app.injectWebSocket(market)
    expect(ticks.next()).type.toBe<Promise<{ price: number }>>()
    expect(ticks.send).type.toBeCallableWith({ subscribe: [] as string[] })
  })

  test('sends what goes into a schema and gets what comes out of it', async () => {
    const route = defineWebSocketRoute({
      url: '/',
      messages: json({ receive: z.object({ at: z.date() }), send: z.object({ at: z.string().transform(Number) }) })
    })
    const client = await Fastify().withTypeProvider<ZodTypeProvider>().injectWebSocket(route)
    expect(client.next()).type.toBe<Promise<{ at: number }>>()
  })

  test('wants the parameters of the path, and a subprotocol where there is no other way', () => {
    // @ts-expect-error Property 'params' is missing
    app.injectWebSocket(chat, { subprotocols: ['chat.v2'] })
    // @ts-expect-error Property 'subprotocols' is missing
    app.injectWebSocket(chat, { params: { room: 'x' } })
    // @ts-expect-error Type '"chat.v3"' is not assignable to type '"chat.v2" | "chat.v1"'
    app.injectWebSocket(chat, { params: { room: 'x' }, subprotocols: ['chat.v3'] })
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    app.injectWebSocket(chat, { params: { room: 1 }, subprotocols: ['chat.v2'] })

    const byPath = defineWebSocketRoute({ url: '/a/:one/b/:two', messages: text() })
    app.injectWebSocket(byPath, { params: { one: 'x', two: 2 } })
    // @ts-expect-error Property 'two' is missing
    app.injectWebSocket(byPath, { params: { one: 'x' } })
    const pattern = defineWebSocketRoute({ url: '/:from-:to', messages: text() })
    app.injectWebSocket(pattern, { params: { from: 1, to: 2 } })
    const wildcard = defineWebSocketRoute({ url: '/files/*', messages: text() })
    app.injectWebSocket(wildcard, { params: { '*': 'a/b' } })
  })
})

test('plain routes are as they were', () => {
  app.get('/:id', { schema: { params: T.Object({ id: T.String() }), response: { 200: T.String() } } }, async (request, reply) => {
    expect(request.params).type.toBe<{ id: string }>()
    expect(reply.send).type.toBeCallableWith('a')
    return request.params.id
  })
  app.post('/', { schema: { body: SaidOut } }, async (request) => { expect(request.body).type.toBe<Out>() })
  app.get('/', async (request) => { expect(request.ip).type.toBe<string>() })
  app.route({ method: ['GET', 'POST'], url: '/', handler: async (request) => { expect(request.ip).type.toBe<string>() } })
})

describe('broadcast', () => {
  const room = new Set<SocketOf<typeof market, TypeBoxTypeProvider>>()
  const rawSockets: RawSocket[] = []

  test('takes what every one of the sockets takes', () => {
    expect(app.websockets.broadcast(rawSockets, 'text')).type.toBe<BroadcastResult>()
    expect(app.websockets.broadcast).type.toBeCallableWith(rawSockets, Buffer.alloc(1), { slow: 'close' as const })
    expect(app.websockets.broadcast).type.toBeCallableWith(rawSockets, prepare('text'))
    expect(app.websockets.broadcast).type.not.toBeCallableWith(rawSockets, { an: 'object' })
    expect(app.websockets.broadcast).type.not.toBeCallableWith(rawSockets, 'text', { slow: 'drop' })
    expect(app.websockets.broadcast).type.toBeCallableWith(room, { price: 1 })
    expect(app.websockets.broadcast).type.not.toBeCallableWith(room, { price: 'one' })
  })

  test('nothing, to sockets of which nothing is known', () => {
    expect(app.websockets.broadcast).type.not.toBeCallableWith(app.websockets, 'text')
  })
})
