import { expect, test } from 'vitest'
import { mentionBefore, mentionOf, piecesOf } from '../src/chat/message-parts'

const pieces = (body: string): string[] => piecesOf(body, (name) => ['bob', 'Ada Lovelace'].includes(name)).map(({ kind, text }) => `${kind}: ${text}`)

test('code, links and mentions are found, and all else is text', () => {
  expect(pieces('see `a*b` at https://example.com/x?y=1, @bob')).toEqual([
    'text: see ',
    'code: a*b',
    'text:  at ',
    'link: https://example.com/x?y=1',
    'text: , ',
    'mention: @bob'
  ])
})

test('who is not mentioned is text, and so is what only looks like a link', () => {
  expect(pieces('@carol javascript:alert(1) <img src=x>')).toEqual(['text: @carol javascript:alert(1) <img src=x>'])
})

test('a name with blanks stands in quotes', () => {
  expect(pieces('@"Ada Lovelace" hi')).toEqual(['mention: @Ada Lovelace', 'text:  hi'])
  expect(mentionOf('Ada Lovelace')).toBe('@"Ada Lovelace"')
  expect(mentionOf('bob')).toBe('@bob')
})

test('what stands before the cursor may become a mention; an address does not', () => {
  expect(mentionBefore('hi @al', 6)).toEqual({ from: 3, query: 'al' })
  expect(mentionBefore('@', 1)).toEqual({ from: 0, query: '' })
  expect(mentionBefore('mail ada@al', 11)).toBeNull()
  expect(mentionBefore('hi @al there', 12)).toBeNull()
})
