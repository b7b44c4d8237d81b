/** Ranges [start, end) of clocks, by client id; in order and apart from each other. */
export class IdSet {
  readonly #ranges = new Map<number, [start: number, end: number][]>()

  get isEmpty(): boolean {
    return this.#ranges.size === 0
  }

  /** Client ids and their ranges. */
  entries(): IterableIterator<[number, [start: number, end: number][]]> {
    return this.#ranges.entries()
  }

  add(client: number, start: number, end: number): void {
    if (end <= start) return
    const ranges = this.#ranges.get(client) ?? []
    const last = ranges.at(-1)
    if (last === undefined || start > last[1])
      ranges.push([start, end]) // what is typed comes in order
    else {
      ranges.push([start, end])
      ranges.sort((one, other) => one[0] - other[0])
      const merged: [number, number][] = []
      for (const range of ranges) {
        const before = merged.at(-1)
        if (before !== undefined && range[0] <= before[1]) before[1] = Math.max(before[1], range[1])
        else merged.push(range)
      }
      ranges.splice(0, ranges.length, ...merged)
    }
    this.#ranges.set(client, ranges)
  }

  /** Take out what the other set has. */
  subtract(other: IdSet): void {
    for (const [client, taken] of other.#ranges) {
      const ranges = this.#ranges.get(client)
      if (ranges === undefined) continue
      const left = ranges.flatMap((range) => without(range, taken))
      if (left.length === 0) this.#ranges.delete(client)
      else this.#ranges.set(client, left)
    }
  }
}

function without([start, end]: [number, number], taken: readonly [number, number][]): [number, number][] {
  const left: [number, number][] = []
  let at = start
  for (const [from, to] of taken) {
    if (to <= at) continue
    if (from >= end) break
    if (from > at) left.push([at, from])
    at = Math.max(at, to)
  }
  if (at < end) left.push([at, end])
  return left
}
