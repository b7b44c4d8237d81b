import { expect, test } from 'vitest'
import { clientOf, freshNumber, when } from './support/people.js'
import { mint } from './support/tokens.js'

test('files are made, moved, copied, deleted and restored, and others hear of it', async () => {
  const workspace = freshNumber()
  const { tree, files } = clientOf('alice').api
  const bob = clientOf('bob')
  await when(bob.presence(`workspace:${workspace}`), ({ isJoined }) => isJoined)
  const heard: unknown[] = []
  bob.events.on('file_update', ({ payload }) => heard.push([payload.change, payload.files?.[0]?.path]))
  const file = await tree.create(workspace, { path: 'Source/Hero.cpp', text: 'int main;' })
  expect(file).toMatchObject({ path: 'Source/Hero.cpp', room: `workspace:${workspace}/${file.file_id}` })
  expect((await files.read(workspace, file.file_id)).text).toBe('int main;')
  const refused = tree.create(workspace, { path: 'source/hero.CPP' })
  await expect(refused).rejects.toMatchObject({ code: 'path_taken', status: 409 })
  const copy = await tree.copy(workspace, file.file_id, 'Source/Copy.cpp')
  await tree.update(workspace, file.file_id, { path: 'Source/Player.cpp' })
  await tree.createFolder(workspace, 'Content')
  await tree.moveFolder(workspace, 'Source', 'Code')
  expect((await tree.get(workspace)).files.map(({ path }) => path).sort()).toEqual(['Code/Copy.cpp', 'Code/Player.cpp'])
  expect((await tree.find(workspace, { prefix: 'Code' })).items).toHaveLength(2)
  await tree.remove(workspace, copy.file_id)
  expect((await tree.trash(workspace)).items).toMatchObject([{ file_id: copy.file_id, path: 'Code/Copy.cpp' }])
  expect(await tree.restore(workspace, copy.file_id)).toMatchObject({ path: 'Code/Copy.cpp' })
  await tree.removeFolder(workspace, 'Code')
  expect(await tree.restoreTogether(workspace, copy.file_id)).toHaveLength(2)
  await tree.remove(workspace, copy.file_id)
  const admin = clientOf('root', { token: () => mint('root', { [`workspace:${workspace}`]: 'admin' }) })
  await admin.api.tree.purge(workspace, copy.file_id)
  expect((await tree.trash(workspace)).items).toEqual([])
  expect(heard).toContainEqual(['created', 'Source/Hero.cpp'])
})
