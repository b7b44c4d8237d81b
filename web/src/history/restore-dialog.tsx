import { useCostudio } from '@costudio/client/react'
import type { ReactNode } from 'react'
import { useActiveFile } from '../editor/active-file'
import { nameOf } from '../tree/tree-model'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { attempt, tellDone } from '../ui/toasts'
import { showMoment, type ShownMoment } from './shown-moment'

/** Asks before a file is made what it was. */
export function RestoreDialog({ moment, onClose }: { moment: ShownMoment; onClose: () => void }): ReactNode {
  const { path, file } = useActiveFile()
  const client = useCostudio()
  const restore = (): void => {
    onClose()
    attempt(async () => {
      const { changed } = await client.api.history.restore(file.file.room, moment.seq)
      showMoment(null)
      tellDone(changed ? `${nameOf(path)} is again as it was ${moment.when}.` : `${nameOf(path)} is the same as then: nothing to restore.`)
    })
  }
  return (
    <Dialog title={`Restore ${nameOf(path)}?`} onClose={onClose}>
      <p>
        It becomes what it was {moment.when}, for everybody who has it open. What was written since then goes from the text, but not from the
        history: you can go back to it in the same way.
      </p>
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="main" onClick={restore}>
          Restore it
        </Button>
      </div>
    </Dialog>
  )
}
