import { ChevronRight, GitMerge } from 'lucide-react'
import type { ReactNode } from 'react'
import { LockMenu } from '../locks/lock-menu'
import { usePeopleHere } from '../people/people-here'
import { AvatarStack } from '../ui/avatar'
import { Button } from '../ui/button'
import { useActiveFile } from './active-file'
import './file-bar.css'

interface FileBarProps {
  conflictCount: number
  isResolving: boolean
  onResolve: () => void
}

/** Where the file is, who is in it, and what one can do with it as a whole. */
export function FileBar({ conflictCount, isResolving, onResolve }: FileBarProps): ReactNode {
  const { path, file } = useActiveFile()
  const people = usePeopleHere(file.file.awareness)
  const parts = path.split('/')
  return (
    <div className="file-bar">
      <ol className="breadcrumbs" aria-label="Path">
        {parts.map((part, place) => (
          <li key={place} className="clip">
            {place > 0 && <ChevronRight size={13} aria-hidden />}
            <span className="clip">{part}</span>
          </li>
        ))}
      </ol>
      {people.length > 1 && <AvatarStack names={people.map(({ name }) => name)} />}
      {conflictCount > 0 && (
        <Button className="conflict-button" icon={GitMerge} aria-pressed={isResolving} onClick={onResolve}>
          {isResolving ? 'Back to the text' : conflictCount === 1 ? '1 conflict' : `${conflictCount} conflicts`}
        </Button>
      )}
      <LockMenu />
    </div>
  )
}
