import type { RoleName } from '../events/types.js'
import { FilesApi } from './files.js'
import { HistoryApi } from './history.js'
import { urlPath, type Http } from './http.js'
import { TreeApi } from './tree.js'
import type {
  DocumentInfo,
  Lock,
  Me,
  Membership,
  NotificationLevel,
  NotificationPreferences,
  PageDown,
  PageUp,
  Project,
  ProjectPart,
  Receipt,
  RoomPresenceEntry,
  RoomRole,
  StoredMessage,
  StoredNotification,
  Ticket,
  Unread,
  UserPresence
} from './types.js'

type Up = { after?: number; limit?: number }
type Down = { before?: number; limit?: number }

/** The HTTP API, typed. Every method rejects with CostudioError. */
export class Api {
  readonly files: FilesApi
  readonly tree: TreeApi
  readonly history: HistoryApi

  constructor(
    /** For routes that have no method here. */
    readonly http: Http
  ) {
    this.files = new FilesApi(http)
    this.tree = new TreeApi(http)
    this.history = new HistoryApi(http)
  }

  me = (): Promise<Me> => this.http.json('GET', '/me')
  role = (room: string): Promise<RoomRole> => this.http.json('GET', `/roles/${urlPath(room)}`)
  ticket = (room: string): Promise<Ticket> => this.http.json('POST', '/tickets', { body: { room } })
  document = (room: string): Promise<DocumentInfo> => this.http.json('GET', `/documents/${urlPath(room)}`)

  /** Projects, and the workspaces and chats in them. */
  readonly projects = {
    list: (page: Up = {}): Promise<PageUp<Project>> => this.http.json('GET', '/projects', { query: page }),
    create: (name: string): Promise<Project> => this.http.json('POST', '/projects', { body: { name } }),
    get: (id: number): Promise<Project> => this.http.json('GET', `/projects/${id}`),
    workspaces: (id: number, page: Up = {}): Promise<PageUp<ProjectPart>> =>
      this.http.json('GET', `/projects/${id}/workspaces`, { query: page }),
    createWorkspace: (id: number, name: string): Promise<ProjectPart> =>
      this.http.json('POST', `/projects/${id}/workspaces`, { body: { name } }),
    chats: (id: number, page: Up = {}): Promise<PageUp<ProjectPart>> =>
      this.http.json('GET', `/projects/${id}/chats`, { query: page }),
    createChat: (id: number, name: string): Promise<ProjectPart> =>
      this.http.json('POST', `/projects/${id}/chats`, { body: { name } }),
    members: (id: number, page: Up = {}): Promise<PageUp<Membership>> =>
      this.http.json('GET', `/projects/${id}/members`, { query: page }),
    setMember: (id: number, userId: number, role: RoleName): Promise<Membership> =>
      this.http.json('PUT', `/projects/${id}/members/${userId}`, { body: { role } })
  }

  workspace = (id: number): Promise<ProjectPart> => this.http.json('GET', `/workspaces/${id}`)
  chat = (id: number): Promise<ProjectPart> => this.http.json('GET', `/chats/${id}`)

  /** What is said in chats. */
  readonly messages = {
    list: (chat: number, page: Down = {}): Promise<PageDown<StoredMessage>> =>
      this.http.json('GET', `/chats/${chat}/messages`, { query: page }),
    get: (chat: number, id: string, senderId?: number): Promise<StoredMessage> =>
      this.http.json('GET', `/chats/${chat}/messages/${id}`, { query: { sender_id: senderId } }),
    receipts: (chat: number): Promise<{ items: Receipt[] }> => this.http.json('GET', `/chats/${chat}/receipts`),
    markRead: (chat: number, seq: number): Promise<Unread & { receipt: Receipt }> =>
      this.http.json('PUT', `/chats/${chat}/read`, { body: { seq } }),
    /** Of these chats, or of all of the caller's; not `complete`: there are more. */
    unread: (chats?: number[]): Promise<{ items: Unread[]; complete: boolean }> =>
      this.http.json('GET', '/unread', { query: { chats: chats?.join(',') } }),
    search: (
      q: string,
      where: Down & { chat?: number; project?: number } = {}
    ): Promise<PageDown<StoredMessage> & { complete: boolean }> =>
      this.http.json('GET', '/search/messages', { query: { q, ...where } })
  }

  readonly locks = {
    /** Those that are in the way at `path`: on it, above it, below it. */
    list: (where: Up & { workspace?: number; path?: string; holder?: number } = {}): Promise<PageUp<Lock>> =>
      this.http.json('GET', '/locks', { query: where }),
    acquire: (
      workspace: number,
      path: string,
      { kind, ttlSeconds, wait }: { kind?: Lock['kind']; ttlSeconds?: number; wait?: boolean } = {}
    ): Promise<Lock> =>
      this.http.json('POST', '/locks', {
        body: { workspace_id: workspace, path, kind, ttl_seconds: ttlSeconds, wait }
      }),
    renew: (id: number, ttlSeconds?: number): Promise<Lock> =>
      this.http.json('POST', `/locks/${id}/renew`, { body: { ttl_seconds: ttlSeconds } }),
    release: (id: number): Promise<void> => this.http.json('DELETE', `/locks/${id}`),
    transfer: (id: number, userId: number): Promise<Lock> =>
      this.http.json('POST', `/locks/${id}/transfer`, { body: { user_id: userId } }),
    force: (id: number, reason: string): Promise<Lock> =>
      this.http.json('POST', `/locks/${id}/force`, { body: { reason } })
  }

  readonly notifications = {
    list: (where: Down & { unread?: boolean; archived?: boolean } = {}): Promise<PageDown<StoredNotification>> =>
      this.http.json('GET', '/notifications', { query: where }),
    count: (): Promise<{ unread: number }> => this.http.json('GET', '/notifications/count'),
    markRead: (id: number): Promise<{ unread: number }> => this.http.json('POST', `/notifications/${id}/read`),
    /** `upTo`: what came after it stays unread. */
    markAllRead: (upTo?: number): Promise<{ unread: number }> =>
      this.http.json('POST', '/notifications/read-all', { query: { up_to: upTo } }),
    archive: (id: number): Promise<{ unread: number }> => this.http.json('POST', `/notifications/${id}/archive`),
    preferences: (): Promise<NotificationPreferences> => this.http.json('GET', '/notifications/preferences'),
    /** Of one chat, `chat:7`, or of all others (null); `null` as level takes it back. */
    prefer: (room: string | null, level: NotificationLevel | null): Promise<NotificationPreferences> =>
      this.http.json('PUT', '/notifications/preferences', { body: { room, level } })
  }

  readonly presence = {
    user: (id: number): Promise<UserPresence> => this.http.json('GET', `/users/${id}/presence`),
    room: (room: string): Promise<{ room: string; items: RoomPresenceEntry[] }> =>
      this.http.json('GET', `/rooms/${urlPath(room)}/presence`),
    project: (id: number, page: Up = {}): Promise<PageUp<UserPresence>> =>
      this.http.json('GET', '/presence', { query: { project: id, ...page } }),
    isInvisible: async (): Promise<boolean> =>
      (await this.http.json<{ invisible: boolean }>('GET', '/users/me/visibility')).invisible,
    setInvisible: (invisible: boolean): Promise<{ invisible: boolean }> =>
      this.http.json('PUT', '/users/me/visibility', { body: { invisible } })
  }
}
