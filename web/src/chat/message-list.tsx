import type { ChatMessage, ChatState, DocumentState, OpenChat } from '@costudio/client'
import { useCostudio } from '@costudio/client/react'
import { MessageCircleHeart } from 'lucide-react'
import { useEffect, useLayoutEffect, useRef, type ReactNode } from 'react'
import { useNamesOf } from '../people/names'
import { Button } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { dayOf } from '../ui/times'
import { attempt } from '../ui/toasts'
import { Message } from './message'

interface MessageListProps {
  state: ChatState & { chat: OpenChat; document: DocumentState }
  onReply: (message: ChatMessage) => void
  onEdit: (message: ChatMessage) => void
}

const GROUP_MS = 5 * 60 * 1000
const NEAR_END = 60

/** The messages, oldest first; it stays at the end while one is there, and what is seen there is read. */
export function MessageList({ state, onReply, onEdit }: MessageListProps): ReactNode {
  const { messages, hasOlder, unread, chat, document } = state
  const client = useCostudio()
  const nameOf = useNamesOf(client, [...new Set(messages.flatMap(({ senderId, mentions }) => [senderId, ...mentions]))])
  const list = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  const last = messages.at(-1)

  useLayoutEffect(() => {
    const element = list.current
    if (element && (isAtEnd.current || last?.isOwn)) element.scrollTop = element.scrollHeight
  }, [last?.id, messages.length])
  useEffect(() => {
    const read = (): void => {
      if (unread > 0 && isAtEnd.current && window.document.hasFocus()) chat.markRead()
    }
    read()
    addEventListener('focus', read)
    return () => removeEventListener('focus', read)
  }, [unread, chat])

  if (messages.length === 0) {
    return document.isLoaded ? (
      <EmptyState icon={MessageCircleHeart} title="Say hello">
        <p>Nobody has written here yet. Mention somebody with @, and they are told wherever they are.</p>
      </EmptyState>
    ) : (
      <p className="chat-note">{document.status === 'offline' ? 'You are offline.' : 'Loading…'}</p>
    )
  }
  return (
    <div
      className="message-list"
      ref={list}
      role="log"
      aria-label="Messages"
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END
      }}
    >
      {hasOlder && <Button onClick={() => attempt(() => chat.loadOlder())}>Show older messages</Button>}
      {messages.map((message, place) => {
        const before = messages[place - 1]
        return (
          <div key={`${message.senderId} ${message.id}`} role="presentation">
            {!isSameDay(before, message) && <p className="message-day">{dayOf(timeOf(message))}</p>}
            <Message
              message={message}
              nameOf={nameOf}
              isContinued={before !== undefined && isContinued(before, message)}
              answered={message.replyTo === null ? null : messages.find(({ id }) => id === message.replyTo)}
              chat={chat}
              onReply={() => onReply(message)}
              onEdit={() => onEdit(message)}
            />
          </div>
        )
      })}
    </div>
  )
}

export const timeOf = ({ serverTime, sentAt }: ChatMessage): Date => new Date(serverTime ?? sentAt ?? Date.now())

const isSameDay = (a: ChatMessage | undefined, b: ChatMessage): boolean => a !== undefined && timeOf(a).toDateString() === timeOf(b).toDateString()

function isContinued(before: ChatMessage, { senderId, replyTo, ...message }: ChatMessage): boolean {
  const gap = timeOf({ senderId, replyTo, ...message }).getTime() - timeOf(before).getTime()
  return before.senderId === senderId && replyTo === null && gap < GROUP_MS
}
