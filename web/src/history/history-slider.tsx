import { useId, type ReactNode } from 'react'
import { momentWords, showMoment, type ShownMoment } from './shown-moment'

/** From the first moment at the left to the text as it is at the right; `moments` are newest first. */
export function HistorySlider({ moments, shown }: { moments: readonly ShownMoment[]; shown: ShownMoment | null }): ReactNode {
  const id = useId()
  const last = moments.length
  const newest = shown === null ? -1 : moments.findIndex(({ seq }) => seq <= shown.seq)
  const place = shown === null ? last : newest < 0 ? 0 : last - 1 - newest
  const words = shown === null ? 'As it is now' : momentWords(shown)
  return (
    <div className="history-slider">
      <label htmlFor={id}>Moment</label>
      <input
        id={id}
        type="range"
        min={0}
        max={last}
        value={place}
        aria-valuetext={words}
        onChange={({ target }) => showMoment(moments[last - 1 - target.valueAsNumber] ?? null)}
      />
      <p className="clip">{words}</p>
    </div>
  )
}
