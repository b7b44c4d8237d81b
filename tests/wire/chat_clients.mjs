/**
 * Stock Yjs clients of one chat thread behind JSON lines, as ../interop/clients/driver.mjs has them of a text. All are in
 * one process, so that they can be compared at one moment. `chat_people.py` is the other side.
 */
import { createInterface } from 'node:readline'
import { Client } from '../interop/clients/client.mjs'
import * as Y from '../interop/node_modules/yjs/dist/yjs.mjs'

const SENT_AT = '2026-01-01T00:00:00Z'

class Member extends Client {
  messages = this.doc.getArray('messages')
  reactions = this.doc.getMap('reactions')
  receipts = this.doc.getMap('receipts')
  /** What it has sent: `{id, edit}`, where `edit` is the number of its edit. */
  sent_messages = []
  /** id -> the body that was last written here, null once it was deleted here. */
  last_written = {}

  constructor ({ user_id: userId, ...how }) {
    super(how)
    this.userId = userId
  }

  /** Its user's messages, but for deleted ones and what was sent again. */
  get mine () {
    const first = new Map()
    for (const each of this.messages) {
      if (each.get('sender_id') === this.userId && !first.has(each.get('id'))) first.set(each.get('id'), each)
    }
    return [...first.values()].filter((each) => !each.get('deleted'))
  }

  append (id, body) {
    this.messages.push([new Y.Map(Object.entries({ id, sender_id: this.userId, body, sent_at: SENT_AT }))])
  }

  get isAcknowledged () {
    return this.provider.synced && this.confirmations.confirmed >= this.confirmations.sent
  }

  /** What is deleted and what there is, byte by byte. */
  get state () {
    return Buffer.from(Y.encodeSnapshot(Y.snapshot(this.doc))).toString('base64')
  }

  get isWhole () {
    return !this.doc.store.pendingStructs && !this.doc.store.pendingDs
  }
}

const members = new Map()
const pickOf = (array, pick) => array[Math.floor(pick * array.length)]
const isMap = (each) => each instanceof Y.Map

const commands = {
  connect: ({ id, ...how }) => { members.set(id, new Member(how)) },
  /** Ends for good; the ids of the messages that it was told are saved. */
  destroy ({ member, id }) {
    const { confirmed } = member.confirmations
    const saved = member.sent_messages.filter(({ edit }) => edit < confirmed).map((each) => each.id)
    member.destroy()
    members.delete(id)
    return saved
  },
  disconnect: ({ member }) => member.provider.disconnect(),
  reconnect: ({ member }) => member.provider.connect(),
  sever: ({ member }) => member.sever(),

  send ({ member, message_id: id, body }) {
    member.sent_messages.push({ id, edit: member.confirmations.sent })
    member.last_written[id] = body
    member.append(id, body)
  },
  /** Once more, as a client does that does not know whether it has. */
  resend ({ member, pick }) {
    const message = pickOf(member.mine, pick)
    if (message) member.append(message.get('id'), 'sent again')
  },
  edit ({ member, pick, body }) {
    const message = pickOf(member.mine, pick)
    if (!message) return
    member.last_written[message.get('id')] = body
    member.doc.transact(() => {
      message.set('body', body)
      message.set('edited_at', SENT_AT)
    })
  },
  delete ({ member, pick }) {
    const message = pickOf(member.mine, pick)
    if (!message) return
    member.last_written[message.get('id')] = null
    message.set('deleted', true)
  },
  react ({ member, pick, emoji }) {
    const message = pickOf(member.messages.toArray().filter(isMap), pick)
    if (!message) return
    const key = `${message.get('id')}:${member.userId}:${emoji}`
    if (member.reactions.has(key)) member.reactions.delete(key)
    else member.reactions.set(key, true)
  },
  /** What it may not: the server has to put it right. What `spare` has written is not touched. */
  meddle ({ member, pick, how, spare }) {
    const isOthers = (each) => ![member.userId, spare].includes(each.get('sender_id'))
    const message = pickOf(member.messages.toArray().filter(isOthers), pick)
    if (!message) return
    if (how === 'edit') message.set('body', 'not mine')
    if (how === 'seq') message.set('seq', 1)
    if (how === 'remove') member.messages.delete(member.messages.toArray().indexOf(message))
    if (how === 'receipt') member.receipts.set(String(member.userId), { delivered_seq: 1e6, read_seq: 1e6 })
  },

  read: ({ member }) => ({
    messages: member.messages.toJSON(),
    reactions: Object.keys(member.reactions.toJSON()),
    receipts: member.receipts.toJSON(),
    last_written: member.last_written
  }),
  /** Until all have the same, all of it saved, `count` messages, each with its seq. */
  async wait_settled ({ count = null, timeout_ms: timeoutMs }) {
    const all = [...members.values()]
    const isSettled = () => {
      if (!all.every((each) => each.isAcknowledged && each.isWhole)) return false
      const state = all[0].state
      if (!all.every((each) => each.state === state)) return false
      const seqs = all[0].messages.toArray().map((each) => each.get('seq'))
      return (count === null || seqs.length === count) && seqs.every(Number.isInteger)
    }
    await anyUntil(all, isSettled, timeoutMs, () => describe(all))
  }
}

/** A change of any of them may be what makes it so. */
async function anyUntil (all, probe, timeoutMs, describe) {
  await Promise.race(all.map((each) => each.until(probe, timeoutMs, describe)))
}

function describe (all) {
  const lines = all.map(({ messages, provider, confirmations, isWhole, state, awareness }) => {
    const lacking = messages.toArray().filter((each) => !Number.isInteger(each.get('seq'))).map((each) => each.toJSON())
    const { confirmed, sent } = confirmations
    const name = awareness.getLocalState()?.user.name
    const hash = state.length + state.slice(-12)
    return { name, synced: provider.synced, confirmed, sent, isWhole, count: messages.length, lacking, state: hash }
  })
  return JSON.stringify(lines, null, 1)
}

async function answer (line) {
  const { seq, command, ...args } = JSON.parse(line)
  let reply
  try {
    reply = { seq, result: (await commands[command]({ ...args, member: members.get(args.id) })) ?? null }
  } catch (error) {
    reply = { seq, error: error instanceof Error ? error.message : String(error) }
  }
  process.stdout.write(JSON.stringify(reply) + '\n')
}

// Standard output is for answers alone; what the providers remark of refusals is nothing new.
console.log = console.info = console.warn = () => {}

for await (const line of createInterface({ input: process.stdin })) void answer(line)
process.exit(0)
