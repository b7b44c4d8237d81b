/** What the page's address says: who signs in, where, and which file is shown. A link is enough to come back. */
export interface Address {
  user: string | null
  workspace: number | null
  file: string | null
  chat: number | null
}

export function readAddress(): Address {
  const query = new URLSearchParams(location.search)
  return {
    user: query.get('user'),
    workspace: wholeNumber(query.get('workspace')),
    file: query.get('file'),
    chat: wholeNumber(query.get('chat'))
  }
}

/** Change what the address says, without a new entry in the browser's history. */
export function writeAddress(change: Partial<Address>): void {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...readAddress(), ...change })) {
    if (value !== null) query.set(name, String(value))
  }
  // A path reads better with its slashes, and they are allowed in a query (RFC 3986 §3.4).
  const text = query.toString().replaceAll('%2F', '/')
  history.replaceState(null, '', text ? `?${text}` : location.pathname)
}

function wholeNumber(text: string | null): number | null {
  const number = Number(text)
  return text !== null && Number.isSafeInteger(number) && number > 0 ? number : null
}
