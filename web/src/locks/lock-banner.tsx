import { BellRing, Lock } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { CostudioError } from '@costudio/client'
import { useActiveFile } from '../editor/active-file'
import { Banner } from '../editor/banner'
import { useMe } from '../session/me'
import { Button } from '../ui/button'
import { attempt, tellDone } from '../ui/toasts'
import { useLive } from '@costudio/client/react'
import { useWorkspace } from '../workspace/workspace-context'
import { LockTime } from './lock-time'

/** Who has locked the file that is shown, for how long, and what that means for what one writes here. */
export function LockBanner(): ReactNode {
  const { locks } = useWorkspace()
  const { path, file } = useActiveFile()
  const me = useMe()
  useLive(locks)
  const own = locks.own(path)
  const blocking = locks.blocking(path)
  if (own) {
    return (
      <Banner icon={Lock} kind="note">
        You have locked this file<LockTime lock={own} />. What others write waits until you unlock.
      </Banner>
    )
  }
  if (!blocking || blocking.holder_id === me.id) return null
  const held = file.status === 'held' ? file.pendingEdits : 0
  return (
    <Banner icon={Lock} kind="warn" actions={<WaitButton key={blocking.id} path={path} />}>
      <strong>{blocking.holder_name}</strong> has locked {blocking.path === path ? 'this file' : <code>{blocking.path}</code>}
      <LockTime lock={blocking} />.{' '}
      {held > 0 ? `${held === 1 ? '1 edit of yours waits' : `${held} edits of yours wait`} and will be merged then.` : 'What you write waits, and is merged then.'}
    </Banner>
  )
}

function WaitButton({ path }: { path: string }): ReactNode {
  const { locks } = useWorkspace()
  const [isWaiting, setIsWaiting] = useState(false)
  const wait = async (): Promise<void> => {
    try {
      await locks.acquire(path, { kind: 'session', wait: true })
      tellDone('It had just become free: now it is yours.')
    } catch (error) {
      if (!(error instanceof CostudioError && error.code === 'locked')) throw error
      setIsWaiting(true)
    }
  }
  return (
    <Button icon={BellRing} disabled={isWaiting} onClick={() => attempt(wait)}>
      {isWaiting ? 'You will be told' : 'Tell me when it is free'}
    </Button>
  )
}
