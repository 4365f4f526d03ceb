import t from 'tap'
import { isOriginAllowed } from '../../lib/plugin/origin.ts'
import { LEVEL, startApp } from '../helpers/app.ts'
import { upgradeRequest, Wire } from '../helpers/wire.ts'

const asked = (host: string, protocol: 'http' | 'https' = 'http') => ({ host, protocol }) as never
const isSame = (origin: string, host: string, protocol?: 'http' | 'https') => isOriginAllowed('same-origin', origin, asked(host, protocol))

t.test('same-origin: host and port of the Origin are those of the request', async (t) => {
  const same: Array<[origin: string, host: string, protocol?: 'http' | 'https']> = [
    ['http://example.com', 'example.com'],
    ['http://example.com', 'example.com:80'],
    ['https://example.com', 'example.com'],
    ['https://example.com', 'example.com:443'],
    ['https://example.com', 'example.com', 'https'],
    ['https://example.com:8443', 'example.com:8443', 'https'],
    ['http://example.com:8080', 'example.com:8080'],
    ['http://example.com', 'EXAMPLE.com'],
    ['http://EXAMPLE.com', 'example.com'],
    ['http://127.0.0.1:3000', '127.0.0.1:3000'],
    ['http://[::1]:3000', '[::1]:3000'],
    ['http://[::1]', '[::1]:80'],
    ['http://xn--hxa.example', 'xn--hxa.example']
  ]
  for (const [origin, host, protocol] of same) t.equal(isSame(origin, host, protocol), true, `${origin} at ${host}`)

  const other: Array<[origin: string, host: string, protocol?: 'http' | 'https']> = [
    ['http://evil.example', 'example.com'],
    ['http://example.com.evil.example', 'example.com'],
    ['http://evilexample.com', 'example.com'],
    ['http://sub.example.com', 'example.com'],
    ['http://example.com:8080', 'example.com'],
    ['http://example.com', 'example.com:8080'],
    ['https://example.com', 'example.com:80'],
    ['http://example.com', 'example.com:443'],
    ['http://example.com:443', 'example.com'],
    ['http://example.com', 'example.com', 'https'],
    ['http://example.com:443', 'example.com:443', 'https'],
    ['http://example.com:80', 'example.com'],
    ['http://example.com/', 'example.com'],
    ['http://example.com/path', 'example.com'],
    ['http://user@example.com', 'example.com'],
    ['http://example.com http://evil.example', 'example.com'],
    ['ws://example.com', 'example.com'],
    ['file://', 'example.com'],
    ['chrome-extension://example.com', 'example.com'],
    ['example.com', 'example.com'],
    ['', 'example.com'],
    ['null', 'null'],
    ['http://null', 'example.com']
  ]
  for (const [origin, host, protocol] of other) t.equal(isSame(origin, host, protocol), false, `${origin} at ${host} ${protocol ?? ''}`)
})

t.test('no Origin is allowed and null refused, whatever the option but true', async (t) => {
  const options = ['same-origin', true, ['https://example.com'], () => false] as const
  for (const option of options) t.equal(isOriginAllowed(option, undefined, asked('example.com')), true)
  t.equal(isOriginAllowed('same-origin', 'null', asked('null')), false)
  t.equal(isOriginAllowed(['https://example.com'], 'null', asked('null')), false)
  t.equal(isOriginAllowed(true, 'null', asked('example.com')), true)
})

t.test('a list is compared exactly', async (t) => {
  const list = ['https://example.com', 'http://localhost:8080']
  for (const origin of list) t.equal(isOriginAllowed(list, origin, asked('api.example')), true)
  for (const origin of ['https://example.com:443', 'http://example.com', 'https://EXAMPLE.com', 'https://example.com.evil', 'https://sub.example.com', 'http://localhost']) {
    t.equal(isOriginAllowed(list, origin, asked('api.example')), false, origin)
  }
  t.equal(isOriginAllowed(list, 'https://api.example', asked('api.example')), false, 'the own one too has to be in it')
})

t.test('a function decides alone, by true and nothing else', async (t) => {
  const request = asked('example.com')
  t.equal(isOriginAllowed((origin, given) => origin === 'https://a.example' && given === request, 'https://a.example', request), true)
  t.equal(isOriginAllowed(() => false, 'http://example.com', request), false)
  for (const truthy of [1, 'yes', {}, undefined]) t.equal(isOriginAllowed(() => truthy as never, 'http://example.com', request), false)
})

t.test('an asynchronous function lets nobody in, and its rejection ends nothing', async (t) => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => { unhandled.push(error) }
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const { port } = await startApp(t, (app) => {
    app.get('/true', { websocket: true, websocketOptions: { origin: (async () => true) as never } }, () => {})
    app.get('/rejects', { websocket: true, websocketOptions: { origin: (async () => { throw new Error('no database') }) as never } }, () => {})
  })
  for (const path of ['/true', '/rejects']) {
    const { status } = await statusOf(port, { Host: 'example.com', Origin: 'http://example.com' }, path)
    t.ok(status === 403 || status === 500, `${path} ${status}`)
  }
  await new Promise((resolve) => { setImmediate(resolve) })
  t.strictSame(unhandled, [])
})

async function statusOf (port: number, headers: Record<string, string>, path = '/'): Promise<{ status: number, body: any }> {
  const wire = await Wire.connect(port)
  wire.write(upgradeRequest({ path, headers }))
  const { statusCode, body } = await wire.response()
  wire.destroy()
  return { status: statusCode, body: body.startsWith('{') ? JSON.parse(body) : body }
}

t.test('a refused origin is answered 403 before other hooks, and logged with both values and the option', async (t) => {
  let hooks = 0
  const { port, log } = await startApp(t, (app) => {
    app.addHook('onRequest', async () => { hooks++ })
    app.get('/', { websocket: true }, () => {})
    app.get('/plain', () => 'plain')
  })
  const { status, body } = await statusOf(port, { Host: 'example.com', Origin: `http://evil.example/${'x'.repeat(300)}` })
  t.equal(status, 403)
  t.match(body, { code: 'FST_WS_ERR_ORIGIN', statusCode: 403 })
  t.notMatch(JSON.stringify(body), /evil/)
  t.equal(hooks, 0)
  const line = await log.line(/origin/)
  t.equal(line.level, LEVEL.warn)
  t.equal(line['host'], 'example.com')
  t.equal(line['origin'].length, 256)
  t.match(line['origin'], /^http:\/\/evil\.example/)
  t.match(line.msg, /option 'origin'/)

  t.equal((await statusOf(port, { Host: 'example.com', Origin: 'http://example.com' })).status, 101)
  t.equal((await statusOf(port, { Host: 'example.com' })).status, 101)
  t.equal((await statusOf(port, { Host: 'example.com', Origin: 'null' })).status, 403)
  t.equal((await statusOf(port, { Host: 'example.com', Origin: 'http://evil.example' }, '/plain')).status, 200, 'a plain route has CORS for that')
})

t.test('trustProxy: the host and the protocol that the proxy tells are those of the request', async (t) => {
  const proxied = { 'X-Forwarded-Host': 'example.com', 'X-Forwarded-Proto': 'https' }
  for (const trustProxy of [true, false]) {
    const { port } = await startApp(t, (app) => app.get('/', { websocket: true }, () => {}), {}, { trustProxy })
    t.equal((await statusOf(port, { Host: 'internal:3000', Origin: 'https://example.com', ...proxied })).status, trustProxy ? 101 : 403)
    t.equal((await statusOf(port, { Host: 'internal:3000', Origin: 'http://internal:3000', ...proxied })).status, trustProxy ? 403 : 101)
    t.equal((await statusOf(port, { Host: 'internal:3000', Origin: 'http://example.com', ...proxied })).status, 403)
  }
})

t.test('the option of a route, a function that throws, and one that is asked with the request', async (t) => {
  const { port, log } = await startApp(t, (app) => {
    app.get('/any', { websocket: true, websocketOptions: { origin: true } }, () => {})
    app.get('/list', { websocket: true, websocketOptions: { origin: ['https://a.example'] } }, () => {})
    app.get('/function', { websocket: true, websocketOptions: { origin: (origin, request) => origin === request.headers['x-expected'] } }, () => {})
    app.get('/throws', { websocket: true, websocketOptions: { origin: () => { throw new Error('broken rule') } } }, () => {})
  })
  const Origin = 'https://a.example'
  t.equal((await statusOf(port, { Origin: 'null' }, '/any')).status, 101)
  t.equal((await statusOf(port, { Origin }, '/list')).status, 101)
  t.equal((await statusOf(port, { Origin: 'https://b.example' }, '/list')).status, 403)
  t.equal((await statusOf(port, { Origin, 'X-Expected': Origin }, '/function')).status, 101)
  t.equal((await statusOf(port, { Origin, 'X-Expected': 'https://b.example' }, '/function')).status, 403)
  t.equal((await statusOf(port, { Origin }, '/throws')).status, 500)
  t.ok(log.atLevel(LEVEL.error).some((line) => line['err']?.message === 'broken rule'))
})
