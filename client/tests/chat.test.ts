import * as Y from 'yjs'
import { expect, test } from 'vitest'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when } from './support/people.js'

const only = <Item>(items: readonly Item[]): Item | null => (items.length === 1 ? items[0]! : null)

test('a message shows at once, and goes from sending to read', async () => {
  const number = freshNumber()
  const [alice, bob] = [clientOf('alice').openChat(number), clientOf('bob').openChat(number)]
  await when(bob.document, ({ isLoaded }) => isLoaded)
  const id = alice.send('hello', { mentions: [] })
  expect(alice.current.messages).toMatchObject([{ id, body: 'hello', status: 'sending', isOwn: true, seq: null }])
  await when(alice, ({ messages }) => messages[0]?.seq === 1)
  const heard = await when(bob, ({ messages }) => only(messages.filter(({ seq }) => seq === 1)))
  expect(heard).toMatchObject({ id, body: 'hello', isOwn: false })
  await when(alice, ({ messages }) => messages[0]?.status === 'delivered')
  await when(bob, ({ unread }) => unread === 1)
  bob.markRead()
  const read = await when(alice, ({ messages }) => messages[0]?.status === 'read' && messages[0])
  expect(read.readBy).toEqual([heard && (await clientOf('bob').me()).user_id])
  expect(bob.current).toMatchObject({ unread: 0, readSeq: 1 })
})

test('messages are edited, answered, reacted to and deleted', async () => {
  const number = freshNumber()
  const [alice, bob] = [clientOf('alice').openChat(number), clientOf('bob').openChat(number)]
  const id = alice.send('helo')
  const first = await when(bob, ({ messages }) => only(messages.filter(({ seq }) => seq !== null)))
  alice.edit(id, 'hello')
  const answer = bob.send('hi', { replyTo: id })
  bob.react(first, ':+1:')
  await when(alice, ({ messages }) => messages[1]?.replyTo === id)
  const reacted = await when(alice, ({ messages }) => messages[0]?.reactions.length === 1 && messages[0])
  expect(reacted.reactions).toMatchObject([{ emoji: ':+1:', userIds: [messagesSender(bob)] }])
  await when(bob, ({ messages }) => messages[0]?.body === 'hello' && messages[0].editedAt !== null)
  bob.unreact(first, ':+1:')
  bob.remove(answer)
  await when(alice, ({ messages }) => messages[0]?.reactions.length === 0 && messages[1]?.isDeleted)
})

function messagesSender(chat: ReturnType<ReturnType<typeof clientOf>['openChat']>): number {
  return chat.current.messages.find(({ isOwn }) => isOwn)!.senderId
}

test('messages that do not change stay the same objects', async () => {
  const chat = clientOf('alice').openChat(freshNumber())
  chat.send('one')
  const [one] = (await when(chat, ({ messages }) => messages[0]?.seq === 1 && messages)) as readonly object[]
  const before = chat.current
  await chat.document.whenSaved()
  chat.send('two')
  await when(chat, ({ messages }) => messages[1]?.seq === 2)
  expect(chat.current.messages[0]).toBe(one)
  expect(chat.current).not.toBe(before)
})

test('what is written without a connection is sent on return, once and in order', async () => {
  const number = freshNumber()
  const network = new Network()
  network.cut()
  const alice = clientOf('alice', { WebSocket: network.WebSocket }).openChat(number)
  alice.send('one')
  alice.edit(alice.send('twice'), 'two')
  alice.remove(alice.send('never'))
  expect(alice.current.messages.map(({ body, isOwn }) => [body, isOwn])).toEqual([
    ['one', true],
    ['two', true]
  ])
  network.mend()
  const sent = await when(alice, ({ messages }) => messages.every(({ seq }) => seq !== null) && messages)
  expect(sent.map(({ body, seq }) => [body, seq])).toEqual([
    ['one', 1],
    ['two', 2]
  ])
})

test('a message that is too long is not sent', () => {
  const chat = clientOf('alice').openChat(freshNumber())
  expect(() => chat.send('é'.repeat(8193))).toThrow(expect.objectContaining({ code: 'too_large' }))
  expect(chat.current.messages).toEqual([])
})

test('what the server does not take goes away again, with the reason', async () => {
  const chat = clientOf('alice').openChat(freshNumber())
  await chat.document.whenLoaded()
  const forged = { id: crypto.randomUUID(), sender_id: 12345, body: 'not mine' }
  chat.document.doc.getArray('messages').push([new Y.Map(Object.entries(forged))])
  await when(chat, ({ messages }) => messages.length === 1)
  await when(chat, ({ messages }) => messages.length === 0)
  await chat.document.whenSaved()
  expect(chat.document.current.reason).toContain('sender_id')
  chat.send('mine')
  await when(chat, ({ messages }) => messages[0]?.seq === 1)
})

test('older messages come page by page', async () => {
  const number = freshNumber()
  const client = clientOf('alice')
  await when(client.events.join(`chat:${number}`), ({ isJoined }) => isJoined)
  const chat = client.openChat(number)
  chat.send('only one')
  await when(chat, ({ messages, hasOlder }) => messages[0]?.seq === 1 && !hasOlder)
  await chat.loadOlder()
  expect(chat.current.messages).toHaveLength(1)
})
