import { Files, History, Lock, MessagesSquare, Users, type LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { togglePanel, toggleSidebar, useLayout, type PanelName } from './layout-state'
import './rail.css'

const PANELS: readonly { name: PanelName; label: string; icon: LucideIcon }[] = [
  { name: 'chat', label: 'Chat', icon: MessagesSquare },
  { name: 'people', label: 'People', icon: Users },
  { name: 'locks', label: 'Locks', icon: Lock },
  { name: 'history', label: 'History', icon: History }
]

/** The strip at the edge of the window that opens the parts of the studio. */
export function Rail({ badges }: { badges: Partial<Record<PanelName, number>> }): ReactNode {
  const { isSidebarOpen, panel } = useLayout()
  return (
    <nav className="rail" aria-label="Studio">
      <RailButton label="Files" icon={Files} isOn={isSidebarOpen} onClick={toggleSidebar} />
      {PANELS.map(({ name, label, icon }) => (
        <RailButton key={name} label={label} icon={icon} isOn={panel === name} badge={badges[name]} onClick={() => togglePanel(name)} />
      ))}
    </nav>
  )
}

interface RailButtonProps {
  label: string
  icon: LucideIcon
  isOn: boolean
  badge?: number | undefined
  onClick: () => void
}

function RailButton({ label, icon: Icon, isOn, badge = 0, onClick }: RailButtonProps): ReactNode {
  return (
    <button type="button" className="rail-button" aria-pressed={isOn} title={label} onClick={onClick}>
      <Icon size={20} strokeWidth={1.75} aria-hidden />
      <span className="rail-label">{label}</span>
      {badge > 0 && (
        <span className="badge">
          {badge > 99 ? '99+' : badge}
          <span className="only-read-aloud"> new</span>
        </span>
      )}
    </button>
  )
}
