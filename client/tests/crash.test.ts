import { expect, onTestFinished, test } from 'vitest'
import { clientOf, freshNumber, when } from './support/people.js'
import { Server } from './support/server.js'

test('what was said to be saved is there after kill -9, and the rest follows', async () => {
  const workspace = freshNumber()
  const server = await Server.start()
  onTestFinished(() => server.remove())
  const alice = clientOf('alice', { url: server.url }).openFile(workspace, 'a.md')
  await alice.whenLoaded()
  let saved = 0
  for (let typed = 1; typed <= 30; typed++) {
    alice.text.insert(alice.text.length, 'x')
    if (typed % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    saved = typed - alice.current.pendingEdits
  }
  await server.kill()
  saved = Math.max(saved, 30 - alice.current.pendingEdits)
  alice.text.insert(alice.text.length, 'y')
  await when(alice, ({ status }) => status === 'offline')
  await server.start()
  const { api } = clientOf('bob', { url: server.url })
  const { text } = await api.files.read(workspace, 'a.md').catch(() => ({ text: '' }))
  expect(text.length).toBeGreaterThanOrEqual(saved)
  await alice.whenSaved()
  expect((await api.files.read(workspace, 'a.md')).text).toBe(`${'x'.repeat(30)}y`)
}, 40_000)
