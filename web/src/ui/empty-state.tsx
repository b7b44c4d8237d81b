import type { LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import './empty-state.css'

/** What stands where there is nothing: why, and what to do about it. */
export function EmptyState({ icon: Icon, title, children }: { icon: LucideIcon; title: string; children?: ReactNode }): ReactNode {
  return (
    <div className="empty-state">
      <span className="empty-state-icon">
        <Icon size={22} strokeWidth={1.6} aria-hidden />
      </span>
      <p className="empty-state-title">{title}</p>
      {children && <div className="empty-state-hint">{children}</div>}
    </div>
  )
}
