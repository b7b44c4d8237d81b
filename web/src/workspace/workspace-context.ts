import type { DocumentState, OpenDocument, WorkspaceLocks } from '@costudio/client'
import { createContext, useContext } from 'react'
import type { PersonHere } from '../people/people-here'
import type { FileEntry } from '../tree/tree-model'
import type { TreeState } from '../tree/use-tree'
import type { Workplace } from './workplaces'

/** What the parts of the studio share of the workspace that is open. */
export interface WorkspaceValue {
  place: Workplace
  /** The document of the tree. */
  document: OpenDocument
  documentState: DocumentState
  tree: TreeState
  locks: WorkspaceLocks
  /** Who else is in the workspace, and this person: each once, whatever devices they have. */
  people: readonly PersonHere[]
  /** Show a file, in a tab. */
  openFile: (fileId: string) => void
}

export const WorkspaceContext = createContext<WorkspaceValue | null>(null)

export function useWorkspace(): WorkspaceValue {
  const value = useContext(WorkspaceContext)
  if (!value) throw new Error('no workspace is open')
  return value
}

/** The entry of a file; a file that the tree does not have yet is where its id says. */
export function entryOf(tree: TreeState, fileId: string): FileEntry {
  return tree.files.find((file) => file.fileId === fileId) ?? { fileId, path: fileId, language: null }
}
