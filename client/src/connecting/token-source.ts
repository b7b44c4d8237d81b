const SPARE_MS = 30_000
const UNKNOWN_LIFE_MS = 60_000

/** Keeps the app's token until shortly before it ends, so that the app is not asked for each request. */
export class TokenSource {
  #kept: { token: Promise<string>; untilMs: number } | null = null

  constructor(
    private readonly ask: () => string | Promise<string>,
    private readonly nowMs: () => number = Date.now
  ) {}

  get(): Promise<string> {
    const nowMs = this.nowMs()
    if (this.#kept !== null && nowMs < this.#kept.untilMs) return this.#kept.token
    const kept = { token: this.#ask(), untilMs: nowMs + UNKNOWN_LIFE_MS }
    this.#kept = kept
    kept.token.then(
      (token) => {
        kept.untilMs = Math.max(nowMs, endMs(token, nowMs) - SPARE_MS)
      },
      () => this.forget(kept)
    )
    return kept.token
  }

  /** The next `get` asks for a fresh one. */
  forget(kept = this.#kept): void {
    if (this.#kept === kept) this.#kept = null
  }

  async #ask(): Promise<string> {
    return await this.ask()
  }
}

/** When a JSON Web Token ends; of other texts a guess. It is read to save questions: the server is who verifies it. */
function endMs(token: string, nowMs: number): number {
  try {
    const payload = token.split('.')[1] ?? ''
    const { exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as { exp?: unknown }
    if (typeof exp === 'number') return exp * 1000
  } catch {
    // Not a token of ours to read.
  }
  return nowMs + UNKNOWN_LIFE_MS + SPARE_MS
}
