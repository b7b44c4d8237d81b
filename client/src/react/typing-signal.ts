const AGAIN_MS = 2_000
const QUIET_MS = 3_000

/** Tells of typing no more often than others are told, and of its end after a moment without a key. */
export class TypingSignal {
  #toldAtMs: number | null = null
  #quiet: ReturnType<typeof setTimeout> | null = null

  constructor(
    private readonly tell: (type: 'typing_start' | 'typing_stop') => void,
    private readonly nowMs: () => number = Date.now
  ) {}

  typed(): void {
    const nowMs = this.nowMs()
    if (this.#toldAtMs === null || nowMs - this.#toldAtMs >= AGAIN_MS) {
      this.#toldAtMs = nowMs
      this.tell('typing_start')
    }
    if (this.#quiet !== null) clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => this.stop(), QUIET_MS)
  }

  stop(): void {
    if (this.#quiet !== null) clearTimeout(this.#quiet)
    this.#quiet = null
    if (this.#toldAtMs === null) return
    this.#toldAtMs = null
    this.tell('typing_stop')
  }
}
