import type { Live } from './live.js'

/** A `Live` that its owner sets. */
export class LiveValue<Value> implements Live<Value> {
  #current: Value
  readonly #listeners = new Set<() => void>()

  constructor(initial: Value) {
    this.#current = initial
  }

  get current(): Value {
    return this.#current
  }

  subscribe = (listener: () => void): (() => void) => {
    // Wrapped, so that one function may listen twice and each end its own.
    const entry = (): void => listener()
    this.#listeners.add(entry)
    return () => this.#listeners.delete(entry)
  }

  set(next: Value): void {
    if (Object.is(next, this.#current)) return
    this.#current = next
    for (const listener of [...this.#listeners]) listener()
  }

  /** Change some fields; nobody is told if they stay as they are. */
  update(change: Partial<Value>): void {
    const entries = Object.entries(change) as [keyof Value, Value[keyof Value]][]
    if (entries.some(([name, value]) => !Object.is(this.#current[name], value)))
      this.set({ ...this.#current, ...change })
  }
}

/** Resolves with the first value for which `isMet` holds, now or later. */
export function until<Value>(live: Live<Value>, isMet: (value: Value) => boolean): Promise<Value> {
  return new Promise((resolve) => {
    let stop: (() => void) | null = null
    const look = (): void => {
      if (!isMet(live.current)) return
      stop?.()
      resolve(live.current)
    }
    stop = live.subscribe(look)
    look()
  })
}
