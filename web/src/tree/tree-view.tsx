import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useTabs } from '../workspace/tabs'
import { useWorkspace } from '../workspace/workspace-context'
import { buildTree, visibleRows, type Row, type TreeNode } from './tree-model'
import { TreeRow } from './tree-row'
import './tree-view.css'
import { useOpenFolders } from './use-open-folders'

interface TreeViewProps {
  onRename: (node: TreeNode) => void
  onRemove: (node: TreeNode) => void
  onCopy: (node: TreeNode) => void
}

/** Files and folders (the pattern of an ARIA tree): arrow keys, Enter, F2 to rename, Delete; letters go to a name. */
export function TreeView({ onRename, onRemove, onCopy }: TreeViewProps): ReactNode {
  const { place, tree, openFile } = useWorkspace()
  const { active } = useTabs(place.id)
  const activePath = tree.files.find(({ fileId }) => fileId === active)?.path ?? null
  const nodes = useMemo(() => buildTree(tree.files, tree.folders), [tree])
  const { open, toggle } = useOpenFolders(place.id, activePath)
  const rows = useMemo(() => visibleRows(nodes, open), [nodes, open])
  const [focused, setFocused] = useState<string | null>(null)
  const list = useRef<HTMLDivElement>(null)
  const current = rows.find(({ node }) => node.path === (focused ?? activePath)) ?? rows[0]

  const focusRow = (row: Row | undefined): void => {
    if (row) list.current?.querySelectorAll<HTMLElement>('[role=treeitem]')[rows.indexOf(row)]?.focus()
  }
  const choose = ({ node }: Row): void => {
    if (node.kind === 'folder') toggle(node.path)
    else openFile(node.fileId)
  }

  const onKeyDown = (event: KeyboardEvent): void => {
    if (!current || event.ctrlKey || event.metaKey || event.altKey || (event.target as HTMLElement).role !== 'treeitem') return
    const at = rows.indexOf(current)
    const { node, isOpen } = current
    const actions: Record<string, () => void> = {
      ArrowDown: () => focusRow(rows[at + 1]),
      ArrowUp: () => focusRow(rows[at - 1]),
      Home: () => focusRow(rows[0]),
      End: () => focusRow(rows.at(-1)),
      ArrowRight: () => (node.kind === 'folder' && !isOpen ? toggle(node.path) : focusRow(rows[at + 1])),
      ArrowLeft: () =>
        isOpen ? toggle(node.path) : focusRow(rows.slice(0, at).findLast(({ level }) => level < current.level)),
      Enter: () => choose(current),
      ' ': () => choose(current),
      F2: () => onRename(node),
      Delete: () => onRemove(node)
    }
    const action = actions[event.key]
    if (action) {
      event.preventDefault()
      action()
    } else if (event.key.length === 1) {
      const named = (row: Row): boolean => row.node.name.toLowerCase().startsWith(event.key.toLowerCase())
      focusRow([...rows.slice(at + 1), ...rows.slice(0, at)].find(named))
    }
  }

  return (
    <div className="tree" role="tree" aria-label="Files" ref={list} onKeyDown={onKeyDown}>
      {rows.map((row) => (
        <TreeRow
          key={row.node.path}
          row={row}
          isActive={row.node.kind === 'file' && row.node.fileId === active}
          isFocusable={row === current}
          onFocus={() => setFocused(row.node.path)}
          onChoose={() => choose(row)}
          onRename={() => onRename(row.node)}
          onRemove={() => onRemove(row.node)}
          onCopy={() => onCopy(row.node)}
        />
      ))}
    </div>
  )
}
