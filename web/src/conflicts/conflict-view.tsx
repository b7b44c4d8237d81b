import type { Resolution, StoredConflict } from '@costudio/client'
import { useCostudio } from '@costudio/client/react'
import { Check } from 'lucide-react'
import type { ReactNode } from 'react'
import { useActiveFile } from '../editor/active-file'
import { useNamesOf } from '../people/names'
import { useMe } from '../session/me'
import { Button } from '../ui/button'
import { timeAgo } from '../ui/times'
import { attempt, tellDone } from '../ui/toasts'
import { useNow } from '../ui/use-now'
import { useWorkspace } from '../workspace/workspace-context'
import './conflict-view.css'
import type { Conflicts } from './use-conflicts'

/** Lines that two have changed: what each wrote, side by side, and which it is to be. */
export function ConflictView({ conflicts }: { conflicts: Conflicts }): ReactNode {
  return (
    <div className="conflicts" tabIndex={0} role="region" aria-label="Conflicts">
      <p className="conflicts-about">
        Two people changed the same lines without seeing each other’s work. Nothing is lost: both are in the file now. Choose what stays.
      </p>
      {conflicts.items.map((conflict) => (
        <ConflictCard key={conflict.id} conflict={conflict} onResolved={conflicts.reload} />
      ))}
    </div>
  )
}

function ConflictCard({ conflict, onResolved }: { conflict: StoredConflict; onResolved: () => void }): ReactNode {
  const { id, base, yours, theirs, merged, author_id, others, created_at_ms } = conflict
  const { place } = useWorkspace()
  const { fileId } = useActiveFile()
  const client = useCostudio()
  const me = useMe()
  const now = useNow(30)
  const nameOf = useNamesOf(client, [author_id, ...others])
  const called = (userId: number): string => (userId === me.id ? 'you' : nameOf(userId))
  const resolve = (choice: Resolution): void =>
    attempt(async () => {
      await client.api.files.resolve(place.id, fileId, id, choice)
      tellDone('Resolved: everybody has the same text again.')
      onResolved()
    })
  return (
    <article className="conflict" aria-label={`Conflict of ${timeAgo(new Date(created_at_ms), now)}`}>
      <header>
        <time>{timeAgo(new Date(created_at_ms), now)}</time>
        {base !== '' && (
          <details>
            <summary>What was there before</summary>
            <ConflictText text={base} />
          </details>
        )}
      </header>
      <div className="conflict-sides">
        <Side title={`By ${called(author_id)}`} text={yours} onChoose={() => resolve('yours')} />
        <Side title={`By ${others.map(called).join(', ')}`} text={theirs} onChoose={() => resolve('theirs')} />
      </div>
      <footer>
        <details>
          <summary>What stands there now</summary>
          <ConflictText text={merged} />
        </details>
        <Button icon={Check} onClick={() => resolve('merged')}>
          Leave it as it is
        </Button>
      </footer>
    </article>
  )
}

function Side({ title, text, onChoose }: { title: string; text: string; onChoose: () => void }): ReactNode {
  return (
    <section className="conflict-side">
      <header>
        <h3 className="clip">{title}</h3>
        <Button kind="main" onClick={onChoose}>
          Use this<span className="only-read-aloud"> text, {title.toLowerCase()}</span>
        </Button>
      </header>
      <ConflictText text={text} />
    </section>
  )
}

function ConflictText({ text }: { text: string }): ReactNode {
  return text === '' ? <p className="conflict-nothing">Nothing: the lines are deleted.</p> : <pre tabIndex={0}>{text}</pre>
}
