import { useMemo, useRef, useEffect } from 'react'
import type { OpenChat } from '../chat/open-chat.js'
import type { ChatState } from '../chat/view.js'
import type { DocumentState } from '../documents/open-document.js'
import type { OpenFile } from '../documents/open-file.js'
import type { EventsClient } from '../events/events-client.js'
import type { Present, ServerEvent, ServerEventType } from '../events/types.js'
import type { Notifications, NotificationsState } from '../notifications/notifications.js'
import type { LocksState, WorkspaceLocks } from '../workspace/locks.js'
import { useCostudio, useLive, useLiveOrNull, useOpened } from './context.js'
import { TypingSignal } from './typing-signal.js'

export interface WebSocketHook {
  /** The socket of the moment, to look at; null while there is none. */
  socket: WebSocket | null
  connected: boolean
  send: EventsClient['send']
  /** Hear of events of a type, in an effect; returns what ends that. */
  subscribe<Type extends ServerEventType>(type: Type, handler: (event: ServerEvent<Type>) => void): () => void
}

/** The one connection, however many components use it: it connects, comes back by itself, and asks for fresh tokens. */
export function useWebSocket(): WebSocketHook {
  const { events } = useCostudio()
  useEffect(() => events.connect(), [events])
  const { status } = useLive(events)
  return useMemo(
    () => ({
      socket: events.socket,
      connected: status === 'connected',
      send: events.send.bind(events),
      subscribe: events.on.bind(events)
    }),
    [events, status]
  )
}

/** A file, open while the component is there; null at first. Bind the editor anew when `generation` changes. */
export function useFile(workspace: number, fileId: string): (DocumentState & { file: OpenFile }) | null {
  const file = useOpened(`${workspace}/${fileId}`, (client) => client.openFile(workspace, fileId))
  const state = useLiveOrNull(file)
  return useMemo(() => (file && state ? { ...state, file } : null), [file, state])
}

/** A chat, open while the component is there; null at first. */
export function useChat(chatId: number): (ChatState & { chat: OpenChat; document: DocumentState }) | null {
  const chat = useOpened(String(chatId), (client) => client.openChat(chatId))
  const state = useLiveOrNull(chat)
  const document = useLiveOrNull(chat?.document ?? null)
  return useMemo(() => (chat && state && document ? { ...state, chat, document } : null), [chat, state, document])
}

const NOBODY: readonly Present[] = []

/** Who else is in a room; by default, who of all whom one knows is online. */
export function usePresence(room = 'global'): readonly Present[] {
  const userId = useLive(useCostudio().events).user?.id
  const joined = useOpened(room, (client) => client.presence(room))
  const members = useLiveOrNull(joined)?.members ?? NOBODY
  return useMemo(() => members.filter(({ user_id }) => user_id !== userId), [members, userId])
}

export interface TypingHook {
  /** User ids. */
  typingUsers: ReadonlySet<number>
  /** Call it with every key: others are told at a pace, and that it is over a moment after the last one. */
  onType(): void
  /** It was sent, or taken back. */
  stop(): void
}

/** Who types in a room, and what to call while keys are pressed here. */
export function useTyping(room: string): TypingHook {
  const { events } = useCostudio()
  const members = usePresence(room)
  const signal = useRef<TypingSignal | null>(null)
  useEffect(() => {
    const ofRoom = new TypingSignal((type) => events.tell(type, { room }))
    signal.current = ofRoom
    return () => ofRoom.stop()
  }, [events, room])
  return useMemo(
    () => ({
      typingUsers: new Set(members.filter(({ typing }) => typing).map(({ user_id }) => user_id)),
      onType: () => signal.current?.typed(),
      stop: () => signal.current?.stop()
    }),
    [members]
  )
}

/** The locks of a workspace; null at first. */
export function useLocks(workspace: number): (LocksState & { locksOf: WorkspaceLocks }) | null {
  const locksOf = useOpened(String(workspace), (client) => client.locks(workspace))
  const state = useLiveOrNull(locksOf)
  return useMemo(() => (locksOf && state ? { ...state, locksOf } : null), [locksOf, state])
}

/** The user's notifications; null at first. */
export function useNotifications(): (NotificationsState & { notifications: Notifications }) | null {
  const notifications = useOpened('notifications', (client) => client.notifications())
  const state = useLiveOrNull(notifications)
  return useMemo(() => (notifications && state ? { ...state, notifications } : null), [notifications, state])
}
