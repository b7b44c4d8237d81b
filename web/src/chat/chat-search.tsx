import { useCostudio } from '@costudio/client/react'
import { SearchX } from 'lucide-react'
import { useDeferredValue, useState, type ReactNode } from 'react'
import { useNamesOf } from '../people/names'
import { EmptyState } from '../ui/empty-state'
import { fullTime } from '../ui/times'
import { useLoaded } from '../ui/use-loaded'
import { useChatView } from './chat-state'

const MOST_SHOWN = 50

/** Messages of a chat that have every word of a query. */
export function ChatSearch({ chatId }: { chatId: number }): ReactNode {
  const client = useCostudio()
  const [query, setQuery] = useState('')
  const asked = useDeferredValue(query.trim())
  const found = useLoaded(
    async () => (asked === '' ? [] : (await client.api.messages.search(asked, { chat: chatId, limit: MOST_SHOWN })).items),
    [client, chatId, asked]
  )
  const items = found.value ?? []
  const nameOf = useNamesOf(client, [...new Set(items.map(({ sender_id }) => sender_id))])
  return (
    <div className="chat-search">
      <input
        className="input"
        type="search"
        aria-label="Search messages"
        placeholder="Search messages"
        autoFocus
        value={query}
        onChange={(event) => setQuery(event.target.value)}
        onKeyDown={(event) => event.key === 'Escape' && useChatView.setState({ isSearching: false })}
      />
      {found.problem !== null && <p className="panel-problem">{found.problem}</p>}
      {asked === '' && <p className="chat-note">Every word has to be in the message; the last one may be unfinished.</p>}
      {asked !== '' && found.value && items.length === 0 && (
        <EmptyState icon={SearchX} title="Nothing found">
          <p>No message here has “{asked}” in it.</p>
        </EmptyState>
      )}
      <ul aria-label="Found messages">
        {items.map(({ id, sender_id, body, server_time }) => (
          <li key={`${sender_id} ${id}`} className="found-message">
            <p className="found-head">
              <b className="clip">{nameOf(sender_id)}</b> <time>{fullTime(new Date(server_time))}</time>
            </p>
            <p className="message-body">{body}</p>
          </li>
        ))}
      </ul>
    </div>
  )
}
