import {
  createContext,
  createElement,
  useContext,
  useEffect,
  useState,
  useSyncExternalStore,
  type ReactElement,
  type ReactNode
} from 'react'
import type { CostudioClient } from '../client.js'
import type { Closable, Live } from '../live/live.js'

const Context = createContext<CostudioClient | null>(null)

/** Gives the client to all hooks below. */
export function CostudioProvider({
  client,
  children
}: {
  client: CostudioClient
  children?: ReactNode
}): ReactElement {
  return createElement(Context.Provider, { value: client }, children)
}

/** The client of the nearest `CostudioProvider`. */
export function useCostudio(): CostudioClient {
  const client = useContext(Context)
  if (client === null) throw new Error('no CostudioProvider above this component')
  return client
}

/** What it is now; renders anew with each change. */
export function useLive<Value>(live: Live<Value>): Value {
  const read = (): Value => live.current
  return useSyncExternalStore((listener) => live.subscribe(listener), read, read)
}

/** Opened while the component is there, anew when `key` changes; null before. */
export function useOpened<Thing extends Closable>(
  key: string,
  open: (client: CostudioClient) => Thing
): Thing | null {
  const client = useCostudio()
  const [opened, setOpened] = useState<{ key: string; thing: Thing } | null>(null)
  useEffect(() => {
    const thing = open(client)
    setOpened({ key, thing })
    return () => thing.close()
    // `key` says what `open` opens.
  }, [client, key])
  return opened?.key === key ? opened.thing : null
}

const NOTHING: Live<null> = { current: null, subscribe: () => () => {} }

/** The same for what may not be open yet. */
export function useLiveOrNull<Value>(live: Live<Value> | null): Value | null {
  return useLive<Value | null>(live ?? NOTHING)
}
