/** Recorded editing histories (tests/data/editing-traces/NOTE.md), brought into the form Yjs wants. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import * as Y from 'yjs'

/** A trace with `type(text, txn)`, which applies one of its transactions to a Y.Text. */
export function readTrace (file) {
  const trace = JSON.parse(gunzipSync(readFileSync(file)))
  const isNarrow = trace.txns.every(({ patches }) => patches.every(([, , inserted]) => !hasPairs(inserted)))
  const toUnits = isNarrow && !hasPairs(trace.startContent ?? '') ? countNarrow : countUnits
  trace.type = (text, { patches }) => {
    text.doc.transact(() => {
      for (const [position, deletedCount, inserted] of patches) {
        const index = toUnits(text, 0, position)
        const deletedUnits = toUnits(text, position, deletedCount)
        if (deletedUnits > 0) text.delete(index, deletedUnits)
        if (inserted.length > 0) text.insert(index, inserted)
      }
    })
  }
  return trace
}

// A trace counts Unicode code points and Yjs counts UTF-16 units. They differ only where there are surrogate pairs;
// a trace without any is spared the look at the whole text.
const hasPairs = (text) => /[\ud800-\udfff]/.test(text)
const countNarrow = (_text, _start, count) => count
const countUnits = (text, start, count) => [...text.toString()].slice(start, start + count).join('').length

/**
 * The updates of each agent of a concurrent trace, as their editors would have made them: for each agent a list of
 * `{update, needs}`, where `needs` is how many of every agent's updates a replica must have before this one fits in.
 *
 * Every agent has a document of its own here. A transaction is typed in its agent's document at the moment when
 * this document has exactly what the transaction's parents, and theirs, have.
 */
export function updatesByAgent (trace, clientIds) {
  const agents = clientIds.map((clientId) => {
    const agent = { doc: new Y.Doc(), known: clientIds.map(() => 0), updates: [], lastUpdate: null }
    agent.doc.clientID = clientId
    agent.doc.on('update', (update) => {
      agent.lastUpdate = update
    })
    return agent
  })
  const seenBy = [] // for each transaction: how many of every agent's transactions it and its ancestors are
  for (const transaction of trace.txns) {
    const number = transaction.agent
    const agent = agents[number]
    const needs = agents.map((_, other) => Math.max(0, ...transaction.parents.map((parent) => seenBy[parent][other])))
    if (needs[number] !== agent.updates.length) throw new Error('an agent of this trace did not see its own edit')
    agents.forEach(({ updates }, other) => {
      for (; agent.known[other] < needs[other]; agent.known[other]++) {
        Y.applyUpdate(agent.doc, updates[agent.known[other]].update)
      }
    })
    trace.type(agent.doc.getText('content'), transaction)
    agent.updates.push({ update: agent.lastUpdate, needs })
    agent.known[number]++
    seenBy.push(agent.known.slice())
  }
  return agents.map(({ updates }) => updates)
}
