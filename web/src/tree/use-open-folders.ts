import { useCallback, useEffect, useState } from 'react'
import { foldersAbove } from './tree-model'

/** Which folders are open; those above the file that is shown open by themselves. */
export function useOpenFolders(workspace: number, activePath: string | null): { open: ReadonlySet<string>; toggle: (path: string) => void } {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => setOpen(new Set()), [workspace])
  useEffect(() => {
    if (activePath !== null) setOpen((before) => new Set([...before, ...foldersAbove(activePath)]))
  }, [activePath, workspace])
  const toggle = useCallback((path: string): void => {
    setOpen((before) => {
      const after = new Set(before)
      if (!after.delete(path)) after.add(path)
      return after
    })
  }, [])
  return { open, toggle }
}
