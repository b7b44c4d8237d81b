import { expect, test } from 'vitest'
import { clientOf, freshNumber, when } from './support/people.js'

test('a mention arrives, and is read on all devices', async () => {
  const number = freshNumber()
  const name = `ann${number}`
  const [alice, ann] = [clientOf('alice').openChat(number), clientOf(name)]
  const [phone, laptop] = [ann.notifications(), clientOf(name).notifications()]
  await when(phone, ({ isLoaded }) => isLoaded)
  const chat = ann.openChat(number)
  chat.send('here I am') // whoever has written in a chat can be mentioned in it
  await when(chat, ({ messages }) => messages[0]?.seq === 1)
  alice.send('look here', { mentions: [(await ann.me()).user_id] })
  const arrived = await when(phone, ({ items, unread }) => unread === 1 && items[0])
  expect(arrived).toMatchObject({ kind: 'mention', room: `chat:${number}`, text: 'look here', read_at: null })
  await when(laptop, ({ unread }) => unread === 1)
  await phone.markRead(arrived.id)
  expect(phone.current).toMatchObject({ unread: 0, items: [{ read_at: expect.any(String) }] })
  await when(laptop, ({ unread, items }) => unread === 0 && items[0]?.read_at !== null)
  await laptop.archive(arrived.id)
  expect(laptop.current.items).toEqual([])
})
