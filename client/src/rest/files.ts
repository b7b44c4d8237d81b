import type { FileEdit, Resolution } from '../events/types.js'
import { urlPath, type Http } from './http.js'
import type { FileText, PageDown, StoredConflict, Written } from './types.js'

/** Files as plain text, for what has no replica of them (docs/files.md). */
export class FilesApi {
  constructor(private readonly http: Http) {}

  async read(workspace: number, path: string): Promise<FileText> {
    const response = await this.http.request('GET', `${pathOf(workspace, path)}/content`)
    return { text: await response.text(), version: (response.headers.get('ETag') ?? '').replaceAll('"', '') }
  }

  /** Write the whole text over the version that was read; null creates the file. */
  write(workspace: number, path: string, text: string, version: string | null): Promise<Written> {
    const headers: Record<string, string> =
      version === null ? { 'If-None-Match': '*' } : { 'If-Match': `"${version}"` }
    return this.http.json('PUT', `${pathOf(workspace, path)}/content`, { body: text, headers })
  }

  /** Offsets are in the text that was read, in UTF-16 units as JavaScript's. */
  edit(workspace: number, path: string, edits: FileEdit[], version: string): Promise<Written> {
    const headers = { 'If-Match': `"${version}"` }
    return this.http.json('PATCH', `${pathOf(workspace, path)}/content`, { body: { edits, unit: 'utf16' }, headers })
  }

  /** Those that nobody has resolved; with `all` the others too. Newest first. */
  conflicts(
    workspace: number,
    path: string,
    where: { all?: boolean; before?: number; limit?: number } = {}
  ): Promise<PageDown<StoredConflict>> {
    return this.http.json('GET', `${pathOf(workspace, path)}/conflicts`, { query: where })
  }

  resolve(workspace: number, path: string, conflictId: number, choice: Resolution): Promise<{ version: string }> {
    return this.http.json('POST', `${pathOf(workspace, path)}/conflicts/${conflictId}`, { body: { choice } })
  }
}

function pathOf(workspace: number, path: string): string {
  return `/workspaces/${workspace}/files/${urlPath(path)}`
}
