import { expect, test } from 'vitest'
import { Network } from './support/network.js'
import { clientOf, freshNumber, when } from './support/people.js'
import { mint } from './support/tokens.js'

test('a message that was sent is answered, and told to the others', async () => {
  const room = `chat:${freshNumber()}`
  const [alice, bob] = [clientOf('alice'), clientOf('bob')]
  const joined = bob.events.join(room)
  await when(joined, ({ isJoined }) => isJoined)
  const heard = new Promise((resolve) =>
    bob.events.on('message', ({ payload, sender_id }) => resolve([payload.body, sender_id]))
  )
  await when(alice.events.join(room), ({ isJoined }) => isJoined)
  const answer = await alice.events.send('message', { room, id: crypto.randomUUID(), body: 'hello' })
  expect(answer).toMatchObject({ seq: 1 })
  expect(await heard).toEqual(['hello', alice.events.current.user?.id])
})

test('a room knows who is in it, and who types', async () => {
  const room = `chat:${freshNumber()}`
  const [alice, bob] = [clientOf('alice'), clientOf('bob')]
  const seen = alice.presence(room)
  await when(seen, ({ isJoined }) => isJoined)
  const bobs = bob.presence(room)
  await when(seen, ({ members }) => members.some(({ name }) => name === 'bob'))
  bob.events.tell('typing_start', { room })
  await when(seen, ({ members }) => members.some(({ name, typing }) => name === 'bob' && typing))
  bob.events.tell('typing_stop', { room })
  await when(seen, ({ members }) => members.some(({ name, typing }) => name === 'bob' && !typing))
  bobs.close()
  await when(seen, ({ members }) => members.every(({ name }) => name !== 'bob'))
})

test('what is sent while there is no connection is sent with the next one, once', async () => {
  const room = `chat:${freshNumber()}`
  const network = new Network()
  const alice = clientOf('alice', { WebSocket: network.WebSocket })
  const joined = alice.events.join(room)
  await when(joined, ({ isJoined }) => isJoined)
  network.cut()
  await when(alice.events, ({ status }) => status === 'offline')
  expect(joined.current).toMatchObject({ isJoined: false, members: [] })
  const answer = alice.events.send('message', { room, id: crypto.randomUUID(), body: 'from the tunnel' })
  network.mend()
  expect(await answer).toMatchObject({ seq: 1 })
  expect(joined.current.isJoined).toBe(true)
})

test('what is sent as soon as there is a connection again comes after the rooms', async () => {
  const room = `chat:${freshNumber()}`
  const network = new Network()
  const alice = clientOf('alice', { WebSocket: network.WebSocket })
  await when(alice.events.join(room), ({ isJoined }) => isJoined)
  network.cut()
  await when(alice.events, ({ status }) => status === 'offline')
  const answer = new Promise((resolve, reject) => {
    alice.events.subscribe(() => {
      if (alice.events.current.status !== 'connected') return
      alice.events.send('message', { room, id: crypto.randomUUID(), body: 'at once' }).then(resolve, reject)
    })
  })
  network.mend()
  expect(await answer).toMatchObject({ seq: 1 })
})

test('messages that were missed are told after the break', async () => {
  const room = `chat:${freshNumber()}`
  const network = new Network()
  const [alice, bob] = [clientOf('alice'), clientOf('bob', { WebSocket: network.WebSocket })]
  await when(alice.events.join(room), ({ isJoined }) => isJoined)
  await when(bob.events.join(room), ({ isJoined }) => isJoined)
  network.cut()
  await when(bob.events, ({ status }) => status === 'offline')
  await alice.events.send('message', { room, id: crypto.randomUUID(), body: 'missed' })
  const heard = new Promise((resolve) => bob.events.on('message', ({ payload }) => resolve(payload.body)))
  network.mend()
  expect(await heard).toBe('missed')
})

test('what the server refuses rejects with its code', async () => {
  const alice = clientOf('alice')
  const refused = alice.events.send('message', {
    room: `chat:${freshNumber()}`,
    id: crypto.randomUUID(),
    body: 'hello'
  })
  await expect(refused).rejects.toMatchObject({ code: 'not_joined' })
})

test('a token that is refused is asked for once more, then the connection is closed for good', async () => {
  let asked = 0
  const alice = clientOf('alice', { token: () => `no token ${++asked}` })
  alice.events.connect()
  const state = await when(alice.events, (state) => state.status === 'closed' && state)
  expect(state).toMatchObject({ code: 4401, reason: expect.any(String) })
  expect(asked).toBe(2)
  await expect(alice.api.me()).rejects.toMatchObject({ code: 'unauthorized', status: 401 })
})

test('a token that ends is renewed without a break', async () => {
  let asked = 0
  const alice = clientOf('alice', { token: () => mint('alice', { '*': 'editor' }, asked++ === 0 ? 3 : 3600) })
  alice.events.connect()
  await when(alice.events, ({ status }) => status === 'connected')
  const { socket } = alice.events
  await new Promise<void>((resolve) => alice.events.on('permission_changed', () => resolve()))
  await alice.events.send('ping', {})
  expect(asked).toBeGreaterThan(1)
  expect(alice.events.socket).toBe(socket)
})

test('closing rejects what is not answered', async () => {
  const network = new Network()
  network.cut()
  const alice = clientOf('alice', { WebSocket: network.WebSocket })
  const answer = alice.events.send('ping', {})
  alice.close()
  await expect(answer).rejects.toMatchObject({ code: 'closed' })
})
