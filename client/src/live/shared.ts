/**
 * Things that are open once for everybody who asks. What nobody holds any more ends a moment later: a component that is
 * put up anew, as React's strict mode does, finds it still open.
 */
export class Shared<Thing> {
  readonly #open = new Map<string, { thing: Thing; holders: number }>()

  /** When nobody holds a thing, and `whenSafe` has resolved, and still nobody does, it comes to its `end`. */
  constructor(
    private readonly end: (thing: Thing) => void,
    private readonly whenSafe: (thing: Thing) => Promise<void> = () => Promise.resolve()
  ) {}

  /** `create` gets what its `close` has to call. */
  open(key: string, create: (release: () => void) => Thing): Thing {
    let entry = this.#open.get(key)
    if (entry === undefined) {
      entry = { thing: create(() => this.#release(key)), holders: 0 }
      this.#open.set(key, entry)
    }
    entry.holders += 1
    return entry.thing
  }

  endAll(): void {
    const open = [...this.#open.values()]
    this.#open.clear()
    for (const { thing } of open) this.end(thing)
  }

  #release(key: string): void {
    const entry = this.#open.get(key)
    if (entry === undefined || entry.holders === 0) return
    entry.holders -= 1
    setTimeout(async () => {
      await this.whenSafe(entry.thing)
      if (entry.holders > 0 || this.#open.get(key) !== entry) return
      this.#open.delete(key)
      this.end(entry.thing)
    }, 0)
  }
}
