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

  /** The file at a path, whatever its case, or those below a folder. */
  find(
    workspace: number,
    where: { path?: string; prefix?: string; after?: string; limit?: number }
  ): Promise<PageUp<TreeFile, string>> {
    return this.http.json('GET', `/workspaces/${workspace}/files`, { query: where })
  }

  /** With a `file_id`, asked for again, it is the same file. Rejects with `path_taken`. */
  create(workspace: number, file: NewFile): Promise<TreeFile> {
    return this.http.json('POST', `/workspaces/${workspace}/files`, { body: file })
  }

  /** Rename or move a file, or say what language it is in; its id stays. Rejects with `path_taken`. */
  update(
    workspace: number,
    fileId: string,
    change: { path?: string; language?: string; rename?: boolean }
  ): Promise<TreeFile> {
    return this.http.json('PATCH', fileOf(workspace, fileId), { body: change })
  }

  copy(workspace: number, fileId: string, path: string, { rename = false } = {}): Promise<TreeFile> {
    return this.http.json('POST', `${fileOf(workspace, fileId)}/copy`, { body: { path, rename } })
  }

  /** Into the trash. */
  remove(workspace: number, fileId: string): Promise<void> {
    return this.http.json('DELETE', fileOf(workspace, fileId))
  }

  createFolder(workspace: number, path: string): Promise<TreeFolder> {
    return this.http.json('POST', `/workspaces/${workspace}/folders`, { body: { path } })
  }

  /** With all that is in it. */
  moveFolder(workspace: number, path: string, to: string): Promise<void> {
    return this.http.json('PATCH', `/workspaces/${workspace}/folders/${urlPath(path)}`, { body: { path: to } })
  }

  /** Its files go into the trash, together. */
  removeFolder(workspace: number, path: string): Promise<void> {
    return this.http.json('DELETE', `/workspaces/${workspace}/folders/${urlPath(path)}`)
  }

  trash(workspace: number, page: { after?: string; limit?: number } = {}): Promise<PageUp<TrashedFile, string>> {
    return this.http.json('GET', `/workspaces/${workspace}/trash`, { query: page })
  }

  /** With a number in its name where its path is taken. */
  async restore(workspace: number, fileId: string): Promise<TreeFile> {
    const files = await this.#restore(workspace, fileId, false)
    return files.find((file) => file.file_id === fileId)!
  }

  /** All that went into the trash with it, too. */
  restoreTogether(workspace: number, fileId: string): Promise<TreeFile[]> {
    return this.#restore(workspace, fileId, true)
  }

  /** For good; for admins. */
  purge(workspace: number, fileId: string): Promise<void> {
    return this.http.json('DELETE', `/workspaces/${workspace}/trash/${urlPath(fileId)}`)
  }

  async #restore(workspace: number, fileId: string, together: boolean): Promise<TreeFile[]> {
    const path = `/workspaces/${workspace}/trash/${urlPath(fileId)}/restore`
    return (await this.http.json<{ files: TreeFile[] }>('POST', path, { body: { together } })).files
  }
}

function fileOf(workspace: number, fileId: string): string {
  return `/workspaces/${workspace}/files/${urlPath(fileId)}`
}
