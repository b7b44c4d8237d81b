import { CircleAlert, CircleCheck, X } from 'lucide-react'
import { useEffect, type ReactNode } from 'react'
import { create } from 'zustand'
import { IconButton } from './button'
import './toasts.css'
import { wordsOf } from './words'

interface Toast {
  id: number
  text: string
  kind: 'done' | 'problem'
}

const SECONDS_SHOWN = { done: 4, problem: 10 }
const MOST_SHOWN = 4

const useToasts = create<{ toasts: Toast[] }>(() => ({ toasts: [] }))
let lastId = 0

function show(kind: Toast['kind'], text: string): void {
  lastId += 1
  const toast = { id: lastId, kind, text }
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts.filter((other) => other.text !== text), toast].slice(-MOST_SHOWN) }))
}

const hide = (id: number): void =>
  useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((toast) => toast.id !== id) }))

/** Say in passing that something is done. */
export const tellDone = (text: string): void => show('done', text)
/** Say in passing that something failed, and why. */
export const tellProblem = (error: unknown): void => show('problem', wordsOf(error))

/** Do it; what goes wrong is told in words. */
export function attempt(action: () => Promise<unknown>): void {
  action().catch(tellProblem)
}

export function Toasts(): ReactNode {
  const toasts = useToasts((state) => state.toasts)
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <ToastCard key={toast.id} toast={toast} />
      ))}
    </div>
  )
}

function ToastCard({ toast }: { toast: Toast }): ReactNode {
  useEffect(() => {
    const timer = setTimeout(() => hide(toast.id), SECONDS_SHOWN[toast.kind] * 1000)
    return () => clearTimeout(timer)
  }, [toast])
  const Icon = toast.kind === 'done' ? CircleCheck : CircleAlert
  return (
    <div className={`toast is-${toast.kind}`}>
      <Icon size={17} aria-hidden />
      <p>{toast.text}</p>
      <IconButton icon={X} label="Dismiss" size={14} onClick={() => hide(toast.id)} />
    </div>
  )
}
