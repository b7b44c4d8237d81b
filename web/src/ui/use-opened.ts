import { useEffect, useState, type DependencyList } from 'react'

/** What `open` opens, for as long as the component is there and `deps` stay; null until then. */
export function useOpened<Opened extends { close(): void }>(open: () => Opened, deps: DependencyList): Opened | null {
  const [opened, setOpened] = useState<Opened | null>(null)
  useEffect(() => {
    const current = open()
    setOpened(current)
    return () => {
      setOpened(null)
      current.close()
    }
  }, deps)
  return opened
}
