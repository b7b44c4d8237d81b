/** What the HTTP API answers, as it is on the wire (`/api/openapi.json`). Times are ISO 8601. */
import type { Agent, LockKind, PresenceState, Resolution, RoleName } from '../events/types.js'

export interface Me {
  user_id: number
  name: string
  issuer: string
  subject: string
  color: string | null
  avatar: string | null
  expires_at: string
  agent: Agent | null
}

export interface RoomRole {
  room: string
  role: RoleName
  /** Names of what it allows there, such as `write_file`. */
  may: string[]
}

export interface Ticket {
  ticket: string
  expires_in: number
}

/** A page of a list that goes up; ask again with `after: next_after` until it is null. */
export interface PageUp<Item, Cursor = number> {
  items: Item[]
  next_after: Cursor | null
}

/** A page of a list that goes from new to old; ask again with `before: next_before` until it is null. */
export interface PageDown<Item> {
  items: Item[]
  next_before: number | null
}

export interface Project {
  id: number
  name: string
  created_at: string
  role: RoleName
}

/** A workspace or a chat of a project. */
export interface ProjectPart extends Project {
  project_id: number
}

export interface Membership {
  user_id: number
  name: string
  role: RoleName
}

// --- files

export interface FileText {
  text: string
  /** Names what was read; goes into the next change. */
  version: string
}

export interface FoundConflict {
  id: number
  lines: { start: number; end: number }
  base: string
  yours: string
  theirs: string
  merged: string
  others: number[]
}

/** `merged`: the version has changes of others too, so read it before the next change. */
export interface Written {
  version: string
  merged: boolean
  conflicts: FoundConflict[]
}

/** `yours` is what `author_id` wrote, `theirs` what `others` did; `resolution` is null while it is open. */
export interface StoredConflict {
  id: number
  path: string
  base: string
  yours: string
  theirs: string
  merged: string
  author_id: number
  others: number[]
  created_at_ms: number
  resolution: Resolution | null
  resolved_by: number | null
  resolved_at_ms: number | null
}

export interface TreeFile {
  file_id: string
  path: string
  language: string
  /** Null if nobody knows. */
  created_by: number | null
  created_at: string
  /** Where its content is edited. */
  room: string
}

/** One that was made; others are where files are. */
export interface TreeFolder {
  path: string
  created_by: number | null
  created_at: string
}

export interface Tree {
  files: TreeFile[]
  folders: TreeFolder[]
}

/** A file in the trash; `batch` is the same for all that went there together. */
export interface TrashedFile extends TreeFile {
  deleted_at: string
  deleted_by: number | null
  batch: string
}

export interface Lock {
  id: number
  workspace_id: number
  path: string
  kind: LockKind
  holder_id: number
  holder_name: string
  /** Grows with every acquisition: whoever stores what a holder sends refuses a lower one than it has seen. */
  fence: number
  acquired_at: string
  /** Null if it does not end by itself. */
  expires_at: string | null
}

/** The details of an error `locked`. */
export interface LockedDetails {
  lock_id: number | null
  path: string | null
  kind: LockKind
  holder_id: number
  holder_name: string
  since: string
  expires_at: string | null
  waiting: number[]
}

// --- chats

export interface StoredMessage {
  chat_id: number
  id: string
  seq: number
  sender_id: number
  body: string
  reply_to: string | null
  mentions: number[]
  sent_at: string | null
  server_time: string
  edited_at: string | null
  deleted: boolean
}

export interface Receipt {
  user_id: number
  delivered_seq: number
  read_seq: number
  updated_at: string
}

export interface Unread {
  chat_id: number
  unread: number
}

// --- people

export interface RoomPresenceEntry {
  user_id: number
  name: string | null
  state: PresenceState
  doing: 'viewing' | 'typing' | 'editing'
  typing: boolean
  activity: string | null
  cursor: unknown
}

export interface UserPresence {
  user_id: number
  name: string
  state: PresenceState | 'offline'
  last_seen: string | null
  rooms: (Omit<RoomPresenceEntry, 'user_id' | 'name'> & { room: string; file: string | null })[]
}

// --- notifications

export interface StoredNotification {
  id: number
  kind: string
  room: string
  actor_id: number | null
  /** What the message says now; null where it is deleted, or not the caller's to read any more. */
  text: string | null
  message_id: string | null
  seq: number | null
  count: number
  data: Record<string, unknown>
  created_at: string
  read_at: string | null
  archived: boolean
}

export type NotificationLevel = 'mute' | 'mentions' | 'all'

export interface NotificationPreferences {
  default: NotificationLevel
  rooms: Record<string, NotificationLevel>
}

// --- documents

export interface DocumentInfo {
  room: string
  epoch: number
  last_seq: number
  [more: string]: unknown
}

// --- history

/** What one user wrote in one go; null for what the server wrote by itself. */
export interface HistoryEntry {
  seq: number
  first_seq: number
  user_id: number | null
  began_at: string
  ended_at: string
  changes: number
  size_bytes: number
}

/** The text, and whose its ranges are: in UTF-16 units as JavaScript's, in order and without a hole. */
export interface Blame {
  text: string
  ranges: { start: number; end: number; user_id: number | null; at: string; seq: number }[]
}

/** The text at two moments as one, in order. Who did it, and when, is null for what is on both sides. */
export interface HistoryDiff {
  parts: {
    side: 'both' | 'added' | 'removed'
    text: string
    user_id: number | null
    at: string | null
    seq: number | null
  }[]
}

export interface NamedVersion {
  id: number
  name: string
  seq: number
  user_id: number
  created_at: string
}
