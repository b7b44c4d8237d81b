import * as Y from 'yjs'
import { describe, expect, test } from 'vitest'
import { IdSet } from '../src/documents/id-set.js'
import { PendingEdits } from '../src/documents/pending-edits.js'

test('a set of ids is what a set of numbers is', () => {
  let seed = 7
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below
  for (let round = 0; round < 200; round++) {
    const [ids, other] = [new IdSet(), new IdSet()]
    const [model, otherModel] = [new Set<number>(), new Set<number>()]
    for (const [set, numbers] of [
      [ids, model],
      [other, otherModel]
    ] as const) {
      for (let i = 0; i < 6; i++) {
        const [client, start, length] = [random(2), random(30), random(6)]
        set.add(client, start, start + length)
        for (let clock = start; clock < start + length; clock++) numbers.add(client * 1000 + clock)
      }
    }
    ids.subtract(other)
    const left = [...ids.entries()].flatMap(([client, ranges]) =>
      ranges.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => client * 1000 + start + i))
    )
    expect(left.sort()).toEqual([...model].filter((each) => !otherModel.has(each)).sort())
    expect(ids.isEmpty).toBe(left.length === 0)
  }
})

describe('pending edits', () => {
  const documentWithPending = (): { doc: Y.Doc; pending: PendingEdits } => {
    const doc = new Y.Doc()
    const pending = new PendingEdits()
    doc.on('update', (_update: Uint8Array, _origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) =>
      pending.wrote(transaction)
    )
    return { doc, pending }
  }

  test('are saved one by one, in whatever pieces they come back', () => {
    const { doc, pending } = documentWithPending()
    doc.getText('content').insert(0, 'abc')
    const first = Y.encodeStateAsUpdate(doc)
    doc.getText('content').insert(3, 'def')
    doc.getText('content').delete(0, 1)
    expect(pending.count).toBe(3)
    pending.received(first)
    expect(pending.count).toBe(2)
    pending.received(Y.encodeStateAsUpdate(doc))
    expect(pending.count).toBe(0)
  })

  test('are what a server lacks, deletions included, where an earlier page wrote them', () => {
    const server = new Y.Doc()
    server.getText('content').insert(0, 'abc')
    const doc = new Y.Doc()
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(server))
    const known = Y.encodeStateAsUpdate(server, Y.encodeStateVector(doc))
    const nothing = new PendingEdits()
    nothing.serverHas(doc, Y.decodeStateVector(Y.encodeStateVector(server)))
    nothing.serverHasDeleted(doc, known)
    expect(nothing.count).toBe(0)

    doc.getText('content').delete(1, 1)
    const deleted = new PendingEdits()
    deleted.serverHas(doc, Y.decodeStateVector(Y.encodeStateVector(server)))
    deleted.serverHasDeleted(doc, known)
    expect([deleted.count, deleted.ownCount]).toEqual([1, 0])
    deleted.received(Y.encodeStateAsUpdate(doc))
    expect(deleted.count).toBe(0)
  })
})
