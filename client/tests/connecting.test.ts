import { readFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { waitMs } from '../src/connecting/backoff.js'
import { CloseCode, mayReconnect } from '../src/connecting/close-codes.js'
import { Reconnector } from '../src/connecting/reconnector.js'
import { TokenSource } from '../src/connecting/token-source.js'
import { mint } from './support/tokens.js'

test('close codes are those that the server documents', () => {
  const page = readFileSync(new URL('../../docs/close-codes.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (\d{4}) \| `(\w+)` \|.*\| (yes|no) \|$/gm)]
  expect(Object.fromEntries(rows.map(([, code, name]) => [name, Number(code)]))).toEqual(CloseCode)
  for (const [, code, , may] of rows) expect([code, mayReconnect(Number(code))]).toEqual([code, may === 'yes'])
})

test('waiting doubles up to a bound, is spread, and is longer where the server is busy', () => {
  expect([0, 1, 2, 3].map((attempt) => waitMs(attempt, null, 1))).toEqual([250, 500, 1000, 2000])
  expect(waitMs(0, null, 0)).toBe(125)
  expect(waitMs(50, null, 1)).toBe(15_000)
  expect(waitMs(0, CloseCode.TRY_AGAIN_LATER, 1)).toBe(2000)
})

describe('a reconnector', () => {
  const start = (): { reconnector: Reconnector; open: ReturnType<typeof vi.fn> } => {
    vi.useFakeTimers()
    const open = vi.fn()
    const reconnector = new Reconnector(
      open,
      () => {},
      () => 1
    )
    reconnector.start()
    return { reconnector, open }
  }

  test('comes back after a code that allows it, and begins anew after a success', () => {
    const { reconnector, open } = start()
    for (const ms of [250, 500]) {
      expect(reconnector.ended(CloseCode.SERVICE_RESTART)).toBe(true)
      vi.advanceTimersByTime(ms - 1)
      open.mockClear()
      vi.advanceTimersByTime(1)
      expect(open).toHaveBeenCalledOnce()
    }
    reconnector.succeeded()
    reconnector.ended(null)
    open.mockClear()
    vi.advanceTimersByTime(250)
    expect(open).toHaveBeenCalledOnce()
    reconnector.stop()
    vi.useRealTimers()
  })

  test('gives up at a final code, and at the second token that is refused', () => {
    const { reconnector } = start()
    expect(reconnector.ended(CloseCode.FORBIDDEN)).toBe(false)
    reconnector.start()
    expect(reconnector.ended(CloseCode.UNAUTHORIZED)).toBe(true)
    expect(reconnector.ended(CloseCode.UNAUTHORIZED)).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })
})

describe('the token source', () => {
  test('keeps a token until shortly before it ends', async () => {
    let nowMs = Date.now()
    const ask = vi.fn(() => mint('alice', {}, 100))
    const tokens = new TokenSource(ask, () => nowMs)
    await Promise.all([tokens.get(), tokens.get()])
    expect(ask).toHaveBeenCalledTimes(1)
    nowMs += 60_000
    await tokens.get()
    expect(ask).toHaveBeenCalledTimes(1)
    nowMs += 11_000
    await tokens.get()
    expect(ask).toHaveBeenCalledTimes(2)
  })

  test('asks again after a failure, and after a token was refused', async () => {
    const ask = vi.fn().mockRejectedValueOnce(new Error('offline')).mockResolvedValue('opaque')
    const tokens = new TokenSource(ask)
    await expect(tokens.get()).rejects.toThrow('offline')
    expect(await tokens.get()).toBe('opaque')
    tokens.forget()
    await tokens.get()
    expect(ask).toHaveBeenCalledTimes(3)
  })
})
