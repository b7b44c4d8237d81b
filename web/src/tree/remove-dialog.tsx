import type { ReactNode } from 'react'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { tellDone } from '../ui/toasts'
import { closeTab } from '../workspace/tabs'
import { useWorkspace } from '../workspace/workspace-context'
import { removeFile, removeFolder } from './tree-edits'
import type { TreeNode } from './tree-model'

export function RemoveDialog({ node, onClose }: { node: TreeNode; onClose: () => void }): ReactNode {
  const { document, place, tree } = useWorkspace()
  const within = node.kind === 'file' ? [node.fileId] : tree.files.filter(({ path }) => path.startsWith(`${node.path}/`)).map(({ fileId }) => fileId)
  const remove = (): void => {
    if (node.kind === 'file') removeFile(document.doc, node.fileId)
    else removeFolder(document.doc, node.path)
    for (const fileId of within) closeTab(place.id, fileId)
    tellDone(`${node.name} is in the trash.`)
    onClose()
  }
  return (
    <Dialog title={`Move ${node.name} to the trash?`} onClose={onClose}>
      <p>
        {node.kind === 'folder' && within.length > 0 && `With the ${within.length === 1 ? 'file' : `${within.length} files`} in it. `}
        Its text stays, and it can be restored from the trash.
      </p>
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="main" autoFocus onClick={remove}>
          Move to the trash
        </Button>
      </div>
    </Dialog>
  )
}
