import type { Lock as LockRow } from '@costudio/client'
import { Folder, Lock, LockOpen, Pin, Send, UserCheck, Clock, ShieldAlert } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { useMe } from '../session/me'
import { PanelFrame } from '../shell/panel-frame'
import { Avatar } from '../ui/avatar'
import { Button, IconButton } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { attempt } from '../ui/toasts'
import { useLive } from '@costudio/client/react'
import { useWorkspace } from '../workspace/workspace-context'
import { ForceDialog } from './force-dialog'
import { LockTime } from './lock-time'
import './locks-panel.css'
import { TransferDialog } from './transfer-dialog'

const KIND_ICONS = { session: UserCheck, lease: Clock, standing: Pin }

/** Everything in the workspace that somebody keeps to themselves. */
export function LocksPanel(): ReactNode {
  const { locks, tree } = useWorkspace()
  const state = useLive(locks)
  return (
    <PanelFrame title="Locks">
      {state.error !== null && <p className="panel-problem">{state.error}</p>}
      {state.isLoaded && state.locks.length === 0 && (
        <EmptyState icon={LockOpen} title="Nothing is locked">
          <p>Lock a file with the padlock above its text: what others write in it then waits until you are done, and nothing is lost.</p>
        </EmptyState>
      )}
      <ul className="lock-list">
        {state.locks.map((lock) => (
          <LockItem key={lock.id} lock={lock} fileId={tree.files.find(({ path }) => path === lock.path)?.fileId} />
        ))}
      </ul>
    </PanelFrame>
  )
}

function LockItem({ lock, fileId }: { lock: LockRow; fileId: string | undefined }): ReactNode {
  const { locks, place, openFile } = useWorkspace()
  const me = useMe()
  const [dialog, setDialog] = useState<'transfer' | 'force' | null>(null)
  const isOwn = lock.holder_id === me.id
  const mayForce = place.project?.role === 'admin'
  const Kind = KIND_ICONS[lock.kind]
  const Icon = fileId === undefined ? Folder : Lock
  return (
    <li className="lock-item">
      <Icon size={15} aria-hidden />
      <div className="lock-what">
        {fileId === undefined ? (
          <span className="clip">{lock.path}</span>
        ) : (
          <button type="button" className="link clip" title={lock.path} onClick={() => openFile(fileId)}>
            {lock.path}
          </button>
        )}
        <span className="lock-who">
          <Avatar name={lock.holder_name} size={16} />
          <span className="clip">
            {isOwn ? 'You' : lock.holder_name}
            <LockTime lock={lock} />
          </span>
          <Kind size={12} aria-hidden />
        </span>
      </div>
      {isOwn && <IconButton icon={Send} label="Give it to somebody else" onClick={() => setDialog('transfer')} />}
      {isOwn && <Button onClick={() => attempt(() => locks.release(lock))}>Unlock</Button>}
      {!isOwn && mayForce && <IconButton icon={ShieldAlert} label="End this lock" onClick={() => setDialog('force')} />}
      {dialog === 'transfer' && <TransferDialog lock={lock} onClose={() => setDialog(null)} />}
      {dialog === 'force' && <ForceDialog lock={lock} onClose={() => setDialog(null)} />}
    </li>
  )
}
