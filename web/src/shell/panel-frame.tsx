import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { IconButton } from '../ui/button'
import { useLayout } from './layout-state'
import './panel-frame.css'

/** The head and the body of what stands at the right. */
export function PanelFrame({ title, actions, children }: { title: ReactNode; actions?: ReactNode; children: ReactNode }): ReactNode {
  return (
    <>
      <header className="panel-head">
        <h2 className="clip">{title}</h2>
        {actions}
        <IconButton icon={X} label="Close panel" onClick={() => useLayout.setState({ panel: null })} />
      </header>
      <div className="panel-body">{children}</div>
    </>
  )
}
