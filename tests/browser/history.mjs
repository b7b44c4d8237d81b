import assert from 'node:assert/strict'
import { person } from './browser.mjs'
import { hasNoSeriousFindings } from './looks.mjs'
import { agreedText, editorOf, isGone, isSaved, newFile, open, panelOf, sees, typeAtEnd } from './steps.mjs'

/** A file as it was, who wrote it, a name for a moment, and back to it. */
export async function history({ browser, alice, bob, server, screenshots }) {
  await newFile(alice, 'notes/release.md')
  await typeAtEnd(alice, 'Alice begins.\n')
  await isSaved(alice)
  await bob.goto(`${server.url}/?user=bob&workspace=1&file=notes/release.md`)
  await sees(bob, '.cm-content', 'Alice begins.')
  await typeAtEnd(bob, 'Bob goes on.\n')
  await sees(alice, '.cm-content', 'Bob goes on.')

  await open(alice, 'History')
  const panel = panelOf(alice, 'history')
  await panel.getByRole('button', { name: /bob/ }).click()
  await sees(alice, 'ins.past-added', 'Bob goes on.')
  await alice.getByRole('button', { name: 'Who wrote it' }).click()
  await sees(alice, '.past-author', 'alice')
  await sees(alice, '.past-author', 'bob')

  // By keyboard to the first moment: what bob wrote was not there.
  await panel.getByRole('slider', { name: 'Moment' }).focus()
  await alice.keyboard.press('End')
  await sees(alice, '.cm-ySelectionInfo', 'bob') // the text as it is, and the focus is where it was
  await alice.keyboard.press('Home')
  await isGone(alice, '.past-author:has-text("bob")')
  await panel.getByRole('textbox', { name: 'Name this moment' }).fill('Before Bob')
  await alice.keyboard.press('Enter')
  await panel.getByRole('button', { name: /^Before Bob/ }).click()
  await alice.getByRole('button', { name: 'Changed since' }).click()
  await sees(alice, 'ins.past-added', 'Bob goes on.')
  for (const colorScheme of ['light', 'dark']) {
    await alice.emulateMedia({ colorScheme, reducedMotion: 'reduce' }) // no colour on its way to another
    await alice.screenshot({ path: `${screenshots}/${colorScheme}-past.png` })
    await hasNoSeriousFindings(alice, `${colorScheme} past`)
  }

  await alice.getByRole('button', { name: 'Restore', exact: true }).click()
  await alice.getByRole('dialog').getByText('for everybody who has it open').waitFor()
  await alice.getByRole('button', { name: 'Restore it' }).click()
  await isGone(bob, '.cm-line:has-text("Bob goes on.")')
  assert.equal((await agreedText(alice, bob)).trim(), 'Alice begins.')
  await open(alice, 'Chat')

  // Who may only read gets the text, and nothing of the past.
  const dora = await person(browser, server.url, 'dora', { path: '&workspace=1&file=notes/release.md', mayFail: /status of 403/ })
  await sees(dora.page, '.banner', 'You may read this file')
  assert.equal(await editorOf(dora.page).getAttribute('aria-readonly'), 'true')
  await open(dora.page, 'History')
  await sees(dora.page, '.empty-state', 'The history can’t be shown')
  assert.deepEqual(dora.complaints, [])
  await dora.context.close()
}
