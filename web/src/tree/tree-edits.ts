import * as Y from 'yjs'
import { readFiles, rootsOf } from './use-tree'

/**
 * What people do to the tree. These are edits of its document, so they work offline too; the server looks after equal
 * paths, locks and the trash.
 */
export function createFile(doc: Y.Doc, path: string): string {
  const fileId = crypto.randomUUID()
  rootsOf(doc).files.set(fileId, new Y.Map([['path', path]]))
  return fileId
}

export function createFolder(doc: Y.Doc, path: string): void {
  rootsOf(doc).folders.set(path, {})
}

export function moveFile(doc: Y.Doc, fileId: string, path: string): void {
  const { files } = rootsOf(doc)
  const entry = files.get(fileId)
  if (entry instanceof Y.Map) entry.set('path', path)
  else if (typeof entry === 'object' && entry !== null) files.set(fileId, { ...entry, path })
}

/** With all that is in it, in one edit. */
export function moveFolder(doc: Y.Doc, from: string, to: string): void {
  const { files, folders } = rootsOf(doc)
  doc.transact(() => {
    for (const { fileId, path } of readFiles(files)) {
      if (path.startsWith(`${from}/`)) moveFile(doc, fileId, to + path.slice(from.length))
    }
    for (const path of [...folders.keys()]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      folders.delete(path)
      folders.set(to + path.slice(from.length), {})
    }
  })
}

export function removeFile(doc: Y.Doc, fileId: string): void {
  rootsOf(doc).files.delete(fileId)
}

export function removeFolder(doc: Y.Doc, folder: string): void {
  const { files, folders } = rootsOf(doc)
  doc.transact(() => {
    for (const { fileId, path } of readFiles(files)) if (path.startsWith(`${folder}/`)) files.delete(fileId)
    for (const path of [...folders.keys()]) if (path === folder || path.startsWith(`${folder}/`)) folders.delete(path)
  })
}
