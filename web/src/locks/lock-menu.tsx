import type { Lock as LockRow } from '@costudio/client'
import { Clock, Lock, LockOpen, Pin, UserCheck } from 'lucide-react'
import type { ReactNode } from 'react'
import { useActiveFile } from '../editor/active-file'
import { Button } from '../ui/button'
import { Menu } from '../ui/menu'
import { attempt, tellDone } from '../ui/toasts'
import { useLive } from '@costudio/client/react'
import { useWorkspace } from '../workspace/workspace-context'

const LEASE_MINUTES = 15

/** Lock the file that is shown, or give one's lock on it back. */
export function LockMenu(): ReactNode {
  const { locks } = useWorkspace()
  const { path } = useActiveFile()
  useLive(locks)
  const own = locks.own(path)
  if (own) {
    return (
      <Button icon={LockOpen} onClick={() => attempt(() => locks.release(own))}>
        Unlock
      </Button>
    )
  }
  if (locks.blocking(path)) return null // the banner has what can be done
  const lock = (kind: LockRow['kind'], ttlSeconds?: number): void =>
    attempt(async () => {
      await locks.acquire(path, { kind, ...(ttlSeconds !== undefined && { ttlSeconds }) })
      tellDone('It is yours: what others write waits until you unlock.')
    })
  return (
    <Menu
      label="Lock this file"
      icon={Lock}
      items={[
        { label: 'Lock while I am here', icon: UserCheck, onChoose: () => lock('session') },
        { label: `Lock for ${LEASE_MINUTES} minutes`, icon: Clock, onChoose: () => lock('lease', LEASE_MINUTES * 60) },
        { label: 'Lock until I unlock', icon: Pin, onChoose: () => lock('standing') }
      ]}
    />
  )
}
