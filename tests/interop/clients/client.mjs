/** One stock y-websocket client on `content: Y.Text`, with what a test wants to know about it. */
import * as decoding from 'lib0/decoding'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { WebsocketProvider as Provider3 } from 'y-websocket'
import { WebsocketProvider as Provider15 } from 'y-websocket-1'
import { WebsocketProvider as Provider2 } from 'y-websocket-2'
import { Confirmations } from './confirmations.mjs'

// Provider 3 reads WebSocket.OPEN from the global, which Node has from version 22 on.
globalThis.WebSocket ??= WebSocket

const PROVIDERS = { 1.5: Provider15, 2: Provider2, 3: Provider3 }
const MESSAGE_NAMES = ['sync', 'awareness', 'auth', 'queryAwareness']
const SYNC_NAMES = ['syncStep1', 'syncStep2', 'update']

export class Client {
  doc = new Y.Doc()
  content = this.doc.getText('content')
  /** What the provider emitted, in order: `{name, ...details}`. */
  events = []
  /** Messages by name and direction. */
  received = {}
  sent = {}
  #waiters = new Set()
  #isCheckDue = false

  /** `version` chooses the provider's release; `options` go to it as they are. */
  constructor ({ url, room, version = '3', awareness = null, params = {}, options = {} }) {
    this.confirmations = new Confirmations(this.doc, (origin) => origin !== this.provider)
    this.provider = new PROVIDERS[version](url, room, this.doc, {
      disableBc: true, // clients in one process would otherwise meet without the server
      ...options,
      params,
      connect: false,
      WebSocketPolyfill: this.#observedWebSocket()
    })
    this.awareness = this.provider.awareness
    this.awareness.setLocalState(awareness)
    this.awareness.on('change', () => this.#changed())
    this.doc.on('update', () => this.#changed())
    this.#record('status', ({ status }) => ({ status }))
    this.#record('sync', (isSynced) => ({ isSynced }))
    this.#record('connection-close', (event) => ({ code: event?.code ?? null, reason: event?.reason ?? null }))
    this.#record('closed', ({ code, reason }) => ({ code, reason }))
    if (options.connect !== false) this.provider.connect()
  }

  get text () {
    return this.content.toString()
  }

  /** Names in the awareness states that this client knows, its own included. */
  get present () {
    return [...this.awareness.getStates().values()].map((state) => state.user?.name ?? null).sort()
  }

  insert (index, text) {
    this.content.insert(index, text)
  }

  delete (index, length) {
    this.content.delete(index, length)
  }

  /** End the socket without a close frame; the provider comes back as it would after a lost network. */
  sever () {
    this.provider.ws?.terminate()
  }

  destroy () {
    this.provider.destroy()
    this.doc.destroy()
  }

  /** Resolves with the first value of `probe` that is neither false, null nor undefined. */
  until (probe, timeoutMs, describe) {
    return new Promise((resolve, reject) => {
      const check = () => {
        const value = probe()
        if (value === false || value == null) return
        this.#waiters.delete(check)
        clearTimeout(timer)
        resolve(value)
      }
      const timer = setTimeout(() => {
        this.#waiters.delete(check)
        reject(new Error(`not within ${timeoutMs} ms: ${describe()}`))
      }, timeoutMs)
      this.#waiters.add(check)
      check()
    })
  }

  #record (name, details) {
    this.provider.on(name, (...args) => {
      this.events.push({ name, ...details(...args) })
      this.#changed()
    })
  }

  // Many changes in one turn of the loop are one check: comparing a whole text for each would be quadratic.
  #changed () {
    if (this.#isCheckDue) return
    this.#isCheckDue = true
    setImmediate(() => {
      this.#isCheckDue = false
      for (const check of [...this.#waiters]) check()
    })
  }

  /** A WebSocket class that shows this client every message before the provider sees it. */
  #observedWebSocket () {
    const client = this
    return class extends WebSocket {
      constructor (url, protocols) {
        super(url, protocols)
        this.on('message', (data) => client.#observe(client.received, new Uint8Array(data)))
      }

      send (data, ...rest) {
        client.#observe(client.sent, new Uint8Array(data))
        super.send(data, ...rest)
      }
    }
  }

  #observe (counts, message) {
    const decoder = decoding.createDecoder(message)
    let name = MESSAGE_NAMES[decoding.readVarUint(decoder)] ?? 'unknown'
    if (name === 'sync') {
      name = SYNC_NAMES[decoding.readVarUint(decoder)]
      if (name !== 'syncStep1' && counts === this.received) {
        this.confirmations.received(decoding.readVarUint8Array(decoder))
      }
    }
    counts[name] = (counts[name] ?? 0) + 1
    this.#changed()
  }
}
