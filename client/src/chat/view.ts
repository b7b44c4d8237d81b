import type { ChatMessage, Mark, Thread } from './thread.js'

export interface ChatState {
  /** In order; what is being sent is at the end. */
  messages: readonly ChatMessage[]
  /** Whether `loadOlder` would find more. */
  hasOlder: boolean
  /** Of the messages that are loaded: those of others after the read mark. */
  unread: number
  readSeq: number
}

type Bare = Thread['messages'][number]

/**
 * What a chat shows: `thread` as the document has it, `older` pages from before it, `outbox` what is not in it yet. A message
 * is known by its id and its sender: it is there once, as what is furthest on its way. `readHere`: up to where it was read here;
 * the server may not know yet. `userId` is 0 in the outbox while it is not known.
 */
export function chatView(
  thread: Thread,
  older: readonly Bare[],
  outbox: readonly Bare[],
  userId: number | null,
  readHere: number
): ChatState {
  const byKey = new Map<string, Bare>()
  for (const message of [...older, ...thread.messages, ...outbox]) {
    const key = keyOf(message)
    if (!byKey.has(key) || message.seq !== null) byKey.set(key, message)
  }
  const bare = [...byKey.values()].sort((one, other) => (one.seq ?? Infinity) - (other.seq ?? Infinity) || 0)
  const others = [...thread.marks].filter(([id]) => id !== userId)
  const readSeq = Math.max(readHere, userId === null ? 0 : (thread.marks.get(userId)?.readSeq ?? 0))
  const messages = bare.map((message) => withStatus(message, others, userId))
  return {
    messages,
    hasOlder: (bare[0]?.seq ?? 1) > 1,
    unread: messages.filter(({ seq, isOwn, isDeleted }) => seq !== null && seq > readSeq && !isOwn && !isDeleted)
      .length,
    readSeq
  }
}

function withStatus(message: Bare, others: [number, Mark][], userId: number | null): ChatMessage {
  const { seq } = message
  const isOwn = message.senderId === (userId ?? 0)
  if (seq === null) return { ...message, status: 'sending', readBy: [], isOwn }
  const readers = others.filter(([id, mark]) => id !== message.senderId && mark.readSeq >= seq)
  const isDelivered = others.some(([id, mark]) => id !== message.senderId && mark.deliveredSeq >= seq)
  const status = readers.length > 0 ? 'read' : isDelivered ? 'delivered' : 'sent'
  return { ...message, status, readBy: readers.map(([id]) => id), isOwn }
}

/** The same messages as objects that were shown before, where they say the same: what shows them need not be made anew. */
export function keepingObjects(before: ChatState, now: ChatState): ChatState {
  const known = new Map(before.messages.map((message) => [keyOf(message), message]))
  const messages = now.messages.map((message) => {
    const old = known.get(keyOf(message))
    return old !== undefined && JSON.stringify(old) === JSON.stringify(message) ? old : message
  })
  const isSame =
    messages.length === before.messages.length && messages.every((message, i) => message === before.messages[i])
  return { ...now, messages: isSame ? before.messages : messages }
}

function keyOf({ senderId, id }: Bare): string {
  return `${senderId}:${id}`
}
