/** @costudio/client: what an app needs of a Costudio server, without a framework. docs/client.md tells how to use it. */
import type { Awareness } from 'y-protocols/awareness'
import type { WebsocketProvider } from 'y-websocket'
import type * as Y from 'yjs'
import type { Answers, ClientEvents, ClientEventType, JoinAck, Present, RoleName, ServerEvent, ServerEventType } from './events/types.js'
import type { Closable, Live } from './live/live.js'
import type { Lock, StoredNotification, Me } from './rest/types.js'
import type { Api } from './rest/api.js'

export * from './close-codes.js'
export * from './errors.js'
export type * from './events/types.js'
export type * from './live/live.js'
export type * from './rest/types.js'
export type { Api } from './rest/api.js'

export interface CostudioOptions {
  /** Where the server is, `https://costudio.example`. By default where the page comes from. */
  url?: string
  /** Asked for a token whenever one is needed: at each connection, and before the last one ends. */
  token: () => string | Promise<string>
  /** Asked for a one-use ticket for each document that is opened, so that no token stands in a URL. */
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

/** `closed`: for good, `reason` says why in words; `connect()` tries again. */
export interface ConnectionState {
  status: 'offline' | 'connecting' | 'connected' | 'closed'
  /** Close code of the last end; null if there was none, or the network ended. */
  code: number | null
  reason: string | null
  /** Who the token says that this is; null until the first connection. */
  user: { id: number; name: string } | null
}

/** The one connection to `/events`. It is opened by the first that needs it. */
export interface EventsClient extends Live<ConnectionState> {
  /** The socket of the moment, to look at; null while there is none. */
  readonly socket: WebSocket | null
  connect(): void
  close(): void
  /**
   * Resolves with the answer when it is done, and saved. While there is no connection it waits for one, and what was not
   * answered is sent again after a break. Rejects with CostudioError.
   */
  send<Type extends ClientEventType>(type: Type, payload: ClientEvents[Type]): Promise<Answers[Type]>
  /** Send without an answer, if there is a connection now: typing, cursors. */
  tell<Type extends ClientEventType>(type: Type, payload: ClientEvents[Type]): void
  /** Hear of all events of a type, in whatever room. Returns what ends that. */
  on<Type extends ServerEventType>(type: Type, handler: (event: ServerEvent<Type>) => void): () => void
  /** Be in a room; after a break one is in it again, and what was missed is told first. */
  join(room: string, options?: { away?: boolean }): JoinedRoom
}

export interface RoomState {
  isJoined: boolean
  role: RoleName
  members: readonly Present[]
  /** The answer to the last join; null before it. */
  ack: JoinAck | null
  /** Why the room could not be joined. */
  error: string | null
}

/** A room of the JSON protocol, with who is in it. */
export interface JoinedRoom extends Live<RoomState>, Closable {
  readonly room: string
  setAway(away: boolean): void
}

/**
 * `saved`: everything written here is committed on the server. `syncing`: something is on its way, or being loaded.
 * `held`: somebody else has locked the file; what is written here waits on the server for the end of the lock.
 * `refused`: the server does not take what is written here, or does not let one in; `reason` says why.
 */
export type DocumentStatus = 'offline' | 'syncing' | 'saved' | 'held' | 'refused'

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

export interface DocumentState {
  status: DocumentStatus
  reason: string | null
  code: number | null
  /** Edits made here that are not committed. */
  pendingEdits: number
  /** Whether there is something to show: from the local database, or from the server. */
  isLoaded: boolean
  /** Grows when the document is replaced: bind editors to the new `doc`. */
  generation: number
  drafts: readonly Draft[]
}

/** A document, kept in sync. `doc`, `provider` and `awareness` are new ones when `current.generation` has grown. */
export interface OpenDocument extends Live<DocumentState>, Closable {
  readonly room: string
  readonly doc: Y.Doc
  readonly provider: WebsocketProvider
  readonly awareness: Awareness
  /** Resolves when there is something to show. */
  whenLoaded(): Promise<void>
  /** Resolves when nothing waits to be saved. */
  whenSaved(): Promise<void>
  /** Try again after `refused`. */
  retry(): void
  discardDraft(id: string): void
}

/** A file of a workspace; its text is the root `content`. */
export interface OpenFile extends OpenDocument {
  readonly workspace: number
  readonly fileId: string
  readonly text: Y.Text
}

export interface Reaction {
  emoji: string
  userIds: readonly number[]
}

/** `sending`: it is only here so far. `delivered`, `read`: by at least one other. `refused`: the server did not take it. */
export type ChatMessageStatus = 'sending' | 'sent' | 'delivered' | 'read'

export interface ChatMessage {
  id: string
  /** Place in the chat; null while it is being sent. */
  seq: number | null
  senderId: number
  body: string
  sentAt: string | null
  serverTime: string | null
  editedAt: string | null
  isDeleted: boolean
  replyTo: string | null
  mentions: readonly number[]
  reactions: readonly Reaction[]
  status: ChatMessageStatus
  /** Others who have read it. */
  readBy: readonly number[]
  isOwn: boolean
}

export interface ChatState {
  /** In order; what is being sent is at the end. */
  messages: readonly ChatMessage[]
  /** Whether `loadOlder` would find more. */
  hasOlder: boolean
  unread: number
  readSeq: number
}

export interface OpenChat extends Live<ChatState>, Closable {
  readonly chat: number
  readonly room: string
  /** The thread's document: its status, what is pending. */
  readonly document: OpenDocument
  /** Shows at once and is sent when it can be. Returns the message's id. */
  send(body: string, options?: { replyTo?: string; mentions?: number[] }): string
  edit(id: string, body: string): void
  remove(id: string): void
  react(message: Pick<ChatMessage, 'id' | 'senderId'>, emoji: string): void
  unreact(message: Pick<ChatMessage, 'id' | 'senderId'>, emoji: string): void
  /** All up to the newest, or up to `seq`, is read. */
  markRead(seq?: number): void
  loadOlder(): Promise<void>
}

/** Locks of a workspace, as they come and go. */
export interface LocksState {
  locks: readonly Lock[]
  isLoaded: boolean
  error: string | null
}

export interface WorkspaceLocks extends Live<LocksState>, Closable {
  /** What is in the way of `userId` (by default: of this user) at this path; null if nothing is. */
  blocking(path: string, userId?: number): Lock | null
  /** One's own lock on just this path. */
  own(path: string): Lock | null
  /** Rejects with CostudioError `locked`; with `wait`, one is notified when it is free. */
  acquire(path: string, options?: { kind?: Lock['kind']; ttlSeconds?: number; wait?: boolean }): Promise<Lock>
  release(lock: Lock): Promise<void>
  transfer(lock: Lock, userId: number): Promise<Lock>
  force(lock: Lock, reason: string): Promise<void>
}

export interface NotificationsState {
  /** Newest first. */
  items: readonly StoredNotification[]
  unread: number
  hasOlder: boolean
  isLoaded: boolean
}

export interface Notifications extends Live<NotificationsState>, Closable {
  markRead(id: number): Promise<void>
  markAllRead(): Promise<void>
  archive(id: number): Promise<void>
  loadOlder(): Promise<void>
}

/** One per app. Whatever is opened twice is open once, and closed when all have closed it. */
export declare class CostudioClient {
  constructor(options: CostudioOptions)
  readonly events: EventsClient
  /** The HTTP API, typed. */
  readonly api: Api
  me(): Promise<Me>
  openFile(workspace: number, fileId: string): OpenFile
  openChat(chat: number): OpenChat
  /** Any room with a document, such as the tree `workspace:1`. */
  openDocument(room: string): OpenDocument
  /** Who is in a room; in `global`: who of all one knows is online. */
  presence(room: string): JoinedRoom
  locks(workspace: number): WorkspaceLocks
  notifications(): Notifications
  /** End all connections. What is not saved stays in the local database, if there is one. */
  close(): void
}
