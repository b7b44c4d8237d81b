import { useCostudio } from '@costudio/client/react'
import { usePresence } from '@costudio/client/react'
import { useMemo } from 'react'
import { useMe } from '../session/me'
import { useLoaded } from '../ui/use-loaded'
import { useWorkspace } from '../workspace/workspace-context'

interface Mentionable {
  userId: number
  name: string
}

/** Whom a message can mention: the members of the project, and who is in the chat or the workspace now. */
export function useMentionable(room: string): readonly Mentionable[] {
  const client = useCostudio()
  const me = useMe()
  const { place, people } = useWorkspace()
  const inRoom = usePresence(room)
  const project = place.project?.id ?? null
  const members = useLoaded(async () => (project === null ? [] : (await client.api.projects.members(project)).items), [project])
  return useMemo(() => {
    const all = [
      ...people,
      ...[...inRoom, ...(members.value ?? [])].map(({ user_id, name }) => ({ userId: user_id, name }))
    ]
    const byId = new Map<number, Mentionable>()
    for (const { userId, name } of all) if (name !== null && userId !== me.id) byId.set(userId, { userId, name })
    return [...byId.values()].sort((a, b) => a.name.localeCompare(b.name))
  }, [people, inRoom, members.value, me.id])
}
