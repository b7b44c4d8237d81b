import { useCostudio } from '@costudio/client/react'
import { useFollowedChats } from '@costudio/client/store'
import { Unplug } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { useDelivery } from '../chat/use-delivery'
import { readAddress, writeAddress } from '../session/address'
import { Button } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { useLoaded } from '../ui/use-loaded'
import { loadWorkplaces, type Workplace } from '../workspace/workplaces'
import { Workspace } from '../workspace/workspace'
import './studio.css'

interface StudioProps {
  onSignOut: () => void
}

/** Everything that a signed-in person can go to; one workspace of it is open. */
export function Studio({ onSignOut }: StudioProps): ReactNode {
  const client = useCostudio()
  const [wanted, setWanted] = useState(() => readAddress().workspace)
  const places = useLoaded(() => loadWorkplaces(client, wanted), [client])
  const place = places.value?.find(({ id }) => id === wanted) ?? places.value?.[0]
  useFollowedChats(client, place?.chats.map(({ id }) => id) ?? [])
  useDelivery()

  const goTo = (next: Workplace): void => {
    writeAddress({ workspace: next.id, file: null })
    setWanted(next.id)
  }
  if (place) return <Workspace key={place.id} place={place} places={places.value!} onGoTo={goTo} onSignOut={onSignOut} />
  return (
    <main className="studio-waits">
      {places.problem !== null && (
        <EmptyState icon={Unplug} title="Your workspaces can’t be listed">
          <p>{places.problem}</p>
          <Button kind="main" onClick={places.reload}>
            Try again
          </Button>
        </EmptyState>
      )}
    </main>
  )
}
