import { isGone, newFile } from './steps.mjs'

/** A folder goes to the trash, and comes back as a whole. */
export async function trashing({ alice }) {
  for (const path of ['drafts/one.md', 'drafts/two.md']) await newFile(alice, path)
  const folder = alice.getByRole('treeitem', { name: 'drafts' })
  await folder.focus()
  await alice.keyboard.press('Delete')
  await alice.getByRole('dialog').locator('.button-danger, .button-main').click()
  await folder.waitFor({ state: 'detached' })
  await alice.getByRole('button', { name: 'Trash' }).click()
  await alice.getByRole('button', { name: 'Restore all' }).click()
  await isGone(alice, '.trash-list li')
  await alice.keyboard.press('Escape')
  await folder.waitFor()
}
