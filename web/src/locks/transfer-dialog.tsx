import type { Lock } from '@costudio/client'
import type { ReactNode } from 'react'
import { useMe } from '../session/me'
import { Avatar } from '../ui/avatar'
import { Dialog } from '../ui/dialog'
import { attempt, tellDone } from '../ui/toasts'
import { useWorkspace } from '../workspace/workspace-context'
import './transfer-dialog.css'

/** Give one's lock to somebody who is here. */
export function TransferDialog({ lock, onClose }: { lock: Lock; onClose: () => void }): ReactNode {
  const { locks, people } = useWorkspace()
  const me = useMe()
  const others = people.filter(({ userId }) => userId !== me.id)
  const give = (userId: number, name: string): void => {
    onClose()
    attempt(async () => {
      await locks.transfer(lock, userId)
      tellDone(`${name} has the lock now.`)
    })
  }
  return (
    <Dialog title="Give the lock to somebody else" onClose={onClose}>
      {others.length === 0 && <p>Nobody else is here now. Unlock it instead, and whoever waits is told.</p>}
      <ul className="transfer-list">
        {others.map(({ userId, name }) => (
          <li key={userId}>
            <button type="button" onClick={() => give(userId, name)}>
              <Avatar name={name} /> {name}
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}
