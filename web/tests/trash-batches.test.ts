import { expect, test } from 'vitest'
import { batchesOf } from '../src/tree/trash-batches'

test('what was deleted together stands together', () => {
  const file = (file_id: string, batch: string) => ({
    file_id,
    batch,
    path: file_id,
    language: '',
    created_by: null,
    created_at: '',
    room: '',
    deleted_at: '',
    deleted_by: null
  })
  const batches = batchesOf([file('a', '1'), file('b', '2'), file('c', '1')])
  expect(batches.map((batch) => batch.map(({ file_id }) => file_id))).toEqual([['a', 'c'], ['b']])
})
