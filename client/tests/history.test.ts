import { expect, test } from 'vitest'
import { applyUpdate, Doc } from 'yjs'
import { clientOf, freshNumber } from './support/people.js'

test('a file is read as it was, compared, and made that again', async () => {
  const workspace = freshNumber()
  const room = `workspace:${workspace}/plan.md`
  const [alice, bob] = [clientOf('alice'), clientOf('bob')]
  const { history } = alice.api
  const write = async (client: typeof alice, offset: number, text: string): Promise<void> => {
    const file = client.openFile(workspace, 'plan.md')
    await file.whenLoaded()
    file.text.insert(offset, text)
    await file.whenSaved()
    file.close()
  }
  await write(alice, 0, 'One 😀\n')
  await write(bob, 7, 'Two\n')
  const [aliceId, bobId] = (await Promise.all([alice.api.me(), bob.api.me()])).map(({ user_id }) => user_id)
  const { items } = await history.list(room)
  expect(items.map(({ user_id }) => user_id)).toEqual([bobId, aliceId])
  const then = items[1]!.seq
  expect(await history.text(room, then)).toBe('One 😀\n')
  const doc = new Doc()
  applyUpdate(doc, await history.update(room, then))
  expect(doc.getText('content').toString()).toBe('One 😀\n')

  const { text, ranges } = await history.blame(room)
  expect(ranges.map(({ start, end, user_id }) => [text.slice(start, end), user_id])).toEqual([
    ['One 😀\n', aliceId],
    ['Two\n', bobId]
  ])
  const { parts } = await history.diff(room, then)
  expect(parts).toMatchObject([
    { side: 'both', text: 'One 😀\n', user_id: null },
    { side: 'added', text: 'Two\n', user_id: bobId }
  ])

  const version = await history.addVersion(room, 'Before Bob', then)
  await expect(history.addVersion(room, 'Before Bob')).rejects.toMatchObject({ code: 'name_taken' })
  await history.renameVersion(room, version.id, 'Alone')
  expect(await history.versions(room)).toMatchObject([{ name: 'Alone', seq: then, user_id: aliceId }])
  await history.removeVersion(room, version.id)
  expect(await history.versions(room)).toEqual([])

  expect(await history.restore(room, then)).toEqual({ changed: true })
  expect((await history.blame(room)).text).toBe('One 😀\n')
  expect(await history.revert(room, bobId!, 0)).toEqual({ changed: false })
})
