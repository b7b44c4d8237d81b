/**
 * Stock Yjs behind JSON lines: a request {call, …} a line on stdin, an answer {result} or {error} a line on stdout.
 * Updates and state vectors travel as base64. Driven by oracle.py.
 */
import { createInterface } from 'node:readline'
import * as Y from 'yjs'
import { contents, exact, ids } from './contents.mjs'
import { Author, generator } from './random_edits.mjs'

console.log = console.warn = console.error = () => {} // what Yjs remarks would get between the answers

const toBytes = text => new Uint8Array(Buffer.from(text, 'base64'))
const toText = bytes => Buffer.from(bytes).toString('base64')

let docs = []

const newDoc = clientId => {
  const doc = new Y.Doc()
  if (clientId) doc.clientID = clientId
  return doc
}

const applyAll = (doc, updates, origin) => {
  for (const update of updates) Y.applyUpdate(doc, toBytes(update), origin)
}

const calls = {
  /** Forget all documents and make new ones that edit by `seed`. */
  open ({ seed, clientIds, mode, roots }) {
    for (const { doc } of docs) doc.destroy()
    docs = clientIds.map((clientId, index) => {
      const doc = newDoc(clientId)
      const sent = []
      doc.on('update', (update, origin) => { if (origin !== 'remote') sent.push(toText(update)) })
      return { doc, sent, author: new Author(doc, generator(seed * 31 + index), mode, roots) }
    })
  },
  /** Let a document's author edit; returns the updates it sends. */
  edit ({ doc, times }) {
    const { author, sent } = docs[doc]
    for (; times > 0; times--) author.edit()
    return sent.splice(0)
  },
  /** Returns what it sends by itself: Yjs deletes formats that others have made superfluous. */
  apply ({ doc, updates }) {
    applyAll(docs[doc].doc, updates, 'remote')
    return docs[doc].sent.splice(0)
  },
  state ({ doc }) { return toText(Y.encodeStateVector(docs[doc].doc)) },
  encode ({ doc, state }) { return toText(Y.encodeStateAsUpdate(docs[doc].doc, state ? toBytes(state) : undefined)) },
  contents ({ doc }) { return contents(docs[doc].doc) },
  exact ({ doc }) { return exact(docs[doc].doc) },
  /** What a new document says and holds after these updates, and what it is still waiting for. */
  read ({ updates }) {
    const doc = newDoc()
    applyAll(doc, updates)
    const { pendingStructs, pendingDs } = doc.store
    const result = { contents: contents(doc), ids: ids(doc), isPending: pendingStructs !== null || pendingDs !== null }
    doc.destroy()
    return result
  },
  merge ({ updates }) { return toText(Y.mergeUpdates(updates.map(toBytes))) },
  diff ({ update, state }) { return toText(Y.diffUpdate(toBytes(update), toBytes(state))) },
  stateOf ({ update }) { return [...Y.decodeStateVector(Y.encodeStateVectorFromUpdate(toBytes(update)))] },
  /** One author's edits of a text, told one by one: [method, ...arguments]. Returns [text, updates]. */
  write ({ clientId, updates, edits }) {
    const doc = newDoc(clientId)
    applyAll(doc, updates)
    const sent = []
    doc.on('update', update => sent.push(toText(update)))
    const text = doc.getText('text')
    const undo = new Y.UndoManager(text, { captureTimeout: 0 })
    for (const [method, ...args] of edits) method === 'undo' ? undo.undo() : text[method](...args)
    return [text.toString().toWellFormed(), sent]
  }
}

createInterface({ input: process.stdin }).on('line', line => {
  const { call, ...request } = JSON.parse(line)
  let answer
  try {
    answer = { result: calls[call](request) ?? null }
  } catch (error) {
    answer = { error: String(error.stack) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
})
