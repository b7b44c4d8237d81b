import { create } from 'zustand'
import { persist } from 'zustand/middleware'

export type PanelName = 'chat' | 'people' | 'locks' | 'history'
export type Theme = 'system' | 'light' | 'dark'

interface Layout {
  theme: Theme
  isSidebarOpen: boolean
  panel: PanelName | null
  sidebarWidth: number
  panelWidth: number
}

const NARROW = matchMedia('(max-width: 52rem)')
export const isNarrow = (): boolean => NARROW.matches

/** How this person has arranged the studio; the browser keeps it. */
export const useLayout = create<Layout>()(
  persist(
    (): Layout => ({ theme: 'system', isSidebarOpen: !isNarrow(), panel: isNarrow() ? null : 'chat', sidebarWidth: 250, panelWidth: 330 }),
    {
      name: 'costudio.layout',
      // On a narrow window the sidebar and the panel lie over the editor: it begins with what was last being edited.
      merge: (kept, first) => ({ ...first, ...(kept as Partial<Layout>), ...(isNarrow() && { isSidebarOpen: false, panel: null }) })
    }
  )
)

/** Show the panel; the one that is shown is closed instead. In a narrow window there is room for one thing. */
export function togglePanel(panel: PanelName): void {
  useLayout.setState((layout) => ({
    panel: layout.panel === panel ? null : panel,
    ...(isNarrow() && { isSidebarOpen: false })
  }))
}

export function showPanel(panel: PanelName): void {
  useLayout.setState({ panel, ...(isNarrow() && { isSidebarOpen: false }) })
}

export function toggleSidebar(): void {
  useLayout.setState(({ isSidebarOpen, panel }) => ({ isSidebarOpen: !isSidebarOpen, panel: isNarrow() ? null : panel }))
}

/** Out of the way of the editor, where they lie over it. */
export function closeOverlays(): void {
  if (isNarrow()) useLayout.setState({ isSidebarOpen: false, panel: null })
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}
