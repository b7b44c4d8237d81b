/** What others see of a person; the editor draws remote cursors from these fields. */
export interface PersonLook {
  name: string
  color: string
  colorLight: string
}

// Dark enough for white text on them (at least 4.5:1), and apart from each other.
const COLORS = [
  '#c2410c', '#0f766e', '#7e22ce', '#1d4ed8', '#be123c', '#4d7c0f', '#a21caf', '#0369a1', '#a16207', '#b91c1c', '#15803d', '#4f46e5'
] as const

/** A person of this name has the same colour in every tab and on every machine. */
export function lookOf(name: string): PersonLook {
  let hash = 0
  for (const character of name) hash = (hash * 33 + character.codePointAt(0)!) >>> 0
  const color = COLORS[hash % COLORS.length]!
  return { name, color, colorLight: `${color}40` }
}

/** One or two letters that stand for a name. */
export function initialsOf(name: string): string {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean)
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]]
  return letters.map((word) => [...(word ?? '?')][0]!.toUpperCase()).join('')
}
