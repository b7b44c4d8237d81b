import { useEffect } from 'react'
import { togglePanel, toggleSidebar } from './layout-state'

const ACTIONS: Record<string, () => void> = {
  Digit1: toggleSidebar,
  Digit2: () => togglePanel('chat'),
  Digit3: () => togglePanel('people'),
  Digit4: () => togglePanel('locks'),
  Digit5: () => togglePanel('history')
}

/** Alt and a number open and close the parts of the studio, in the order of the rail. */
export function useShortcuts(): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      const action = event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey ? ACTIONS[event.code] : undefined
      if (!action) return
      event.preventDefault()
      action()
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  }, [])
}
