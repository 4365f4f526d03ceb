/**
 * Chromium as the client of the raw echo: its frames, fragments and closes are those of no test of ours.
 */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startChromium, startExample } from './chromium.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** At the borders of the three forms of a length (RFC 6455 §5.2), and well beyond what Chromium puts into one frame. */
const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 128 * KIB + 1, MIB, 16 * MIB]

t.test('Chromium and the raw echo', async (t) => {
  const browser = await startChromium()
  t.teardown(() => browser.close())
  const echo = await startExample('echo.js', ['0', JSON.stringify({ maxMessageBytes: 32 * MIB })])
  t.teardown(() => echo.stop())
  const page = await browser.newPage()
  // Any page of the server will do: it is its origin that lets it connect.
  await page.goto(echo.url.replace('ws', 'http'))
  await page.addScriptTag({ path: fileURLToPath(new URL('echo-client.js', import.meta.url)) })
  const call = (name: string, ...args: unknown[]): Promise<unknown> => page.evaluate(`${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`)

  for (const size of SIZES) {
    t.equal(await call('echoText', echo.url, size), '', `text of ${size} octets`)
    t.equal(await call('echoBytes', echo.url, size), '', `binary of ${size} octets`)
  }
  t.equal(await call('echoMany', echo.url, 20_000), '', '20,000 messages in order')
  t.equal(await call('closeOf', echo.url, 3001, 'that is all'), '3001  clean', 'a close of the page is answered with its code')
})

t.test('a page of another origin', async (t) => {
  const browser = await startChromium()
  t.teardown(() => browser.close())
  const own = await startExample('echo.js', ['0'])
  t.teardown(() => own.stop())
  const other = await startExample('echo.js', ['0'])
  t.teardown(() => other.stop())
  const page = await browser.newPage()
  await page.goto(other.url.replace('ws', 'http'))
  await page.addScriptTag({ path: fileURLToPath(new URL('echo-client.js', import.meta.url)) })
  t.equal(await page.evaluate(`closeOf(${JSON.stringify(own.url)}, 1000, '')`), '1006  unclean', 'may not connect')
  t.equal(await page.evaluate(`closeOf(${JSON.stringify(other.url)}, 1000, '')`), '1000  clean', 'but to its own server it may')
})
