import { CostudioError } from '@costudio/client'

const MEANINGS: Record<string, string> = {
  offline: 'The server can’t be reached. Try again when you are back online.',
  unauthorized: 'You are not signed in any more.',
  not_found: 'It is not there any more, or not for you.',
  rate_limited: 'That was too much at once. Try again in a minute.',
  unavailable: 'The server can’t do this right now. Try again in a moment.',
  internal: 'Something went wrong on the server. Its log says what.'
}

/** An error as one tells it to a person. */
export function wordsOf(error: unknown): string {
  if (error instanceof CostudioError) return MEANINGS[error.code] ?? sentence(error.reason)
  return error instanceof Error ? error.message : String(error)
}

function sentence(text: string): string {
  const [first = ''] = text
  return `${first.toUpperCase()}${text.slice(first.length)}${/[.!?]$/u.test(text) ? '' : '.'}`
}
