import { useCostudio, useFile, useLive } from '@costudio/client/react'
import type { ReactNode } from 'react'
import { useCursorPlace } from '../editor/cursor-place'
import { languageOf } from '../editor/languages'
import { SavedIndicator } from '../editor/saved'
import { useTabs } from '../workspace/tabs'
import { entryOf, useWorkspace } from '../workspace/workspace-context'
import './status-bar.css'

const CONNECTION = {
  connected: 'Connected',
  connecting: 'Connecting…',
  offline: 'Offline: trying again',
  closed: 'Not connected'
}

/** The connection, and of the file that shows: whether it is saved, where the cursor is, its language. */
export function StatusBar(): ReactNode {
  const { place } = useWorkspace()
  const client = useCostudio()
  const { status } = useLive(client.events)
  const { active } = useTabs(place.id)
  return (
    <footer className="status-bar">
      <span className="connection" data-status={status} role="status">
        {CONNECTION[status]}
      </span>
      {active !== null && <FileStatus key={active} fileId={active} />}
    </footer>
  )
}

function FileStatus({ fileId }: { fileId: string }): ReactNode {
  const { place, tree } = useWorkspace()
  const file = useFile(place.id, fileId)
  const { path, language } = entryOf(tree, fileId)
  const cursor = useCursorPlace((state) => state.place)
  return (
    <>
      {file && <SavedIndicator state={file} />}
      <span className="status-space" />
      {cursor && (
        <span className="status-cursor">
          Ln {cursor.line}, Col {cursor.column}
          {cursor.selected > 0 && ` (${cursor.selected} selected)`}
        </span>
      )}
      <span>{languageOf(path, language).name}</span>
    </>
  )
}
