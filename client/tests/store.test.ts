import { expect, test } from 'vitest'
import { followChats, realtimeStore } from '../src/store/index.js'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when } from './support/people.js'

test('the store says who is online, who types and what is unread', async () => {
  const number = freshNumber()
  const alice = clientOf('alice')
  const store = realtimeStore(alice)
  const state = {
    get current() {
      return store.getState()
    },
    subscribe: store.subscribe
  }
  expect(realtimeStore(alice)).toBe(store)
  const unfollow = followChats(alice, [number])
  await when(alice.presence(`chat:${number}`), ({ isJoined }) => isJoined)

  const bob = clientOf('bob')
  await when(bob.presence(`chat:${number}`), ({ isJoined }) => isJoined)
  const bobId = bob.events.current.user!.id
  await when(state, ({ onlineUsers }) => onlineUsers.has(bobId))
  bob.events.tell('typing_start', { room: `chat:${number}` })
  await when(state, ({ typingUsers }) => typingUsers.get(number)?.has(bobId))
  for (const body of ['one', 'two']) {
    await bob.events.send('message', { room: `chat:${number}`, id: crypto.randomUUID(), body })
  }
  await when(state, ({ unreadCounts }) => unreadCounts.get(number) === 2)
  await clientOf('alice').api.messages.markRead(number, 1) // on another device
  await when(state, ({ unreadCounts }) => unreadCounts.get(number) === 1)
  const chat = alice.openChat(number)
  await when(chat, ({ messages }) => messages.length === 2)
  chat.markRead()
  await when(state, ({ unreadCounts }) => unreadCounts.get(number) === 0)
  unfollow()
  expect(store.getState().unreadCounts.has(number)).toBe(false)
})

test('messages that were missed are counted once', async () => {
  const number = freshNumber()
  const network = new Network()
  const [alice, bob] = [clientOf('alice', { WebSocket: network.WebSocket }), clientOf('bob')]
  followChats(alice, [number])
  const store = realtimeStore(alice)
  await when(alice.presence(`chat:${number}`), ({ isJoined }) => isJoined)
  await when(bob.presence(`chat:${number}`), ({ isJoined }) => isJoined)
  network.cut()
  await when(alice.events, ({ status }) => status === 'offline')
  await bob.events.send('message', { room: `chat:${number}`, id: crypto.randomUUID(), body: 'missed' })
  const heard = new Promise((resolve) => alice.events.on('message', resolve))
  network.mend()
  await heard
  expect(store.getState().unreadCounts.get(number)).toBe(1)
})

test('whoever follows a chat later learns what is unread there', async () => {
  const number = freshNumber()
  const bob = clientOf('bob')
  await when(bob.presence(`chat:${number}`), ({ isJoined }) => isJoined)
  await bob.events.send('message', { room: `chat:${number}`, id: crypto.randomUUID(), body: 'before' })
  const alice = clientOf('alice')
  followChats(alice, [number])
  const store = realtimeStore(alice)
  await when(
    {
      get current() {
        return store.getState()
      },
      subscribe: store.subscribe
    },
    ({ unreadCounts }) => unreadCounts.get(number) === 1
  )
})
