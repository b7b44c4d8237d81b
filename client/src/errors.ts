/** What the server refused, or could not do: by HTTP, by an event, or by closing a connection. */
export class CostudioError extends Error {
  /**
   * `code` is for programs (docs/errors.md, docs/events.md; `offline` where there was no answer), `reason` for people.
   * `status` is that of an HTTP answer. `details` says more of some codes: of `locked`, who holds the lock.
   */
  constructor(
    readonly code: string,
    readonly reason: string,
    readonly status: number | null = null,
    readonly details: unknown = null
  ) {
    super(`${code}: ${reason}`)
    this.name = 'CostudioError'
  }
}
