import { useCostudio, useTyping } from '@costudio/client/react'
import type { ReactNode } from 'react'
import { useNamesOf } from '../people/names'
import { useMe } from '../session/me'

/** Who is typing; the line is always there, so that nothing jumps. */
export function TypingLine({ room }: { room: string }): ReactNode {
  const client = useCostudio()
  const { typingUsers } = useTyping(room)
  const me = useMe()
  const others = [...typingUsers].filter((id) => id !== me.id)
  const nameOf = useNamesOf(client, others)
  return (
    <p className="typing-line clip" role="status">
      {others.length > 0 && (
        <>
          <span className="typing-dots" aria-hidden>
            <i />
            <i />
            <i />
          </span>
          {sentence(others.map(nameOf))}
        </>
      )}
    </p>
  )
}

function sentence(names: readonly string[]): string {
  if (names.length === 1) return `${names[0]} is typing`
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`
  return `${names.length} people are typing`
}
