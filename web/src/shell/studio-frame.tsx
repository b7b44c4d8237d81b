import { useCostudio } from '@costudio/client/react'
import { useRealtime } from '@costudio/client/store'
import { FileCode2 } from 'lucide-react'
import { useEffect, type ReactNode } from 'react'
import { ChatPanel } from '../chat/chat-panel'
import { setCursorPlace } from '../editor/cursor-place'
import { EditorPane } from '../editor/editor-pane'
import { TabBar } from '../editor/tab-bar'
import { HistoryPanel } from '../history/history-panel'
import { LocksPanel } from '../locks/locks-panel'
import { PeoplePanel } from '../people/people-panel'
import { Sidebar } from '../tree/sidebar'
import { EmptyState } from '../ui/empty-state'
import { useTabs } from '../workspace/tabs'
import { useWorkspace } from '../workspace/workspace-context'
import type { Workplace } from '../workspace/workplaces'
import { useLayout, type PanelName } from './layout-state'
import { Rail } from './rail'
import { Splitter } from './splitter'
import { StatusBar } from './status-bar'
import { TopBar } from './top-bar'
import { useShortcuts } from './use-shortcuts'

const PANELS: Record<PanelName, () => ReactNode> = { chat: ChatPanel, people: PeoplePanel, locks: LocksPanel, history: HistoryPanel }

interface StudioFrameProps {
  places: readonly Workplace[]
  onGoTo: (place: Workplace) => void
  onSignOut: () => void
}

/** How the parts of the studio stand to each other. */
export function StudioFrame({ places, onGoTo, onSignOut }: StudioFrameProps): ReactNode {
  const { place } = useWorkspace()
  const { isSidebarOpen, panel, sidebarWidth, panelWidth } = useLayout()
  const { active } = useTabs(place.id)
  const client = useCostudio()
  const unread = useRealtime(client, ({ unreadCounts }) => [...unreadCounts.values()].reduce((sum, count) => sum + count, 0))
  const Panel = panel && PANELS[panel]
  useShortcuts()
  useEffect(() => {
    if (active === null) setCursorPlace(null)
  }, [active])
  useTitle(place.name, unread)

  return (
    <div className="studio">
      <TopBar places={places} onGoTo={onGoTo} onSignOut={onSignOut} />
      <Rail badges={{ chat: unread }} />
      {isSidebarOpen && (
        <>
          <aside className="sidebar" style={{ width: sidebarWidth }} aria-label="Files">
            <Sidebar />
          </aside>
          <Splitter label="Width of the files" side="left" width={sidebarWidth} min={180} max={520}
            onResize={(width) => useLayout.setState({ sidebarWidth: width })} />
        </>
      )}
      <main className="center">
        <TabBar />
        {active === null ? <NothingOpen /> : <EditorPane key={active} fileId={active} />}
      </main>
      {Panel && (
        <>
          <Splitter label="Width of the panel" side="right" width={panelWidth} min={240} max={640}
            onResize={(width) => useLayout.setState({ panelWidth: width })} />
          <aside className="panel" style={{ width: panelWidth }} aria-label={panel}>
            <Panel />
          </aside>
        </>
      )}
      <StatusBar />
    </div>
  )
}

function NothingOpen(): ReactNode {
  return (
    <section className="center-empty">
      <EmptyState icon={FileCode2} title="Open a file to begin">
        <p>Choose one at the left, or make a new one. Whoever opens the same one writes in it with you.</p>
        <ul className="shortcuts">
          <li>
            <kbd>Alt 1</kbd> Files
          </li>
          <li>
            <kbd>Alt 2</kbd> Chat
          </li>
          <li>
            <kbd>Ctrl F</kbd> Search in a file
          </li>
        </ul>
      </EmptyState>
    </section>
  )
}

function useTitle(workspace: string, unread: number): void {
  useEffect(() => {
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${workspace} – Costudio`
  }, [workspace, unread])
}
