import type { Identity } from './tokens'

/**
 * A name for whose local copies these are. Of a token, what it claims; that is enough here, for nobody but the
 * server believes it, and the copies are this browser's own.
 */
export function accountOf(identity: Identity): string {
  if (identity.kind === 'development') return identity.user
  const [, body = ''] = identity.token.split('.')
  try {
    const { iss, sub } = JSON.parse(atob(body.replaceAll('-', '+').replaceAll('_', '/'))) as { iss?: string; sub?: string }
    return `${iss} ${sub}`
  } catch {
    return 'token' // Not a token at all: the server will say so.
  }
}
