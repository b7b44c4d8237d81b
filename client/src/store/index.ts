/** @costudio/client/store: who is online, who types, what is unread, as one zustand store. */
import { useEffect } from 'react'
import { useStore } from 'zustand/react'
import type { StoreApi } from 'zustand/vanilla'
import type { CostudioClient } from '../client.js'
import { Realtime, type RealtimeState } from './realtime-store.js'

export type { RealtimeState }

const known = new WeakMap<CostudioClient, Realtime>()

function realtimeOf(client: CostudioClient): Realtime {
  const realtime = known.get(client) ?? new Realtime(client)
  known.set(client, realtime)
  return realtime
}

/** The store of this client: the same one for everybody who asks. */
export function realtimeStore(client: CostudioClient): StoreApi<RealtimeState> {
  return realtimeOf(client).store
}

/** Follow these chats: who types there, what is unread. Returns what ends that. */
export function followChats(client: CostudioClient, chats: readonly number[]): () => void {
  return realtimeOf(client).follow(chats)
}

/** A part of the store, in React. */
export function useRealtime<Part>(client: CostudioClient, select: (state: RealtimeState) => Part): Part {
  return useStore(realtimeStore(client), select)
}

/** `followChats` while the component is there. */
export function useFollowedChats(client: CostudioClient, chats: readonly number[]): void {
  const key = chats.join()
  useEffect(() => followChats(client, key === '' ? [] : key.split(',').map(Number)), [client, key])
}
