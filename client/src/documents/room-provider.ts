import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { urlPath } from '../rest/http.js'
import { PendingEdits } from './pending-edits.js'

const SYNC = 0
const AUTH = 2
const SYNC_STATUS = 102
const STEP_1 = 0
const STEP_2 = 1

export interface RoomProviderEvents {
  /** Something of `isSaved`, `pending` or the connection has changed. */
  changed(): void
  /** The server has refused something that was written here. */
  denied(reason: string): void
  /** The connection has ended, or was never made; null: not by the server. */
  ended(code: number | null, reason: string): void
}

/**
 * y-websocket's provider, which says also when what was written here is committed, and leaves it to its owner when to
 * connect again. Edits are this replica's own unless they come with one of the `foreign` origins.
 */
export class RoomProvider extends WebsocketProvider {
  readonly pending = new PendingEdits()
  #isAnswered = false // what of our own the server had not
  #isTold = false // of what it has
  #isConfirmed = false // all of that is committed
  #serverState: Uint8Array | null = null

  /** `serverUrl` is that of `/ws`. */
  constructor(
    serverUrl: string,
    room: string,
    doc: Y.Doc,
    Socket: typeof WebSocket,
    private readonly events: RoomProviderEvents,
    foreign: ReadonlySet<unknown>
  ) {
    super(serverUrl, urlPath(room), doc, {
      connect: false,
      disableBc: true, // tabs would meet without the server, and hand an old history to one another
      shouldReconnect: () => false,
      WebSocketPolyfill: Socket
    })
    const handleSync = this.messageHandlers[SYNC]!
    this.messageHandlers[SYNC] = (encoder, decoder, ...rest) => {
      this.#lookAtSync(decoding.clone(decoder))
      handleSync(encoder, decoder, ...rest)
    }
    // The provider's own would write the URL, with the token in it, to the console.
    this.messageHandlers[AUTH] = (_encoder, decoder) => {
      decoding.readVarUint(decoder)
      this.events.denied(decoding.readVarString(decoder))
    }
    this.messageHandlers[SYNC_STATUS] = (_encoder, decoder) => {
      decoding.readVarUint8Array(decoder)
      this.#isConfirmed = true
      this.events.changed()
    }
    doc.on('update', (_update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
      if (origin === this || foreign.has(origin)) return
      this.pending.wrote(transaction)
      this.events.changed()
    })
    this.on('status', ({ status }) => {
      if (status === 'connecting') this.#isAnswered = this.#isTold = this.#isConfirmed = false
      this.events.changed()
    })
    this.on('sync', () => this.events.changed())
    this.on('connection-close', (event) => {
      this.shouldConnect = false // or it would come back by itself where no code is given
      this.events.ended(event?.code ?? null, event?.reason ?? '')
    })
  }

  /** Whether all that this replica has is committed on the server, as far as can be known now. */
  get isSaved(): boolean {
    return this.synced && this.#isConfirmed && this.pending.count === 0
  }

  /** Send once more what the server has not sent back: it says anew what becomes of it, and does nothing twice. */
  sendPendingAgain(): void {
    if (!this.synced || this.#serverState === null || this.pending.count === 0) return
    this.#send((encoder) => {
      encoding.writeVarUint(encoder, SYNC)
      encoding.writeVarUint(encoder, STEP_2)
      encoding.writeVarUint8Array(encoder, Y.encodeStateAsUpdate(this.doc, this.#serverState ?? undefined))
    })
  }

  #lookAtSync(decoder: decoding.Decoder): void {
    const step = decoding.readVarUint(decoder)
    const content = decoding.readVarUint8Array(decoder)
    if (step === STEP_1) {
      this.#serverState = content
      this.pending.serverHas(this.doc, Y.decodeStateVector(content))
      this.#isAnswered = true
      queueMicrotask(() => this.#askForConfirmation()) // the answer leaves before
    } else {
      this.pending.received(content)
      if (step === STEP_2 && !this.#isTold) {
        this.#isTold = true
        this.pending.serverHasDeleted(this.doc, content)
        this.#askForConfirmation()
      }
    }
    this.events.changed()
  }

  /** An edit that another connection brought may not be committed: the server answers when all that it has is. */
  #askForConfirmation(): void {
    if (!this.#isAnswered || !this.#isTold) return
    this.#send((encoder) => {
      encoding.writeVarUint(encoder, SYNC_STATUS)
      encoding.writeVarUint8Array(encoder, new Uint8Array([0]))
    })
  }

  #send(write: (encoder: encoding.Encoder) => void): void {
    const encoder = encoding.createEncoder()
    write(encoder)
    if (this.ws?.readyState === this.ws?.OPEN) this.ws?.send(encoding.toUint8Array(encoder))
  }
}
