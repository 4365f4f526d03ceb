import t from 'tap'
import { fillParams, withQuery, type Params } from '../../lib/testing/path.ts'

const filled: Array<[pattern: string, params: Params, path: string]> = [
  ['/', {}, '/'],
  ['/chat/:room', { room: 'lobby' }, '/chat/lobby'],
  ['/:a/b/:c', { a: 1, c: true }, '/1/b/true'],
  ['/chat/:room', { room: 'a b/c?d#e%ä' }, '/chat/a%20b%2Fc%3Fd%23e%25%C3%A4'],
  ['/chat/:room', { room: '' }, '/chat/'],
  ['/at/:lat-:lng', { lat: '15°N', lng: 30 }, '/at/15%C2%B0N-30'],
  ['/files/:name.:extension', { name: 'x', extension: 'txt' }, '/files/x.txt'],
  ['/:id(^\\d+$)', { id: 7 }, '/7'],
  ['/:file(^[\\w\\)]+(a|b)$)/:next', { file: 'x', next: 'y' }, '/x/y'],
  ['/:hour(^\\d{2})h:minute(^\\d{2})m', { hour: '08', minute: '15' }, '/08h15m'],
  ['/:open(\\d+', { open: 1 }, '/1'],
  ['/docs/:page?', { page: 'one' }, '/docs/one'],
  ['/docs/:page?', {}, '/docs'],
  ['/:page?', {}, '/'],
  ['/docs/:page?', { page: undefined }, '/docs'],
  ['/files/*', { '*': 'a b/c.txt' }, '/files/a%20b/c.txt'],
  ['/files/*', {}, '/files/'],
  ['/name::verb', {}, '/name:verb'],
  ['/grüße/:name', { name: 'x' }, '/gr%C3%BC%C3%9Fe/x']
]

for (const [pattern, params, path] of filled) {
  t.test(`${pattern} with ${JSON.stringify(params)} is ${path}`, async (t) => {
    t.equal(fillParams(pattern, params), path)
  })
}

t.test('a parameter that is missing is named', async (t) => {
  t.throws(() => fillParams('/chat/:room', {}), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'room'/ })
  // Not what every object has.
  t.throws(() => fillParams('/:constructor', {}), { code: 'FST_WS_ERR_INVALID_OPTION' })
})

t.test('a parameter that the path does not have is named', async (t) => {
  t.throws(() => fillParams('/chat/:room', { room: 'x', rom: 'y' }), { code: 'FST_WS_ERR_INVALID_OPTION', message: /'rom'/ })
})

t.test('a query is put behind the path', async (t) => {
  t.equal(withQuery('/', {}), '/')
  t.equal(withQuery('/', { a: 'x y&z', b: 2, c: true }), '/?a=x+y%26z&b=2&c=true')
  t.equal(withQuery('/?a=1', { b: 2 }), '/?a=1&b=2')
  t.equal(withQuery('/', { list: ['one', 'two'] }), '/?list=one&list=two')
  t.equal(withQuery('/', { none: undefined }), '/')
})
