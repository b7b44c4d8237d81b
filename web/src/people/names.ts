import type { CostudioClient } from '@costudio/client'
import { useEffect } from 'react'
import { create } from 'zustand'

/** What people are called, as far as it was heard of: ids are all that messages and locks say. */
const useNames = create<{ names: ReadonlyMap<number, string> }>(() => ({ names: new Map() }))
const asked = new Set<number>()

export function learnNames(people: Iterable<{ userId: number; name: string | null }>): void {
  const { names } = useNames.getState()
  const news = [...people].filter(({ userId, name }) => name !== null && names.get(userId) !== name)
  if (news.length === 0) return
  useNames.setState({ names: new Map([...names, ...news.map(({ userId, name }) => [userId, name!] as const)]) })
}

export const useKnownNames = (): ReadonlyMap<number, string> => useNames((state) => state.names)

/** The names of these users; of whom nothing was heard the server is asked, once. */
export function useNamesOf(client: CostudioClient, userIds: readonly number[]): (userId: number) => string {
  const names = useKnownNames()
  const unknown = userIds.filter((id) => !names.has(id)).join()
  useEffect(() => {
    for (const userId of unknown.split(',').filter(Boolean).map(Number)) {
      if (asked.has(userId)) continue
      asked.add(userId)
      client.api.presence.user(userId).then(
        ({ name }) => learnNames([{ userId, name }]),
        () => learnNames([{ userId, name: `User ${userId}` }]) // not for this person to know
      )
    }
  }, [client, unknown])
  return (userId) => names.get(userId) ?? '…'
}
