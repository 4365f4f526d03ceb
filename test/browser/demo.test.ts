/**
 * The demo as a person uses it: two tabs in one room, one for each version of the protocol.
 */
import { mkdir } from 'node:fs/promises'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import t from 'tap'
import { ROOT } from '../helpers/root.ts'
import { startChromium, startExample } from './chromium.ts'

const SCREENSHOTS = `${ROOT}/test/browser/screenshots/`
const WAIT_MS = 10_000

const PHONE = { width: 390, height: 844 }
const DESK = { width: 1180, height: 900 }

async function stateIs (page: Page, state: string): Promise<void> {
  await page.waitForSelector(`#status[data-state=${state}]`, { timeout: WAIT_MS })
}

async function textIs (page: Page, selector: string, text: string): Promise<void> {
  await page.locator(selector).filter({ hasText: new RegExp(`^${text}$`) }).waitFor({ timeout: WAIT_MS })
}

async function hears (page: Page, text: string): Promise<void> {
  await page.locator('#log li', { hasText: text }).first().waitFor({ timeout: WAIT_MS })
}

async function enter (page: Page, name: string, room: string, protocol: 'chat.v1' | 'chat.v2'): Promise<void> {
  await page.fill('#name', name)
  await page.fill('#room', room)
  await page.locator('.choice label', { hasText: protocol }).click()
  await page.click('#join button')
  await stateIs(page, 'open')
}

async function say (page: Page, text: string): Promise<void> {
  await page.fill('#text', text)
  await page.click('#say button')
}

/** The second tab, by the link that opens it: the other version, in the same room. */
async function openSecondTab (context: BrowserContext, page: Page): Promise<Page> {
  const [second] = await Promise.all([context.waitForEvent('page'), page.click('#second')])
  await stateIs(second, 'open')
  return second
}

t.test('two tabs, two versions', async (t) => {
  const browser = await startChromium()
  t.teardown(() => browser.close())
  const demo = await startExample('demo/server.js', [], { PORT: '0' })
  t.teardown(() => demo.stop())
  const context = await browser.newContext({ viewport: DESK })
  const page = await context.newPage()
  const mistakes: string[] = []
  context.on('weberror', (error) => mistakes.push(error.error().message))
  context.on('console', (line) => { if (line.type() === 'error') mistakes.push(line.text()) })

  await page.goto(demo.url)
  await enter(page, 'Grace', 'navy', 'chat.v2')
  await textIs(page, '#in-room', '1')
  const second = await openSecondTab(context, page)
  t.equal(await second.locator('#spoken').textContent(), 'chat.v1', 'the second tab speaks the other version')

  await textIs(page, '#in-room', '2')
  await textIs(second, '#in-room', '2')
  await say(page, 'said in the second version')
  await hears(second, 'said in the second version')
  await say(second, 'said in the <b>first</b> version')
  await hears(page, 'said in the <b>first</b> version')
  t.equal(await page.locator('#log b', { hasText: 'first' }).count(), 0, 'what a peer wrote is text, not HTML')
  t.match(await page.locator('#wire').textContent(), '"protocol":"chat.v1"', 'the second version says which one was spoken')
  t.notMatch(await second.locator('#wire').textContent(), '"protocol"', 'the first does not')

  // Another room on the same server.
  const third = await context.newPage()
  await third.goto(demo.url)
  await enter(third, 'Alan', 'park', 'chat.v2')
  await textIs(third, '#in-room', '1')
  await textIs(third, '#on-server', '3')
  await textIs(page, '#in-room', '2')
  await textIs(page, '#on-server', '3')
  await third.close()
  await textIs(page, '#on-server', '2')

  for (const [breaks, code] of [['schema', '1008'], ['json', '1007'], ['binary', '1003'], ['size', '1009']] as const) {
    for (const tab of [page, second]) {
      await tab.click(`[data-breaks=${breaks}]`)
      await stateIs(tab, 'closed')
      t.equal(await tab.locator('#code').textContent(), code, `${breaks}: closed with ${code}`)
      if (breaks === 'schema') t.match(await tab.locator('#why').textContent(), 'invalid message', 'and a reason')
      await tab.click('#reconnect')
      await stateIs(tab, 'open')
    }
  }
  await textIs(page, '#in-room', '2')
  await page.click('#leave')
  await stateIs(page, 'closed')
  t.equal(await page.locator('#code').textContent(), '1000')
  await textIs(second, '#in-room', '1')

  t.equal(await demo.stop(), 0, 'the server ends by itself')
  await stateIs(second, 'closed')
  t.equal(await second.locator('#code').textContent(), '1001', 'and says that it goes away')
  await second.click('#reconnect')
  await second.waitForSelector('#explained:has-text("No Close came")', { timeout: WAIT_MS })
  t.match(mistakes.filter((text) => !text.includes('WebSocket connection to')), [], 'no error in the console')
})

t.test('how it looks', async (t) => {
  const browser = await startChromium()
  t.teardown(() => browser.close())
  const demo = await startExample('demo/server.js', [], { PORT: '0' })
  t.teardown(() => demo.stop())
  await mkdir(SCREENSHOTS, { recursive: true })
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [device, viewport] of [['desk', DESK], ['phone', PHONE]] as const) {
      const overflow = await shoot(browser, demo.url, `${SCREENSHOTS}${colorScheme}-${device}`, { colorScheme, viewport })
      t.equal(overflow, 0, `${colorScheme}, ${device}: nothing is wider than the screen`)
    }
  }
})

/** Takes the pictures of one story; returns by how much the page was wider than the screen. */
async function shoot (browser: Browser, url: string, path: string, look: { colorScheme: 'light' | 'dark', viewport: typeof DESK }): Promise<number> {
  const context = await browser.newContext(look)
  const page = await context.newPage()
  await page.goto(url)
  await page.screenshot({ path: `${path}-1-start.png` })
  await enter(page, 'Grace', 'lobby', 'chat.v2')
  const second = await openSecondTab(context, page)
  await say(second, 'The first version speaks.')
  await say(page, 'And the second, with averyverylongwordthatnobodywouldeverwriteexceptinatest'.repeat(2))
  await hears(second, 'And the second')
  await second.screenshot({ path: `${path}-2-chat-v1.png`, fullPage: true })
  await page.bringToFront()
  await page.screenshot({ path: `${path}-2-chat-v2.png`, fullPage: true })
  await page.click('[data-breaks=schema]')
  await stateIs(page, 'closed')
  await page.screenshot({ path: `${path}-3-closed.png` })
  const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  await context.close()
  return overflow as number
}
