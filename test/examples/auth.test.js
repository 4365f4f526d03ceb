/**
 * examples/auth.js: no connection without a session, none that outlives it, none for a page of others.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { build, hashed, notes } from '../../examples/auth.js'
import { closing, connected, listening } from './helpers.js'

const ORIGIN = 'https://app.example.com'
const SESSION_MS = 60_000

const users = new Map([['ada', await hashed('countess')]])

const start = (t) => closing(t, build({ users, secret: 'of the test', origins: [ORIGIN], sessionMs: SESSION_MS }))

/** Logs in, and returns the headers of whoever is. */
async function login (app) {
  const answer = await app.inject({ method: 'POST', url: '/login', payload: { user: 'ada', password: 'countess' } })
  assert.equal(answer.statusCode, 200)
  const [{ name, value, httpOnly, sameSite }] = answer.cookies
  assert.deepEqual([name, httpOnly, sameSite], ['session', true, 'Strict'])
  return { cookie: `session=${encodeURIComponent(value)}`, origin: ORIGIN }
}

/** The clock of the sessions, and the one by which connections are closed; those of the test go on. */
function stopClock (t) {
  t.mock.timers.enable({ apis: ['Date', 'setInterval'], now: Date.now() })
}

/** Second by second, so that pings of the heartbeat are answered. */
async function elapse (t, ms) {
  for (let passed = 0; passed < ms; passed += 1000) {
    t.mock.timers.tick(1000)
    for (let turn = 0; turn < 10; turn++) await setImmediate()
  }
}

const refused = (app, headers, statusCode) => assert.rejects(app.injectWebSocket(notes, { headers }), { code: 'FST_WS_ERR_INJECT_REFUSED', statusCode })

test('who is logged in may connect, and is who the session says', async (t) => {
  const app = start(t)
  const client = await app.injectWebSocket(notes, { headers: await login(app) })
  const { type, user, expires } = await client.next()
  assert.deepEqual([type, user], ['session', 'ada'])
  assert.ok(expires > Date.now() && expires <= Date.now() + SESSION_MS)
  client.send({ text: 'hello', from: 'grace' })
  assert.deepEqual(await client.next(), { type: 'note', from: 'ada', text: 'hello' })
})

test('without a session: 401, as HTTP', async (t) => {
  const app = start(t)
  const { cookie } = await login(app)
  await refused(app, {}, 401)
  await refused(app, { cookie: 'session=ada' }, 401)
  await refused(app, { cookie: cookie.slice(0, -3) + 'AAA' }, 401)
  const error = await app.injectWebSocket(notes).catch((error) => error)
  assert.deepEqual(error.response.json(), { message: 'log in first' })
  for (const payload of [{ user: 'ada', password: 'wrong' }, { user: 'grace', password: 'countess' }, { user: 'grace', password: '' }]) {
    assert.equal((await app.inject({ method: 'POST', url: '/login', payload })).statusCode, 401)
  }
})

test('a page of another origin: 403, with a good cookie too', async (t) => {
  const app = start(t)
  const { cookie } = await login(app)
  for (const origin of ['https://evil.example', 'http://app.example.com', 'null']) await refused(app, { cookie, origin }, 403)
  const program = await app.injectWebSocket(notes, { headers: { cookie } })
  assert.equal((await program.next()).user, 'ada', 'what is no browser sends no Origin')
})

test('a session that has expired: 401, and its connections are closed with 3000', async (t) => {
  const app = start(t)
  await app.ready()
  stopClock(t)
  const headers = await login(app)
  const client = await app.injectWebSocket(notes, { headers })
  await client.next()
  await elapse(t, SESSION_MS - 1000)
  assert.equal(client.readyState, client.OPEN)
  await elapse(t, 2000)
  assert.deepEqual(await client.closed, { code: 3000, reason: 'expired', wasClean: true })
  await refused(app, headers, 401)
  assert.equal((await app.inject({ method: 'POST', url: '/renew', headers })).statusCode, 401)
})

test('a session that is renewed: what is open stays so, and is told', async (t) => {
  const app = start(t)
  await app.ready()
  stopClock(t)
  const headers = await login(app)
  const client = await app.injectWebSocket(notes, { headers })
  const { expires } = await client.next()
  await elapse(t, SESSION_MS / 2)
  const renewed = await app.inject({ method: 'POST', url: '/renew', headers })
  assert.equal(renewed.json().expires, expires + SESSION_MS / 2)
  assert.deepEqual(await client.next(), { type: 'session', user: 'ada', expires: expires + SESSION_MS / 2 })
  await elapse(t, SESSION_MS - 1000)
  client.send({ text: 'still here' })
  assert.equal((await client.next()).text, 'still here')
  await elapse(t, 2000)
  assert.equal((await client.closed).code, 3000)
})

test('a logout closes the connections of its session at once, and no others', async (t) => {
  const app = start(t)
  const [headers, others] = [await login(app), await login(app)]
  const client = await app.injectWebSocket(notes, { headers })
  const other = await app.injectWebSocket(notes, { headers: others })
  await client.next()
  await other.next()
  assert.equal((await app.inject({ method: 'POST', url: '/logout', headers })).statusCode, 204)
  assert.deepEqual(await client.closed, { code: 4001, reason: 'logged out', wasClean: true })
  await refused(app, headers, 401)
  other.send({ text: 'another session' })
  assert.equal((await other.next()).text, 'another session')
})

test('over TCP, with a client of another package', async (t) => {
  const app = start(t)
  const url = `ws://${await listening(t, app)}/notes`
  const headers = await login(app)
  const client = await connected(t, url, { headers })
  client.send('{"text":"hello"}')
  const messages = []
  client.on('message', (data) => messages.push(JSON.parse(data).type))
  const stranger = new WebSocket(url, { headers: { origin: ORIGIN } }).on('error', () => {})
  const [, { statusCode }] = await once(stranger, 'unexpected-response')
  stranger.terminate()
  assert.equal(statusCode, 401)
  while (!messages.includes('note')) await once(client, 'message')
})
