import type { ReactNode } from 'react'
import { piecesOf } from './message-parts'

interface MessageBodyProps {
  body: string
  mentions: readonly number[]
  nameOf: (userId: number) => string
}

/** What a message says. Of what others wrote nothing but text becomes part of the page; a link is http or https. */
export function MessageBody({ body, mentions, nameOf }: MessageBodyProps): ReactNode {
  const names = new Set(mentions.map((id) => nameOf(id).toLowerCase()))
  return (
    <p className="message-body">
      {piecesOf(body, (name) => names.has(name.toLowerCase())).map((piece, place) => {
        if (piece.kind === 'code') return <code key={place}>{piece.text}</code>
        if (piece.kind === 'mention') return <span key={place} className="mention">{piece.text}</span>
        if (piece.kind === 'text') return piece.text
        return (
          <a key={place} href={piece.text} target="_blank" rel="noopener noreferrer">
            {piece.text}
          </a>
        )
      })}
    </p>
  )
}
