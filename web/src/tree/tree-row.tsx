import { ChevronRight, Copy, EllipsisVertical, Folder, FolderOpen, Lock, LockOpen, Pencil, Trash2 } from 'lucide-react'
import type { CSSProperties, ReactNode } from 'react'
import { useMe } from '../session/me'
import { Avatar } from '../ui/avatar'
import { Menu, type MenuItem } from '../ui/menu'
import { attempt } from '../ui/toasts'
import { useLive } from '@costudio/client/react'
import { useWorkspace } from '../workspace/workspace-context'
import { FileIcon } from './file-icon'
import type { Row } from './tree-model'
import './tree-row.css'

interface TreeRowProps {
  row: Row
  isActive: boolean
  isFocusable: boolean
  onFocus: () => void
  onChoose: () => void
  onRename: () => void
  onRemove: () => void
  onCopy: () => void
}

export function TreeRow({ row, isActive, isFocusable, onFocus, onChoose, onRename, onRemove, onCopy }: TreeRowProps): ReactNode {
  const { node, level, position, siblings, isOpen } = row
  const { locks, people } = useWorkspace()
  const me = useMe()
  useLive(locks)
  const own = locks.own(node.path)
  const isLocked = own !== null || locks.blocking(node.path)?.path === node.path
  const here = node.kind === 'file' ? people.filter(({ fileId, userId }) => fileId === node.fileId && userId !== me.id) : []

  const items: MenuItem[] = [
    { label: 'Rename or move', icon: Pencil, onChoose: onRename },
    ...(node.kind === 'file' ? [{ label: 'Make a copy', icon: Copy, onChoose: onCopy }] : []),
    own
      ? { label: 'Unlock', icon: LockOpen, onChoose: () => attempt(() => locks.release(own)) }
      : { label: 'Lock until I unlock', icon: Lock, onChoose: () => attempt(() => locks.acquire(node.path, { kind: 'standing' })) },
    { label: 'Move to the trash', icon: Trash2, isDanger: true, onChoose: onRemove }
  ]
  return (
    <div
      className="tree-row"
      role="treeitem"
      aria-label={spokenName(row, isLocked, here.map(({ name }) => name))}
      aria-level={level}
      aria-posinset={position}
      aria-setsize={siblings}
      aria-expanded={node.kind === 'folder' ? isOpen : undefined}
      aria-selected={isActive}
      tabIndex={isFocusable ? 0 : -1}
      style={{ '--level': level } as CSSProperties}
      title={node.path}
      onFocus={onFocus}
      onClick={onChoose}
      onContextMenu={(event) => {
        event.preventDefault() // also what the keyboard's menu key does
        event.currentTarget.querySelector<HTMLElement>('.tree-actions button')?.click()
      }}
    >
      {node.kind === 'folder' ? (
        <>
          <ChevronRight className="tree-chevron" size={14} aria-hidden />
          {isOpen ? <FolderOpen className="tree-folder" size={15} aria-hidden /> : <Folder className="tree-folder" size={15} aria-hidden />}
        </>
      ) : (
        <FileIcon path={node.path} language={node.language} />
      )}
      <span className="tree-name clip">{node.name}</span>
      {isLocked && <Lock className="tree-lock" data-own={own !== null} size={12} aria-hidden />}
      {here.slice(0, 2).map(({ userId, name }) => (
        <Avatar key={userId} name={name} size={16} />
      ))}
      <span className="tree-actions" onClick={(event) => event.stopPropagation()}>
        <Menu label={`Actions for ${node.name}`} icon={EllipsisVertical} items={items} tabIndex={-1} />
      </span>
    </div>
  )
}

function spokenName({ node }: Row, isLocked: boolean, names: readonly string[]): string {
  return [node.name, isLocked && 'locked', names.length > 0 && `${names.join(', ')} here`].filter(Boolean).join(', ')
}
