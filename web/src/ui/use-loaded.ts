import { useCallback, useEffect, useState, type DependencyList } from 'react'
import { wordsOf } from './words'

export interface Loaded<Value> {
  /** Undefined until it is there. */
  value: Value | undefined
  /** Why it could not be loaded, in words. */
  problem: string | null
  reload: () => void
}

/** What `load` resolves to, loaded anew whenever `deps` change; an answer that comes too late is dropped. */
export function useLoaded<Value>(load: () => Promise<Value>, deps: DependencyList): Loaded<Value> {
  const [state, setState] = useState<{ value: Value | undefined; problem: string | null }>({ value: undefined, problem: null })
  const [round, setRound] = useState(0)
  useEffect(() => {
    let isWanted = true
    load().then(
      (value) => isWanted && setState({ value, problem: null }),
      (error: unknown) => isWanted && setState(({ value }) => ({ value, problem: wordsOf(error) }))
    )
    return () => {
      isWanted = false
    }
  }, [...deps, round])
  const reload = useCallback(() => setRound((last) => last + 1), [])
  return { ...state, reload }
}
