import type { StoredConflict } from '@costudio/client'
import { useCostudio } from '@costudio/client/react'
import { useEffect } from 'react'
import { useLoaded } from '../ui/use-loaded'
import { useWorkspace } from '../workspace/workspace-context'

export interface Conflicts {
  /** Those that nobody has resolved, newest first. */
  items: readonly StoredConflict[]
  reload: () => void
}

/** The conflicts of a file, as they come up and are resolved. */
export function useConflicts(fileId: string): Conflicts {
  const { place } = useWorkspace()
  const client = useCostudio()
  const found = useLoaded(async () => (await client.api.files.conflicts(place.id, fileId)).items, [client, place.id, fileId])
  useEffect(() => {
    const { reload } = found
    const endEvents = client.events.on('conflict', reload)
    const endNotices = client.events.on('notification', ({ payload }) => payload.kind === 'conflict' && reload())
    return () => {
      endEvents()
      endNotices()
    }
  }, [client, found.reload])
  return { items: found.value ?? [], reload: found.reload }
}
