import * as Y from 'yjs'
import { expect, inject, test } from 'vitest'
import type { OpenFile } from '../src/index.js'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when, whenText } from './support/people.js'
import { mint } from './support/tokens.js'

test('what one types is saved, and the other reads it', async () => {
  const workspace = freshNumber()
  const [alice, bob] = [clientOf('alice').openFile(workspace, 'a.md'), clientOf('bob').openFile(workspace, 'a.md')]
  await Promise.all([alice.whenLoaded(), bob.whenLoaded()])
  alice.text.insert(0, 'hello')
  expect(alice.current).toMatchObject({ status: 'syncing', pendingEdits: 1 })
  await alice.whenSaved()
  expect(alice.current).toMatchObject({ status: 'saved', pendingEdits: 0, reason: null })
  await whenText(bob, 'hello')
})

test('a deletion is pending until it is committed, too', async () => {
  const alice = clientOf('alice').openFile(freshNumber(), 'a.md')
  await alice.whenLoaded()
  alice.text.insert(0, 'hello')
  await alice.whenSaved()
  alice.text.delete(0, 4)
  expect(alice.current.pendingEdits).toBe(1)
  await alice.whenSaved()
  expect(await clientOf('alice').api.files.read(alice.workspace, 'a.md')).toMatchObject({ text: 'o' })
})

test('a file that is opened twice is open once, until both have closed it', async () => {
  const client = clientOf('alice')
  const workspace = freshNumber()
  const one = client.openFile(workspace, 'a.md')
  const other = client.openFile(workspace, 'a.md')
  expect(other).toBe(one)
  one.close()
  await one.whenSaved()
  expect(one.provider.wsconnected).toBe(true)
  other.close()
  await when(
    { current: one, subscribe: (listener) => (one.provider.on('status', listener), () => {}) },
    () => !one.provider.wsconnected
  )
})

test('what is typed at the last moment is saved before the file closes', async () => {
  const client = clientOf('alice')
  const workspace = freshNumber()
  const file = client.openFile(workspace, 'a.md')
  file.text.insert(0, 'typed before it was loaded')
  file.close()
  await file.whenSaved()
  const again = clientOf('bob').openFile(workspace, 'a.md')
  await whenText(again, 'typed before it was loaded')
})

test('edits that are merged on return are pending until then', async () => {
  const workspace = freshNumber()
  const network = new Network()
  const alice = clientOf('alice', { WebSocket: network.WebSocket }).openFile(workspace, 'a.md')
  const bob = clientOf('bob').openFile(workspace, 'a.md')
  alice.text.insert(0, 'ab')
  await alice.whenSaved()
  await whenText(bob, 'ab')
  network.cut()
  await when(alice, ({ status }) => status === 'offline')
  alice.text.insert(1, '1')
  alice.text.delete(0, 1)
  bob.text.insert(2, '2')
  expect(alice.current).toMatchObject({ status: 'offline', pendingEdits: 2 })
  network.mend()
  await alice.whenSaved()
  await Promise.all([whenText(alice, '1b2'), whenText(bob, '1b2')])
})

test('who else is in a file is known at once after a break', async () => {
  const workspace = freshNumber()
  const network = new Network()
  const alice = clientOf('alice', { WebSocket: network.WebSocket }).openFile(workspace, 'a.md')
  const bob = clientOf('bob').openFile(workspace, 'a.md')
  const isBobThere = (): boolean => [...alice.awareness.getStates().values()].some(({ user }) => user?.name === 'bob')
  const awareness = { current: alice, subscribe: (listener: () => void) => onChange(alice, listener) }
  await bob.whenLoaded()
  bob.awareness.setLocalStateField('user', { name: 'bob' })
  await when(awareness, isBobThere)
  network.cut()
  await when(awareness, () => !isBobThere())
  network.mend()
  await when(awareness, isBobThere)
})

function onChange({ awareness }: OpenFile, listener: () => void): () => void {
  awareness.on('change', listener)
  return () => awareness.off('change', listener)
}

test('whoever may not write is told that it is refused, and why', async () => {
  const workspace = freshNumber()
  const room = `workspace:${workspace}/a.md`
  const writer = clientOf('alice').openFile(workspace, 'a.md')
  writer.text.insert(0, 'mine')
  await writer.whenSaved()
  const viewer = clientOf('viewer', { token: () => mint('viewer', { [room]: 'viewer' }) }).openFile(workspace, 'a.md')
  await whenText(viewer, 'mine')
  expect((await when(viewer, (state) => state.status === 'saved' && state)).pendingEdits).toBe(0)
  viewer.text.insert(0, 'not ')
  const refused = await when(viewer, (state) => state.status === 'refused' && state)
  expect(refused).toMatchObject({ pendingEdits: 1, reason: expect.stringContaining('viewer') })
})

test('a room that one has no role in is refused for good', async () => {
  const other = `workspace:${freshNumber()}/a.md`
  const file = clientOf('nobody', { token: () => mint('nobody', { [other]: 'editor' }) }).openFile(
    freshNumber(),
    'a.md'
  )
  expect(await when(file, (state) => state.status === 'refused' && state)).toMatchObject({ code: 4403 })
})

test('a file in its own history is replaced, and what was not saved becomes a draft', async () => {
  const workspace = freshNumber()
  const network = new Network()
  const alice = clientOf('alice', { WebSocket: network.WebSocket }).openFile(workspace, 'a.md')
  alice.text.insert(0, 'first')
  await alice.whenSaved()
  network.cut()
  alice.text.insert(5, ' and unsaved')
  await restore(`workspace:${workspace}/a.md`, 'restored')
  network.mend()
  const state = await when(alice, (state) => state.generation === 1 && state.isLoaded && state)
  expect(alice.text.toString()).toBe('restored')
  expect(state.drafts).toMatchObject([{ text: 'first and unsaved' }])
  alice.discardDraft(state.drafts[0]!.id)
  expect(alice.current.drafts).toEqual([])
  alice.text.insert(8, '!')
  await alice.whenSaved()
})

test('whoever had saved everything is offered no draft', async () => {
  const workspace = freshNumber()
  const alice = clientOf('alice').openFile(workspace, 'a.md')
  alice.text.insert(0, 'first')
  await alice.whenSaved()
  await restore(`workspace:${workspace}/a.md`, 'restored')
  const state = await when(alice, (state) => state.generation === 1 && state.isLoaded && state)
  expect(state.drafts).toEqual([])
})

test('tickets open documents without a token in the URL', async () => {
  const workspace = freshNumber()
  const api = clientOf('alice').api
  const urls: string[] = []
  const file = clientOf('alice', {
    ticket: async (room) => {
      urls.push(room)
      return (await api.ticket(room)).ticket
    }
  }).openFile(workspace, 'notes/über uns.md')
  await file.whenLoaded()
  expect(urls).toEqual([`workspace:${workspace}/notes/über uns.md`])
  expect(file.provider.url).toContain('ticket=')
  expect(file.provider.url).not.toContain('token=')
})

/** Another history of the document, by an administrator. */
async function restore(room: string, text: string): Promise<void> {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, text)
  const response = await fetch(`${inject('url')}/api/copies/${encodeURIComponent(room)}`, {
    method: 'PUT',
    headers: { Authorization: `Bearer ${mint('root', { [room]: 'admin' })}` },
    body: Y.encodeStateAsUpdate(doc) as BodyInit
  })
  expect(response.status).toBe(200)
}
