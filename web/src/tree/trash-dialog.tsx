import { useCostudio } from '@costudio/client/react'
import { FolderArchive, RotateCcw, Trash2 } from 'lucide-react'
import { Fragment, type ReactNode } from 'react'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { EmptyState } from '../ui/empty-state'
import { timeAgo } from '../ui/times'
import { attempt, tellDone } from '../ui/toasts'
import { useLoaded } from '../ui/use-loaded'
import { useNow } from '../ui/use-now'
import { useWorkspace } from '../workspace/workspace-context'
import { FileIcon } from './file-icon'
import { batchesOf } from './trash-batches'

/** What was deleted, to be put back. */
export function TrashDialog({ onClose }: { onClose: () => void }): ReactNode {
  const { place } = useWorkspace()
  const client = useCostudio()
  const trash = useLoaded(() => client.api.tree.trash(place.id), [place.id])
  const now = useNow(30)
  const items = trash.value?.items ?? []

  const restoreTogether = (fileId: string): void =>
    attempt(async () => {
      const files = await client.api.tree.restoreTogether(place.id, fileId)
      tellDone(files.length === 1 ? `${files[0]!.path} is back.` : `${files.length} files are back.`)
      trash.reload()
    })
  const restore = (fileId: string): void =>
    attempt(async () => {
      const { path } = await client.api.tree.restore(place.id, fileId)
      tellDone(`${path} is back.`)
      trash.reload()
    })
  return (
    <Dialog title="Trash" onClose={onClose}>
      {trash.problem !== null && <p className="panel-problem">{trash.problem}</p>}
      {trash.value && items.length === 0 && (
        <EmptyState icon={Trash2} title="The trash is empty">
          <p>What is deleted comes here first, and can be put back.</p>
        </EmptyState>
      )}
      <ul className="trash-list">
        {batchesOf(items).map((batch) => (
          <Fragment key={batch[0]!.batch}>
            {batch.length > 1 && (
              <li>
                <FolderArchive size={16} aria-hidden />
                <span>{batch.length} files, deleted together</span>
                <Button icon={RotateCcw} onClick={() => restoreTogether(batch[0]!.file_id)}>
                  Restore all
                </Button>
              </li>
            )}
            {batch.map(({ file_id, path, language, deleted_at }) => (
              <li key={file_id}>
                <FileIcon path={path} language={language} />
                <span className="clip" title={path}>
                  {path} <small>· {timeAgo(new Date(deleted_at), now)}</small>
                </span>
                <Button icon={RotateCcw} onClick={() => restore(file_id)}>
                  Restore
                </Button>
              </li>
            ))}
          </Fragment>
        ))}
      </ul>
    </Dialog>
  )
}
