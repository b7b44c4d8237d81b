/** Where this tab is: who is editing which file. It stands in the page's own address, so a link is enough to come back. */
export interface Place {
  user: string
  room: string
}

export function currentPlace(): Place {
  const query = new URLSearchParams(location.search)
  return { user: query.get('user') || 'alice', room: query.get('room') || 'notes/welcome.md' }
}

export function addressOf({ user, room }: Place): string {
  // A path reads better with its slashes, and they are allowed in a query (RFC 3986 §3.4).
  const encodedRoom = encodeURIComponent(room).replaceAll('%2F', '/')
  return `/?user=${encodeURIComponent(user)}&room=${encodedRoom}`
}
