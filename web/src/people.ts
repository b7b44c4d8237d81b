import type { Awareness } from 'y-protocols/awareness'

/** What others see of a person; the editor binding draws remote cursors from these three fields. */
export interface Person {
  name: string
  color: string
  colorLight: string
}

// Dark enough for white text on them (at least 4.5:1), and apart from each other.
const COLORS = ['#c2410c', '#0f766e', '#7e22ce', '#1d4ed8', '#be123c', '#4d7c0f', '#a21caf', '#0369a1'] as const

/** A person of this name has the same colour in every tab and on every machine. */
export function personNamed(name: string): Person {
  let hash = 0
  for (const character of name) hash = (hash * 33 + character.codePointAt(0)!) >>> 0
  const color = COLORS[hash % COLORS.length]!
  return { name, color, colorLight: `${color}33` }
}

/** Keep `list` equal to who is present. What others say about themselves is only ever set as text, never as markup. */
export function showPeople(list: HTMLElement, awareness: Awareness): void {
  const render = (): void => {
    const items = [...awareness.getStates()].map(([clientId, state]) => {
      const user = (state['user'] ?? {}) as Partial<Person>
      const item = document.createElement('li')
      item.textContent = `${user.name ?? 'somebody'}${clientId === awareness.clientID ? ' (you)' : ''}`
      item.style.setProperty('--person', user.color ?? 'gray')
      return item
    })
    list.replaceChildren(...items)
  }
  awareness.on('change', render)
  render()
}
