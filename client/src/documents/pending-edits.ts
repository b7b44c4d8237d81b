import * as Y from 'yjs'
import { IdSet } from './id-set.js'

/** What the structs and the deletions of an edit are called. */
interface Ids {
  structs: IdSet
  deletions: IdSet
}

/**
 * Which edits of this replica are not committed. The server sends an edit back to its author once it is: so an edit is
 * pending until each of its structs and deletions has come from there, in whatever update.
 */
export class PendingEdits {
  #edits: (Ids & { isKnown: boolean })[] = []

  get count(): number {
    return this.#edits.length
  }

  /** Of those the ones that were made here, in this session. */
  get ownCount(): number {
    return this.#edits.filter(({ isKnown }) => isKnown).length
  }

  /** A transaction that was made here. */
  wrote({ beforeState, afterState, deleteSet }: Y.Transaction): void {
    this.#add({ structs: statesBetween(beforeState, afterState), deletions: deletionsOf(deleteSet) }, true)
  }

  /** An update that the server sent. */
  received(update: Uint8Array): void {
    if (this.#edits.length > 0) this.#settle(idsOf(update))
  }

  /** The server has this state: what the document has beyond it is pending, whoever wrote it, in whatever session. */
  serverHas(doc: Y.Doc, state: Map<number, number>): void {
    const missing = {
      structs: statesBetween(state, Y.decodeStateVector(Y.encodeStateVector(doc))),
      deletions: new IdSet()
    }
    this.#addUnknown(missing)
  }

  /** The same of deletions: `update` is all that the server knows beyond the document. */
  serverHasDeleted(doc: Y.Doc, update: Uint8Array): void {
    const deletions = deletionsOf(Y.createDeleteSetFromStructStore(doc.store))
    deletions.subtract(idsOf(update).deletions)
    for (const { structs } of this.#edits) deletions.subtract(structs) // they go with the structs
    this.#addUnknown({ structs: new IdSet(), deletions })
  }

  /** What is known to be pending is not counted twice. */
  #addUnknown(missing: Ids): void {
    for (const edit of this.#edits) {
      missing.structs.subtract(edit.structs)
      missing.deletions.subtract(edit.deletions)
    }
    this.#add(missing, false)
  }

  #add(edit: Ids, isKnown: boolean): void {
    if (!edit.structs.isEmpty || !edit.deletions.isEmpty) this.#edits.push({ ...edit, isKnown })
  }

  #settle({ structs, deletions }: Ids): void {
    for (const edit of this.#edits) {
      edit.structs.subtract(structs)
      edit.deletions.subtract(deletions)
    }
    this.#edits = this.#edits.filter((edit) => !edit.structs.isEmpty || !edit.deletions.isEmpty)
  }
}

function idsOf(update: Uint8Array): Ids {
  const { structs, ds } = Y.decodeUpdate(update)
  const found = new IdSet()
  for (const struct of structs) {
    if (!(struct instanceof Y.Skip)) found.add(struct.id.client, struct.id.clock, struct.id.clock + struct.length)
  }
  return { structs: found, deletions: deletionsOf(ds) }
}

function statesBetween(before: Map<number, number>, after: Map<number, number>): IdSet {
  const found = new IdSet()
  for (const [client, end] of after) found.add(client, before.get(client) ?? 0, end)
  return found
}

function deletionsOf({ clients }: { clients: Map<number, { clock: number; len: number }[]> }): IdSet {
  const found = new IdSet()
  for (const [client, deletions] of clients) {
    for (const { clock, len } of deletions) found.add(client, clock, clock + len)
  }
  return found
}
