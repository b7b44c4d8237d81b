import { createContext, useContext } from 'react'

/** Who is signed in here. */
export interface Me {
  id: number
  name: string
}

export const MeContext = createContext<Me | null>(null)

export function useMe(): Me {
  const me = useContext(MeContext)
  if (!me) throw new Error('nobody is signed in')
  return me
}
