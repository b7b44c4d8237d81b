import { useCostudio } from '@costudio/client/react'
import { EditorView } from '@codemirror/view'
import { History as HistoryIcon, LoaderCircle, RotateCcw, Unplug } from 'lucide-react'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { useActiveFile } from '../editor/active-file'
import { Banner } from '../editor/banner'
import { languageOf } from '../editor/languages'
import { useKnownNames, useNamesOf } from '../people/names'
import { Button } from '../ui/button'
import { EmptyState } from '../ui/empty-state'
import { fullTime } from '../ui/times'
import { useLoaded } from '../ui/use-loaded'
import { authorsShown, changesShown, readOnly } from './past-extensions'
import { authorsOfLines, textOfDiff, type LineAuthor, type PastText } from './past-text'
import './past-view.css'
import { RestoreDialog } from './restore-dialog'
import { momentWords, showMoment, useHistoryView, type PastMode, type ShownMoment } from './shown-moment'
import { useSettled } from './use-history'

const MODES: readonly { mode: PastMode; label: string }[] = [
  { mode: 'then', label: 'Changed then' },
  { mode: 'since', label: 'Changed since' },
  { mode: 'authors', label: 'Who wrote it' }
]
const SLIDER_REST_MS = 150

/** The file as it was, for reading alone: with what was changed, or with who wrote which line. */
export function PastView({ moment, language }: { moment: ShownMoment; language: string | null }): ReactNode {
  const chosen = useHistoryView((view) => view.mode)
  const mode = chosen === 'then' && moment.before === null ? 'since' : chosen
  const [isRestoring, setIsRestoring] = useState(false)
  const past = usePast(moment, mode)
  return (
    <>
      <Banner
        icon={HistoryIcon}
        kind="note"
        actions={
          <>
            <Button icon={RotateCcw} onClick={() => setIsRestoring(true)}>
              Restore
            </Button>
            <Button onClick={() => showMoment(null)}>Back to the text</Button>
          </>
        }
      >
        {momentWords(moment)}
      </Banner>
      <div className="past-modes" role="group" aria-label="What is shown">
        {MODES.map(({ mode: value, label }) => (
          <button
            key={value}
            type="button"
            aria-pressed={value === mode}
            disabled={value === 'then' && moment.before === null}
            onClick={() => useHistoryView.setState({ mode: value })}
          >
            {label}
          </button>
        ))}
      </div>
      {past.value ? (
        <PastEditor past={past.value} language={language} />
      ) : past.problem !== null ? (
        <EmptyState icon={Unplug} title="This moment can’t be shown">
          <p>{past.problem}</p>
          <Button onClick={past.reload}>Try again</Button>
        </EmptyState>
      ) : (
        <EmptyState icon={LoaderCircle} title="Loading…" />
      )}
      {isRestoring && <RestoreDialog moment={moment} onClose={() => setIsRestoring(false)} />}
    </>
  )
}

type Past = PastText & { lines: readonly LineAuthor[] | null }

function usePast(moment: ShownMoment, mode: PastMode): ReturnType<typeof useLoaded<Past>> {
  const { api } = useCostudio()
  const { room } = useActiveFile().file.file
  const { seq, before } = useSettled(moment, SLIDER_REST_MS)
  return useLoaded<Past>(async () => {
    if (mode === 'authors') {
      const blame = await api.history.blame(room, seq)
      return { text: blame.text, ranges: [], lines: authorsOfLines(blame) }
    }
    const diff = await (mode === 'since' || before === null ? api.history.diff(room, seq) : api.history.diff(room, before, seq))
    return { ...textOfDiff(diff), lines: null }
  }, [api, room, seq, before, mode])
}

function PastEditor({ past, language }: { past: Past; language: string | null }): ReactNode {
  const parent = useRef<HTMLDivElement>(null)
  const { path } = useActiveFile()
  const client = useCostudio()
  const userIds = [...past.ranges, ...(past.lines ?? [])].flatMap(({ userId }) => userId ?? [])
  const nameOf = useNamesOf(client, [...new Set(userIds)])
  const names = useKnownNames()

  useEffect(() => {
    let editor: EditorView | null = null
    let isWanted = true
    const called = (userId: number | null): string => (userId === null ? 'the server' : nameOf(userId))
    const told = ({ userId, at }: { userId: number | null; at: string }): string => `${called(userId)}, ${fullTime(new Date(at))}`
    const shown = past.lines
      ? authorsShown(past.lines, called, told)
      : changesShown(past.ranges, (range) => `${range.side === 'added' ? 'Added' : 'Removed'} by ${told(range)}`)
    void languageOf(path, language)
      .load()
      .then((support) => {
        if (!isWanted) return
        editor = new EditorView({ parent: parent.current!, doc: past.text, extensions: [readOnly(`${path}, as it was`), shown, support] })
        const [first] = past.ranges
        if (first) editor.dispatch({ effects: EditorView.scrollIntoView(first.from, { y: 'center' }) })
      })
    return () => {
      isWanted = false
      editor?.destroy()
    }
  }, [past, path, language, names])
  return <div className="code-editor past-text" ref={parent} />
}
