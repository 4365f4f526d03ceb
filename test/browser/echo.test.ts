/**
 * Chromium as the client of the raw echo: its frames, fragments and closes are those of no test of ours.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../helpers/root.ts'
import { startChromium, startExample } from './chromium.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** At the borders of the three forms of a length (RFC 6455 §5.2), and well beyond what Chromium puts into one frame. */
const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 128 * KIB + 1, MIB, 16 * MIB]
/** Around the threshold, around what is compressed by a job, and well above. */
const DEFLATED_SIZES = [0, 1, 126, 1023, 1024, 16 * KIB, 32 * KIB, 32 * KIB + 1, 65_536, MIB, 4 * MIB]

t.test('Chromium and the raw echo', async (t) => {
  const browser = await startChromium()
  t.teardown(() => browser.close())
  const echo = await startExample('echo.js', ['0', JSON.stringify({ maxMessageBytes: 32 * MIB })])
  t.teardown(() => echo.stop())
  const page = await browser.newPage()
  // Any page of the server will do: it is its origin that lets it connect.
  await page.goto(echo.url.replace('ws', 'http'))
  await page.addScriptTag({ path: join(ROOT, 'test/browser/echo-client.js') })
  const call = (name: string, ...args: unknown[]): Promise<unknown> => page.evaluate(`${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`)

  for (const size of SIZES) {
    t.equal(await call('echoText', echo.url, size), '', `text of ${size} octets`)
    t.equal(await call('echoBytes', echo.url, size), '', `binary of ${size} octets`)
  }
  t.equal(await call('echoMany', echo.url, 20_000), '', '20,000 messages in order')
  t.equal(await call('closeOf', echo.url, 3001, 'that is all'), '3001 that is all clean', 'a close of the page is answered with its code and reason')
})

const NO_TAKEOVER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'

for (const [deflate, agreed] of [
  [true, `${NO_TAKEOVER}; server_max_window_bits=12`],
  [{ contextTakeover: true }, 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12'],
  [{ contextTakeover: true, serverMaxWindowBits: 15, thresholdBytes: 0, level: 9 }, 'permessage-deflate'],
  [{ serverMaxWindowBits: 9, thresholdBytes: 0, memLevel: 1 }, `${NO_TAKEOVER}; server_max_window_bits=9`]
] as const) {
  t.test(`Chromium and permessage-deflate: ${JSON.stringify(deflate)}`, async (t) => {
    const browser = await startChromium()
    t.teardown(() => browser.close())
    const echo = await startExample('echo.js', ['0', JSON.stringify({ maxMessageBytes: 32 * MIB, maxUnsentBytes: 128 * MIB, deflate })])
    t.teardown(() => echo.stop())
    const page = await browser.newPage()
    await page.goto(echo.url.replace('ws', 'http'))
    await page.addScriptTag({ path: join(ROOT, 'test/browser/echo-client.js') })
    const call = (name: string, ...args: unknown[]): Promise<unknown> => page.evaluate(`${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`)

    t.equal(await call('extensionsOf', echo.url), agreed)
    for (const size of DEFLATED_SIZES) {
      t.equal(await call('echoText', echo.url, size), '', `text of ${size} octets`)
      t.equal(await call('echoBytes', echo.url, size), '', `binary of ${size} octets`)
    }
    t.equal(await call('echoRow', echo.url, DEFLATED_SIZES), '', 'all of them in a row')
    t.equal(await call('echoMany', echo.url, 5_000), '', '5,000 messages in order')
  })
}

t.test('a page of another origin', async (t) => {
  const browser = await startChromium()
  t.teardown(() => browser.close())
  const own = await startExample('echo.js', ['0'])
  t.teardown(() => own.stop())
  const other = await startExample('echo.js', ['0'])
  t.teardown(() => other.stop())
  const page = await browser.newPage()
  await page.goto(other.url.replace('ws', 'http'))
  await page.addScriptTag({ path: join(ROOT, 'test/browser/echo-client.js') })
  t.equal(await page.evaluate(`closeOf(${JSON.stringify(own.url)}, 1000, '')`), '1006  unclean', 'may not connect')
  t.equal(await page.evaluate(`closeOf(${JSON.stringify(other.url)}, 1000, '')`), '1000  clean', 'but to its own server it may')
})

t.test('a connection that has sent nothing does not hold up the end of the example', async (t) => {
  const echo = await startExample('echo.js', ['0'])
  const silent = connect(Number(new URL(echo.url).port), '127.0.0.1')
  await once(silent, 'connect')
  t.equal(await echo.stop(), 0)
  silent.destroy()
})
