import { expect, test } from 'vitest'
import { peopleOf } from '../src/people/people-here'
import { initialsOf } from '../src/ui/person'

test('a person with two devices is there once, with the file of the one that shows one', () => {
  const user = { id: 1, name: 'alice' }
  expect(peopleOf([{ user, file: 'a' }, { user, away: true }])).toEqual([
    { userId: 1, name: 'alice', fileId: 'a', isAway: false, isAgent: false }
  ])
})

test('what others show may be anything', () => {
  expect(peopleOf([{}, { user: { id: 'x', name: 'y' } }, { user: { id: 2, name: {} } }])).toEqual([])
  expect(peopleOf([{ user: { id: 2, name: 'bob' }, file: { evil: true }, away: 'yes' }])).toMatchObject([{ fileId: null, isAway: false }])
})

test('initials are those of the first and the last word', () => {
  expect(['Ada Lovelace', 'bob', 'jean-luc picard', ''].map(initialsOf)).toEqual(['AL', 'B', 'JP', '?'])
})
