import type { EventsClient } from '../events/events-client.js'
import type { JoinedRoom } from '../events/joined-room.js'
import type { LockChangedPayload } from '../events/types.js'
import type { Live } from '../live/live.js'
import { LiveValue } from '../live/value.js'
import type { Api } from '../rest/api.js'
import type { Lock } from '../rest/types.js'

export interface LocksState {
  locks: readonly Lock[]
  isLoaded: boolean
  /** Why they could not be loaded. */
  error: string | null
}

/** The locks of a workspace, as they come and go. */
export class WorkspaceLocks implements Live<LocksState> {
  readonly #state = new LiveValue<LocksState>({ locks: [], isLoaded: false, error: null })
  readonly #room: JoinedRoom
  readonly #stops: (() => void)[]
  #ack: unknown = null
  #changes = 0

  constructor(
    readonly workspace: number,
    private readonly api: Api,
    private readonly events: EventsClient,
    readonly close: () => void
  ) {
    this.#room = events.join(`workspace:${workspace}`)
    this.#stops = [
      events.on('lock_changed', ({ payload }) => {
        if (payload.room === this.#room.room) void this.#take(payload)
      }),
      this.#room.subscribe(() => this.#loadAfterJoin())
    ]
    void this.#load()
  }

  get current(): LocksState {
    return this.#state.current
  }

  subscribe(listener: () => void): () => void {
    return this.#state.subscribe(listener)
  }

  /** What is in the way of `userId` (by default: of this user) at this path; null if nothing is. */
  blocking(path: string, userId = this.events.current.user?.id): Lock | null {
    return (
      this.current.locks.find((lock) => lock.holder_id !== userId && overlap(lock.path, path.normalize())) ?? null
    )
  }

  /** One's own lock on just this path. */
  own(path: string): Lock | null {
    const userId = this.events.current.user?.id
    return this.current.locks.find((lock) => lock.holder_id === userId && lock.path === path.normalize()) ?? null
  }

  /** Rejects with CostudioError `locked`; with `wait`, one is notified when it is free. */
  async acquire(
    path: string,
    options: { kind?: Lock['kind']; ttlSeconds?: number; wait?: boolean } = {}
  ): Promise<Lock> {
    return this.#put(await this.api.locks.acquire(this.workspace, path, options))
  }

  async release(lock: Lock): Promise<void> {
    await this.api.locks.release(lock.id)
    this.#remove(lock.id)
  }

  async transfer(lock: Lock, userId: number): Promise<Lock> {
    return this.#put(await this.api.locks.transfer(lock.id, userId))
  }

  /** For admins: end somebody else's. */
  async force(lock: Lock, reason: string): Promise<void> {
    await this.api.locks.force(lock.id, reason)
    this.#remove(lock.id)
  }

  end(): void {
    for (const stop of this.#stops) stop()
    this.#room.close()
  }

  /** What happened before one was in the room is not told. */
  #loadAfterJoin(): void {
    const { ack } = this.#room.current
    if (ack === this.#ack) return
    this.#ack = ack
    void this.#load()
  }

  /** Once more if something has happened meanwhile. */
  async #load(): Promise<void> {
    const changes = this.#changes
    try {
      const locks: Lock[] = []
      for (let after: number | null = 0; after !== null;) {
        const page: { items: Lock[]; next_after: number | null } = await this.api.locks.list({
          workspace: this.workspace,
          after,
          limit: 200
        })
        locks.push(...page.items)
        after = page.next_after
      }
      if (changes !== this.#changes) return await this.#load()
      this.#state.set({ locks, isLoaded: true, error: null })
    } catch (error) {
      this.#state.update({ error: error instanceof Error ? error.message : String(error) })
    }
  }

  async #take({ change, lock_id, path, expires_at = null }: LockChangedPayload): Promise<void> {
    if (change === 'released' || change === 'expired' || change === 'forced') return this.#remove(lock_id)
    const known = this.current.locks.find(({ id }) => id === lock_id)
    if (change === 'renewed' && known !== undefined) return void this.#put({ ...known, expires_at })
    try {
      const { items } = await this.api.locks.list({ workspace: this.workspace, path })
      for (const lock of items) this.#put(lock) // the event has no name
    } catch {
      void this.#load()
    }
  }

  #put(lock: Lock): Lock {
    this.#changes += 1
    this.#state.update({ locks: [...this.current.locks.filter(({ id }) => id !== lock.id), lock] })
    return lock
  }

  #remove(id: number): void {
    this.#changes += 1
    this.#state.update({ locks: this.current.locks.filter((lock) => lock.id !== id) })
  }
}

/** Whether they are the same, or one is above the other. */
function overlap(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`)
}
