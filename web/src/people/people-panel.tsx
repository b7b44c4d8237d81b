import { useCostudio, usePresence } from '@costudio/client/react'
import { Bot, UserPlus } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMe } from '../session/me'
import { PanelFrame } from '../shell/panel-frame'
import { nameOf } from '../tree/tree-model'
import { Avatar } from '../ui/avatar'
import { EmptyState } from '../ui/empty-state'
import { timeAgo } from '../ui/times'
import { useLoaded } from '../ui/use-loaded'
import { useNow } from '../ui/use-now'
import { entryOf, useWorkspace } from '../workspace/workspace-context'
import type { PersonHere } from './people-here'
import './people-panel.css'

/** Who is in the workspace and where, who else is online, and who was here before. */
export function PeoplePanel(): ReactNode {
  const { people, place } = useWorkspace()
  const online = usePresence()
  const me = useMe()
  const client = useCostudio()
  const project = place.project?.id ?? null
  const members = useLoaded(async () => (project === null ? [] : (await client.api.presence.project(project)).items), [project, online])
  const now = useNow(30)

  const here = new Set(people.map(({ userId }) => userId))
  const elsewhere = online.filter(({ user_id }) => !here.has(user_id) && user_id !== me.id)
  const known = new Set([...here, ...elsewhere.map(({ user_id }) => user_id)])
  const away = (members.value ?? []).filter(({ user_id, state }) => !known.has(user_id) && state === 'offline')
  const isAlone = people.length <= 1 && elsewhere.length === 0
  return (
    <PanelFrame title="People">
      <Group title="In this workspace" count={people.length}>
        {people.map((person) => (
          <HereItem key={person.userId} person={person} isMe={person.userId === me.id} />
        ))}
      </Group>
      {elsewhere.length > 0 && (
        <Group title="Online" count={elsewhere.length}>
          {elsewhere.map(({ user_id, name, state }) => (
            <PersonItem key={user_id} name={name ?? `User ${user_id}`} state={state} note="Somewhere else" />
          ))}
        </Group>
      )}
      {away.length > 0 && (
        <Group title="Offline" count={away.length}>
          {away.map(({ user_id, name, last_seen }) => (
            <PersonItem key={user_id} name={name} state="offline" note={last_seen ? `Seen ${timeAgo(new Date(last_seen), now)}` : 'Not here yet'} />
          ))}
        </Group>
      )}
      {isAlone && (
        <EmptyState icon={UserPlus} title="You are alone here">
          <p>Whoever opens this workspace shows up here, with the file that they are in.</p>
        </EmptyState>
      )}
    </PanelFrame>
  )
}

function Group({ title, count, children }: { title: string; count: number; children: ReactNode }): ReactNode {
  return (
    <section className="people-group">
      <h3>
        {title} <span>{count}</span>
      </h3>
      <ul>{children}</ul>
    </section>
  )
}

function HereItem({ person, isMe }: { person: PersonHere; isMe: boolean }): ReactNode {
  const { tree, openFile } = useWorkspace()
  const { fileId, name, isAway, isAgent } = person
  const file = fileId === null ? null : nameOf(entryOf(tree, fileId).path)
  return (
    <PersonItem
      name={name}
      suffix={isMe ? ' (you)' : ''}
      isAgent={isAgent}
      state={isAway ? 'away' : 'online'}
      note={
        file === null || fileId === null ? (
          'Looking around'
        ) : isMe ? (
          <>In {file}</>
        ) : (
          <button type="button" className="link" onClick={() => openFile(fileId)}>
            In {file}
          </button>
        )
      }
    />
  )
}

interface PersonItemProps {
  name: string
  suffix?: string
  isAgent?: boolean
  state: 'online' | 'away' | 'offline'
  note: ReactNode
}

function PersonItem({ name, suffix = '', isAgent = false, state, note }: PersonItemProps): ReactNode {
  return (
    <li className="person">
      <Avatar name={name} size={30} state={state} />
      <div className="person-text">
        <span className="person-name clip">
          {name}
          {suffix}
          {isAgent && <Bot size={13} aria-label="an agent" />}
          <span className="only-read-aloud">, {state}</span>
        </span>
        <span className="person-note clip">{note}</span>
      </div>
    </li>
  )
}
