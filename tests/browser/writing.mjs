import assert from 'node:assert/strict'
import { agreedText, editorOf, isGone, isSaved, newFile, open, panelOf, sees, typeAtEnd, typeAtStart } from './steps.mjs'

const PATH = 'Source/Hero.cpp'

/** A file is made, both write in it at once, without a network, and while the server is killed. */
export async function writing({ alice, bob, bobContext, server }) {
  await newFile(alice, PATH)
  await alice.keyboard.type('// Lyra\n')
  await isSaved(alice)

  // Bob finds it in the tree, by keyboard.
  await bob.getByRole('treeitem', { name: 'Source' }).focus()
  await bob.keyboard.press('ArrowRight')
  await bob.keyboard.press('ArrowDown')
  await bob.keyboard.press('Enter')
  await sees(bob, '.cm-content', '// Lyra')
  assert.match(bob.url(), /file=Source\/Hero\.cpp/)

  await Promise.all([typeAtStart(alice, 'int Health = 100;\n'), typeAtEnd(bob, 'int Armor = 50;\n')])
  await sees(alice, '.cm-ySelectionInfo', 'bob')
  await sees(bob, '.cm-ySelectionInfo', 'alice')
  const together = await agreedText(alice, bob)
  for (const part of ['// Lyra', 'Health', 'Armor']) assert.ok(together.includes(part), together)

  await open(alice, 'People')
  await panelOf(alice, 'people').getByRole('button', { name: 'In Hero.cpp' }).waitFor()

  // Bob goes offline, writes, and comes back.
  await bobContext.setOffline(true)
  await sees(bob, '.status-bar .saved', 'Offline')
  await typeAtEnd(bob, '// from the train\n')
  await sees(bob, '.status-bar .saved', 'kept here')
  await typeAtEnd(alice, '// from the office\n')
  await isSaved(alice)
  assert.ok(!(await editorOf(alice).innerText()).includes('train'))
  await bobContext.setOffline(false)
  await sees(alice, '.cm-content', 'from the train')
  await isSaved(bob)
  assert.ok((await agreedText(alice, bob)).includes('from the office'))
  await bob.locator('.file-bar').getByRole('img', { name: /alice/ }).waitFor()

  // The server dies while both write.
  const typing = Promise.all([typeAtStart(alice, '// alice saw it die\n'), typeAtEnd(bob, '// so did bob\n')])
  await server.kill()
  await typing
  await sees(alice, '.status-bar .saved', 'Offline')
  await server.start()
  await Promise.all([isSaved(alice), isSaved(bob)])
  const afterwards = await agreedText(alice, bob)
  for (const part of ['saw it die', 'so did bob']) assert.equal(afterwards.split(part).length, 2, afterwards)

  // Undo takes back what this person wrote, and nothing else.
  await typeAtEnd(alice, 'oops')
  await alice.keyboard.press('Control+z')
  await isGone(alice, '.cm-line:has-text("oops")')
  assert.ok((await agreedText(alice, bob)).includes('so did bob'))
}
