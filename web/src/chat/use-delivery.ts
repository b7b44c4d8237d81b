import { useCostudio } from '@costudio/client/react'
import { useEffect } from 'react'

/** What has reached this person's studio is delivered, whether its chat shows or not. */
export function useDelivery(): void {
  const { events } = useCostudio()
  useEffect(
    () =>
      events.on('message', ({ payload: { room, seq, action }, sender_id }) => {
        if (action === 'send' && sender_id !== events.current.user?.id) events.tell('message_delivered', { room, seq })
      }),
    [events]
  )
}
