/**
 * A value that changes by itself. `current` is a new object after each change and the same one in between, so it fits
 * React's `useSyncExternalStore` and everything like it.
 */
export interface Live<Value> {
  readonly current: Value
  /** Be told of every change from now on; returns what ends that. */
  subscribe(listener: () => void): () => void
}

/** What holds something open: whoever opened it closes it once. */
export interface Closable {
  close(): void
}
