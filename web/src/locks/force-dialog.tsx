import type { Lock } from '@costudio/client'
import { useState, type FormEvent, type ReactNode } from 'react'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field } from '../ui/field'
import { attempt, tellDone } from '../ui/toasts'
import { useWorkspace } from '../workspace/workspace-context'

/** An administrator ends somebody else's lock; the reason is written down, and its holder is told. */
export function ForceDialog({ lock, onClose }: { lock: Lock; onClose: () => void }): ReactNode {
  const { locks } = useWorkspace()
  const [problem, setProblem] = useState<string | null>(null)
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const reason = String(new FormData(event.currentTarget).get('reason')).trim()
    if (reason === '') {
      setProblem('Say why: it is written down.')
      return
    }
    onClose()
    attempt(async () => {
      await locks.force(lock, reason)
      tellDone(`The lock of ${lock.holder_name} has ended.`)
    })
  }
  return (
    <Dialog title={`End the lock of ${lock.holder_name}`} onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <Field label="Reason" name="reason" autoFocus error={problem} hint="Written down, for whoever asks later." />
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit">
            End the lock
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
