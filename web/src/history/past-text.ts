import type { Blame, HistoryDiff } from '@costudio/client'

/** A stretch of a past text that somebody wrote, or took away; offsets in UTF-16 units. */
export interface PastRange {
  from: number
  to: number
  side: 'added' | 'removed'
  userId: number | null
  at: string
}

export interface PastText {
  text: string
  ranges: readonly PastRange[]
}

/** Both texts of a comparison in one. */
export function textOfDiff({ parts }: HistoryDiff): PastText {
  let text = ''
  const ranges: PastRange[] = []
  for (const { side, text: part, user_id, at } of parts) {
    const from = text.length
    text += part
    if (side !== 'both') ranges.push({ from, to: text.length, side, userId: user_id, at: at! })
  }
  return { text, ranges }
}

export interface LineAuthor {
  userId: number | null
  at: string
  /** Not of the same author as the line above. */
  isFirst: boolean
}

/** Who wrote most of each line, its end included; an empty text has no author. */
export function authorsOfLines({ text, ranges }: Blame): LineAuthor[] {
  const lines: LineAuthor[] = []
  let next = 0
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline + 1
    const lengths = new Map<number | null, { length: number; at: string }>()
    for (; next < ranges.length && ranges[next]!.start < end; next++) {
      const { start: from, end: to, user_id, at } = ranges[next]!
      const seen = lengths.get(user_id)
      const length = Math.min(to, end) - Math.max(from, start) + (seen?.length ?? 0)
      lengths.set(user_id, { length, at: seen && seen.at > at ? seen.at : at })
      if (to > end) break
    }
    const [userId, { at }] = [...lengths].reduce((most, other) => (other[1].length > most[1].length ? other : most))
    lines.push({ userId, at, isFirst: lines.at(-1)?.userId !== userId })
    start = end
  }
  return lines
}
