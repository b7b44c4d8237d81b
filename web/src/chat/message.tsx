import type { ChatMessage, OpenChat } from '@costudio/client'
import { CornerUpLeft, Pencil, SmilePlus, Trash2 } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMe } from '../session/me'
import { Avatar } from '../ui/avatar'
import { IconButton } from '../ui/button'
import { Menu } from '../ui/menu'
import { clockTime, fullTime } from '../ui/times'
import './message.css'
import { MessageBody } from './message-body'
import { timeOf } from './message-list'
import { Ticks } from './ticks'

interface MessageProps {
  message: ChatMessage
  nameOf: (userId: number) => string
  /** It follows another one of its author, who need not be shown again. */
  isContinued: boolean
  /** What it answers: undefined if that is not loaded, null if it is no answer. */
  answered: ChatMessage | null | undefined
  chat: OpenChat
  onReply: () => void
  onEdit: () => void
}

const EMOJI = ['👍', '❤️', '😄', '🎉', '👀', '✅']

export function Message({ message, nameOf, isContinued, answered, chat, onReply, onEdit }: MessageProps): ReactNode {
  const { senderId, isOwn, isDeleted, status, readBy, editedAt } = message
  const me = useMe()
  const name = nameOf(senderId)
  const time = timeOf(message)
  const isForMe = message.mentions.includes(me.id)
  const toggle = (emoji: string): void => {
    const isSet = message.reactions.some((reaction) => reaction.emoji === emoji && reaction.userIds.includes(me.id))
    if (isSet) chat.unreact(message, emoji)
    else chat.react(message, emoji)
  }
  return (
    <article className="message" data-continued={isContinued} data-for-me={isForMe} aria-label={`${name}, ${clockTime(time)}`}>
      {isContinued ? <time className="message-time-aside">{clockTime(time)}</time> : <Avatar name={name} size={30} />}
      <div className="message-main">
        {!isContinued && (
          <header className="message-head">
            <span className="message-name clip">{name}</span>
            <time title={fullTime(time)}>{clockTime(time)}</time>
          </header>
        )}
        {message.replyTo !== null && <Quote answered={answered ?? null} nameOf={nameOf} />}
        <div className="message-line">
          {isDeleted ? <p className="message-gone">Deleted</p> : <MessageBody body={message.body} mentions={message.mentions} nameOf={nameOf} />}
          {isOwn && !isDeleted && <Ticks status={status} readers={readBy.map(nameOf)} />}
        </div>
        {editedAt !== null && !isDeleted && <span className="message-edited">edited</span>}
        <Reactions message={message} onToggle={toggle} nameOf={nameOf} />
      </div>
      {!isDeleted && (
        <div className="message-actions">
          <Menu label="React" icon={SmilePlus} items={EMOJI.map((emoji) => ({ label: emoji, onChoose: () => toggle(emoji) }))} />
          <IconButton icon={CornerUpLeft} label="Reply" size={15} onClick={onReply} />
          {isOwn && <IconButton icon={Pencil} label="Edit" size={14} onClick={onEdit} />}
          {isOwn && <IconButton icon={Trash2} label="Delete" size={14} onClick={() => chat.remove(message.id)} />}
        </div>
      )}
    </article>
  )
}

function Quote({ answered, nameOf }: { answered: ChatMessage | null; nameOf: (userId: number) => string }): ReactNode {
  return (
    <p className="message-quote clip">
      <CornerUpLeft size={12} aria-hidden />
      {answered ? (
        <>
          <b>{nameOf(answered.senderId)}</b> {answered.isDeleted ? 'Deleted' : answered.body}
        </>
      ) : (
        'An older message'
      )}
    </p>
  )
}

interface ReactionsProps {
  message: ChatMessage
  onToggle: (emoji: string) => void
  nameOf: (userId: number) => string
}

function Reactions({ message, onToggle, nameOf }: ReactionsProps): ReactNode {
  const me = useMe()
  if (message.reactions.length === 0) return null
  return (
    <div className="reactions">
      {message.reactions.map(({ emoji, userIds }) => (
        <button
          key={emoji}
          type="button"
          aria-pressed={userIds.includes(me.id)}
          title={userIds.map(nameOf).join(', ')}
          onClick={() => onToggle(emoji)}
        >
          {emoji} {userIds.length}
        </button>
      ))}
    </div>
  )
}
