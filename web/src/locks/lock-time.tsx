import type { Lock } from '@costudio/client'
import type { ReactNode } from 'react'
import { useMe } from '../session/me'
import { timeLeft } from '../ui/times'
import { useNow } from '../ui/use-now'

/** How long a lock lasts: what is left of a lease, what ends the others. Goes on a sentence. */
export function LockTime({ lock }: { lock: Lock }): ReactNode {
  const now = useNow(1)
  const who = useMe().id === lock.holder_id ? 'you' : 'they'
  if (lock.kind === 'session') return ` while ${who} are here`
  if (lock.kind === 'standing' || lock.expires_at === null) return ` until ${who} unlock`
  return (
    <>
      {' '}
      for another <time className="lock-time">{timeLeft(new Date(lock.expires_at), now)}</time>
    </>
  )
}
