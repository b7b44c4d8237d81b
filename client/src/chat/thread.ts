import * as Y from 'yjs'
import type { StoredMessage } from '../rest/types.js'

export interface Reaction {
  emoji: string
  userIds: readonly number[]
}

/** `sending`: it is only here so far. `delivered`, `read`: by at least one other. */
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

/** How far somebody has got. */
export interface Mark {
  deliveredSeq: number
  readSeq: number
}

/** What a thread's document says (docs/chat-documents.md). */
export interface Thread {
  /** Without status; in the document's order. */
  messages: Omit<ChatMessage, 'status' | 'readBy' | 'isOwn'>[]
  marks: Map<number, Mark>
}

export const messagesOf = (doc: Y.Doc): Y.Array<Y.Map<unknown>> => doc.getArray('messages')
export const reactionsOf = (doc: Y.Doc): Y.Map<unknown> => doc.getMap('reactions')

export function readThread(doc: Y.Doc): Thread {
  const reactions = readReactions(reactionsOf(doc))
  const messages = messagesOf(doc)
    .toArray()
    .flatMap((map) => (map instanceof Y.Map ? readMessage(map, reactions) : []))
  return { messages, marks: readMarks(doc.getMap('receipts')) }
}

/** One that the server has stored, and the document has no more. */
export function fromStored(stored: StoredMessage): Thread['messages'][number] {
  return {
    id: stored.id,
    seq: stored.seq,
    senderId: stored.sender_id,
    body: stored.body,
    sentAt: stored.sent_at,
    serverTime: stored.server_time,
    editedAt: stored.edited_at,
    isDeleted: stored.deleted,
    replyTo: stored.reply_to,
    mentions: stored.mentions,
    reactions: []
  }
}

/** Of two accounts of how far everybody has got, what both know. */
export function furthest(one: ReadonlyMap<number, Mark>, other: ReadonlyMap<number, Mark>): Map<number, Mark> {
  const found = new Map(one)
  for (const [userId, mark] of other) {
    const known = found.get(userId) ?? mark
    found.set(userId, {
      deliveredSeq: Math.max(known.deliveredSeq, mark.deliveredSeq),
      readSeq: Math.max(known.readSeq, mark.readSeq)
    })
  }
  return found
}

function readMessage(map: Y.Map<unknown>, reactions: Map<string, Reaction[]>): Thread['messages'] {
  const [id, senderId] = [map.get('id'), map.get('sender_id')]
  if (typeof id !== 'string' || typeof senderId !== 'number') return [] // a draft of a message
  const isDeleted = map.get('deleted') === true
  const mentions = map.get('mentions')
  const message = {
    id,
    seq: typeof map.get('seq') === 'number' ? (map.get('seq') as number) : null,
    senderId,
    body: isDeleted ? '' : (text(map.get('body')) ?? ''),
    sentAt: text(map.get('sent_at')),
    serverTime: text(map.get('server_time')),
    editedAt: text(map.get('edited_at')),
    isDeleted,
    replyTo: text(map.get('reply_to')),
    mentions: Array.isArray(mentions) && !isDeleted ? mentions.filter((each) => typeof each === 'number') : [],
    reactions: reactions.get(id) ?? []
  }
  return [message]
}

/** Keys are `{message id}:{user id}:{emoji}`; an emoji may be a name in colons. */
function readReactions(root: Y.Map<unknown>): Map<string, Reaction[]> {
  const found = new Map<string, Map<string, number[]>>()
  for (const key of [...root.keys()].sort()) {
    const match = /^([^:]+):(\d+):(.+)$/.exec(key)
    if (match === null) continue
    const [, id, userId, emoji] = match as unknown as [string, string, string, string]
    const ofMessage = found.get(id) ?? new Map<string, number[]>()
    found.set(id, ofMessage.set(emoji, [...(ofMessage.get(emoji) ?? []), Number(userId)]))
  }
  return new Map([...found].map(([id, each]) => [id, [...each].map(([emoji, userIds]) => ({ emoji, userIds }))]))
}

function readMarks(root: Y.Map<unknown>): Map<number, Mark> {
  const marks = new Map<number, Mark>()
  for (const [userId, value] of root.entries()) {
    const { delivered_seq, read_seq } = (value instanceof Y.Map ? value.toJSON() : value) as Record<string, unknown>
    const readSeq = typeof read_seq === 'number' ? read_seq : 0
    marks.set(Number(userId), {
      readSeq,
      deliveredSeq: Math.max(readSeq, typeof delivered_seq === 'number' ? delivered_seq : 0)
    })
  }
  return marks
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
