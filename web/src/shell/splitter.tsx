import { useRef, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react'
import './splitter.css'

interface SplitterProps {
  label: string
  width: number
  min: number
  max: number
  /** Which side of the line is resized. */
  side: 'left' | 'right'
  onResize: (width: number) => void
}

const STEP = 24

/** The line between two parts of the studio: dragged, or moved by the arrow keys. */
export function Splitter({ label, width, min, max, side, onResize }: SplitterProps): ReactNode {
  const start = useRef<{ x: number; width: number } | null>(null)
  const direction = side === 'left' ? 1 : -1
  const resize = (to: number): void => onResize(Math.round(Math.min(max, Math.max(min, to))))

  const onPointerMove = (event: PointerEvent): void => {
    if (start.current) resize(start.current.width + direction * (event.clientX - start.current.x))
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key]
    if (step !== undefined) resize(width + direction * step)
  }
  return (
    <div
      className="splitter"
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={label}
      aria-valuenow={width}
      aria-valuemin={min}
      aria-valuemax={max}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        start.current = { x: event.clientX, width }
      }}
      onPointerMove={onPointerMove}
      onPointerUp={() => (start.current = null)}
    />
  )
}
