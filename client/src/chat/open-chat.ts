import { uuidv4 } from 'lib0/random'
import * as Y from 'yjs'
import type { OpenDocument } from '../documents/open-document.js'
import { CostudioError } from '../errors.js'
import type { EventsClient } from '../events/events-client.js'
import type { JoinedRoom } from '../events/joined-room.js'
import type { MessagePayload, OutgoingMessage, StatusEntry } from '../events/types.js'
import type { Live } from '../live/live.js'
import { LiveValue } from '../live/value.js'
import type { Api } from '../rest/api.js'
import {
  fromStored,
  furthest,
  messagesOf,
  reactionsOf,
  readThread,
  type ChatMessage,
  type Mark,
  type Thread
} from './thread.js'
import { chatView, keepingObjects, type ChatState } from './view.js'

type Bare = Thread['messages'][number]
type Named = Pick<ChatMessage, 'id' | 'senderId'>

const PAGE = 50
const MAX_BODY_BYTES = 16 * 1024

/** A chat: its thread as a document, so that one writes while offline too; older messages come page by page. */
export class OpenChat implements Live<ChatState> {
  readonly #state: LiveValue<ChatState>
  readonly #room: JoinedRoom
  readonly #stops: (() => void)[]
  #doc: Y.Doc
  #older: Bare[] = []
  #outbox: Bare[] = []
  readonly #marks = new Map<number, Mark>()
  #readHere = 0
  #isDue = false
  #isEnded = false

  constructor(
    readonly chat: number,
    /** The thread's document: its status, what is pending. */
    readonly document: OpenDocument,
    private readonly events: EventsClient,
    private readonly api: Api,
    readonly close: () => void
  ) {
    this.#state = new LiveValue<ChatState>({ messages: [], hasOlder: false, unread: 0, readSeq: 0 })
    this.#room = events.join(this.room)
    this.#doc = document.doc
    this.#doc.on('afterTransaction', this.#changed)
    this.#stops = [
      document.onReplaced((old) => this.#moveTo(old)),
      document.subscribe(this.#changed),
      events.subscribe(this.#changed),
      events.on('message', ({ payload }) => {
        if (payload.room === this.room) this.#correct(payload)
      }),
      events.on('message_status', ({ payload }) => {
        if (payload.room === this.room) this.#mark(payload.statuses)
      })
    ]
  }

  get room(): string {
    return `chat:${this.chat}`
  }

  get current(): ChatState {
    return this.#state.current
  }

  subscribe(listener: () => void): () => void {
    return this.#state.subscribe(listener)
  }

  /** Shows at once and is sent when it can be. Returns the message's id. Throws CostudioError `too_large`. */
  send(body: string, { replyTo, mentions = [] }: { replyTo?: string; mentions?: number[] } = {}): string {
    checkLength(body)
    const id = uuidv4()
    this.#outbox.push({
      id,
      body,
      mentions,
      seq: null,
      senderId: this.#userId ?? 0,
      sentAt: new Date().toISOString(),
      serverTime: null,
      editedAt: null,
      isDeleted: false,
      replyTo: replyTo ?? null,
      reactions: []
    })
    this.#update()
    return id
  }

  /** One's own. Throws CostudioError `too_large`. */
  edit(id: string, body: string): void {
    checkLength(body)
    this.#change(id, { body, edited_at: new Date().toISOString() }, { action: 'edit', body })
  }

  remove(id: string): void {
    this.#change(id, { deleted: true }, { action: 'delete' })
  }

  react(message: Named, emoji: string): void {
    this.#react('react', message, emoji)
  }

  unreact(message: Named, emoji: string): void {
    this.#react('unreact', message, emoji)
  }

  /** All up to the newest, or up to `seq`, is read. */
  markRead(seq?: number): void {
    const newest = this.current.messages.filter((message) => message.seq !== null).at(-1)?.seq ?? 0
    const upTo = Math.min(seq ?? newest, newest)
    if (upTo <= this.current.readSeq) return
    this.#readHere = upTo
    this.document.awareness.setLocalStateField('read_seq', upTo)
    this.#update()
  }

  async loadOlder(): Promise<void> {
    const before = this.current.messages.find((message) => message.seq !== null)?.seq
    if (before === undefined || before === null || before <= 1) return
    const { items } = await this.api.messages.list(this.chat, { before, limit: PAGE })
    this.#older = [...items.reverse().map(fromStored), ...this.#older]
    this.#update()
  }

  end(): void {
    this.#isEnded = true
    for (const stop of this.#stops) stop()
    this.#doc.off('afterTransaction', this.#changed)
    this.#room.close()
    this.document.close()
  }

  /** The document says the same a second later. */
  #mark(statuses: readonly StatusEntry[]): void {
    for (const { user_id, status, seq } of statuses) {
      const { deliveredSeq, readSeq } = this.#marks.get(user_id) ?? { deliveredSeq: 0, readSeq: 0 }
      this.#marks.set(user_id, {
        deliveredSeq: status === 'sent' ? deliveredSeq : Math.max(deliveredSeq, seq),
        readSeq: status === 'read' ? Math.max(readSeq, seq) : readSeq
      })
    }
    this.#changed()
  }

  /** What is not in the document changes too. */
  #correct({ seq, body, edited_at = null, deleted: isDeleted, mentions }: MessagePayload): void {
    if (!this.#older.some((message) => message.seq === seq)) return
    const now = { body, editedAt: edited_at, isDeleted, mentions }
    this.#older = this.#older.map((message) => (message.seq === seq ? { ...message, ...now } : message))
    this.#changed()
  }

  get #userId(): number | null {
    return this.events.current.user?.id ?? null
  }

  /** Many changes of one moment are one. */
  #changed = (): void => {
    if (this.#isDue) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      if (!this.#isEnded) this.#update()
    })
  }

  #update(): void {
    this.#post()
    const { messages, marks } = readThread(this.#doc)
    const thread = { messages, marks: furthest(marks, this.#marks) }
    const view = chatView(thread, this.#older, this.#outbox, this.#userId, this.#readHere)
    this.#state.update(keepingObjects(this.current, view))
  }

  /** Into the document, as soon as that has been loaded, and it is known in whose name. */
  #post(): void {
    const userId = this.#userId
    if (this.#outbox.length === 0 || userId === null || !this.document.current.isLoaded) return
    const posted = this.#outbox.map((message) => ({ ...message, senderId: userId }))
    this.#outbox = []
    const isThere = new Set(
      readThread(this.#doc)
        .messages.filter(({ senderId }) => senderId === userId)
        .map(({ id }) => id)
    )
    const maps = posted.filter(({ id }) => !isThere.has(id)).map(asMap)
    if (maps.length > 0) messagesOf(this.#doc).push(maps)
  }

  /** The thread goes on in another document: what the server may not have is sent there, and is one message still. */
  #moveTo(old: Y.Doc): void {
    const unsent = readThread(old).messages.filter(({ seq, senderId }) => seq === null && senderId === this.#userId)
    old.off('afterTransaction', this.#changed)
    this.#outbox = [...unsent, ...this.#outbox]
    this.#doc = this.document.doc
    this.#doc.on('afterTransaction', this.#changed)
    if (this.#readHere > 0) this.document.awareness.setLocalStateField('read_seq', this.#readHere)
    this.#changed()
  }

  #change(id: string, fields: Record<string, unknown>, event: { action: 'edit' | 'delete'; body?: string }): void {
    const waiting = this.#outbox.find((message) => message.id === id)
    const map = this.#userId === null ? null : this.#find(id, this.#userId)
    if (waiting !== undefined) {
      const isGone = event.action === 'delete'
      this.#outbox = this.#outbox.flatMap((each) =>
        each !== waiting ? each : isGone ? [] : { ...each, body: event.body ?? '' }
      )
      this.#update()
    } else if (map === null) this.#say({ id, ...event })
    else this.#doc.transact(() => Object.entries(fields).forEach(([name, value]) => map.set(name, value)))
  }

  #react(action: 'react' | 'unreact', { id, senderId }: Named, emoji: string): void {
    const key = `${id}:${this.#userId}:${emoji}`
    if (this.#userId === null || this.#find(id, senderId) === null) {
      this.#say({ id, action, author_id: senderId, reaction: emoji })
    } else if (action === 'react') reactionsOf(this.#doc).set(key, true)
    else reactionsOf(this.#doc).delete(key)
  }

  #find(id: string, senderId: number): Y.Map<unknown> | null {
    return (
      messagesOf(this.#doc)
        .toArray()
        .filter((map) => map instanceof Y.Map && map.get('id') === id && map.get('sender_id') === senderId)
        .at(-1) ?? null
    )
  }

  /** Of messages that the document has no more. */
  #say(message: Omit<OutgoingMessage, 'room'>): void {
    this.events.send('message', { room: this.room, ...message }).catch((error: unknown) => console.warn(error))
  }
}

/** The server would take it away again, and the text with it. */
function checkLength(body: string): void {
  const bytes = new TextEncoder().encode(body).length
  if (bytes > MAX_BODY_BYTES)
    throw new CostudioError('too_large', `a message has at most ${MAX_BODY_BYTES} bytes, this one has ${bytes}`)
}

function asMap({ id, senderId, body, sentAt, replyTo, mentions }: Bare): Y.Map<unknown> {
  const fields: [string, unknown][] = [
    ['id', id],
    ['sender_id', senderId],
    ['body', body],
    ['sent_at', sentAt]
  ]
  if (replyTo !== null) fields.push(['reply_to', replyTo])
  if (mentions.length > 0) fields.push(['mentions', [...mentions]])
  return new Y.Map(fields)
}
