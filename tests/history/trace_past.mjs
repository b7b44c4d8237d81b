/** What Yjs itself makes of a recorded history: its updates in an order that fits, and whose each character is. */
import * as Y from '../interop/node_modules/yjs/dist/yjs.mjs'
import { readTrace, updatesByAgent } from '../interop/clients/traces.mjs'

const CLIENT_IDS = [1, 2]

/** Each agent's updates, merged into one order in which nothing comes before what it builds on. */
function inOrder (byAgent) {
  const done = byAgent.map(() => 0)
  const order = []
  while (done.some((count, agent) => count < byAgent[agent].length)) {
    for (const [agent, updates] of byAgent.entries()) {
      while (done[agent] < updates.length && updates[done[agent]].needs.every((count, other) => other === agent || count <= done[other])) {
        order.push([agent, Buffer.from(updates[done[agent]++].update).toString('base64')])
      }
    }
  }
  return order
}

function alone (trace) {
  const doc = new Y.Doc()
  doc.clientID = CLIENT_IDS[0]
  const order = []
  doc.on('update', (update) => order.push([0, Buffer.from(update).toString('base64')]))
  const text = doc.getText('content')
  if (trace.startContent) text.insert(0, trace.startContent)
  for (const transaction of trace.txns) trace.type(text, transaction)
  return order
}

const trace = readTrace(process.argv[2])
const order = trace.numAgents > 1 ? inOrder(updatesByAgent(trace, CLIENT_IDS)) : alone(trace)
const doc = new Y.Doc({ gc: false })
const deletedBy = CLIENT_IDS.map(() => new Set())
for (const [agent, update] of order) {
  const bytes = Buffer.from(update, 'base64')
  Y.applyUpdate(doc, bytes)
  for (const [client, ranges] of Y.decodeUpdate(bytes).ds.clients) {
    for (const { clock, len } of ranges) for (let at = clock; at < clock + len; at++) deletedBy[agent].add(`${client} ${at}`)
  }
}
const authorship = []
const without = CLIENT_IDS.map(() => '')
for (let item = doc.getText('content')._start; item; item = item.right) {
  const agent = CLIENT_IDS.indexOf(item.id.client)
  for (const [at, letter] of item.content.getContent().entries()) {
    if (!item.deleted) authorship.push([agent, letter])
    for (const other of CLIENT_IDS.keys()) {
      if (agent !== other && !deletedBy[agent].has(`${item.id.client} ${item.id.clock + at}`)) without[other] += letter
    }
  }
}
process.stdout.write(JSON.stringify({ order, text: doc.getText('content').toString(), authorship, without }))
