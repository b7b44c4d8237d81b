import assert from 'node:assert/strict'
import { person } from './browser.mjs'
import { newFile, open, say, sees, typeAtEnd } from './steps.mjs'

const MARKUP = '<img src=x onerror=alert(1)>'

/** Markup in names, paths, messages and presence stays text, on every page that shows it. */
export async function hostile({ browser, server, alice }) {
  const mallory = await person(browser, server.url, `"><script>alert(1)</script>${MARKUP}`, { path: '&workspace=7' })
  await alice.goto(`${server.url}/?user=alice&workspace=7`)
  await say(alice, 'Who is there?')
  await newFile(mallory.page, `${MARKUP}.md`)
  await typeAtEnd(mallory.page, `# ${MARKUP}`)
  await sees(mallory.page, '.message', 'Who is there?')
  await say(mallory.page, `@alice ${MARKUP} javascript:alert(1) [x](javascript:alert(1))`)

  await alice.getByRole('treeitem', { name: MARKUP }).click()
  await sees(alice, '.cm-content', MARKUP)
  await sees(alice, '.cm-ySelectionInfo', 'script')
  await sees(alice, '.message', MARKUP)
  await open(alice, 'People')
  await sees(alice, '.person', 'script')
  await alice.getByRole('button', { name: /^Notifications, \d+ unread/ }).click()
  await sees(alice, '.notification', MARKUP)
  for (const page of [alice, mallory.page]) {
    const intruders = 'img[src="x"], [onerror], script:not([src]), a[href^="javascript" i]'
    assert.equal(await page.locator(intruders).count(), 0)
  }
  assert.deepEqual(mallory.complaints, [])
  await mallory.context.close()
}
