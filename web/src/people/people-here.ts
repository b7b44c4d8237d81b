import type { Awareness } from 'y-protocols/awareness'
import { useEffect, useState } from 'react'

/** Somebody whose studio is open in this workspace. */
export interface PersonHere {
  userId: number
  name: string
  /** The file they look at; null if none. */
  fileId: string | null
  isAway: boolean
  isAgent: boolean
}

/** What the studio shows of somebody in awareness; what others show may be anything. */
interface Shown {
  user?: { id?: unknown; name?: unknown; agent?: unknown }
  file?: unknown
  away?: unknown
}

/** Who is in the room of this awareness, by name; one entry for all devices of a person. */
export function usePeopleHere(awareness: Awareness): readonly PersonHere[] {
  const [people, setPeople] = useState<readonly PersonHere[]>([])
  useEffect(() => {
    const read = (): void => setPeople(peopleOf(awareness.getStates().values()))
    read()
    awareness.on('change', read)
    return () => awareness.off('change', read)
  }, [awareness])
  return people
}

export function peopleOf(states: Iterable<Shown>): PersonHere[] {
  const people = new Map<number, PersonHere>()
  for (const { user, file, away } of states) {
    if (typeof user?.id !== 'number' || typeof user.name !== 'string') continue
    const before = people.get(user.id)
    people.set(user.id, {
      userId: user.id,
      name: user.name,
      fileId: typeof file === 'string' ? file : (before?.fileId ?? null),
      isAway: away === true && (before?.isAway ?? true),
      isAgent: Boolean(user.agent)
    })
  }
  return [...people.values()].sort((a, b) => a.name.localeCompare(b.name))
}
