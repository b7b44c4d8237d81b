import type { DocumentState, OpenDocument } from '@costudio/client'
import { useEffect, useMemo, useState } from 'react'
import * as Y from 'yjs'
import type { FileEntry } from './tree-model'

export interface TreeState {
  files: readonly FileEntry[]
  folders: readonly string[]
  /** False until the tree is there, from this browser or from the server. */
  isLoaded: boolean
}

/** The files and folders that the workspace's document has now. */
export function useTree(document: OpenDocument, { isLoaded, generation }: DocumentState): TreeState {
  const [state, setState] = useState<Omit<TreeState, 'isLoaded'>>({ files: [], folders: [] })
  useEffect(() => {
    const { files, folders } = rootsOf(document.doc)
    const read = (): void => setState({ files: readFiles(files), folders: [...folders.keys()].filter(isPath) })
    read()
    files.observeDeep(read)
    folders.observeDeep(read)
    return () => {
      files.unobserveDeep(read)
      folders.unobserveDeep(read)
    }
  }, [document, generation])
  return useMemo(() => ({ ...state, isLoaded }), [state, isLoaded])
}

export function rootsOf(doc: Y.Doc): { files: Y.Map<unknown>; folders: Y.Map<unknown> } {
  return { files: doc.getMap('files'), folders: doc.getMap('folders') }
}

/** Entries are shared maps, or plain objects; whatever else somebody wrote there is no file. */
export function readFiles(files: Y.Map<unknown>): FileEntry[] {
  return [...files].flatMap(([fileId, entry]) => {
    const path = fieldOf(entry, 'path')
    const language = fieldOf(entry, 'language')
    return isPath(path) ? [{ fileId, path, language: typeof language === 'string' ? language : null }] : []
  })
}

function fieldOf(entry: unknown, name: string): unknown {
  if (entry instanceof Y.Map) return entry.get(name)
  return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>)[name] : undefined
}

const isPath = (value: unknown): value is string => typeof value === 'string' && value !== ''
