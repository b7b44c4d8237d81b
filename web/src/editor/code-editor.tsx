import type { OpenFile } from '@costudio/client'
import { Compartment, EditorState } from '@codemirror/state'
import { EditorView, keymap } from '@codemirror/view'
import { useEffect, useRef, type ReactNode } from 'react'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import { useMe } from '../session/me'
import { lookOf } from '../ui/person'
import './code-editor.css'
import { editorExtensions, emptyHint, forReading } from './extensions'
import { languageOf } from './languages'

export interface CursorPlace {
  line: number
  column: number
  selected: number
}

interface CodeEditorProps {
  file: OpenFile
  path: string
  language: string | null
  isReadOnly: boolean
  onCursor: (place: CursorPlace) => void
}

/** The text of a file, with others' cursors in it. Give it a new `key` when the file's document is another one. */
export function CodeEditor({ file, path, language, isReadOnly, onCursor }: CodeEditorProps): ReactNode {
  const parent = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(null)
  const languagePart = useRef(new Compartment())
  const writingPart = useRef(new Compartment())
  const me = useMe()

  useEffect(() => {
    const { awareness, text } = file
    awareness.setLocalStateField('user', { ...lookOf(me.name), id: me.id })
    const editor = new EditorView({
      parent: parent.current!,
      state: EditorState.create({
        doc: text.toString(),
        extensions: [
          // CodeMirror's own history is left out: undo has to spare what others typed.
          keymap.of(yUndoManagerKeymap),
          editorExtensions(path),
          yCollab(text, awareness),
          languagePart.current.of([]),
          writingPart.current.of([]),
          EditorView.updateListener.of(({ state, selectionSet, docChanged }) => {
            if (selectionSet || docChanged) onCursor(placeOf(state))
          })
        ]
      })
    })
    view.current = editor
    onCursor(placeOf(editor.state))
    if (!document.activeElement?.closest('.history')) editor.focus() // whoever goes through the history stays there
    return () => {
      awareness.setLocalStateField('cursor', null)
      editor.destroy()
    }
  }, [file])

  useEffect(() => {
    let isWanted = true
    void languageOf(path, language)
      .load()
      .then((support) => isWanted && view.current?.dispatch({ effects: languagePart.current.reconfigure(support) }))
    return () => {
      isWanted = false
    }
  }, [file, path, language])

  useEffect(() => {
    view.current!.dispatch({ effects: writingPart.current.reconfigure(isReadOnly ? forReading() : emptyHint()) })
  }, [file, isReadOnly])

  return <div className="code-editor" ref={parent} />
}

function placeOf(state: EditorState): CursorPlace {
  const { head, from, to } = state.selection.main
  const line = state.doc.lineAt(head)
  return { line: line.number, column: head - line.from + 1, selected: to - from }
}
