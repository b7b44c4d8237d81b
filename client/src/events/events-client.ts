import { CloseCode } from '../connecting/close-codes.js'
import { Reconnector } from '../connecting/reconnector.js'
import type { TokenSource } from '../connecting/token-source.js'
import { CostudioError } from '../errors.js'
import type { Live } from '../live/live.js'
import { Shared } from '../live/shared.js'
import { LiveValue } from '../live/value.js'
import { JoinedRoom, type RoomDoor } from './joined-room.js'
import { Requests } from './requests.js'
import type {
  Answers,
  ClientEvents,
  ClientEventType,
  ConnectAck,
  ServerEvent,
  ServerEvents,
  ServerEventType
} from './types.js'

/** `closed`: for good, `reason` says why in words; `connect()` tries again. */
export interface ConnectionState {
  status: 'offline' | 'connecting' | 'connected' | 'closed'
  /** Close code of the last end; null if there was none, or the network ended. */
  code: number | null
  reason: string | null
  /** Who the token says that this is; null until the first connection. */
  user: { id: number; name: string } | null
}

interface Incoming {
  type: string
  payload: { room?: string | null }
  id?: string | number | null
  timestamp: string
  sender_id: number | null
}

type Handler = (event: ServerEvent) => void

const PING_MS = 20_000
const ANSWER_MS = 10_000

/** The one connection to `/events`: rooms, requests and events of the JSON protocol, over as many sockets as it takes. */
export class EventsClient implements Live<ConnectionState> {
  readonly #state = new LiveValue<ConnectionState>({ status: 'offline', code: null, reason: null, user: null })
  readonly #reconnector = new Reconnector(
    () => void this.#open(),
    () => this.#end(null, null)
  )
  readonly #requests = new Requests((text) => this.#socket?.send(text))
  readonly #rooms = new Map<string, JoinedRoom>()
  readonly #handlers = new Map<string, Set<Handler>>()
  readonly #sharedRooms = new Shared<JoinedRoom>((room) => this.#leave(room))
  #socket: WebSocket | null = null
  #isReady = false // one is in all rooms again
  #heartbeat: ReturnType<typeof setInterval> | null = null
  #heardAtMs = 0

  /** `url` is that of `/events`. */
  constructor(
    private readonly url: string,
    private readonly tokens: TokenSource,
    private readonly Socket: typeof WebSocket
  ) {}

  get current(): ConnectionState {
    return this.#state.current
  }

  /** The socket of the moment, to look at; null while there is none. */
  get socket(): WebSocket | null {
    return this.#socket
  }

  subscribe = this.#state.subscribe

  /** Whoever sends or joins connects too. */
  connect(): void {
    this.#reconnector.start()
  }

  /** What was not answered is rejected. */
  close(): void {
    this.#reconnector.stop()
    this.#end(null, 'closed here')
  }

  /**
   * Resolves with the answer when it is done, and saved. While there is no connection it waits for one, and what was not
   * answered is sent again after a break. Rejects with CostudioError.
   */
  send<Type extends ClientEventType>(type: Type, payload: ClientEvents[Type]): Promise<Answers[Type]> {
    this.connect()
    return this.#requests.ask(type, payload, { now: this.#isReady })
  }

  /** Send without an answer, if there is a connection now: typing, cursors. */
  tell<Type extends ClientEventType>(type: Type, payload: ClientEvents[Type]): void {
    if (this.#isConnected) this.#socket?.send(JSON.stringify({ type, payload }))
  }

  /** Hear of all events of a type, in whatever room. Returns what ends that. */
  on<Type extends ServerEventType>(type: Type, handler: (event: ServerEvent<Type>) => void): () => void {
    const handlers = this.#handlers.get(type) ?? new Set()
    this.#handlers.set(type, handlers)
    const entry: Handler = (event) => handler(event as ServerEvent<Type>)
    handlers.add(entry)
    return () => handlers.delete(entry)
  }

  /** Be in a room; after a break one is in it again, and what was missed is told first. */
  join(name: string): JoinedRoom {
    this.connect()
    const room = name.normalize() // as the server names it
    return this.#sharedRooms.open(room, (release) => {
      const door: RoomDoor = {
        ask: (payload, answered) => this.#askNow('join_room', payload, answered),
        isOpen: () => this.#isConnected
      }
      const joined = new JoinedRoom(room, door, release)
      this.#rooms.set(room, joined)
      if (this.#isConnected) void joined.join()
      return joined
    })
  }

  get #isConnected(): boolean {
    return this.current.status === 'connected'
  }

  #leave(room: JoinedRoom): void {
    room.stop()
    this.#rooms.delete(room.room)
    if (this.#isConnected) void this.#askNow('leave_room', { room: room.room }).catch(() => {})
  }

  #askNow<Answer>(type: string, payload: object, answered?: (answer: Answer) => void): Promise<Answer> {
    return this.#requests.ask(type, payload, { now: true, isPassing: true, answered })
  }

  async #open(): Promise<void> {
    this.#state.update({ status: 'connecting' })
    let token: string
    try {
      token = await this.tokens.get()
    } catch (error) {
      this.#end(null, `no token: ${error instanceof Error ? error.message : String(error)}`)
      return
    }
    if (!this.#reconnector.isWanted || this.#socket !== null) return
    const socket = new this.Socket(this.url)
    this.#socket = socket
    socket.onopen = () => void this.#begin(socket, token)
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(JSON.parse(String(data)) as Incoming)
    }
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#end(code, reason)
    }
    socket.onerror = () => {} // `onclose` follows
  }

  async #begin(socket: WebSocket, token: string): Promise<void> {
    this.#listenForLife(socket)
    let ack: ConnectAck
    try {
      ack = await this.#askNow('connect', { token })
    } catch {
      return // it was closed: that says why
    }
    this.#reconnector.succeeded()
    this.#state.set({ status: 'connected', code: null, reason: null, user: { id: ack.user_id, name: ack.name } })
    await Promise.all([...this.#rooms.values()].map((room) => room.join()))
    if (socket !== this.#socket) return
    this.#isReady = true
    this.#requests.askAgain()
  }

  /** A network can end without a word. */
  #listenForLife(socket: WebSocket): void {
    this.#heardAtMs = Date.now()
    this.#heartbeat = setInterval(() => {
      const silentMs = Date.now() - this.#heardAtMs
      if (silentMs > PING_MS + ANSWER_MS) this.#end(null, 'the server is silent')
      else if (silentMs >= PING_MS / 2) socket.send('{"type":"ping","payload":{}}')
    }, ANSWER_MS)
  }

  #receive({ type, payload, id, timestamp, sender_id }: Incoming): void {
    this.#heardAtMs = Date.now()
    if (id !== null && id !== undefined) {
      this.#requests.answered(String(id), type, payload)
      return
    }
    const event = { type, payload, timestamp, sender_id } as unknown as ServerEvent
    if (payload.room) this.#rooms.get(payload.room)?.receive(event)
    if (type === 'permission_changed' && (payload as ServerEvents['permission_changed']).reason === 'token_expires') {
      void this.#renewToken()
    }
    for (const handler of [...(this.#handlers.get(type) ?? [])]) handler(event)
  }

  /** What the server says when a token is about to end; if this fails, the connection ends and comes back. */
  async #renewToken(): Promise<void> {
    this.tokens.forget()
    try {
      await this.#askNow('connect', { token: await this.tokens.get() })
    } catch (error) {
      this.#state.update({
        reason: `the token could not be renewed: ${error instanceof Error ? error.message : String(error)}`
      })
    }
  }

  #end(code: number | null, reason: string | null): void {
    const socket = this.#socket
    this.#socket = null
    this.#isReady = false
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat)
    if (socket !== null && socket.readyState <= 1) socket.close(1000)
    if (code === CloseCode.UNAUTHORIZED || code === CloseCode.TOKEN_EXPIRED) this.tokens.forget()
    const status = this.#reconnector.ended(code) ? 'offline' : 'closed'
    this.#state.update({ status, code, reason: reason || null })
    for (const room of this.#rooms.values()) room.lost()
    const error = new CostudioError(status === 'closed' ? 'closed' : 'offline', reason || 'the connection has ended')
    this.#requests.fail(error, { all: status === 'closed' })
  }
}
