import type { CSSProperties, ReactNode } from 'react'
import './avatar.css'
import { initialsOf, lookOf } from './person'

interface AvatarProps {
  name: string
  size?: number
  state?: 'online' | 'away' | 'offline' | undefined
}

/** Somebody's initials in their colour, for the eye alone: the name itself stands beside it, or in the title. */
export function Avatar({ name, size = 24, state }: AvatarProps): ReactNode {
  const style = { '--person': lookOf(name).color, '--avatar': `${size}px` } as CSSProperties
  return (
    <span className="avatar" style={style} title={name} data-initials={initialsOf(name)} aria-hidden>
      {state && <span className={`avatar-state is-${state}`} />}
    </span>
  )
}

/** The first few of many, one over the other. */
export function AvatarStack({ names, most = 4 }: { names: readonly string[]; most?: number }): ReactNode {
  const shown = names.length > most ? names.slice(0, most - 1) : names
  return (
    <span className="avatar-stack" role="img" aria-label={`Here now: ${names.join(', ')}`}>
      {shown.map((name, place) => (
        <Avatar key={`${name} ${place}`} name={name} size={22} />
      ))}
      {names.length > shown.length && <span className="avatar avatar-more">+{names.length - shown.length}</span>}
    </span>
  )
}
