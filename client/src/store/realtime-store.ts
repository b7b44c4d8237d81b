import { createStore, type StoreApi } from 'zustand/vanilla'
import type { CostudioClient } from '../client.js'
import type { JoinedRoom } from '../events/joined-room.js'

/** `typingUsers` and `unreadCounts` by chat. Sets and maps are new ones after each change. */
export interface RealtimeState {
  onlineUsers: Set<number>
  typingUsers: Map<number, Set<number>>
  unreadCounts: Map<number, number>
}

interface Followed {
  room: JoinedRoom
  followers: number
  stop(): void
}

/** Keeps the store of one client up to date, over the client's one connection. */
export class Realtime {
  readonly store: StoreApi<RealtimeState> = createStore(() => ({
    onlineUsers: new Set<number>(),
    typingUsers: new Map(),
    unreadCounts: new Map()
  }))
  readonly #chats = new Map<number, Followed>()

  constructor(private readonly client: CostudioClient) {
    const everybody = client.presence('global')
    everybody.subscribe(() => this.#showOnline(everybody))
    this.#showOnline(everybody)
    client.events.on('message', ({ payload, sender_id }) => {
      const chat = chatOf(payload.room)
      const known = chat === null ? undefined : this.#chats.get(chat)
      // What was missed comes after the answer to the join, which has counted it.
      const isNew = (payload.event_seq ?? Infinity) > (known?.room.current.ack?.last_seq ?? 0)
      const isNews = isNew && payload.action === 'send' && sender_id !== client.events.current.user?.id
      if (chat !== null && known !== undefined && isNews) this.#setUnread(chat, (this.#unread(chat) ?? 0) + 1)
    })
    client.events.on('notification', ({ payload }) => {
      const chat = payload.kind === 'read' ? chatOf(payload.room ?? '') : null
      if (chat !== null && this.#chats.has(chat)) void this.#count(chat) // another device has read
    })
    client.events.on('message_status', ({ payload }) => {
      const chat = chatOf(payload.room)
      const isOwn = payload.statuses.some(
        ({ user_id, status }) => status === 'read' && user_id === client.events.current.user?.id
      )
      if (chat !== null && isOwn && this.#chats.has(chat)) void this.#count(chat)
    })
  }

  follow(chats: readonly number[]): () => void {
    const followed = [...new Set(chats)]
    for (const chat of followed) this.#follow(chat)
    return () => {
      for (const chat of followed.splice(0)) this.#unfollow(chat)
    }
  }

  #follow(chat: number): void {
    const known = this.#chats.get(chat)
    if (known !== undefined) {
      known.followers += 1
      return
    }
    const room = this.client.presence(`chat:${chat}`)
    let ack: unknown = null
    const look = (): void => {
      if (room.current.ack !== ack) {
        ack = room.current.ack
        this.#setUnread(chat, room.current.ack?.unread ?? 0)
      }
      this.#showTyping(chat, room)
    }
    this.#chats.set(chat, { room, followers: 1, stop: room.subscribe(look) })
    look()
  }

  #unfollow(chat: number): void {
    const known = this.#chats.get(chat)
    if (known === undefined || --known.followers > 0) return
    known.stop()
    known.room.close()
    this.#chats.delete(chat)
    this.store.setState(({ typingUsers, unreadCounts }) => ({
      typingUsers: new Map([...typingUsers].filter(([id]) => id !== chat)),
      unreadCounts: new Map([...unreadCounts].filter(([id]) => id !== chat))
    }))
  }

  #showOnline({ current }: JoinedRoom): void {
    const ids = current.members.map(({ user_id }) => user_id)
    if (!isSame(this.store.getState().onlineUsers, ids)) this.store.setState({ onlineUsers: new Set(ids) })
  }

  #showTyping(chat: number, { current }: JoinedRoom): void {
    const ids = current.members.filter(({ typing }) => typing).map(({ user_id }) => user_id)
    const { typingUsers } = this.store.getState()
    if (isSame(typingUsers.get(chat), ids)) return
    this.store.setState({ typingUsers: new Map(typingUsers).set(chat, new Set(ids)) })
  }

  #unread(chat: number): number | undefined {
    return this.store.getState().unreadCounts.get(chat)
  }

  #setUnread(chat: number, unread: number): void {
    if (this.#unread(chat) === unread) return
    this.store.setState(({ unreadCounts }) => ({ unreadCounts: new Map(unreadCounts).set(chat, unread) }))
  }

  async #count(chat: number): Promise<void> {
    try {
      const { items } = await this.client.api.messages.unread([chat])
      this.#setUnread(chat, items[0]?.unread ?? 0)
    } catch {
      // It is told again with the next connection.
    }
  }
}

function chatOf(room: string): number | null {
  const match = /^chat:(\d+)$/.exec(room)
  return match === null ? null : Number(match[1])
}

function isSame(known: ReadonlySet<number> | undefined, ids: readonly number[]): boolean {
  return known !== undefined && known.size === ids.length && ids.every((id) => known.has(id))
}
