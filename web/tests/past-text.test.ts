import { expect, test } from 'vitest'
import { authorsOfLines, textOfDiff } from '../src/history/past-text'

const AT = '2026-05-04T09:30:00Z'
const LATER = '2026-05-04T09:40:00Z'

test('a comparison is one text with what was added and removed in it', () => {
  const common = { side: 'both', user_id: null, at: null, seq: null } as const
  const { text, ranges } = textOfDiff({
    parts: [
      { ...common, text: 'a😀' },
      { side: 'removed', text: 'b', user_id: 1, at: AT, seq: 4 },
      { side: 'added', text: 'cd', user_id: null, at: LATER, seq: 5 }
    ]
  })
  expect(text).toBe('a😀bcd')
  expect(ranges).toEqual([
    { from: 3, to: 4, side: 'removed', userId: 1, at: AT },
    { from: 4, to: 6, side: 'added', userId: null, at: LATER }
  ])
})

test('a line is of whoever wrote most of it, and newest there', () => {
  const range = (start: number, end: number, user_id: number, at = AT) => ({ start, end, user_id, at, seq: 1 })
  const text = 'one\ntwo\nthree'
  const lines = authorsOfLines({ text, ranges: [range(0, 6, 1), range(6, 8, 2), range(8, 9, 2, LATER), range(9, 10, 1), range(10, 13, 2)] })
  expect(lines).toEqual([
    { userId: 1, at: AT, isFirst: true },
    { userId: 1, at: AT, isFirst: false },
    { userId: 2, at: LATER, isFirst: true }
  ])
})

test('an empty text has no authors', () => {
  expect(authorsOfLines({ text: '', ranges: [] })).toEqual([])
})
