import * as Y from 'yjs'
import { CloseCode } from '../connecting/close-codes.js'
import { Reconnector } from '../connecting/reconnector.js'
import { RoomProvider } from './room-provider.js'
import { Storage, type Draft } from './storage.js'

/** What a session works with. */
export interface SessionParts {
  /** That of `/ws`. */
  url: string
  Socket: typeof WebSocket
  /** Prefix of the names of local databases; null: there are none. */
  offline: string | null
  /** What stands in the URL of the next connection. */
  credentials(room: string): Promise<Record<string, string>>
  /** The token was refused, or has ended. */
  forgetToken(): void
  changed(): void
  /** The server has begun another history of the document. */
  replaced(): void
}

/** One `Y.Doc` and its connections, until the document gets another history. */
export class Session {
  readonly doc = new Y.Doc()
  readonly provider: RoomProvider
  readonly #reconnector: Reconnector
  readonly #foreign = new Set<unknown>()
  #storage: Storage | null = null
  #isStorageLoaded = false
  #isEnded = false
  #hasFailed = false
  #wasSaved = false
  #denial: string | null = null
  #lastPending = 0
  #end: { code: number | null; reason: string; isFinal: boolean } | null = null

  constructor(
    private readonly room: string,
    private readonly parts: SessionParts
  ) {
    const events = {
      changed: () => this.#changed(),
      denied: (reason: string) => {
        this.#denial = reason
        parts.changed()
      },
      ended: (code: number | null, reason: string) => this.#ended(code, reason)
    }
    this.provider = new RoomProvider(parts.url, room, this.doc, parts.Socket, events, this.#foreign)
    this.#reconnector = new Reconnector(
      () => void this.#open(),
      () => this.provider.disconnect()
    )
  }

  /** Load what is kept here, then connect. */
  async begin(): Promise<void> {
    if (this.parts.offline !== null) {
      try {
        const storage = await Storage.open(`${this.parts.offline}/${this.room}`, this.doc, this.#foreign)
        if (this.#isEnded) return await storage.close()
        this.#storage = storage
        this.#isStorageLoaded = true
      } catch (error) {
        console.warn(`${this.room} is not kept in this browser:`, error) // private windows may forbid it
      }
    }
    if (!this.#isEnded) this.connect()
  }

  get pendingEdits(): number {
    return this.provider.pending.count
  }

  /** Whether something was written, here or by an earlier page, that the server may never have committed. */
  get hasUnsaved(): boolean {
    return this.provider.pending.ownCount > 0 || (!this.#wasSaved && (this.#storage?.wasUnsaved ?? false))
  }

  /** Whether what is written here survives this page. */
  get isStored(): boolean {
    return this.#isStorageLoaded
  }

  get isLoaded(): boolean {
    return this.provider.synced || this.#wasSaved || (this.#isStorageLoaded && this.doc.store.clients.size > 0)
  }

  get status(): 'offline' | 'syncing' | 'saved' | 'refused' {
    if (this.#end?.isFinal) return 'refused'
    if (this.provider.isSaved) return 'saved'
    if (this.#denial !== null && this.provider.synced && this.pendingEdits > 0) return 'refused'
    return this.provider.wsconnected || !this.#hasFailed ? 'syncing' : 'offline'
  }

  /** Why something was refused, or the connection ended. */
  get reason(): string | null {
    return this.#denial ?? (this.#end?.reason || null)
  }

  get code(): number | null {
    return this.#end?.code ?? null
  }

  get drafts(): readonly Draft[] {
    return this.#storage?.allDrafts ?? []
  }

  connect(): void {
    this.#end = null
    this.#reconnector.start()
    this.parts.changed()
  }

  discardDraft(id: string): void {
    void this.#storage?.discardDraft(id)
  }

  /** End it; the local database begins with nothing, but for the draft. */
  async startAnew(draft: Draft | null): Promise<void> {
    this.#stop()
    await this.#storage?.startAnew(draft)
  }

  async end(): Promise<void> {
    this.#stop()
    await this.#storage?.close()
    this.doc.destroy()
  }

  #stop(): void {
    this.#isEnded = true
    this.#reconnector.stop()
    this.provider.awareness.destroy()
    this.provider.destroy()
  }

  async #open(): Promise<void> {
    try {
      this.provider.params = await this.parts.credentials(this.room)
    } catch (error) {
      this.#ended(null, `no token: ${error instanceof Error ? error.message : String(error)}`)
      return
    }
    if (!this.#reconnector.isWanted) return
    this.#forgetOthers()
    this.provider.connect()
  }

  #ended(code: number | null, reason: string): void {
    if (this.#isEnded) return
    this.#hasFailed = true
    if (code === CloseCode.UNAUTHORIZED || code === CloseCode.TOKEN_EXPIRED) this.parts.forgetToken()
    const isRetried = this.#reconnector.ended(code)
    this.#end = { code, reason, isFinal: !isRetried }
    if (code === CloseCode.HISTORY_CHANGED) this.parts.replaced()
    else this.parts.changed()
  }

  /** What others showed before is told again after a break with the same clock, which awareness would take for known. */
  #forgetOthers(): void {
    const { meta, states } = this.provider.awareness
    for (const id of [...meta.keys()]) if (!states.has(id)) meta.delete(id)
  }

  #changed(): void {
    if (this.#isEnded) return
    if (this.provider.synced) this.#reconnector.succeeded()
    if (this.provider.isSaved) {
      this.#wasSaved = true
      this.#end = null
    }
    if (this.#lastPending === 0 && this.pendingEdits > 0) this.#denial = null // it was of earlier ones
    this.#lastPending = this.pendingEdits
    void this.#storage?.setUnsaved(this.hasUnsaved)
    this.parts.changed()
  }
}
