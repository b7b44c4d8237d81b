import { FilePlus2, FolderPlus, FolderTree, Search, Trash2 } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { Button, IconButton } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { useWorkspace } from '../workspace/workspace-context'
import { FileSearch } from './file-search'
import { PathDialog, type PathQuestion } from './path-dialog'
import { RemoveDialog } from './remove-dialog'
import './sidebar.css'
import { TrashDialog } from './trash-dialog'
import type { TreeNode } from './tree-model'
import { TreeView } from './tree-view'

type TreeDialog = PathQuestion | { kind: 'trash' } | { kind: 'remove'; node: TreeNode }

/** The workspace's files, and what one does with them. */
export function Sidebar(): ReactNode {
  const { tree, documentState } = useWorkspace()
  const [dialog, setDialog] = useState<TreeDialog | null>(null)
  const [isSearching, setIsSearching] = useState(false)
  const close = (): void => setDialog(null)
  const isEmpty = tree.isLoaded && tree.files.length === 0 && tree.folders.length === 0
  return (
    <>
      <header className="sidebar-head">
        <h2>Files</h2>
        <IconButton icon={Search} label="Find a file" aria-pressed={isSearching} onClick={() => setIsSearching(!isSearching)} />
        <IconButton icon={FilePlus2} label="New file" onClick={() => setDialog({ kind: 'new-file' })} />
        <IconButton icon={FolderPlus} label="New folder" onClick={() => setDialog({ kind: 'new-folder' })} />
        <IconButton icon={Trash2} label="Trash" onClick={() => setDialog({ kind: 'trash' })} />
      </header>
      {documentState.reason !== null && <p className="panel-problem">{documentState.reason}</p>}
      <div className="sidebar-body">
        {isSearching ? (
          <FileSearch onClose={() => setIsSearching(false)} />
        ) : isEmpty ? (
          <EmptyState icon={FolderTree} title="No files yet">
            <p>Make the first one: everybody in this workspace sees it at once.</p>
            <Button kind="main" icon={FilePlus2} onClick={() => setDialog({ kind: 'new-file' })}>
              New file
            </Button>
          </EmptyState>
        ) : tree.isLoaded ? (
          <TreeView
            onRename={(node) => setDialog({ kind: 'rename', node })}
            onCopy={(node) => setDialog({ kind: 'copy', node })}
            onRemove={(node) => setDialog({ kind: 'remove', node })}
          />
        ) : (
          <p className="sidebar-note">Loading…</p>
        )}
      </div>
      {dialog?.kind === 'trash' ? (
        <TrashDialog onClose={close} />
      ) : dialog?.kind === 'remove' ? (
        <RemoveDialog node={dialog.node} onClose={close} />
      ) : (
        dialog && <PathDialog dialog={dialog} onClose={close} />
      )}
    </>
  )
}
