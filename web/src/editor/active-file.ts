import type { DocumentState, OpenFile } from '@costudio/client'
import { createContext, useContext } from 'react'

/** The file of the active tab. */
export interface ActiveFile {
  fileId: string
  path: string
  file: DocumentState & { file: OpenFile }
}

export const ActiveFileContext = createContext<ActiveFile | null>(null)

export function useActiveFile(): ActiveFile {
  const active = useContext(ActiveFileContext)
  if (!active) throw new Error('no file is shown')
  return active
}
