import { useCostudio } from '@costudio/client/react'
import { useLoaded } from '../ui/use-loaded'

/** Whether this person's role allows to write in the room; asked anew when something was refused, and true until the server says no. */
export function useMayWrite(room: string | undefined, isRefused: boolean): boolean {
  const { api } = useCostudio()
  const role = useLoaded(async () => (room === undefined ? null : api.role(room)), [api, room, isRefused])
  return role.value?.may.includes('write') ?? true
}
