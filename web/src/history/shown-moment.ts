import { create } from 'zustand'

/** A moment of a file's past. */
export interface ShownMoment {
  fileId: string
  seq: number
  /** The `seq` that what was written then came after; null where only the moment itself has a name. */
  before: number | null
  /** Goes on after `as it was`. */
  when: string
  /** What is known of what was written then. */
  note: string | null
}

export const momentWords = ({ when, note }: ShownMoment): string => `As it was ${when}${note === null ? '' : `: ${note}`}`

/** `then`: what was changed just then; `since`: what has changed from then to now; `authors`: who wrote which line. */
export type PastMode = 'then' | 'since' | 'authors'

interface HistoryView {
  moment: ShownMoment | null
  mode: PastMode
}

/** What the history's panel has chosen, and the editor's pane shows. */
export const useHistoryView = create<HistoryView>(() => ({ moment: null, mode: 'then' }))

/** Null: back to the text as it is. */
export const showMoment = (moment: ShownMoment | null): void => useHistoryView.setState({ moment })

/** The moment of this file that is shown instead of its text. */
export function useShownMoment(fileId: string | null): ShownMoment | null {
  return useHistoryView(({ moment }) => (moment?.fileId === fileId ? moment : null))
}
