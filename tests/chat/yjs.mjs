/**
 * Stock Yjs replicas of a chat thread behind JSON lines: a request {call, …} a line on stdin, an answer {result} or
 * {error} a line on stdout. Updates and state vectors travel as base64. Driven by yjs.py.
 */
import { createInterface } from 'node:readline'
import * as Y from '../interop/node_modules/yjs/dist/yjs.mjs'

console.log = console.warn = console.error = () => {} // what Yjs remarks would get between the answers

const toBytes = text => new Uint8Array(Buffer.from(text, 'base64'))
const toText = bytes => Buffer.from(bytes).toString('base64')
const docs = new Map()

const roots = doc => ({
  messages: doc.getArray('messages'),
  reactions: doc.getMap('reactions'),
  receipts: doc.getMap('receipts'),
  thread: doc.getMap('thread')
})

/** What code of `run` may call. */
const helpers = doc => {
  const { messages, reactions, receipts, thread } = roots(doc)
  const map = fields => new Y.Map(Object.entries(fields))
  const is = (message, id, sender) =>
    message instanceof Y.Map && message.get('id') === id && (!sender || message.get('sender_id') === sender)
  const find = (id, sender) => messages.toArray().find(message => is(message, id, sender))
  const place = id => messages.toArray().indexOf(find(id))
  return { Y, doc, messages, reactions, receipts, thread, map, find, place }
}

const calls = {
  open ({ name, clientId, gc }) {
    const doc = new Y.Doc({ gc })
    doc.clientID = clientId
    const sent = []
    doc.on('update', (update, origin) => { if (origin !== 'remote') sent.push(update) })
    docs.set(name, { doc, sent })
  },
  /** Run some code on a replica; returns what it sends, merged if it is one. */
  run ({ name, code, isMerged }) {
    const { doc, sent } = docs.get(name)
    const given = helpers(doc)
    new Function(...Object.keys(given), code)(...Object.values(given))
    const updates = sent.splice(0)
    return (isMerged && updates.length ? [Y.mergeUpdates(updates)] : updates).map(toText)
  },
  apply ({ name, updates }) {
    const { doc, sent } = docs.get(name)
    for (const update of updates) Y.applyUpdate(doc, toBytes(update), 'remote')
    sent.splice(0)
  },
  /** The value of an expression. */
  read ({ name, code }) {
    const given = helpers(docs.get(name).doc)
    return new Function(...Object.keys(given), `return ${code}`)(...Object.values(given))
  },
  state ({ name }) { return toText(Y.encodeStateVector(docs.get(name).doc)) },
  encode ({ name, state }) {
    return toText(Y.encodeStateAsUpdate(docs.get(name).doc, state ? toBytes(state) : undefined))
  },
  json ({ name }) {
    const { doc } = docs.get(name)
    const { store } = doc
    if (store.pendingStructs || store.pendingDs) throw new Error('something is missing')
    return Object.fromEntries(Object.entries(roots(doc)).map(([root, type]) => [root, type.toJSON()]))
  },
  clear () {
    for (const { doc } of docs.values()) doc.destroy()
    docs.clear()
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
