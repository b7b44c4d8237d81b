/** The JSON protocol of `/events`: names, payloads and answers as they are on the wire (docs/events.md). */

export type RoleName = 'none' | 'viewer' | 'commenter' | 'editor' | 'admin'
export type PresenceState = 'online' | 'away'
export type MessageAction = 'send' | 'edit' | 'delete' | 'react' | 'unreact'
export type LockKind = 'session' | 'lease' | 'standing'
export type Resolution = 'yours' | 'theirs' | 'merged'

/** Where an end of a cursor is in a file's text; all count from 0, `column` in UTF-16 units. */
export interface TextPlace {
  line: number
  column: number
  code_points: number
}

export interface CursorPlace {
  anchor?: TextPlace | null
  head?: TextPlace | null
}

/** A program that acts by itself. */
export interface Agent {
  name: string
  run?: string | null
  on_behalf_of?: string | null
}

/** Somebody in a room, with all devices. */
export interface Present {
  user_id: number
  name: string | null
  color?: string | null
  avatar?: string | null
  agent?: Agent | null
  state: PresenceState
  typing: boolean
  activity?: string | null
  cursor?: unknown
  place?: CursorPlace | null
}

/** A message of a chat; its author is the event's `sender_id`. The order is `seq`. */
export interface MessagePayload {
  room: string
  event_seq?: number | null
  id: string
  seq: number
  action: MessageAction
  body: string
  reply_to?: string | null
  mentions: number[]
  sent_at?: string | null
  server_time: string
  edited_at?: string | null
  deleted: boolean
  /** Of `react` and `unreact`. */
  author_id?: number | null
  reaction?: string | null
}

/** All messages up to `seq` have this status with this user. */
export interface StatusEntry {
  user_id: number
  status: 'sent' | 'delivered' | 'read'
  seq: number
}

export interface LineRange {
  start: number
  end: number
}

/** What has become of a file of the tree; `file_id` is null for a folder. */
export interface ChangedFile {
  file_id: string | null
  /** Where it is, or was last. */
  path: string
  old_path?: string | null
  /** What was asked for, but is taken. */
  wanted_path?: string | null
}

/** What its sender has changed in a file (`action`), or what has become of files (`change`). */
export interface FileUpdatePayload {
  room: string
  action?: 'changed' | null
  file_id?: string | null
  path?: string | null
  version?: string | null
  lines?: LineRange[]
  added?: number
  removed?: number
  change?: 'created' | 'renamed' | 'deleted' | 'restored' | 'collided' | null
  files?: ChangedFile[]
}

/** `notification_read` and `read` tell what another device has read. */
export interface NotificationPayload {
  kind: string
  id?: number | null
  room?: string | null
  text?: string | null
  actor_id?: number | null
  message_id?: string | null
  seq?: number | null
  count?: number | null
  data?: Record<string, unknown>
  created_at?: string | null
  unread?: number | null
}

export interface LockChangedPayload {
  room: string
  path: string
  change: 'acquired' | 'renewed' | 'transferred' | 'released' | 'expired' | 'forced' | 'held'
  kind: LockKind
  lock_id: number
  fence: number
  holder_id: number | null
  expires_at?: string | null
}

export interface ConflictPayload {
  room: string
  path: string
  conflict_ids: number[]
  authors: number[]
  resolution?: Resolution | null
}

/** A role in a room has changed (with `none` the room is left), or the token is about to end. */
export interface PermissionChangedPayload {
  room?: string | null
  role?: RoleName | null
  reason?: 'token_expires' | null
  expires_at?: string | null
}

/** Type to payload of what the server says by itself. */
export interface ServerEvents {
  message: MessagePayload
  message_status: { room: string; statuses: StatusEntry[] }
  typing_start: { room: string; user_id: number }
  typing_stop: { room: string; user_id: number }
  presence_update: { room: string; user_id: number; state: PresenceState | 'offline'; activity?: string | null }
  user_joined: Present & { room: string }
  user_left: { room: string; user_id: number }
  cursor: { room: string; user_id: number; cursor: unknown; place?: CursorPlace | null }
  file_update: FileUpdatePayload
  notification: NotificationPayload
  lock_changed: LockChangedPayload
  conflict: ConflictPayload
  permission_changed: PermissionChangedPayload
  error: { code: string; reason: string; room?: string | null }
}

export type ServerEventType = keyof ServerEvents

/** An event as the server sends it; `sender_id` is null where the server speaks. */
export interface ServerEvent<Type extends ServerEventType = ServerEventType> {
  type: Type
  payload: ServerEvents[Type]
  timestamp: string
  sender_id: number | null
}

export interface OutgoingMessage {
  room: string
  /** The sender's own, a UUID: sent twice, it is one message. */
  id: string
  action?: MessageAction
  body?: string
  reply_to?: string | null
  mentions?: number[]
  sent_at?: string
  author_id?: number
  reaction?: string
}

export interface FileEdit {
  start: number
  end: number
  text?: string
}

/** Type to payload of what clients send. */
export interface ClientEvents {
  message: OutgoingMessage
  message_delivered: { room: string; seq: number }
  message_read: { room: string; seq: number }
  typing_start: { room: string }
  typing_stop: { room: string }
  cursor: { room: string; cursor: unknown }
  file_update: {
    room: string
    path: string
    version: string
    text?: string
    edits?: FileEdit[]
    unit?: 'utf16' | 'codepoint'
  }
  ping: Record<string, never>
}

export type ClientEventType = keyof ClientEvents

export interface ConnectAck {
  user_id: number
  name: string
  expires_at: string
  server_time: string
  protocol: number
  unread_notifications: number
}

/** With `gap` more was missed than is kept: read it at `rest`. */
export interface JoinAck {
  room: string
  role: RoleName
  members: Present[]
  last_seq: number
  gap: boolean
  rest?: string | null
  unread?: number | null
}

/** Type to what its `ack` holds. */
export interface Answers {
  message: { room?: string; id?: string; seq?: number; server_time?: string; [more: string]: unknown }
  message_delivered: Record<string, unknown>
  message_read: Record<string, unknown>
  typing_start: Record<string, unknown>
  typing_stop: Record<string, unknown>
  cursor: Record<string, unknown>
  file_update: { version: string; merged: boolean; conflicts: unknown[] }
  ping: Record<string, unknown>
}
