import type { ChatMessage, OpenChat } from '@costudio/client'
import { useTyping } from '@costudio/client/react'
import { SendHorizontal, X } from 'lucide-react'
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useMentionable } from '../people/mentionable'
import { IconButton } from '../ui/button'
import './composer.css'
import { MentionList } from './mention-list'
import { mentionBefore, mentionOf } from './message-parts'

/** What is written next is an answer to a message, or replaces one. */
export interface Aim {
  kind: 'reply' | 'edit'
  message: ChatMessage
}

interface ComposerProps {
  chat: OpenChat
  name: string
  aim: Aim | null
  isOffline: boolean
  onDone: () => void
}

const MOST_BYTES = 16 * 1024

export function Composer({ chat, name, aim, isOffline, onDone }: ComposerProps): ReactNode {
  const [text, setText] = useState('')
  const [cursor, setCursor] = useState(0)
  const [chosen, setChosen] = useState(0)
  const [isDismissed, setIsDismissed] = useState(false)
  const field = useRef<HTMLTextAreaElement>(null)
  const { onType, stop } = useTyping(chat.room)
  const people = useMentionable(chat.room)
  const mention = isDismissed ? null : mentionBefore(text, cursor)
  const suggestions = mention ? people.filter((person) => person.name.toLowerCase().startsWith(mention.query.toLowerCase())).slice(0, 6) : []
  const isTooLong = new TextEncoder().encode(text).length > MOST_BYTES

  useEffect(() => {
    if (aim?.kind === 'edit') setText(aim.message.body)
    if (aim) field.current?.focus()
  }, [aim])
  useEffect(() => {
    const element = field.current
    if (!element) return
    element.style.height = 'auto' // as high as its text
    element.style.height = `${element.scrollHeight}px`
  }, [text])

  const submit = (): void => {
    const body = text.trim()
    if (body === '' || isTooLong) return
    if (aim?.kind === 'edit') chat.edit(aim.message.id, body)
    else {
      const mentions = people.filter((person) => body.toLowerCase().includes(mentionOf(person.name).toLowerCase()))
      chat.send(body, { mentions: mentions.map(({ userId }) => userId), ...(aim && { replyTo: aim.message.id }) })
    }
    setText('')
    stop()
    onDone()
  }
  const complete = (person: { name: string } | undefined): void => {
    if (!person || !mention) return
    const completed = `${text.slice(0, mention.from)}${mentionOf(person.name)} `
    setText(completed + text.slice(cursor))
    setCursor(completed.length)
    field.current?.focus()
  }
  const cancel = (): void => {
    if (aim?.kind === 'edit') setText('')
    onDone()
  }

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (suggestions.length > 0 && step !== undefined) setChosen((chosen + step + suggestions.length) % suggestions.length)
    else if (suggestions.length > 0 && (event.key === 'Enter' || event.key === 'Tab')) complete(suggestions[chosen])
    else if (suggestions.length > 0 && event.key === 'Escape') setIsDismissed(true)
    else if (event.key === 'Enter' && !event.shiftKey) submit()
    else if (event.key === 'Escape' && aim) cancel()
    else return
    event.preventDefault()
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      {aim && (
        <div className="composer-aim">
          <span className="clip">
            {aim.kind === 'reply' ? 'Reply to' : 'Edit'}: {aim.message.body}
          </span>
          <IconButton icon={X} label="Cancel" size={14} onClick={cancel} />
        </div>
      )}
      {suggestions.length > 0 && <MentionList people={suggestions} chosen={chosen} onChoose={complete} />}
      <div className="composer-row">
        <textarea
          ref={field}
          rows={1}
          value={text}
          placeholder={isOffline ? 'Offline: it is sent when you are back' : `Message ${name}`}
          aria-label={`Message ${name}`}
          aria-invalid={isTooLong}
          aria-autocomplete="list"
          aria-controls={suggestions.length > 0 ? 'mention-list' : undefined}
          aria-activedescendant={suggestions.length > 0 ? `mention-${chosen}` : undefined}
          onChange={(event) => {
            setText(event.target.value)
            setCursor(event.target.selectionStart)
            setChosen(0)
            setIsDismissed(false)
            onType()
          }}
          onSelect={(event) => setCursor(event.currentTarget.selectionStart)}
          onBlur={stop}
          onKeyDown={onKeyDown}
        />
        <IconButton icon={SendHorizontal} label="Send" type="submit" disabled={text.trim() === '' || isTooLong} />
      </div>
      {isTooLong && <p className="composer-problem" role="alert">That is too long for a message: put it into a file.</p>}
    </form>
  )
}
