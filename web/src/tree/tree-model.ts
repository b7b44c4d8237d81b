/** The files of a workspace as its tree shows them. PURE. */
export interface FileEntry {
  fileId: string
  path: string
  language: string | null
}

export interface TreeFile {
  kind: 'file'
  path: string
  name: string
  fileId: string
  language: string | null
}

export interface TreeFolder {
  kind: 'folder'
  path: string
  name: string
  children: TreeNode[]
}

export type TreeNode = TreeFile | TreeFolder

/** A row of the tree as it is shown: how deep it stands, and among how many. */
export interface Row {
  node: TreeNode
  level: number
  position: number
  siblings: number
  isOpen: boolean
}

const inOrder = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })

/** Folders before files, each by name. A folder is there because something is in it, or for its own sake. */
export function buildTree(files: Iterable<FileEntry>, folders: Iterable<string>): TreeNode[] {
  const root: TreeFolder = { kind: 'folder', path: '', name: '', children: [] }
  const known = new Map<string, TreeFolder>([['', root]])

  const folderAt = (path: string): TreeFolder => {
    const found = known.get(path)
    if (found) return found
    const folder: TreeFolder = { kind: 'folder', path, name: nameOf(path), children: [] }
    known.set(path, folder)
    folderAt(parentOf(path)).children.push(folder)
    return folder
  }

  for (const path of folders) folderAt(path)
  for (const { path, ...file } of files) {
    folderAt(parentOf(path)).children.push({ kind: 'file', path, name: nameOf(path), ...file })
  }
  for (const folder of known.values()) {
    folder.children.sort((a, b) => (a.kind === b.kind ? inOrder.compare(a.name, b.name) : a.kind === 'folder' ? -1 : 1))
  }
  return root.children
}

/** The rows that show while just the folders in `open` are open. */
export function visibleRows(nodes: readonly TreeNode[], open: ReadonlySet<string>, level = 1): Row[] {
  return nodes.flatMap((node, place) => {
    const isOpen = node.kind === 'folder' && open.has(node.path)
    const row = { node, level, position: place + 1, siblings: nodes.length, isOpen }
    return isOpen ? [row, ...visibleRows(node.children, open, level + 1)] : [row]
  })
}

/** Those whose path has all words of the query somewhere, however it is spelled. */
export function findFiles<F extends { path: string }>(files: readonly F[], query: string): F[] {
  const words = query.toLowerCase().split(/\s+/u).filter(Boolean)
  return files.filter(({ path }) => words.every((word) => path.toLowerCase().includes(word)))
}

export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/** The folders that have to be open for `path` to show. */
export function foldersAbove(path: string): string[] {
  const parent = parentOf(path)
  return parent === '' ? [] : [...foldersAbove(parent), parent]
}

/** What is wrong with a path that somebody wants to give, in words; null if nothing is. */
export function problemOfPath(path: string): string | null {
  if (path.trim() === '') return 'Say a name.'
  if (path.length > 512) return 'That is too long: 512 characters at most.'
  if (/[\u0000-\u001f\u007f]/u.test(path)) return 'A name has no control characters.'
  const parts = path.split('/')
  if (parts.some((part) => part.trim() === '')) return 'Between slashes there has to be a name.'
  if (parts.some((part) => part === '.' || part === '..')) return '“.” and “..” are no names here.'
  return null
}
