import type { Api, CostudioClient, HistoryEntry, NamedVersion, OpenFile } from '@costudio/client'
import { useCostudio } from '@costudio/client/react'
import { useEffect, useState } from 'react'
import { useLoaded, type Loaded } from '../ui/use-loaded'

const MOST_AT_ONCE = 500 // what the server lists in one answer
const REST_MS = 1500

export interface FileHistory {
  /** Newest first. */
  entries: readonly HistoryEntry[]
  hasEarlier: boolean
  versions: readonly NamedVersion[]
}

/** The newest `wanted` entries of a file's history, and its versions; loaded anew when somebody has written. */
export function useHistory(file: OpenFile, wanted: number): Loaded<FileHistory> {
  const client = useCostudio()
  const loaded = useLoaded(() => loadHistory(client, file.room, wanted), [client, file.room, wanted])
  const { reload } = loaded
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const later = (): void => {
      clearTimeout(timer)
      timer = setTimeout(reload, REST_MS)
    }
    const { doc } = file
    doc.on('update', later)
    return () => {
      clearTimeout(timer)
      doc.off('update', later)
    }
  }, [file.doc, reload])
  return loaded
}

async function loadHistory({ api: { history } }: CostudioClient, room: string, wanted: number): Promise<FileHistory> {
  const [page, versions] = await Promise.all([loadEntries(history, room, wanted), history.versions(room)])
  return { ...page, versions }
}

async function loadEntries(history: Api['history'], room: string, wanted: number): Promise<Omit<FileHistory, 'versions'>> {
  const entries: HistoryEntry[] = []
  let before: number | null = null
  do {
    const limit = Math.min(wanted - entries.length, MOST_AT_ONCE)
    const { items, next_before } = await history.list(room, before === null ? { limit } : { before, limit })
    entries.push(...items)
    before = next_before
  } while (before !== null && entries.length < wanted)
  return { entries, hasEarlier: before !== null }
}

/** `value` as it was when it last stayed the same for so long: what a slider passes over is skipped. */
export function useSettled<Value>(value: Value, restMs: number): Value {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), restMs)
    return () => clearTimeout(timer)
  }, [value, restMs])
  return settled
}
