import type { ReactNode } from 'react'

export function Logo({ size }: { size: number }): ReactNode {
  return <img src="/icon.svg" alt="" width={size} height={size} />
}
