import type { CostudioError } from '../errors.js'
import type { Live } from '../live/live.js'
import { LiveValue } from '../live/value.js'
import { NOT_JOINED, roomAfter, type RoomState } from './room-state.js'
import type { JoinAck, ServerEvent } from './types.js'

/** How a room asks to be in it. */
export interface RoomDoor {
  /** `answered` is called before the first event in the room is. Rejects with CostudioError. */
  ask(payload: { room: string; last_seq?: number; away: boolean }, answered: (ack: JoinAck) => void): Promise<unknown>
  isOpen(): boolean
}

const RETRY_MS = 2_000
const PASSING = new Set(['unavailable', 'rate_limited', 'internal'])

/** A room of the JSON protocol, with who is in it. After a break one is in it again. */
export class JoinedRoom implements Live<RoomState> {
  readonly #state = new LiveValue<RoomState>(NOT_JOINED)
  #lastSeq: number | null = null
  #away = false
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(
    readonly room: string,
    private readonly door: RoomDoor,
    readonly close: () => void
  ) {}

  get current(): RoomState {
    return this.#state.current
  }

  subscribe = this.#state.subscribe

  /** Whether one is here without being at the keyboard. */
  setAway(away: boolean): void {
    if (away === this.#away) return
    this.#away = away
    if (this.door.isOpen()) void this.join()
  }

  /** Never rejects: `current.error` says what is wrong. */
  async join(): Promise<void> {
    this.stop()
    const lastSeq = this.#lastSeq === null ? {} : { last_seq: this.#lastSeq }
    try {
      await this.door.ask({ room: this.room, away: this.#away, ...lastSeq }, (ack) => {
        this.#state.set({ isJoined: true, role: ack.role, members: ack.members, ack, error: null })
        if (this.#lastSeq === null || ack.gap) this.#lastSeq = ack.last_seq
      })
    } catch (error) {
      const { code, reason } = error as CostudioError
      if (!this.door.isOpen()) return // it is asked again with the next connection
      this.#state.set({ ...NOT_JOINED, error: reason })
      if (PASSING.has(code)) this.#timer = setTimeout(() => void (this.door.isOpen() && this.join()), RETRY_MS)
    }
  }

  /** Take note of an event in this room. */
  receive(event: ServerEvent): void {
    const seq = (event.payload as { event_seq?: number | null }).event_seq
    if (typeof seq === 'number' && seq > (this.#lastSeq ?? 0)) this.#lastSeq = seq
    if (event.type === 'error' && (event.payload as { code: string }).code === 'room_closed') void this.join()
    else this.#state.set(roomAfter(this.current, event))
  }

  /** The connection is gone: nobody knows who is here now. */
  lost(): void {
    this.stop()
    this.#state.update({ isJoined: false, members: [] })
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
