import { CloseCode } from './close-codes.js'

const FIRST_MS = 250
const LONGEST_MS = 15_000
const BUSY_MS = 2_000

/**
 * How long to wait before the next attempt. It doubles, and `random` (from 0 to 1) spreads it over its upper half: after a
 * restart of the server not all clients come at once.
 */
export function waitMs(attempt: number, code: number | null, random: number): number {
  const atLeast = code === CloseCode.TRY_AGAIN_LATER ? BUSY_MS : FIRST_MS
  const full = Math.min(atLeast * 2 ** Math.min(attempt, 10), LONGEST_MS)
  return full * (0.5 + random / 2)
}
