import type { ChatMessageStatus } from '@costudio/client'
import { Check, CheckCheck, Clock } from 'lucide-react'
import type { ReactNode } from 'react'

const LOOKS = {
  sending: { icon: Clock, text: 'Sending' },
  sent: { icon: Check, text: 'Sent' },
  delivered: { icon: CheckCheck, text: 'Delivered' },
  read: { icon: CheckCheck, text: 'Read' }
}

/** How far one's own message has got. */
export function Ticks({ status, readers }: { status: ChatMessageStatus; readers: readonly string[] }): ReactNode {
  const { icon: Icon, text } = LOOKS[status]
  const title = status === 'read' ? `Read by ${readers.join(', ')}` : text
  return (
    <span className="ticks" data-status={status} role="img" aria-label={title} title={title}>
      <Icon size={14} aria-hidden />
    </span>
  )
}
