import { useCostudio, useLive, useLocks } from '@costudio/client/react'
import type { OpenDocument } from '@costudio/client'
import { useCallback, useEffect, useMemo, type ReactNode } from 'react'
import { learnNames } from '../people/names'
import { usePeopleHere } from '../people/people-here'
import { readAddress, writeAddress } from '../session/address'
import { useMe } from '../session/me'
import { closeOverlays } from '../shell/layout-state'
import { StudioFrame } from '../shell/studio-frame'
import { useTree } from '../tree/use-tree'
import { lookOf } from '../ui/person'
import { useOpened } from '../ui/use-opened'
import { openTab, useTabs } from './tabs'
import { WorkspaceContext, type WorkspaceValue } from './workspace-context'
import type { Workplace } from './workplaces'

interface WorkspaceProps {
  place: Workplace
  places: readonly Workplace[]
  onGoTo: (place: Workplace) => void
  onSignOut: () => void
}

/** One workspace, with its tree, locks and people. */
export function Workspace(props: WorkspaceProps): ReactNode {
  const client = useCostudio()
  const document = useOpened(() => client.openDocument(`workspace:${props.place.id}`), [client, props.place.id])
  return document && <OpenWorkspace {...props} document={document} />
}

function OpenWorkspace({ place, document, ...rest }: WorkspaceProps & { document: OpenDocument }): ReactNode {
  const documentState = useLive(document)
  const tree = useTree(document, documentState)
  const people = usePeopleHere(document.awareness)
  const locks = useLocks(place.id)?.locksOf
  const me = useMe()
  const { active } = useTabs(place.id)

  useEffect(() => learnNames([...people, { userId: me.id, name: me.name }]), [people, me])
  useEffect(() => {
    document.awareness.setLocalStateField('user', { ...lookOf(me.name), id: me.id })
  }, [document.awareness, me])
  useAwayWhileHidden(document)

  const openFile = useCallback(
    (fileId: string): void => {
      openTab(place.id, fileId)
      closeOverlays()
    },
    [place.id]
  )
  useFileOfAddress(tree, active, openFile)

  const value = useMemo<WorkspaceValue | null>(
    () => (locks ? { place, document, documentState, tree, locks, people, openFile } : null),
    [place, document, documentState, tree, locks, people, openFile]
  )
  return (
    value && (
      <WorkspaceContext value={value}>
        <StudioFrame {...rest} />
      </WorkspaceContext>
    )
  )
}

/** Others see that this person looks elsewhere. */
function useAwayWhileHidden({ awareness }: OpenDocument): void {
  useEffect(() => {
    const tell = (): void => awareness.setLocalStateField('away', globalThis.document.hidden)
    tell()
    globalThis.document.addEventListener('visibilitychange', tell)
    return () => globalThis.document.removeEventListener('visibilitychange', tell)
  }, [awareness])
}

/** The file that the address names is opened first; from then on it names the one that shows, by its path. */
function useFileOfAddress(tree: WorkspaceValue['tree'], active: string | null, openFile: (fileId: string) => void): void {
  useEffect(() => {
    const { file } = readAddress()
    if (tree.isLoaded && file !== null) openFile(tree.files.find(({ path }) => path === file)?.fileId ?? file)
  }, [tree.isLoaded])
  useEffect(() => {
    if (!tree.isLoaded || (active === null && readAddress().file === null)) return
    writeAddress({ file: active === null ? null : (tree.files.find(({ fileId }) => fileId === active)?.path ?? active) })
  }, [tree, active])
}
