/**
 * Real Yjs clients behind JSON lines: `{"seq", "command", "id", …}` in, `{"seq", "result"}` or `{"seq", "error"}` out,
 * each answered when it is done, so a client that waits holds up no other. `tests/interop/node_client.py` is the
 * other side.
 */
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import * as Y from 'yjs'
import { Client } from './client.mjs'
import { readTrace, updatesByAgent } from './traces.mjs'
import { Typist } from './typist.mjs'

const clients = new Map()
const typists = new Map()

const commands = {
  connect ({ id, ...how }) {
    clients.set(id, new Client(how))
    return clients.get(id).doc.clientID
  },
  destroy ({ client, id }) {
    client.destroy()
    clients.delete(id)
  },

  // --- the document
  insert: ({ client, index, text }) => client.insert(index, text),
  delete: ({ client, index, length }) => client.delete(index, length),
  text: ({ client }) => client.text,
  async wait_text ({ client, text, timeout_ms: timeoutMs }) {
    await client.until(() => client.text === text, timeoutMs, () => `the text is ${JSON.stringify(brief(client.text))}`)
  },
  async wait_synced ({ client, timeout_ms: timeoutMs }) {
    await client.until(() => client.provider.synced, timeoutMs, () => `synced; ${JSON.stringify(client.events)}`)
  },
  async wait_confirmed ({ client, count, timeout_ms: timeoutMs }) {
    const { confirmations } = client
    const isDone = () => confirmations.confirmed >= (count ?? confirmations.sent)
    await client.until(isDone, timeoutMs, () => `${confirmations.confirmed} of ${confirmations.sent} edits confirmed`)
  },

  // --- the connection
  disconnect: ({ client }) => client.provider.disconnect(),
  reconnect: ({ client }) => client.provider.connect(),
  sever: ({ client }) => client.sever(),
  set_params ({ client, params }) {
    client.provider.params = params
  },
  events: ({ client }) => client.events,
  wait_event ({ client, name, after, timeout_ms: timeoutMs }) {
    const find = () => client.events.slice(after).find((event) => event.name === name)
    return client.until(find, timeoutMs, () => `no ${name} in ${JSON.stringify(client.events)}`)
  },
  stats: ({ client: { provider, received, sent, confirmations } }) => ({
    received,
    sent,
    edits: confirmations.sent,
    confirmed: confirmations.confirmed,
    first_sent_ms: confirmations.edits[0]?.sentAt ?? null,
    last_confirmed_ms: confirmations.edits.at(-1)?.confirmedAt ?? null,
    is_synced: provider.synced,
    should_connect: provider.shouldConnect
  }),

  // --- awareness
  set_awareness: ({ client, state }) => client.awareness.setLocalState(state),
  present: ({ client }) => client.present,
  async wait_present ({ client, names, timeout_ms: timeoutMs }) {
    const wanted = JSON.stringify([...names].sort())
    await client.until(() => JSON.stringify(client.present) === wanted, timeoutMs, () => `present: ${client.present}`)
  },

  async wait_state ({ client, fields, timeout_ms: timeoutMs }) {
    const states = () => [...client.awareness.getStates().values()]
    const fits = (state) => Object.entries(fields).every(([name, value]) => isDeepStrictEqual(state[name], value))
    await client.until(() => states().some(fits), timeoutMs, () => `states: ${JSON.stringify(states())}`)
  },

  // --- typing
  start_typing ({ id, client, name, seed, interval_ms: intervalMs }) {
    if (!typists.has(id)) typists.set(id, new Typist(client, { name, seed }))
    typists.get(id).start(intervalMs)
  },
  stop_typing: ({ id }) => typists.get(id).stop(),
  typed: ({ id }) => typists.get(id).typed,

  /** Type a whole trace as fast as this process can; `agent` chooses whose part of a concurrent one. */
  async replay ({ client, file, agent, client_ids: clientIds }) {
    if (agent === null) await replayAlone(client, readTrace(file))
    else await replayAgent(client, updatesIn(file, clientIds), agent, clientIds)
  },
  /** Milliseconds from each of `count` edits to its echo, one edit at a time. */
  async echo_latencies ({ client, count, timeout_ms: timeoutMs }) {
    const { confirmations } = client
    const latencies = []
    for (let i = 0; i < count; i++) {
      client.insert(client.content.length, '.')
      const edit = confirmations.edits.at(-1)
      await client.until(() => edit.confirmedAt !== undefined, timeoutMs, () => `no echo of edit ${i}`)
      latencies.push(edit.confirmedAt - edit.sentAt)
    }
    return latencies
  }
}

const brief = (text) => (text.length <= 400 ? text : `${text.slice(0, 200)} … ${text.slice(-200)} (${text.length})`)
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

// The loop is given a turn now and then: the sockets have to be served, or nothing leaves before the last edit.
const EDITS_PER_TURN = 50

async function replayAlone (client, trace) {
  if (trace.startContent) client.insert(0, trace.startContent)
  for (const [number, transaction] of trace.txns.entries()) {
    trace.type(client.content, transaction)
    if (number % EDITS_PER_TURN === 0) await nextTurn()
  }
}

// The agents of one trace are usually here together: what they send is made out once.
const knownUpdates = new Map()
function updatesIn (file, clientIds) {
  const key = JSON.stringify([file, clientIds])
  if (!knownUpdates.has(key)) knownUpdates.set(key, updatesByAgent(readTrace(file), clientIds))
  return knownUpdates.get(key)
}

/** Send one agent's updates in order, each as soon as this replica has what was on its author's screen. */
async function replayAgent (client, updates, agent, clientIds) {
  const clockAfter = updates.map((ofAgent, other) => clocksAfter(ofAgent, clientIds[other]))
  const clockOf = (other) => Y.getState(client.doc.store, clientIds[other])
  for (const [number, { update, needs }] of updates[agent].entries()) {
    for (const [other, count] of needs.entries()) {
      const wanted = count === 0 ? 0 : clockAfter[other][count - 1]
      if (clockOf(other) >= wanted) continue
      await client.until(() => clockOf(other) >= wanted, 30_000, () => `edit ${number} waits for the other agent`)
    }
    Y.applyUpdate(client.doc, update, 'replay')
    if (number % EDITS_PER_TURN === 0) await nextTurn()
  }
}

function clocksAfter (updates, clientId) {
  let clock = 0
  return updates.map(({ update }) => {
    clock = Math.max(clock, Y.parseUpdateMeta(update).to.get(clientId) ?? 0)
    return clock
  })
}

async function answer (line) {
  const { seq, command, ...args } = JSON.parse(line)
  let reply
  try {
    reply = { seq, result: (await commands[command]({ ...args, client: clients.get(args.id) })) ?? null }
  } catch (error) {
    reply = { seq, error: error instanceof Error ? error.message : String(error) }
  }
  process.stdout.write(JSON.stringify(reply) + '\n')
}

// Standard output is for answers alone; the providers print warnings.
console.log = console.info = console.warn = console.error

for await (const line of createInterface({ input: process.stdin })) void answer(line)
process.exit(0)
