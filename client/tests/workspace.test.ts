import { expect, test } from 'vitest'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when, whenText } from './support/people.js'
import { mint } from './support/tokens.js'

test('what is typed into a file that another has locked is held, and merged when the lock ends', async () => {
  const workspace = freshNumber()
  const [alice, bob] = [clientOf('alice'), clientOf('bob')]
  const [hers, his] = [alice.openFile(workspace, 'a.md'), bob.openFile(workspace, 'a.md')]
  hers.text.insert(0, 'hers')
  await whenText(his, 'hers')
  await when(bob.events, ({ status }) => status === 'connected')
  const lock = await alice.locks(workspace).acquire('a.md')
  const seen = bob.locks(workspace)
  await when(seen, () => seen.blocking('a.md')?.holder_name === 'alice')
  his.text.insert(0, 'his ')
  expect(await when(his, (state) => state.status === 'held' && state)).toMatchObject({ pendingEdits: 1 })
  expect(hers.text.toString()).toBe('hers')
  await alice.locks(workspace).release(lock)
  await whenText(hers, 'his hers')
  await his.whenSaved()
  await when(seen, ({ locks }) => locks.length === 0)
})

test('that edits are held is known also to whoever could not hear of it', async () => {
  const workspace = freshNumber()
  const network = new Network()
  network.cut(/events/)
  await clientOf('alice').locks(workspace).acquire('a.md')
  const file = clientOf('bob', { WebSocket: network.WebSocket }).openFile(workspace, 'a.md')
  file.text.insert(0, 'his')
  await when(file, ({ isLoaded }) => isLoaded)
  expect(file.current.status).toBe('syncing')
  network.mend()
  await when(file, ({ status }) => status === 'held')
})

test('a lock that is taken is refused, with who holds it', async () => {
  const workspace = freshNumber()
  const [alice, bob] = [clientOf('alice').locks(workspace), clientOf('bob').locks(workspace)]
  await alice.acquire('art')
  const refused = bob.acquire('art/tree.uasset')
  await expect(refused).rejects.toMatchObject({
    code: 'locked',
    status: 409,
    details: { holder_name: 'alice', path: 'art' }
  })
  expect(await when(bob, () => bob.blocking('art/tree.uasset'))).toMatchObject({ path: 'art', kind: 'lease' })
  expect(alice.own('art')).not.toBeNull()
  expect(bob.blocking('artful')).toBeNull()
})

test('files are written as text, and conflicts are resolved', async () => {
  const workspace = freshNumber()
  const { files } = clientOf('alice').api
  const others = clientOf('bob').api.files
  const { version } = await files.write(workspace, 'notes/plan.md', 'one\ntwo\n', null)
  await others.edit(workspace, 'notes/plan.md', [{ start: 4, end: 7, text: 'zwei' }], version)
  const written = await files.write(workspace, 'notes/plan.md', 'one\ndeux\n', version)
  expect(written).toMatchObject({ merged: true, conflicts: [{ yours: 'deux\n', theirs: 'zwei\n' }] })
  const { items } = await files.conflicts(workspace, 'notes/plan.md')
  await files.resolve(workspace, 'notes/plan.md', items[0]!.id, 'yours')
  expect((await files.read(workspace, 'notes/plan.md')).text).toBe('one\ndeux\n')
  await expect(files.write(workspace, 'notes/plan.md', '', null)).rejects.toMatchObject({ code: 'version_unknown' })
})

test('projects have workspaces, chats and members', async () => {
  const { api } = clientOf('carol', { token: () => mint('carol', { '*': 'admin' }) })
  const project = await api.projects.create('Game')
  const workspace = await api.projects.createWorkspace(project.id, 'Source')
  const chat = await api.projects.createChat(project.id, 'General')
  expect((await api.projects.workspaces(project.id)).items).toMatchObject([{ id: workspace.id, name: 'Source' }])
  expect((await api.projects.chats(project.id)).items).toMatchObject([{ id: chat.id }])
  expect((await api.projects.members(project.id)).items).toMatchObject([{ role: 'admin' }])
  expect(await api.role(`workspace:${workspace.id}`)).toMatchObject({ role: 'admin' })
})

test('a name is the same however its accents are written', async () => {
  const [workspace, decomposed] = [freshNumber(), 'u\u0308ber.md']
  const [alice, bob] = [clientOf('alice'), clientOf('bob')]
  const file = bob.openFile(workspace, decomposed)
  file.text.insert(0, 'a')
  await file.whenSaved()
  await when(bob.events, ({ status }) => status === 'connected')
  await alice.locks(workspace).acquire(decomposed)
  file.text.insert(0, 'b')
  await when(file, ({ status }) => status === 'held')
  expect(
    await when(bob.locks(workspace), ({ locks }) => locks.length === 1 && bob.locks(workspace).blocking(decomposed))
  ).not.toBeNull()
})
