/**
 * Alice, Bob and others in the studio, each with a browser profile of their own: `node studio.mjs SERVER_URL SCREENSHOTS`
 * ends with 0 when each saw what the others did. Whoever starts it kills and starts the server when it asks for that.
 */
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { launch, person } from './browser.mjs'
import { chatting } from './chatting.mjs'
import { history } from './history.mjs'
import { hostile } from './hostile.mjs'
import { locking } from './locking.mjs'
import { looks } from './looks.mjs'
import { signingIn } from './signing_in.mjs'
import { trashing } from './trashing.mjs'
import { writing } from './writing.mjs'

const [serverUrl, screenshots] = process.argv.slice(2)
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
async function please(what) {
  console.log(`please ${what}`)
  await answers.next()
}

const browser = await launch()
const server = {
  url: serverUrl,
  kill: () => please('kill the server'),
  start: () => please('start the server')
}
// While the server is gone, the browser itself says so in the console.
const mayFail = /net::ERR_|WebSocket connection to|status of (404|409|423|503)/
const [alice, bob] = await Promise.all(['alice', 'bob'].map((user) => person(browser, serverUrl, user, { path: '&workspace=1', mayFail })))
const world = { browser, server, screenshots, alice: alice.page, bob: bob.page, bobContext: bob.context }

for (const step of [signingIn, writing, chatting, locking, history, trashing, hostile, looks]) {
  const start = performance.now()
  try {
    await step(world)
  } catch (error) {
    for (const [name, page] of [['alice', alice.page], ['bob', bob.page]]) await page.screenshot({ path: `${screenshots}/failed-${name}.png` })
    console.log(alice.complaints, bob.complaints)
    throw error
  }
  console.log(`${step.name}: ${Math.round(performance.now() - start)} ms`)
}
assert.deepEqual([...alice.complaints, ...bob.complaints], [])
await browser.close()
process.exit(0)
