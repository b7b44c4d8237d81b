import assert from 'node:assert/strict'
import { hasNoSeriousFindings } from './looks.mjs'
import { agreedText, editorOf, isGone, isSaved, open, panelOf, sees, typeAtEnd } from './steps.mjs'

/** What others write in a locked file waits, and is merged when the lock ends. */
export async function locking({ alice, bob, server, screenshots }) {
  const address = (user) => `${server.url}/?user=${user}&workspace=1&file=notes/plan.md`
  await Promise.all([alice.goto(address('alice')), bob.goto(address('bob'))])
  await typeAtEnd(alice, '# Plan\n')
  await sees(bob, '.cm-content', '# Plan')

  await alice.getByRole('button', { name: 'Lock this file' }).click()
  await alice.getByRole('menuitem', { name: 'Lock for 15 minutes' }).click()
  await sees(bob, '.banner', 'alice has locked this file for another 14:')
  await typeAtEnd(bob, 'Bob waits.\n')
  await sees(bob, '.status-bar .saved', 'for the lock')
  await typeAtEnd(alice, 'Alice goes on.\n')
  await sees(bob, '.cm-content', 'Alice goes on.')
  assert.ok(!(await editorOf(alice).innerText()).includes('Bob waits'))

  await bob.getByRole('button', { name: 'Tell me when it is free' }).click()
  await bob.getByRole('button', { name: 'You will be told' }).waitFor()
  await open(bob, 'Locks')
  await panelOf(bob, 'locks').getByText('notes/plan.md').waitFor()

  await alice.getByRole('button', { name: 'Unlock' }).first().click()
  await sees(alice, '.cm-content', 'Bob waits.')
  await isSaved(bob)
  await agreedText(alice, bob)

  // Both have written at the same place: bob takes what alice wrote.
  await bob.getByRole('button', { name: '1 conflict' }).click()
  const conflict = bob.getByRole('article', { name: /^Conflict/ })
  await conflict.getByText('Bob waits.').first().waitFor()
  await bob.screenshot({ path: `${screenshots}/conflict.png` })
  await hasNoSeriousFindings(bob, 'conflict')
  await conflict.getByRole('button', { name: 'Use this text, by alice' }).click()
  await isGone(alice, '.cm-line:has-text("Bob waits.")')
  assert.match(await agreedText(alice, bob), /Alice goes on\./)
  await bob.getByRole('button', { name: /^Notifications, \d+ unread/ }).click()
  await sees(bob, '.notification', 'notes/plan.md is free')
  await bob.keyboard.press('Escape')
}
