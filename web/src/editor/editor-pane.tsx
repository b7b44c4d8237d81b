import { useFile } from '@costudio/client/react'
import { Eye, FileX, LoaderCircle } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'
import { ConflictView } from '../conflicts/conflict-view'
import { useConflicts } from '../conflicts/use-conflicts'
import { PastView } from '../history/past-view'
import { useShownMoment } from '../history/shown-moment'
import { LockBanner } from '../locks/lock-banner'
import { Button } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { entryOf, useWorkspace } from '../workspace/workspace-context'
import { ActiveFileContext } from './active-file'
import { Banner } from './banner'
import { CodeEditor } from './code-editor'
import { DraftBanner } from './draft-banner'
import { RefusedBanner } from './refused-banner'
import './editor-pane.css'
import { FileBar } from './file-bar'
import { setCursorPlace } from './cursor-place'
import { useMayWrite } from './use-may-write'

/** The file of the active tab: what is to be said about it, and its text, as it is, was, or is in dispute. */
export function EditorPane({ fileId }: { fileId: string }): ReactNode {
  const { place, tree, document } = useWorkspace()
  const file = useFile(place.id, fileId)
  const conflicts = useConflicts(fileId)
  const [isResolving, setIsResolving] = useState(false)
  const mayWrite = useMayWrite(file?.file.room, file?.status === 'refused')
  const moment = useShownMoment(fileId)
  const { path, language } = entryOf(tree, fileId)

  useEffect(() => {
    document.awareness.setLocalStateField('file', fileId)
    return () => document.awareness.setLocalStateField('file', null)
  }, [document, fileId])
  useEffect(() => {
    if (conflicts.items.length === 0) setIsResolving(false)
  }, [conflicts.items.length])

  if (!file) return <section className="editor-pane" id="editor-pane" />
  return (
    <section className="editor-pane" id="editor-pane" role="tabpanel" aria-labelledby={`tab-${fileId}`}>
      <ActiveFileContext value={{ fileId, path, file }}>
        <FileBar conflictCount={conflicts.items.length} isResolving={isResolving} onResolve={() => setIsResolving(!isResolving)} />
        <LockBanner />
        <DraftBanner />
        <RefusedBanner />
        {!mayWrite && (
          <Banner icon={Eye} kind="note">
            You may read this file, not write in it.
          </Banner>
        )}
        {isResolving ? (
          <ConflictView conflicts={conflicts} />
        ) : moment ? (
          <PastView moment={moment} language={language} />
        ) : file.isLoaded ? (
          <CodeEditor key={`${fileId} ${file.generation}`} file={file.file} path={path} language={language} isReadOnly={!mayWrite} onCursor={setCursorPlace} />
        ) : file.status === 'refused' ? (
          <EmptyState icon={FileX} title="This file can’t be opened">
            <p>{file.reason ?? 'The server did not let you in.'}</p>
            <Button onClick={() => file.file.retry()}>Try again</Button>
          </EmptyState>
        ) : (
          <EmptyState icon={LoaderCircle} title={file.status === 'offline' ? 'You are offline' : 'Loading…'}>
            {file.status === 'offline' && <p>This file was never opened in this browser. It comes as soon as you are back online.</p>}
          </EmptyState>
        )}
      </ActiveFileContext>
    </section>
  )
}
