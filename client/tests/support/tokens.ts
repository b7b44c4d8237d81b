import { createHmac } from 'node:crypto'

/** What the servers of the tests sign with. */
export const SECRET = 'the-secret-of-the-tests-of-the-client'

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token with these grants; `ttlSeconds` may be negative. */
export function mint(user: string, grants: Record<string, string> = { '*': 'editor' }, ttlSeconds = 3600): string {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const claims = {
    iss: 'costudio',
    aud: 'costudio',
    sub: user,
    iat: nowSeconds - 1,
    exp: nowSeconds + ttlSeconds,
    grants
  }
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}
