import type { StoredNotification } from '@costudio/client'

/** What a notification says happened, in words; `actor` is who did it. */
export function wordsOfNotification({ kind, count, data }: StoredNotification, actor: string): string {
  const path = typeof data['path'] === 'string' ? data['path'] : 'a file'
  const role = typeof data['role'] === 'string' ? data['role'] : 'member'
  switch (kind) {
    case 'mention':
      return `${actor} mentioned you`
    case 'reply':
      return `${actor} answered you`
    case 'chat_activity':
      return count === 1 ? `${actor} wrote in a chat` : `${count} new messages`
    case 'lock_taken':
      return `${actor} ended your lock of ${path}`
    case 'lock_free':
      return `${path} is free: lock it before somebody else does`
    case 'conflict':
      return `${actor} changed the same lines as you in ${path}`
    case 'invitation':
      return `${actor} made you ${role} here`
    case 'system':
      return 'A word to everybody'
    default:
      return kind.replaceAll('_', ' ')
  }
}
