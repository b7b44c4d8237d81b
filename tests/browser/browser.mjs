/** A headless Chromium whose pages complain of whatever goes wrong in them. */
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium as playwright } from 'playwright-core'

// The browser comes in an npm package that was made for AWS Lambda: told that it is there, it unpacks the system
// libraries that a bare machine lacks. It unpacks into TMPDIR: into this folder, where no other user can put one first.
const inThisFolder = (path) => fileURLToPath(new URL(path, import.meta.url))
process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs20.x'
process.env.TMPDIR = inThisFolder('node_modules/.cache')
process.env.FONTCONFIG_FILE = inThisFolder('fonts.conf')
mkdirSync(process.env.TMPDIR, { recursive: true })
const { default: packedChromium } = await import('@sparticuz/chromium')

export const WAIT_MS = 15_000

export async function launch() {
  return playwright.launch({
    executablePath: await packedChromium.executablePath(),
    args: ['--no-sandbox', '--no-zygote'] // root, as in a container, gets no sandbox
  })
}

/**
 * A person's own browser profile, with one page in the studio. `complaints` gets errors of the page, what its console
 * says of errors, and requests to anywhere but the server; `mayFail` are console texts that this person expects.
 */
export async function person(browser, serverUrl, user, { path = '', colorScheme = 'dark', viewport, mayFail } = {}) {
  const context = await browser.newContext({ viewport: viewport ?? { width: 1280, height: 800 }, colorScheme })
  context.setDefaultTimeout(WAIT_MS)
  const complaints = []
  context.on('weberror', (error) => complaints.push(String(error.error())))
  context.on('console', (message) => {
    if (message.type() === 'error' && !mayFail?.test(message.text())) complaints.push(`${user}: ${message.text()}`)
  })
  context.on('dialog', (dialog) => complaints.push(`${user}: a dialog says ${dialog.message()}`))
  context.on('request', (request) => {
    const url = request.url()
    if (!url.startsWith(`${serverUrl}/`) && !url.startsWith('data:') && !url.startsWith('blob:')) {
      complaints.push(`not served by this server: ${url}`)
    }
  })
  const page = await context.newPage()
  if (user !== null) await page.goto(`${serverUrl}/?user=${encodeURIComponent(user)}${path}`)
  return { page, context, complaints }
}
