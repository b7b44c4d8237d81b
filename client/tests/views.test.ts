/** What is shown, made of what is known: no connection is needed. */
import { expect, test, vi } from 'vitest'
import { chatView } from '../src/chat/view.js'
import { JoinedRoom } from '../src/events/joined-room.js'
import { NOT_JOINED, roomAfter } from '../src/events/room-state.js'
import type { ServerEvent } from '../src/events/types.js'
import { Shared } from '../src/live/shared.js'
import { TypingSignal } from '../src/react/typing-signal.js'

test('a room follows its events', () => {
  const event = (type: string, payload: object): ServerEvent =>
    ({ type, payload, timestamp: '', sender_id: null }) as never
  const ada = { user_id: 1, name: 'Ada', state: 'online', typing: false }
  let state = roomAfter(NOT_JOINED, event('user_joined', { room: 'chat:1', ...ada }))
  expect(state.members).toEqual([ada])
  state = roomAfter(state, event('typing_start', { room: 'chat:1', user_id: 1 }))
  state = roomAfter(state, event('presence_update', { room: 'chat:1', user_id: 1, state: 'away', activity: 'lunch' }))
  expect(state.members).toMatchObject([{ name: 'Ada', typing: true, state: 'away', activity: 'lunch' }])
  state = roomAfter(state, event('presence_update', { room: 'global', user_id: 2, state: 'online' }))
  expect(state.members).toHaveLength(2)
  state = roomAfter(state, event('presence_update', { room: 'global', user_id: 2, state: 'offline' }))
  expect(roomAfter(state, event('user_left', { room: 'chat:1', user_id: 1 })).members).toEqual([])
  expect(roomAfter(state, event('permission_changed', { room: 'chat:1', role: 'none' }))).toMatchObject({
    isJoined: false,
    members: []
  })
})

test('a message is there once, as what is furthest on its way', () => {
  const message = (id: string, senderId: number, seq: number | null) => ({
    id,
    senderId,
    seq,
    body: id,
    sentAt: null,
    serverTime: null,
    editedAt: null,
    isDeleted: false,
    replyTo: null,
    mentions: [],
    reactions: []
  })
  const marks = new Map([
    [1, { deliveredSeq: 5, readSeq: 5 }],
    [2, { deliveredSeq: 4, readSeq: 3 }]
  ])
  const inDocument = [message('later', 1, null), message('a', 1, 4), message('a', 2, 3), message('b', 1, 5)]
  const { messages, hasOlder, unread } = chatView(
    { messages: inDocument, marks },
    [message('a', 2, 3)],
    [message('a', 1, null), message('new', 1, null)],
    1,
    0
  )
  expect(messages.map(({ id, senderId, status }) => [id, senderId, status])).toEqual([
    ['a', 2, 'sent'],
    ['a', 1, 'delivered'],
    ['b', 1, 'sent'],
    ['later', 1, 'sending'],
    ['new', 1, 'sending']
  ])
  expect([hasOlder, unread]).toEqual([true, 0])
})

test('what is closed and opened again at once stays open', async () => {
  vi.useFakeTimers()
  const ended = vi.fn()
  const shared = new Shared<{ close(): void }>(ended)
  const open = (): { close(): void } => shared.open('key', (close) => ({ close }))
  const first = open()
  first.close()
  expect(open()).toBe(first)
  await vi.runAllTimersAsync()
  expect(ended).not.toHaveBeenCalled()
  first.close()
  await vi.runAllTimersAsync()
  expect(ended).toHaveBeenCalledWith(first)
  vi.useRealTimers()
})

test('typing is told at a pace, and its end after a moment', () => {
  vi.useFakeTimers()
  const told: string[] = []
  const signal = new TypingSignal((type) => told.push(type))
  for (let i = 0; i < 10; i++) {
    signal.typed()
    vi.advanceTimersByTime(300)
  }
  expect(told).toEqual(['typing_start', 'typing_start'])
  vi.advanceTimersByTime(3000)
  signal.stop()
  expect(told).toEqual(['typing_start', 'typing_start', 'typing_stop'])
  vi.useRealTimers()
})

test('who comes with the answer to a join is not lost', async () => {
  const ack = { room: 'chat:1', role: 'editor', members: [], last_seq: 0, gap: false }
  const room = new JoinedRoom(
    'chat:1',
    {
      isOpen: () => true,
      ask: (_payload, answered) => {
        answered(ack as never)
        room.receive({
          type: 'user_joined',
          payload: { room: 'chat:1', user_id: 2, name: 'Bob', state: 'online', typing: false },
          timestamp: '',
          sender_id: null
        })
        return Promise.resolve()
      }
    },
    () => {}
  )
  await room.join()
  expect(room.current.members).toMatchObject([{ name: 'Bob' }])
})
