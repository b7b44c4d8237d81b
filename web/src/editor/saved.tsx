import type { DocumentState } from '@costudio/client'
import { Ban, CloudCheck, CloudOff, LockKeyhole, RefreshCw, type LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import './saved.css'

const edits = (count: number): string => (count === 1 ? '1 edit' : `${count} edits`)

interface Look {
  icon: LucideIcon
  text: string
}

/** What the status of a document means, in words. */
export function savedLook({ status, pendingEdits, isLoaded }: DocumentState): Look {
  switch (status) {
    case 'saved':
      return { icon: CloudCheck, text: 'Saved' }
    case 'syncing':
      return { icon: RefreshCw, text: isLoaded ? 'Saving…' : 'Loading…' }
    case 'offline':
      return { icon: CloudOff, text: pendingEdits > 0 ? `Offline · ${edits(pendingEdits)} kept here` : 'Offline · edits are kept here' }
    case 'held':
      return { icon: LockKeyhole, text: pendingEdits > 0 ? `${edits(pendingEdits)} wait for the lock` : 'Waiting for the lock' }
    case 'refused':
      return { icon: Ban, text: 'Not saved' }
  }
}

/** Whether what was written is on the server's disk; each change is read aloud. */
export function SavedIndicator({ state }: { state: DocumentState }): ReactNode {
  const { icon: Icon, text } = savedLook(state)
  return (
    <span className="saved" role="status" data-status={state.status} title={state.reason ?? undefined}>
      <Icon size={14} aria-hidden />
      {text}
    </span>
  )
}
