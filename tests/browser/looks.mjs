import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { open } from './steps.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** No serious finding of axe in the main views, dark and light. */
export async function looks({ alice, server, screenshots }) {
  await alice.goto(`${server.url}/?user=alice&workspace=1&file=Source/Hero.cpp`)
  await alice.locator('.cm-content').waitFor()
  for (const colorScheme of ['dark', 'light']) {
    await alice.emulateMedia({ colorScheme })
    for (const panel of ['Chat', 'People', 'Locks', 'History']) {
      if ((await alice.locator('.rail-button[aria-pressed=true]', { hasText: panel }).count()) === 0) await open(alice, panel)
      await alice.screenshot({ path: `${screenshots}/${colorScheme}-${panel.toLowerCase()}.png` })
      await hasNoSeriousFindings(alice, `${colorScheme} ${panel}`)
    }
  }
}

export async function hasNoSeriousFindings(page, view) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`)
  assert.deepEqual(told, [], view)
}
