import type { StoredNotification } from '@costudio/client'
import { useCostudio, useNotifications } from '@costudio/client/react'
import { Bell, BellOff, CheckCheck } from 'lucide-react'
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'
import { showChat } from '../chat/chat-state'
import { useNamesOf } from '../people/names'
import { showPanel } from '../shell/layout-state'
import { Avatar } from '../ui/avatar'
import { Button, IconButton } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { timeAgo } from '../ui/times'
import { attempt } from '../ui/toasts'
import { useNow } from '../ui/use-now'
import { useWorkspace } from '../workspace/workspace-context'
import './bell.css'
import { wordsOfNotification } from './notification-words'

/** What this person should see, wherever it happened. */
export function NotificationBell(): ReactNode {
  const state = useNotifications()
  const [isOpen, setIsOpen] = useState(false)
  const root = useRef<HTMLDivElement>(null)
  const id = useId()
  const unread = state?.unread ?? 0

  useEffect(() => {
    if (!isOpen) return
    const closeOutside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setIsOpen(false)
    }
    addEventListener('pointerdown', closeOutside)
    return () => removeEventListener('pointerdown', closeOutside)
  }, [isOpen])

  return (
    <div className="bell" ref={root} onKeyDown={(event) => event.key === 'Escape' && setIsOpen(false)}>
      <IconButton
        icon={Bell}
        size={17}
        label={unread > 0 ? `Notifications, ${unread} unread` : 'Notifications'}
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => setIsOpen(!isOpen)}
      >
        {unread > 0 && <span className="badge">{unread > 99 ? '99+' : unread}</span>}
      </IconButton>
      {isOpen && state && (
        <section className="bell-list" id={id} aria-label="Notifications">
          <header>
            <h2>Notifications</h2>
            {unread > 0 && (
              <Button icon={CheckCheck} onClick={() => attempt(() => state.notifications.markAllRead())}>
                Mark all read
              </Button>
            )}
          </header>
          {state.isLoaded && state.items.length === 0 && (
            <EmptyState icon={BellOff} title="Nothing to tell you">
              <p>Mentions, replies, locks and conflicts that concern you turn up here.</p>
            </EmptyState>
          )}
          <ul>
            {state.items.map((item) => (
              <NotificationItem
                key={item.id}
                item={item}
                onOpen={() => {
                  setIsOpen(false)
                  if (item.read_at === null) attempt(() => state.notifications.markRead(item.id))
                }}
              />
            ))}
          </ul>
          {state.hasOlder && <Button onClick={() => attempt(() => state.notifications.loadOlder())}>Show older ones</Button>}
        </section>
      )}
    </div>
  )
}

function NotificationItem({ item, onOpen }: { item: StoredNotification; onOpen: () => void }): ReactNode {
  const { place, tree, openFile } = useWorkspace()
  const client = useCostudio()
  const now = useNow(30)
  const nameOf = useNamesOf(client, item.actor_id === null ? [] : [item.actor_id])
  const actor = item.actor_id === null ? 'Costudio' : nameOf(item.actor_id)

  /** Show what it is about, if that is in this workspace. */
  const goThere = (): void => {
    onOpen()
    const chat = Number(/^chat:(\d+)/.exec(item.room)?.[1])
    const file = tree.files.find(({ fileId, path }) => path === item.data['path'] || item.room === `workspace:${place.id}/${fileId}`)
    if (place.chats.some(({ id }) => id === chat)) {
      showChat(chat)
      showPanel('chat')
    } else if (file) openFile(file.fileId)
  }
  return (
    <li>
      <button type="button" className="notification" data-unread={item.read_at === null} onClick={goThere}>
        <Avatar name={actor} size={28} />
        <span className="notification-text">
          <span>{wordsOfNotification(item, actor)}</span>
          {item.text !== null && <span className="notification-quote">{item.text}</span>}
          <time>{timeAgo(new Date(item.created_at), now)}</time>
        </span>
        {item.read_at === null && <span className="notification-dot" role="img" aria-label="unread" />}
      </button>
    </li>
  )
}
