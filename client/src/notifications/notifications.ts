import type { EventsClient } from '../events/events-client.js'
import type { NotificationPayload } from '../events/types.js'
import type { Live } from '../live/live.js'
import { LiveValue } from '../live/value.js'
import type { Api } from '../rest/api.js'
import type { StoredNotification } from '../rest/types.js'

export interface NotificationsState {
  /** Newest first. */
  items: readonly StoredNotification[]
  unread: number
  hasOlder: boolean
  isLoaded: boolean
}

const PAGE = 30

/** The user's notifications, the same on all devices. */
export class Notifications implements Live<NotificationsState> {
  readonly #state = new LiveValue<NotificationsState>({ items: [], unread: 0, hasOlder: false, isLoaded: false })
  readonly #stops: (() => void)[]
  #loading: Promise<void> | null = null
  #isStale = false
  #wasConnected = false

  constructor(
    private readonly api: Api,
    events: EventsClient,
    readonly close: () => void
  ) {
    const reload = (): void => {
      const isConnected = events.current.status === 'connected'
      if (isConnected && !this.#wasConnected) this.#refresh()
      this.#wasConnected = isConnected
    }
    this.#stops = [events.on('notification', ({ payload }) => this.#take(payload)), events.subscribe(reload)]
    events.connect()
    this.#refresh()
  }

  get current(): NotificationsState {
    return this.#state.current
  }

  subscribe(listener: () => void): () => void {
    return this.#state.subscribe(listener)
  }

  async markRead(id: number): Promise<void> {
    this.#read((item) => item.id === id, (await this.api.notifications.markRead(id)).unread)
  }

  /** Those that are shown; what comes meanwhile stays unread. */
  async markAllRead(): Promise<void> {
    const newest = this.current.items[0]?.id
    if (newest !== undefined)
      this.#read((item) => item.id <= newest, (await this.api.notifications.markAllRead(newest)).unread)
  }

  async archive(id: number): Promise<void> {
    const { unread } = await this.api.notifications.archive(id)
    this.#state.update({ unread, items: this.current.items.filter((item) => item.id !== id) })
  }

  async loadOlder(): Promise<void> {
    const before = this.current.items.at(-1)?.id
    if (before === undefined) return
    const page = await this.api.notifications.list({ before, limit: PAGE })
    this.#state.update({ items: [...this.current.items, ...page.items], hasOlder: page.next_before !== null })
  }

  end(): void {
    for (const stop of this.#stops) stop()
  }

  #take({ kind, id, unread }: NotificationPayload): void {
    if (kind === 'notification_read' && id) this.#read((item) => item.id === id, unread ?? this.current.unread)
    else this.#refresh() // the event has not all that is shown
  }

  #read(isMeant: (item: StoredNotification) => boolean, unread: number): void {
    const readAt = new Date().toISOString()
    const items = this.current.items.map((item) =>
      isMeant(item) && item.read_at === null ? { ...item, read_at: readAt } : item
    )
    this.#state.update({ items, unread })
  }

  /** Once more if something comes meanwhile; never twice at once. */
  #refresh(): void {
    this.#isStale = true
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null
    })
  }

  async #load(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false
      try {
        const [page, { unread }] = await Promise.all([
          this.api.notifications.list({ limit: PAGE }),
          this.api.notifications.count()
        ])
        const oldest = page.items.at(-1)?.id ?? 0
        const older = this.current.items.filter(({ id }) => id < oldest)
        const hasOlder = older.length > 0 ? this.current.hasOlder : page.next_before !== null
        this.#state.set({ items: [...page.items, ...older], unread, hasOlder, isLoaded: true })
      } catch {
        return // it is loaded with the next connection, or the next notification
      }
    }
  }
}
