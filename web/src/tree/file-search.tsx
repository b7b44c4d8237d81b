import { useState, type ReactNode } from 'react'
import { useWorkspace } from '../workspace/workspace-context'
import { FileIcon } from './file-icon'
import { findFiles, nameOf, parentOf } from './tree-model'

const MOST_SHOWN = 100

/** Files by words of their path. */
export function FileSearch({ onClose }: { onClose: () => void }): ReactNode {
  const { tree, openFile } = useWorkspace()
  const [query, setQuery] = useState('')
  const found = findFiles(tree.files, query)
  const open = (fileId: string | undefined): void => {
    if (fileId === undefined) return
    openFile(fileId)
    onClose()
  }
  return (
    <div className="file-search">
      <input
        className="input"
        type="search"
        aria-label="Find a file"
        placeholder="Words of its path"
        autoFocus
        value={query}
        onChange={(event) => setQuery(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') open(found[0]?.fileId)
          if (event.key === 'Escape') onClose()
        }}
      />
      <p className="only-read-aloud" role="status">{`${found.length} found`}</p>
      {found.length === 0 && <p className="sidebar-note">No file has “{query}” in its path.</p>}
      <ul>
        {found.slice(0, MOST_SHOWN).map(({ fileId, path, language }) => (
          <li key={fileId}>
            <button type="button" title={path} onClick={() => open(fileId)}>
              <FileIcon path={path} language={language} />
              <span>{nameOf(path)}</span>
              <small className="clip">{parentOf(path)}</small>
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}
