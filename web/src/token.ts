/**
 * Where the token for a connection comes from: one that a person gave (`#token=…` or the field), otherwise the
 * development server, which hands out tokens to anybody on the same machine.
 */
export class TokenSource {
  #given = new URLSearchParams(location.hash.slice(1)).get('token')

  constructor() {
    // Taken out of the address at once, so that it is neither bookmarked nor sent on with the link.
    if (this.#given !== null) history.replaceState(null, '', location.pathname + location.search)
  }

  /** Whether a person gave the token: asking again would only return the same one. */
  get isGiven(): boolean {
    return this.#given !== null
  }

  give(token: string): void {
    this.#given = token.trim()
  }

  /** A token for `user`; null when there is none to be had here. Rejects when the server can't be reached. */
  async tokenFor(user: string): Promise<string | null> {
    if (this.#given !== null) return this.#given
    const response = await fetch(`/api/dev/token?user=${encodeURIComponent(user)}`)
    if (response.status >= 500) throw new Error(`the server answered ${response.status}`)
    if (!response.ok) return null
    const { token } = (await response.json()) as { token: string }
    return token
  }
}
