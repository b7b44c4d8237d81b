/** How somebody is signed in: by a token that they gave, or by a name that the development server believes. */
export type Identity = { kind: 'token'; token: string } | { kind: 'development'; user: string }

export class SignInRefused extends Error {}

/** Only this tab has it: two tabs can be two people, and closing the tab signs out. */
const KEPT = 'costudio.identity'

/**
 * Who is signed in: by `#token=`, else as `?user=`, else as before a reload; null if nobody. The token is taken out of
 * the address at once, so that it is neither bookmarked nor sent on with a link.
 */
export function firstIdentity(user: string | null): Identity | null {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token !== null) {
    history.replaceState(null, '', location.pathname + location.search)
    return { kind: 'token', token }
  }
  const kept = keptIdentity()
  if (user === null || kept?.kind === 'token') return kept
  return { kind: 'development', user }
}

export function keepIdentity(identity: Identity | null): void {
  if (identity) sessionStorage.setItem(KEPT, JSON.stringify(identity))
  else sessionStorage.removeItem(KEPT)
}

function keptIdentity(): Identity | null {
  const text = sessionStorage.getItem(KEPT)
  return text === null ? null : (JSON.parse(text) as Identity)
}

/** A token for this identity. Raises SignInRefused; TypeError (of fetch) if the server cannot be reached. */
export async function tokenOf(identity: Identity): Promise<string> {
  if (identity.kind === 'token') return identity.token
  const response = await fetch(`/api/dev/token?user=${encodeURIComponent(identity.user)}`)
  if (response.ok) return ((await response.json()) as { token: string }).token
  if (response.status === 404) throw new SignInRefused('This server does not let people in by name. Paste a token instead.')
  if (response.status === 422) throw new SignInRefused('This cannot be a name: use up to 64 visible characters.')
  if (response.status === 403) throw new SignInRefused('By name one comes in on this machine only. Paste a token instead.')
  throw new Error(`The server answered ${response.status}. Try again in a moment.`)
}
