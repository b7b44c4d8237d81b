import { Boxes, ChevronDown, LogOut, Monitor, Moon, Sun, UserPlus } from 'lucide-react'
import type { ReactNode } from 'react'
import { NotificationBell } from '../notifications/bell'
import { readAddress } from '../session/address'
import { useMe } from '../session/me'
import { Avatar, AvatarStack } from '../ui/avatar'
import { Menu } from '../ui/menu'
import { useWorkspace } from '../workspace/workspace-context'
import type { Workplace } from '../workspace/workplaces'
import { useLayout, type Theme } from './layout-state'
import { Logo } from './logo'
import './top-bar.css'

interface TopBarProps {
  places: readonly Workplace[]
  onGoTo: (place: Workplace) => void
  onSignOut: () => void
}

const THEMES = [
  { theme: 'system', label: 'Colours of the system', icon: Monitor },
  { theme: 'light', label: 'Light', icon: Sun },
  { theme: 'dark', label: 'Dark', icon: Moon }
] as const satisfies readonly { theme: Theme; label: string; icon: typeof Sun }[]

export function TopBar({ places, onGoTo, onSignOut }: TopBarProps): ReactNode {
  const { place, people } = useWorkspace()
  const me = useMe()
  const theme = useLayout((layout) => layout.theme)
  const isDevelopment = readAddress().user !== null
  const fullName = ({ project, name }: Workplace): string => (project ? `${project.name} / ${name}` : name)
  return (
    <header className="top-bar">
      <h1>
        <Logo size={24} />
        <span className="top-bar-brand">Costudio</span>
      </h1>
      <Menu
        label={`Workspace ${fullName(place)}: choose another`}
        icon={Boxes}
        face={
          <>
            {place.project && <span className="top-bar-project clip">{place.project.name} /</span>}
            <span className="clip">{place.name}</span>
            <ChevronDown size={14} aria-hidden />
          </>
        }
        items={places.map((other) => ({
          label: fullName(other),
          icon: Boxes,
          isCurrent: other.id === place.id,
          onChoose: () => onGoTo(other)
        }))}
      />
      <span className="top-bar-space" />
      {people.length > 1 && <AvatarStack names={people.map(({ name }) => name)} most={5} />}
      <NotificationBell />
      <Menu
        label={`Account of ${me.name}`}
        icon={Sun}
        face={<Avatar name={me.name} size={26} />}
        items={[
          ...THEMES.map(({ theme: value, label, icon }) => ({
            label,
            icon,
            isCurrent: value === theme,
            onChoose: () => useLayout.setState({ theme: value })
          })),
          ...(isDevelopment ? [{ label: 'Open a tab as somebody else', icon: UserPlus, onChoose: openAsSomebodyElse }] : []),
          { label: `Sign out ${me.name}`, icon: LogOut, onChoose: onSignOut }
        ]}
      />
    </header>
  )
}

/** For trying it out alone: the same place, as the other one of alice and bob. */
function openAsSomebodyElse(): void {
  const query = new URLSearchParams(location.search)
  query.set('user', query.get('user') === 'bob' ? 'alice' : 'bob')
  open(`?${query}`, '_blank', 'noopener')
}
