import 'fake-indexeddb/auto'
import * as Y from 'yjs'
import { expect, test } from 'vitest'
import type { CostudioClient } from '../src/index.js'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when, whenText } from './support/people.js'
import { mint } from './support/tokens.js'

const offlineClient = (user: string, network = new Network()): CostudioClient =>
  clientOf(user, { offline: `test-${user}`, WebSocket: network.WebSocket })

test('a file that was open before is there without a connection, and what is typed is sent by the next page', async () => {
  const workspace = freshNumber()
  const first = offlineClient('alice')
  const file = first.openFile(workspace, 'a.md')
  file.text.insert(0, 'known')
  await file.whenSaved()
  first.close()

  const network = new Network()
  network.cut()
  const second = offlineClient('alice', network)
  const offline = second.openFile(workspace, 'a.md')
  await offline.whenLoaded()
  expect(offline.text.toString()).toBe('known')
  await when(offline, ({ status }) => status === 'offline')
  offline.text.insert(5, ' and typed offline')
  expect(offline.current).toMatchObject({ status: 'offline', pendingEdits: 1 })
  second.close()

  const third = offlineClient('alice').openFile(workspace, 'a.md')
  await third.whenSaved()
  expect(third.text.toString()).toBe('known and typed offline')
  expect((await offlineClient('bob').api.files.read(workspace, 'a.md')).text).toBe('known and typed offline')
})

test('an old copy with unsaved edits is a draft for later pages too, until it is discarded', async () => {
  const workspace = freshNumber()
  const room = `workspace:${workspace}/a.md`
  const network = new Network()
  const first = offlineClient('alice', network)
  const file = first.openFile(workspace, 'a.md')
  file.text.insert(0, 'old')
  await file.whenSaved()
  network.cut()
  file.text.insert(3, ' and unsaved')
  first.close()
  await restore(room, 'new')

  const second = offlineClient('alice')
  const reopened = second.openFile(workspace, 'a.md')
  await when(reopened, ({ generation, isLoaded }) => generation === 1 && isLoaded)
  expect(reopened.text.toString()).toBe('new')
  expect(reopened.current.drafts).toMatchObject([{ text: 'old and unsaved' }])
  await reopened.whenSaved()
  second.close()

  const third = offlineClient('alice').openFile(workspace, 'a.md')
  const { drafts, generation } = await when(third, (state) => state.drafts.length === 1 && state)
  expect(generation).toBe(0)
  await whenText(third, 'new')
  const copy = new Y.Doc()
  Y.applyUpdate(copy, drafts[0]!.update)
  expect(copy.getText('content').toString()).toBe('old and unsaved')
  third.discardDraft(drafts[0]!.id)
  expect(third.current.drafts).toEqual([])
})

async function restore(room: string, text: string): Promise<void> {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, text)
  const admin = clientOf('root', { token: () => mint('root', { [room]: 'admin' }) })
  await admin.api.http.request('PUT', `/copies/${room}`, { body: Y.encodeStateAsUpdate(doc) })
}
