import { create } from 'zustand'
import type { CursorPlace } from './code-editor'

/** Where this person's cursor is, for the status bar; null while no editor shows. */
export const useCursorPlace = create<{ place: CursorPlace | null }>(() => ({ place: null }))

export const setCursorPlace = (place: CursorPlace | null): void => useCursorPlace.setState({ place })
