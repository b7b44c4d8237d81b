import { syntaxHighlighting } from '@codemirror/language'
import { search, searchKeymap } from '@codemirror/search'
import { EditorState, RangeSet, RangeSetBuilder, type Extension } from '@codemirror/state'
import { Decoration, EditorView, gutter, GutterMarker, keymap, lineNumbers } from '@codemirror/view'
import { defaultKeymap } from '@codemirror/commands'
import { classHighlighter } from '@lezer/highlight'
import { forReading } from '../editor/extensions'
import { lookOf } from '../ui/person'
import type { LineAuthor, PastRange } from './past-text'

/** An editor that is for reading alone; `label` is read aloud. */
export function readOnly(label: string): Extension[] {
  return [
    EditorState.lineSeparator.of('\n'),
    EditorState.tabSize.of(4),
    forReading(),
    EditorView.contentAttributes.of({ 'aria-label': label }),
    search({ top: true }),
    keymap.of([...searchKeymap, ...defaultKeymap]),
    syntaxHighlighting(classHighlighter)
  ]
}

/** What was added and removed; `told` says by whom and when. */
export function changesShown(ranges: readonly PastRange[], told: (range: PastRange) => string): Extension {
  const marks = ranges.map((range) => {
    const tagName = range.side === 'added' ? 'ins' : 'del'
    return Decoration.mark({ tagName, class: `past-${range.side}`, attributes: { title: told(range) } }).range(range.from, range.to)
  })
  return EditorView.decorations.of(RangeSet.of(marks))
}

class AuthorMarker extends GutterMarker {
  constructor(
    private readonly name: string,
    private readonly isFirst: boolean,
    private readonly title: string
  ) {
    super()
  }

  override eq(other: AuthorMarker): boolean {
    return this.title === other.title && this.isFirst === other.isFirst
  }

  override toDOM(): Node {
    const cell = document.createElement('span')
    cell.className = 'past-author'
    cell.style.setProperty('--person', lookOf(this.name).color)
    cell.title = this.title
    cell.textContent = this.isFirst ? this.name : ''
    return cell
  }
}

/** Who wrote each line, beside its number: the name once where lines of one author follow each other. */
export function authorsShown(lines: readonly LineAuthor[], nameOf: (userId: number | null) => string, told: (line: LineAuthor) => string): Extension[] {
  return [
    lineNumbers(),
    gutter({
      class: 'past-authors',
      markers: ({ state: { doc } }) => {
        const builder = new RangeSetBuilder<GutterMarker>()
        lines.forEach((line, index) => {
          const { from } = doc.line(index + 1)
          builder.add(from, from, new AuthorMarker(nameOf(line.userId), line.isFirst, told(line)))
        })
        return builder.finish()
      }
    })
  ]
}
