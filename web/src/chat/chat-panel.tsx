import { useChat, useCostudio } from '@costudio/client/react'
import { useRealtime } from '@costudio/client/store'
import { Hash, MessagesSquare, Search } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { PanelFrame } from '../shell/panel-frame'
import { IconButton } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { Menu } from '../ui/menu'
import { useWorkspace } from '../workspace/workspace-context'
import './chat-panel.css'
import { showChat, useChatView } from './chat-state'
import { ChatSearch } from './chat-search'
import { Composer, type Aim } from './composer'
import { MessageList } from './message-list'
import { TypingLine } from './typing-line'

/** The chats of the workspace's project, one at a time. */
export function ChatPanel(): ReactNode {
  const { place } = useWorkspace()
  const client = useCostudio()
  const { chat: chosen, isSearching } = useChatView()
  const unread = useRealtime(client, (state) => state.unreadCounts)
  const current = place.chats.find(({ id }) => id === chosen) ?? place.chats[0]
  if (!current) {
    return (
      <PanelFrame title="Chat">
        <EmptyState icon={MessagesSquare} title="No chats yet">
          <p>An administrator of the project makes one, and everybody in it can write there.</p>
        </EmptyState>
      </PanelFrame>
    )
  }
  const items = place.chats.map(({ id, name }) => {
    const count = unread.get(id) ?? 0
    return { label: count > 0 ? `${name} (${count})` : name, icon: Hash, isCurrent: id === current.id, onChoose: () => showChat(id) }
  })
  const title = (
    <>
      <Hash size={14} aria-hidden /> {current.name}
    </>
  )
  return (
    <PanelFrame
      title={place.chats.length > 1 ? <Menu label={`Chat ${current.name}: choose another`} icon={Hash} items={items} face={title} /> : <span className="chat-title">{title}</span>}
      actions={
        <IconButton
          icon={Search}
          label="Search messages"
          aria-pressed={isSearching}
          onClick={() => useChatView.setState({ isSearching: !isSearching })}
        />
      }
    >
      {isSearching ? <ChatSearch chatId={current.id} /> : <Chat key={current.id} chatId={current.id} name={current.name} />}
    </PanelFrame>
  )
}

function Chat({ chatId, name }: { chatId: number; name: string }): ReactNode {
  const state = useChat(chatId)
  const [aim, setAim] = useState<Aim | null>(null)
  if (!state) return null
  if (state.document.status === 'refused' && !state.document.isLoaded) {
    return (
      <EmptyState icon={MessagesSquare} title="This chat can’t be opened">
        <p>{state.document.reason}</p>
      </EmptyState>
    )
  }
  return (
    <>
      <MessageList state={state} onReply={(message) => setAim({ kind: 'reply', message })} onEdit={(message) => setAim({ kind: 'edit', message })} />
      <TypingLine room={state.chat.room} />
      <Composer chat={state.chat} name={name} aim={aim} onDone={() => setAim(null)} isOffline={state.document.status === 'offline'} />
    </>
  )
}
