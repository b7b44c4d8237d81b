/**
 * Alice and Bob in two tabs of a real browser, in one file. `node two_people.mjs SERVER_URL SCREENSHOT_FOLDER` ends
 * with 0 when each saw what the other did.
 */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium as playwright } from 'playwright-core'

const [serverUrl, screenshots] = process.argv.slice(2)

// The browser comes in an npm package that was made for AWS Lambda: told that it is there, it unpacks the system
// libraries that a bare machine lacks. It unpacks into TMPDIR: into this folder, where no other user can put one first.
const inThisFolder = (path) => fileURLToPath(new URL(path, import.meta.url))
process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs20.x'
process.env.TMPDIR = inThisFolder('node_modules/.cache')
process.env.FONTCONFIG_FILE = inThisFolder('fonts.conf')
mkdirSync(process.env.TMPDIR, { recursive: true })
const { default: packedChromium } = await import('@sparticuz/chromium')

const browser = await playwright.launch({
  executablePath: await packedChromium.executablePath(),
  args: ['--no-sandbox', '--no-zygote'] // root, as in a container, gets no sandbox
})
const context = await browser.newContext({ viewport: { width: 1100, height: 620 } })
context.setDefaultTimeout(15_000)
const complaints = []
context.on('weberror', (error) => complaints.push(String(error.error())))
context.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
context.on('request', (request) => {
  if (!request.url().startsWith(`${serverUrl}/`) && !request.url().startsWith('data:')) {
    complaints.push(`not served by this server: ${request.url()}`)
  }
})

const becomesLive = (page) => page.locator('#status', { hasText: 'Live' }).waitFor()
const sees = (page, selector, text) => page.locator(selector, { hasText: text }).first().waitFor()

const alice = await context.newPage()
await alice.goto(`${serverUrl}/?room=notes/two people.md`)
await becomesLive(alice)
const opened = context.waitForEvent('page')
await alice.getByRole('link', { name: 'Open as bob in a second tab' }).click()
const bob = await opened
await becomesLive(bob)

await alice.getByRole('textbox', { name: 'notes/two people.md' }).click()
await alice.keyboard.type('# Meeting\n\nAlice was here. ')
await sees(bob, '.cm-content', 'Alice was here.')
await sees(bob, '.cm-ySelectionInfo', 'alice')

await bob.getByRole('textbox', { name: 'notes/two people.md' }).click()
await bob.keyboard.press('Control+End')
await bob.keyboard.type('\nSo was Bob.')
await bob.keyboard.press('Shift+Home')
await sees(alice, '.cm-content', 'So was Bob.')
await sees(alice, '.cm-ySelectionInfo', 'bob')
assert.deepEqual(await alice.locator('#people li').allTextContents(), ['alice (you)', 'bob'])

await alice.screenshot({ path: join(screenshots, 'alice.png') })
await bob.screenshot({ path: join(screenshots, 'bob.png') })
await bob.close()
await alice.locator('.cm-ySelectionInfo').waitFor({ state: 'detached' })
assert.deepEqual(complaints, [])
await browser.close()
