import { create } from 'zustand'

/** The open files of each workspace, by file id, in the order of their tabs. This tab of the browser keeps them. */
interface Tabs {
  open: readonly string[]
  active: string | null
}

interface TabsState {
  byWorkspace: Readonly<Record<number, Tabs>>
}

const KEPT = 'costudio.tabs'
const NONE: Tabs = { open: [], active: null }

const kept = sessionStorage.getItem(KEPT)
const useTabsState = create<TabsState>(() => ({ byWorkspace: kept === null ? {} : (JSON.parse(kept) as TabsState['byWorkspace']) }))
useTabsState.subscribe(({ byWorkspace }) => sessionStorage.setItem(KEPT, JSON.stringify(byWorkspace)))

export const useTabs = (workspace: number): Tabs => useTabsState(({ byWorkspace }) => byWorkspace[workspace] ?? NONE)

function change(workspace: number, to: (tabs: Tabs) => Tabs): void {
  useTabsState.setState(({ byWorkspace }) => ({
    byWorkspace: { ...byWorkspace, [workspace]: to(byWorkspace[workspace] ?? NONE) }
  }))
}

export function openTab(workspace: number, fileId: string): void {
  change(workspace, ({ open }) => ({ open: open.includes(fileId) ? open : [...open, fileId], active: fileId }))
}

/** Close it; its neighbour is shown instead if it was the one that shows. */
export function closeTab(workspace: number, fileId: string): void {
  change(workspace, ({ open, active }) => {
    const place = open.indexOf(fileId)
    const rest = open.filter((other) => other !== fileId)
    return { open: rest, active: active === fileId ? (rest[place] ?? rest.at(-1) ?? null) : active }
  })
}
