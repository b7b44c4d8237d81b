import { uuidv4 } from 'lib0/random'
import type { Awareness } from 'y-protocols/awareness'
import type { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import type { EventsClient } from '../events/events-client.js'
import type { Live } from '../live/live.js'
import { LiveValue, until } from '../live/value.js'
import { Session, type SessionParts } from './session.js'
import type { Draft } from './storage.js'

/**
 * `saved`: everything written here is committed on the server. `syncing`: something is on its way, or being loaded.
 * `held`: somebody else has locked the file; what is written here waits on the server for the end of the lock.
 * `refused`: the server does not take what is written here, or does not let one in; `reason` says why.
 */
export type DocumentStatus = 'offline' | 'syncing' | 'saved' | 'held' | 'refused'

export interface DocumentState {
  status: DocumentStatus
  /** Of `refused`, and why the connection ended; in words. */
  reason: string | null
  /** Close code of the last end; null if there was none, or the network ended. */
  code: number | null
  /** Edits made here that are not committed. */
  pendingEdits: number
  /** Whether there is something to show: from the local database, or from the server. */
  isLoaded: boolean
  /** Grows when the document is replaced: bind editors to the new `doc`. */
  generation: number
  /** What was not saved when the document got another history. */
  drafts: readonly Draft[]
}

const INITIAL: DocumentState = {
  status: 'syncing',
  reason: null,
  code: null,
  pendingEdits: 0,
  isLoaded: false,
  generation: 0,
  drafts: []
}

/** A document, kept in sync. `doc`, `provider` and `awareness` are new ones when `current.generation` has grown. */
export class OpenDocument implements Live<DocumentState> {
  readonly #state = new LiveValue<DocumentState>(INITIAL)
  readonly #parts: SessionParts
  readonly #stops: (() => void)[]
  readonly #replaced = new Set<(old: Y.Doc) => void>()
  #session: Session
  #generation = 0
  #isHeld = false
  #isEnded = false
  #drafts: readonly Draft[] = []

  /** `keepsDrafts`: false where the server itself takes over what an earlier history had (chats). */
  constructor(
    readonly room: string,
    parts: Omit<SessionParts, 'changed' | 'replaced'>,
    events: EventsClient,
    private readonly keepsDrafts: boolean,
    readonly close: () => void
  ) {
    this.#parts = { ...parts, changed: () => this.#changed(), replaced: () => void this.#replace() }
    this.#session = new Session(room, this.#parts)
    void this.#session.begin()
    let isConnected = events.current.status === 'connected'
    this.#stops = [
      events.on('lock_changed', ({ payload }) => {
        if (payload.room !== room || payload.change !== 'held') return
        this.#isHeld = this.#session.pendingEdits > 0
        this.#changed()
      }),
      events.subscribe(() => {
        const wasConnected = isConnected
        isConnected = events.current.status === 'connected'
        // That edits are held may have been told while nobody heard it.
        if (isConnected && !wasConnected) this.#session.provider.sendPendingAgain()
      })
    ]
  }

  get current(): DocumentState {
    return this.#state.current
  }

  get doc(): Y.Doc {
    return this.#session.doc
  }

  get provider(): WebsocketProvider {
    return this.#session.provider
  }

  get awareness(): Awareness {
    return this.#session.provider.awareness
  }

  subscribe = this.#state.subscribe

  /** Resolves when there is something to show. */
  async whenLoaded(): Promise<void> {
    await until(this, ({ isLoaded }) => isLoaded)
  }

  /** Resolves when nothing waits to be saved. */
  async whenSaved(): Promise<void> {
    await until(this, ({ status }) => status === 'saved')
  }

  /** Try again after `refused`. */
  retry(): void {
    this.#session.connect()
  }

  discardDraft(id: string): void {
    this.#drafts = this.#drafts.filter((draft) => draft.id !== id)
    this.#session.discardDraft(id)
    this.#changed()
  }

  /** Be told of the old document when another has taken its place. */
  onReplaced(listener: (old: Y.Doc) => void): () => void {
    this.#replaced.add(listener)
    return () => this.#replaced.delete(listener)
  }

  /** Resolves when what was written here survives the end of this object. */
  async whenSafe(): Promise<void> {
    if (this.current.pendingEdits === 0) return
    await until(this, ({ status }) => status === 'saved' || status === 'held' || this.#session.isStored)
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const stop of this.#stops) stop()
    void this.#session.end()
  }

  /** The server has begun another history of this document: the old copy can't go on in it. */
  async #replace(): Promise<void> {
    const old = this.#session
    const draft = this.keepsDrafts && old.hasUnsaved ? draftOf(old.doc) : null
    if (draft !== null) this.#drafts = [...this.#drafts, draft]
    let parts = this.#parts
    try {
      await old.startAnew(draft)
    } catch (error) {
      console.warn(`${this.room} is kept in this browser no more:`, error)
      parts = { ...parts, offline: null } // the old copy would come back from there
    }
    if (this.#isEnded) return
    this.#isHeld = false
    this.#generation += 1
    this.#session = new Session(this.room, parts)
    void this.#session.begin()
    for (const listener of this.#replaced) listener(old.doc)
    this.#changed()
    old.doc.destroy()
  }

  #changed(): void {
    const session = this.#session
    if (session.pendingEdits === 0) this.#isHeld = false
    const stored = session.drafts.filter(({ id }) => this.#drafts.every((draft) => draft.id !== id))
    if (stored.length > 0) this.#drafts = [...this.#drafts, ...stored]
    this.#state.update({
      status: this.#isHeld ? 'held' : session.status,
      reason: session.reason,
      code: session.code,
      pendingEdits: session.pendingEdits,
      isLoaded: session.isLoaded,
      generation: this.#generation,
      drafts: this.#drafts
    })
  }
}

function draftOf(doc: Y.Doc): Draft {
  const root = doc.share.get('content')
  const isText = root instanceof Y.Text || root?.constructor === Y.AbstractType // loaded, and nobody has asked for it
  const text = isText ? doc.getText('content').toString() : ''
  return { id: uuidv4(), savedAt: new Date().toISOString(), text, update: Y.encodeStateAsUpdate(doc) }
}
