// @vitest-environment happy-dom
import { act, cleanup, renderHook } from '@testing-library/react'
import { createElement, StrictMode, useEffect, type ReactNode } from 'react'
import { afterEach, expect, test, vi } from 'vitest'
import {
  CostudioProvider,
  useChat,
  useFile,
  useLocks,
  useNotifications,
  usePresence,
  useTyping,
  useWebSocket
} from '../src/react/index.js'
import { useFollowedChats, useRealtime } from '../src/store/index.js'
import { clientOf, freshNumber, when } from './support/people.js'

type Client = ReturnType<typeof clientOf>

const within = (client: Client) => ({
  wrapper: ({ children }: { children: ReactNode }) =>
    createElement(StrictMode, null, createElement(CostudioProvider, { client }, children))
})

const seen = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 10_000, interval: 10 })

afterEach(cleanup)

test('all components share one connection', async () => {
  const alice = clientOf('alice')
  const heard: string[] = []
  const room = `chat:${freshNumber()}`
  const { result } = renderHook(() => {
    const [one, other] = [useWebSocket(), useWebSocket()]
    useEffect(() => one.subscribe('message', ({ payload }) => heard.push(payload.body)), [one])
    return [one, other]
  }, within(alice))
  await seen(() => expect(result.current.map(({ connected }) => connected)).toEqual([true, true]))
  expect(result.current[0]!.socket).toBe(result.current[1]!.socket)
  await when(alice.presence(room), ({ isJoined }) => isJoined)
  await result.current[0]!.send('message', { room, id: crypto.randomUUID(), body: 'by a hook' })
  const bob = clientOf('bob')
  await when(bob.presence(room), ({ isJoined }) => isJoined)
  await bob.events.send('message', { room, id: crypto.randomUUID(), body: 'heard' })
  await seen(() => expect(heard).toContain('heard'))
})

test('a file is open while a component shows it, also in strict mode', async () => {
  const workspace = freshNumber()
  const alice = clientOf('alice')
  const { result, rerender, unmount } = renderHook(({ path }) => useFile(workspace, path), {
    ...within(alice),
    initialProps: { path: 'a.md' }
  })
  await seen(() => expect(result.current?.status).toBe('saved'))
  const { file } = result.current!
  act(() => file.text.insert(0, 'typed'))
  expect(result.current).toMatchObject({ status: 'syncing', pendingEdits: 1 })
  await seen(() => expect(result.current?.status).toBe('saved'))
  rerender({ path: 'b.md' })
  await seen(() => expect(result.current?.file.fileId).toBe('b.md'))
  await seen(() => expect(file.provider.wsconnected).toBe(false))
  const other = result.current!.file
  unmount()
  await seen(() => expect(other.provider.wsconnected).toBe(false))
})

test('a chat, who is there and who types', async () => {
  const number = freshNumber()
  const [alice, bob] = [clientOf('alice'), clientOf('bob')]
  const chat = renderHook(() => useChat(number), within(alice))
  const room = renderHook(
    () => ({ people: usePresence(`chat:${number}`), typing: useTyping(`chat:${number}`) }),
    within(alice)
  )
  const bobs = renderHook(() => useTyping(`chat:${number}`), within(bob))
  await seen(() => expect(chat.result.current?.document.isLoaded).toBe(true))
  act(() => void chat.result.current!.chat.send('hello'))
  expect(chat.result.current!.messages).toMatchObject([{ body: 'hello', status: 'sending' }])
  await seen(() => expect(chat.result.current!.messages).toMatchObject([{ seq: 1 }]))
  await seen(() => expect(room.result.current.people.map(({ name }) => name)).toContain('bob'))
  act(() => bobs.result.current.onType())
  const bobId = bob.events.current.user!.id
  await seen(() => expect(room.result.current.typing.typingUsers).toEqual(new Set([bobId])))
  bobs.unmount()
  await seen(() => expect(room.result.current.typing.typingUsers).toEqual(new Set()))
})

test('locks, notifications and the store come through hooks', async () => {
  const [workspace, number] = [freshNumber(), freshNumber()]
  const [alice, bob] = [clientOf('alice'), clientOf('bob')]
  const { result } = renderHook(() => {
    useFollowedChats(alice, [number])
    return {
      locks: useLocks(workspace),
      news: useNotifications(),
      unread: useRealtime(alice, ({ unreadCounts }) => unreadCounts.get(number))
    }
  }, within(alice))
  await seen(() =>
    expect(result.current).toMatchObject({
      locks: { isLoaded: true, locks: [] },
      news: { isLoaded: true },
      unread: 0
    })
  )
  await bob.locks(workspace).acquire('a.md')
  await seen(() => expect(result.current.locks?.locks).toMatchObject([{ holder_name: 'bob' }]))
  await when(bob.presence(`chat:${number}`), ({ isJoined }) => isJoined)
  await bob.events.send('message', { room: `chat:${number}`, id: crypto.randomUUID(), body: 'news' })
  await seen(() => expect(result.current.unread).toBe(1))
})
