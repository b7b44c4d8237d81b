/** @costudio/client/store: who is online, who types, what is unread, as one zustand store. */
import type { StoreApi } from 'zustand/vanilla'
import type { CostudioClient } from '../index.js'

/** `typingUsers` and `unreadCounts` by chat. Sets and maps are new ones after each change. */
export interface RealtimeState {
  onlineUsers: Set<number>
  typingUsers: Map<number, Set<number>>
  unreadCounts: Map<number, number>
}

/** The store of this client: the same one for everybody who asks. */
export declare function realtimeStore(client: CostudioClient): StoreApi<RealtimeState>
/** Follow these chats too: who types there, what is unread. Returns what ends that. */
export declare function followChats(client: CostudioClient, chats: readonly number[]): () => void
/** A part of the store, in React. */
export declare function useRealtime<Part>(client: CostudioClient, select: (state: RealtimeState) => Part): Part
