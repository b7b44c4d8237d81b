import { waitMs } from './backoff.js'
import { CloseCode, mayReconnect } from './close-codes.js'
import { onNetworkChange } from './network.js'

/** Decides when a connection is tried, and when it is given up. */
export class Reconnector {
  #isWanted = false
  #attempt = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #hasTriedFreshToken = false
  #stopWatching: (() => void) | null = null

  /** `open` begins an attempt, which ends in `succeeded` or `ended`; `drop` ends the connection of the moment. */
  constructor(
    private readonly open: () => void,
    private readonly drop: () => void,
    private readonly random: () => number = Math.random
  ) {}

  get isWanted(): boolean {
    return this.#isWanted
  }

  /** Connect, and stay connected. */
  start(): void {
    if (this.#isWanted) return
    this.#isWanted = true
    this.#attempt = 0
    this.#hasTriedFreshToken = false
    this.#stopWatching = onNetworkChange((isOnline) => {
      if (!isOnline) this.drop()
      else if (this.#timer !== null) this.#tryNow()
    })
    this.open()
  }

  stop(): void {
    this.#isWanted = false
    this.#stopWatching?.()
    this.#stopWatching = null
    this.#cancel()
  }

  succeeded(): void {
    this.#attempt = 0
    this.#hasTriedFreshToken = false
  }

  /**
   * The connection has ended, or was never made; `code` is null where the server has said nothing. False: for good.
   * A token that is refused may just have ended, so one more is asked for.
   */
  ended(code: number | null): boolean {
    if (!this.#isWanted) return false
    const isLastToken = code === CloseCode.UNAUTHORIZED && this.#hasTriedFreshToken
    if (code === CloseCode.UNAUTHORIZED) this.#hasTriedFreshToken = true
    else if (code !== null && !mayReconnect(code)) return this.#giveUp()
    if (isLastToken) return this.#giveUp()
    this.#cancel()
    this.#timer = setTimeout(() => this.#tryNow(), waitMs(this.#attempt++, code, this.random()))
    return true
  }

  #giveUp(): false {
    this.stop()
    return false
  }

  #tryNow(): void {
    this.#cancel()
    this.open()
  }

  #cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
