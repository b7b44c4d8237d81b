/** A message's body as pieces to show. PURE. */
export interface Piece {
  kind: 'text' | 'code' | 'mention' | 'link'
  text: string
}

const PIECES = /(?<code>`[^`\n]+`)|(?<link>https?:\/\/[^\s<>"]+[^\s<>".,;:!?)])|(?<mention>@"[^"\n]+"|@[\p{L}\p{N}_.-]*[\p{L}\p{N}_])/gu

/** Code between backticks, web addresses, and mentions of those names; all else is text, whatever it looks like. */
export function piecesOf(body: string, isName: (name: string) => boolean): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of body.matchAll(PIECES)) {
    const piece = pieceOf(match, isName)
    if (!piece) continue
    if (match.index > end) pieces.push({ kind: 'text', text: body.slice(end, match.index) })
    pieces.push(piece)
    end = match.index + match[0].length
  }
  if (end < body.length) pieces.push({ kind: 'text', text: body.slice(end) })
  return pieces
}

function pieceOf(match: RegExpMatchArray, isName: (name: string) => boolean): Piece | null {
  const { code, link, mention } = match.groups ?? {}
  if (code !== undefined) return { kind: 'code', text: code.slice(1, -1) }
  if (link !== undefined) return { kind: 'link', text: link }
  const name = mention!.slice(1).replaceAll('"', '')
  return isName(name) ? { kind: 'mention', text: `@${name}` } : null
}

/** The part of `text` before the cursor that may become a mention: `@al` in `hi @al`; null if there is none. */
export function mentionBefore(text: string, cursor: number): { from: number; query: string } | null {
  const match = /(?:^|\s)@(?<query>[\p{L}\p{N}_.-]*)$/u.exec(text.slice(0, cursor))
  const query = match?.groups?.['query']
  return query === undefined ? null : { from: cursor - query.length - 1, query }
}

/** A mention as it stands in a body: a name with blanks is quoted. */
export const mentionOf = (name: string): string => (/^[\p{L}\p{N}_.-]*[\p{L}\p{N}_]$/u.test(name) ? `@${name}` : `@"${name}"`)
