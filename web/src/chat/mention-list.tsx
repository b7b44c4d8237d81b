import type { ReactNode } from 'react'
import { Avatar } from '../ui/avatar'

interface MentionListProps {
  people: readonly { userId: number; name: string }[]
  chosen: number
  onChoose: (person: { name: string }) => void
}

/** Who could be meant by what follows the @; the keys are the text field's. */
export function MentionList({ people, chosen, onChoose }: MentionListProps): ReactNode {
  return (
    <ul className="mention-list" role="listbox" id="mention-list" aria-label="People to mention">
      {people.map((person, place) => (
        <li
          key={person.userId}
          id={`mention-${place}`}
          role="option"
          aria-selected={place === chosen}
          onPointerDown={(event) => {
            event.preventDefault() // the text field keeps the focus
            onChoose(person)
          }}
        >
          <Avatar name={person.name} size={20} />
          <span className="clip">{person.name}</span>
        </li>
      ))}
    </ul>
  )
}
