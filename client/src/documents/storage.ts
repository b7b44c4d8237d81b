import type { IndexeddbPersistence } from 'y-indexeddb'
import * as Y from 'yjs'

/** A local copy of an earlier history of the document, with edits that were never saved. */
export interface Draft {
  id: string
  /** When it was put aside, ISO 8601. */
  savedAt: string
  /** The text of the root `content`, as it was here. */
  text: string
  /** All of it, as a Yjs update. */
  update: Uint8Array
}

const DRAFTS = 'drafts'
const UNSAVED = 'unsaved'

/** A document's copy in this browser's IndexedDB, what of it is not saved, and drafts of its earlier histories. */
export class Storage {
  #isUnsaved: boolean | null = null

  private constructor(
    private readonly persistence: IndexeddbPersistence,
    /** Whether the copy has edits that an earlier page could not save. */
    readonly wasUnsaved: boolean,
    private drafts: readonly Draft[]
  ) {}

  /** Resolves when the copy is in `doc`. What updates from it come with is added to `origins` before the first one. */
  static async open(name: string, doc: Y.Doc, origins: Set<unknown>): Promise<Storage> {
    const { IndexeddbPersistence } = await import('y-indexeddb')
    const persistence = new IndexeddbPersistence(name, doc)
    origins.add(persistence)
    await persistence._db // `whenSynced` would wait for ever where the browser forbids it
    await persistence.whenSynced
    const [wasUnsaved, drafts] = await Promise.all([persistence.get(UNSAVED), persistence.get(DRAFTS)])
    return new Storage(persistence, Boolean(wasUnsaved), (drafts as Draft[] | undefined) ?? [])
  }

  get allDrafts(): readonly Draft[] {
    return this.drafts
  }

  /** Remember it for the next page. */
  async setUnsaved(isUnsaved: boolean): Promise<void> {
    if (isUnsaved === this.#isUnsaved) return
    this.#isUnsaved = isUnsaved
    await this.persistence.set(UNSAVED, isUnsaved ? 1 : 0)
  }

  /** Begin with nothing, and keep `draft`: both or neither, whatever happens meanwhile. Closes it. */
  async startAnew(draft: Draft | null): Promise<void> {
    const drafts = draft === null ? this.drafts : [...this.drafts, draft]
    const db = this.persistence.db
    this.persistence.doc.off('update', this.persistence._storeUpdate)
    if (db !== null) {
      const change = db.transaction(['updates', 'custom'], 'readwrite')
      change.objectStore('updates').clear()
      change.objectStore('custom').put(drafts, DRAFTS)
      change.objectStore('custom').put(0, UNSAVED)
      await new Promise<void>((resolve, reject) => {
        change.oncomplete = () => resolve()
        change.onabort = () => reject(change.error ?? new Error('the local database refused the draft'))
      })
    }
    await this.close()
  }

  async discardDraft(id: string): Promise<void> {
    this.drafts = this.drafts.filter((draft) => draft.id !== id)
    await this.persistence.set(DRAFTS, this.drafts as never)
  }

  async close(): Promise<void> {
    await this.persistence.destroy()
  }
}
