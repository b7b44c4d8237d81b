const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

export const clockTime = (date: Date): string => clock.format(date)
export const dayOf = (date: Date): string => day.format(date)
export const fullTime = (date: Date): string => moment.format(date)

/** How long ago, in a few characters. */
export function timeAgo(date: Date, now: number): string {
  const passed = now - date.getTime()
  if (passed < MINUTE) return 'just now'
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min ago`
  if (passed < DAY) return `${Math.floor(passed / HOUR)} h ago`
  if (passed < 2 * DAY) return 'yesterday'
  return `${Math.floor(passed / DAY)} days ago`
}

/** What is left until `end`: `4:05`, `2 h 10 min`, `3 days`. */
export function timeLeft(end: Date, now: number): string {
  const left = Math.max(0, end.getTime() - now)
  if (left < HOUR) return `${Math.floor(left / MINUTE)}:${String(Math.floor((left % MINUTE) / SECOND)).padStart(2, '0')}`
  if (left < DAY) return `${Math.floor(left / HOUR)} h ${Math.floor((left % HOUR) / MINUTE)} min`
  const days = Math.floor(left / DAY)
  return days === 1 ? '1 day' : `${days} days`
}
