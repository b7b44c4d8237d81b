import { urlPath, type Http } from './http.js'
import type { Blame, HistoryDiff, HistoryEntry, NamedVersion, PageDown } from './types.js'

/** A `seq` of the history, or a time in ISO 8601 with its zone; 0 is the beginning. */
export type Moment = number | string

/** What documents were, who wrote what of them, and taking it back (docs/history.md). */
export class HistoryApi {
  constructor(private readonly http: Http) {}

  /** Who wrote when, in one go each, newest first. */
  list(room: string, page: { before?: number; limit?: number } = {}): Promise<PageDown<HistoryEntry>> {
    return this.http.json('GET', `${documentOf(room)}/history`, { query: page })
  }

  /** The text as it was. */
  async text(room: string, at: Moment): Promise<string> {
    return (await this.#then(room, { at })).text()
  }

  /** The whole document as it was, as one Yjs update. */
  async update(room: string, at: Moment): Promise<Uint8Array> {
    return new Uint8Array(await (await this.#then(room, { at, format: 'update' })).arrayBuffer())
  }

  /** Who wrote what of the text, as it is or was. */
  blame(room: string, at?: Moment): Promise<Blame> {
    return this.http.json('GET', `${documentOf(room)}/blame`, { query: { at } })
  }

  /** Up to now without `to`. */
  diff(room: string, from: Moment, to?: Moment): Promise<HistoryDiff> {
    return this.http.json('GET', `${documentOf(room)}/diff`, { query: { from, to } })
  }

  /** The moments that have a name, newest first. */
  versions(room: string): Promise<NamedVersion[]> {
    return this.http.json('GET', `${documentOf(room)}/versions`)
  }

  /** Names a moment, by default now. Rejects with `name_taken`. */
  addVersion(room: string, name: string, at?: Moment): Promise<NamedVersion> {
    return this.http.json('POST', `${documentOf(room)}/versions`, { body: { name, at: at?.toString() } })
  }

  renameVersion(room: string, id: number, name: string): Promise<NamedVersion> {
    return this.http.json('PATCH', `${documentOf(room)}/versions/${id}`, { body: { name } })
  }

  /** Forgets the name; the moment stays. */
  removeVersion(room: string, id: number): Promise<void> {
    return this.http.json('DELETE', `${documentOf(room)}/versions/${id}`)
  }

  /** Make the document what it was, by an edit that all see; `changed`: there was something to do. */
  restore(room: string, at: Moment): Promise<{ changed: boolean }> {
    return this.http.json('POST', `${documentOf(room)}/restore`, { body: { at: at.toString() } })
  }

  /** Take back what one user has written since, and nothing else. */
  revert(room: string, userId: number, since: Moment): Promise<{ changed: boolean }> {
    return this.http.json('POST', `${documentOf(room)}/revert`, { body: { user_id: userId, since: since.toString() } })
  }

  #then(room: string, query: { at: Moment; format?: 'update' }): Promise<Response> {
    return this.http.request('GET', `${documentOf(room)}/history`, { query })
  }
}

function documentOf(room: string): string {
  return `/documents/${urlPath(room)}`
}
