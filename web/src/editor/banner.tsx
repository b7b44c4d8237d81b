import type { LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import './banner.css'

interface BannerProps {
  icon: LucideIcon
  kind: 'note' | 'warn'
  children: ReactNode
  actions?: ReactNode
}

/** What one should know about the file that is shown, above it. */
export function Banner({ icon: Icon, kind, children, actions }: BannerProps): ReactNode {
  return (
    <div className={`banner is-${kind}`} role="status">
      <Icon size={16} aria-hidden />
      <p>{children}</p>
      {actions}
    </div>
  )
}
