/** With a server of its own: it is killed, and threads of its chats are short. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when } from './support/people.js'
import { Server } from './support/server.js'

let server: Server

beforeAll(async () => {
  server = await Server.start({ COSTUDIO_CHAT_SEGMENT_MESSAGES: '2' })
})

afterAll(() => server.remove())

test('a thread that goes on in another document keeps what was sent meanwhile, and what is older', async () => {
  const number = freshNumber()
  const client = clientOf('alice', { url: server.url })
  const chat = client.openChat(number)
  const bodies = Array.from({ length: 25 }, (_, i) => `message ${i + 1}`)
  for (const body of bodies) {
    chat.send(body)
    await when(chat, ({ messages }) => messages.filter(({ seq }) => seq === null).length < 3)
  }
  await when(chat.document, ({ generation }) => generation > 0)
  await when(chat, ({ messages }) => messages.at(-1)?.seq === 25)
  expect(chat.current.hasOlder).toBe(true)
  await chat.loadOlder()
  expect(chat.current.messages.map(({ body }) => body).sort()).toEqual([...bodies].sort())
  expect(chat.current.messages.map(({ seq }) => seq)).toEqual(bodies.map((_, i) => i + 1))
  expect(chat.document.current.drafts).toEqual([])
})

test('what was said to be saved is there after kill -9, and the rest follows', async () => {
  const workspace = freshNumber()
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
