import { expect, onTestFinished, test } from 'vitest'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when } from './support/people.js'
import { Server } from './support/server.js'

test('what was said to be saved is there after kill -9, and the rest follows', async () => {
  const workspace = freshNumber()
  const server = await Server.start()
  onTestFinished(() => server.remove())
  const network = new Network()
  const alice = clientOf('alice', { url: server.url, WebSocket: network.WebSocket }).openFile(workspace, 'a.md')
  await alice.whenLoaded()
  for (let typed = 0; typed < 30; typed++) {
    alice.text.insert(alice.text.length, 'x')
    await when(alice, ({ pendingEdits }) => pendingEdits < 5)
  }
  await server.kill()
  network.cut() // so that what is read is what was committed
  const saved = 30 - alice.current.pendingEdits
  alice.text.insert(alice.text.length, 'y')
  await when(alice, ({ status }) => status === 'offline')
  await server.start()
  const { api } = clientOf('bob', { url: server.url })
  const { text } = await api.files.read(workspace, 'a.md')
  expect(text.length).toBeGreaterThanOrEqual(saved)
  network.mend()
  await alice.whenSaved()
  expect((await api.files.read(workspace, 'a.md')).text).toBe(`${'x'.repeat(30)}y`)
}, 40_000)
