import { OpenChat } from './chat/open-chat.js'
import { TokenSource } from './connecting/token-source.js'
import { OpenDocument } from './documents/open-document.js'
import { OpenFile } from './documents/open-file.js'
import { EventsClient } from './events/events-client.js'
import type { JoinedRoom } from './events/joined-room.js'
import { Shared } from './live/shared.js'
import { Notifications } from './notifications/notifications.js'
import { Api } from './rest/api.js'
import { Http } from './rest/http.js'
import type { Me } from './rest/types.js'
import { WorkspaceLocks } from './workspace/locks.js'

export interface CostudioOptions {
  /** Where the server is, `https://costudio.example`. By default where the page comes from. */
  url?: string
  /** Asked for a token when one is needed, and before the last one ends. */
  token: () => string | Promise<string>
  /** Asked for a one-use ticket for each connection to a document, so that no token stands in a URL. */
  ticket?: (room: string) => string | Promise<string>
  /**
   * Keep documents in this browser's IndexedDB (takes the package y-indexeddb), under this name. Have the user in it:
   * people who share a browser must not share what is not saved yet.
   */
  offline?: string
  /** For programs outside of a browser. */
  WebSocket?: typeof WebSocket
  fetch?: typeof fetch
}

/** One per app. Whatever is opened twice is open once, and ends when all have closed it. */
export class CostudioClient {
  readonly events: EventsClient
  /** The HTTP API, typed. */
  readonly api: Api
  readonly #tokens: TokenSource
  readonly #parts: ConstructorParameters<typeof OpenFile>[2]
  readonly #documents = new Shared<OpenDocument>(
    (document) => document.end(),
    (document) => document.whenSafe()
  )
  readonly #things = new Shared<{ end(): void }>((thing) => thing.end())

  constructor(options: CostudioOptions) {
    const url = (options.url ?? location.origin).replace(/\/+$/, '')
    const sockets = url.replace(/^http/, 'ws')
    const Socket = options.WebSocket ?? globalThis.WebSocket
    this.#tokens = new TokenSource(options.token)
    this.api = new Api(new Http(url, this.#tokens, options.fetch ?? globalThis.fetch.bind(globalThis)))
    this.events = new EventsClient(`${sockets}/events`, this.#tokens, Socket)
    this.#parts = {
      url: `${sockets}/ws`,
      Socket,
      offline: options.offline ?? null,
      credentials: async (room) =>
        options.ticket ? { ticket: await options.ticket(room) } : { token: await this.#tokens.get() },
      forgetToken: () => this.#tokens.forget()
    }
  }

  /** Who the token says that this is. */
  me(): Promise<Me> {
    return this.api.me()
  }

  openFile(workspace: number, name: string): OpenFile {
    const fileId = name.normalize() // as the server names it
    const open = (release: () => void): OpenFile => new OpenFile(workspace, fileId, this.#parts, this.events, release)
    this.events.connect()
    return this.#documents.open(`workspace:${workspace}/${fileId}`, open) as OpenFile
  }

  /** Any room with a document, such as the tree `workspace:1`; for files and chats the other two know more. */
  openDocument(room: string): OpenDocument {
    this.events.connect()
    const isChat = room.startsWith('chat:')
    return this.#documents.open(room, (release) => new OpenDocument(room, this.#parts, this.events, !isChat, release))
  }

  openChat(chat: number): OpenChat {
    return this.#things.open(
      `chat ${chat}`,
      (release) => new OpenChat(chat, this.openDocument(`chat:${chat}`), this.events, this.api, release)
    ) as OpenChat
  }

  /** Who is in a room; in `global`: who of all whom one knows is online. */
  presence(room: string): JoinedRoom {
    return this.events.join(room)
  }

  locks(workspace: number): WorkspaceLocks {
    return this.#things.open(
      `locks ${workspace}`,
      (release) => new WorkspaceLocks(workspace, this.api, this.events, release)
    ) as WorkspaceLocks
  }

  notifications(): Notifications {
    return this.#things.open(
      'notifications',
      (release) => new Notifications(this.api, this.events, release)
    ) as Notifications
  }

  /** End all connections. What is not saved stays in the local database, if there is one. */
  close(): void {
    this.#things.endAll()
    this.#documents.endAll()
    this.events.close()
  }
}
