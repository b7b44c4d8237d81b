import { useFile } from '@costudio/client/react'
import { Lock, X } from 'lucide-react'
import { useEffect, useRef, type KeyboardEvent, type ReactNode } from 'react'
import { nameOf, parentOf } from '../tree/tree-model'
import { FileIcon } from '../tree/file-icon'
import { closeTab, openTab, useTabs } from '../workspace/tabs'
import { entryOf, useWorkspace } from '../workspace/workspace-context'
import { useLive } from '@costudio/client/react'
import './tab-bar.css'

/** The open files. Arrow keys move between the tabs, Delete closes one. */
export function TabBar(): ReactNode {
  const { place } = useWorkspace()
  const { open, active } = useTabs(place.id)
  const list = useRef<HTMLDivElement>(null)

  const onKeyDown = (event: KeyboardEvent): void => {
    if (active === null) return
    const at = open.indexOf(active)
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: open.length - 1 }[event.key]
    const fileId = next === undefined ? undefined : open[(next + open.length) % open.length]
    if (fileId !== undefined) {
      openTab(place.id, fileId)
      list.current?.querySelectorAll<HTMLElement>('[role=tab]')[open.indexOf(fileId)]?.focus()
    } else if (event.key === 'Delete') closeTab(place.id, active)
  }

  return (
    <div className="tab-bar" role="tablist" aria-label="Open files" ref={list} onKeyDown={onKeyDown}>
      {open.map((fileId) => (
        <Tab key={fileId} fileId={fileId} isActive={fileId === active} />
      ))}
    </div>
  )
}

function Tab({ fileId, isActive }: { fileId: string; isActive: boolean }): ReactNode {
  const { place, tree, locks, openFile } = useWorkspace()
  useLive(locks)
  const file = useFile(place.id, fileId) // an open tab keeps its file open, and in sync
  const { path, language } = entryOf(tree, fileId)
  const tab = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (isActive) tab.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [isActive])

  const isUnsaved = (file?.pendingEdits ?? 0) > 0
  const close = (): void => closeTab(place.id, fileId)
  return (
    <div className="tab" role="presentation" data-active={isActive} ref={tab} onAuxClick={(event) => event.button === 1 && close()}>
      <button
        type="button"
        role="tab"
        id={`tab-${fileId}`}
        aria-selected={isActive}
        aria-controls="editor-pane"
        tabIndex={isActive ? 0 : -1}
        title={path}
        onClick={() => openFile(fileId)}
      >
        <FileIcon path={path} language={language} />
        <span>{nameOf(path)}</span>
        {isUnsaved && <span className="tab-unsaved" title="Not saved yet" />}
        {locks.blocking(path) && <Lock size={12} aria-label="locked" className="tab-lock" />}
        <span className="only-read-aloud">
          {parentOf(path) && ` in ${parentOf(path)}`}
          {isUnsaved && ', not saved yet'}
        </span>
      </button>
      {/* For the mouse alone: a list of tabs has nothing but tabs for a screen reader, and the key for it is Delete. */}
      <button type="button" className="tab-close" title={`Close ${nameOf(path)}`} aria-hidden tabIndex={-1} onClick={close}>
        <X size={13} aria-hidden />
      </button>
    </div>
  )
}
