import { defaultKeymap } from '@codemirror/commands'
import { markdown } from '@codemirror/lang-markdown'
import { syntaxHighlighting } from '@codemirror/language'
import { EditorState } from '@codemirror/state'
import { drawSelection, EditorView, keymap, lineNumbers, placeholder } from '@codemirror/view'
import { classHighlighter } from '@lezer/highlight'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import type { Awareness } from 'y-protocols/awareness'
import type { Text } from 'yjs'

/** An editor on `content` in which others' cursors show. */
export function createEditor(parent: HTMLElement, content: Text, awareness: Awareness, label: string): EditorView {
  return new EditorView({
    parent,
    state: EditorState.create({
      doc: content.toString(),
      extensions: [
        // Otherwise \r\n counts as one character here and as two in the document, and positions drift apart.
        EditorState.lineSeparator.of('\n'),
        // CodeMirror's own history is left out: undo has to spare what others typed. Tab is left to the browser:
        // whoever works without a mouse must be able to leave the editor.
        keymap.of([...yUndoManagerKeymap, ...defaultKeymap]),
        yCollab(content, awareness),
        lineNumbers(),
        drawSelection(),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label }),
        placeholder('An empty file. Whatever you type here, everybody in it sees.'),
        syntaxHighlighting(classHighlighter),
        label.endsWith('.md') ? markdown() : []
      ]
    })
  })
}
