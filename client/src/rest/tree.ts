import { urlPath, type Http } from './http.js'
import type { PageUp, TrashedFile, Tree, TreeFile, TreeFolder } from './types.js'

export interface NewFile {
  path: string
  language?: string
  file_id?: string
  text?: string
  /** Where the path is taken, take a free one like it. */
  rename?: boolean
}

/** The files and folders of a workspace: where they are, not what is in them. */
export class TreeApi {
  constructor(private readonly http: Http) {}

  get(workspace: number): Promise<Tree> {
    return this.http.json('GET', `/workspaces/${workspace}/tree`)
  }

  /** Files at a path, or below a prefix. */
  find(
    workspace: number,
    where: { path?: string; prefix?: string; after?: number; limit?: number }
  ): Promise<PageUp<TreeFile>> {
    return this.http.json('GET', `/workspaces/${workspace}/files`, { query: where })
  }

  create(workspace: number, file: NewFile): Promise<TreeFile> {
    return this.http.json('POST', `/workspaces/${workspace}/files`, { body: file })
  }

  /** Rename or move a file, or say what language it is in. */
  update(workspace: number, fileId: string, change: { path?: string; language?: string }): Promise<TreeFile> {
    return this.http.json('PATCH', fileOf(workspace, fileId), { body: change })
  }

  copy(workspace: number, fileId: string, path: string): Promise<TreeFile> {
    return this.http.json('POST', `${fileOf(workspace, fileId)}/copy`, { body: { path } })
  }

  /** Into the trash. */
  remove(workspace: number, fileId: string): Promise<void> {
    return this.http.json('DELETE', fileOf(workspace, fileId))
  }

  createFolder(workspace: number, path: string): Promise<TreeFolder> {
    return this.http.json('POST', `/workspaces/${workspace}/folders`, { body: { path } })
  }

  /** With all that is in it. */
  moveFolder(workspace: number, path: string, to: string): Promise<TreeFolder> {
    return this.http.json('PATCH', `/workspaces/${workspace}/folders/${urlPath(path)}`, { body: { path: to } })
  }

  /** Its files go into the trash. */
  removeFolder(workspace: number, path: string): Promise<void> {
    return this.http.json('DELETE', `/workspaces/${workspace}/folders/${urlPath(path)}`)
  }

  trash(workspace: number): Promise<{ items: TrashedFile[] }> {
    return this.http.json('GET', `/workspaces/${workspace}/trash`)
  }

  restore(workspace: number, fileId: string): Promise<TreeFile> {
    return this.http.json('POST', `/workspaces/${workspace}/trash/${urlPath(fileId)}/restore`)
  }

  /** For good. */
  purge(workspace: number, fileId: string): Promise<void> {
    return this.http.json('DELETE', `/workspaces/${workspace}/trash/${urlPath(fileId)}`)
  }
}

function fileOf(workspace: number, fileId: string): string {
  return `/workspaces/${workspace}/files/${urlPath(fileId)}`
}
