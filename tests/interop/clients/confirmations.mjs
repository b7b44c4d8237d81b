/**
 * Which of a client's own edits have come back from the server: the server echoes an edit to its author once it is
 * committed, so what is confirmed here has to survive anything. An edit is confirmed when every struct and every
 * deletion in it was in some SyncStep2 or Update that the server sent.
 */
import * as Y from 'yjs'

export class Confirmations {
  /**
   * Every edit in order: `{ends, deleted, sentAt, confirmedAt}`, where `ends` says up to which clock of which client
   * id its structs go. (Usually one id, the document's; none in a deletion; others' when a recording is replayed.)
   */
  edits = []
  #echoed = new Map() // client id -> what came back of it, for the ids of these edits
  #pendingDeletions = new Set() // "client:clock" of deletions that have not come back
  #firstPending = 0

  /** `isOwn(origin)` tells this client's edits from what it received. */
  constructor (doc, isOwn) {
    doc.on('update', (_update, origin, _doc, transaction) => {
      if (isOwn(origin)) this.#sent(transaction)
    })
  }

  get sent () {
    return this.edits.length
  }

  /** How many edits, counted from the first one, are confirmed without a gap. */
  get confirmed () {
    return this.#firstPending
  }

  isConfirmed ({ ends, deleted }) {
    return (
      ends.every(([client, end]) => this.#echoed.get(client).end >= end) &&
      !deleted.some((id) => this.#pendingDeletions.has(id))
    )
  }

  /** Take note of an update that the server sent. */
  received (update) {
    const { structs, ds } = Y.decodeUpdate(update)
    for (const struct of structs) {
      if (struct instanceof Y.Skip) continue
      this.#echoed.get(struct.id.client)?.add(struct.id.clock, struct.id.clock + struct.length)
    }
    for (const id of idsIn(ds)) this.#pendingDeletions.delete(id)
    const now = performance.now()
    while (this.#firstPending < this.edits.length && this.isConfirmed(this.edits[this.#firstPending])) {
      this.edits[this.#firstPending++].confirmedAt = now
    }
  }

  #sent ({ beforeState, afterState, deleteSet }) {
    const ends = []
    for (const [client, end] of afterState) {
      const start = beforeState.get(client) ?? 0
      if (end === start) continue
      ends.push([client, end])
      if (!this.#echoed.has(client)) this.#echoed.set(client, new GrowingRange(start))
    }
    const deleted = [...idsIn(deleteSet)]
    for (const id of deleted) this.#pendingDeletions.add(id)
    this.edits.push({ ends, deleted, sentAt: performance.now(), confirmedAt: undefined })
  }
}

function * idsIn (deleteSet) {
  for (const [client, deletions] of deleteSet.clients) {
    for (const { clock, len } of deletions) {
      for (let i = 0; i < len; i++) yield `${client}:${clock + i}`
    }
  }
}

/** A range whose end moves on as pieces join it; what comes with a gap before it waits for the gap to be filled. */
class GrowingRange {
  #later = []

  constructor (end) {
    this.end = end
  }

  add (start, end) {
    this.#later.push([start, end])
    this.#later.sort(([a], [b]) => a - b)
    while (this.#later.length > 0 && this.#later[0][0] <= this.end) {
      this.end = Math.max(this.end, this.#later.shift()[1])
    }
  }
}
