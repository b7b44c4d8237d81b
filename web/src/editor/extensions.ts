import { closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, indentWithTab } from '@codemirror/commands'
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search'
import { EditorState, type Extension } from '@codemirror/state'
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
  placeholder,
  rectangularSelection
} from '@codemirror/view'
import { classHighlighter } from '@lezer/highlight'

/** How all editors look and behave; what they edit comes apart. `label` is read aloud. */
export function editorExtensions(label: string): Extension[] {
  return [
    // Otherwise \r\n counts as one character here and as two in the document, and positions drift apart.
    EditorState.lineSeparator.of('\n'),
    lineNumbers(),
    highlightActiveLineGutter(),
    foldGutter(),
    highlightActiveLine(),
    drawSelection(),
    rectangularSelection(),
    indentOnInput(),
    indentUnit.of('    '),
    EditorState.tabSize.of(4),
    bracketMatching(),
    closeBrackets(),
    search({ top: true }),
    highlightSelectionMatches(),
    syntaxHighlighting(classHighlighter),
    // Tab indents; Escape and then Tab leaves the editor, for whoever works without a mouse.
    keymap.of([...closeBracketsKeymap, ...searchKeymap, ...foldKeymap, ...defaultKeymap, indentWithTab]),
    EditorView.contentAttributes.of({ 'aria-label': label, 'aria-description': 'Press Escape, then Tab, to leave the editor.' })
  ]
}

/** Nothing can be written, and it is reached by Tab all the same. */
export const forReading = (): Extension => [
  EditorState.readOnly.of(true),
  EditorView.editable.of(false),
  EditorView.contentAttributes.of({ 'aria-readonly': 'true', tabindex: '0' })
]

export const emptyHint = (): Extension => placeholder('An empty file. Whatever you type here, everybody in it sees.')
