import type { LucideIcon } from 'lucide-react'
import { useEffect, useId, useLayoutEffect, useRef, useState, type CSSProperties, type KeyboardEvent, type ReactNode } from 'react'
import { IconButton } from './button'
import './menu.css'

export interface MenuItem {
  label: string
  icon?: LucideIcon
  isDanger?: boolean
  isCurrent?: boolean
  onChoose: () => void
}

interface MenuProps {
  label: string
  icon: LucideIcon
  items: readonly MenuItem[]
  /** What the button shows instead of the icon alone. */
  face?: ReactNode
  /** -1 where something else than Tab leads to it. */
  tabIndex?: number
}

const GAP = 4

/** A button that opens a list of things to do; arrow keys move in it. */
export function Menu({ label, icon, items, face, tabIndex }: MenuProps): ReactNode {
  const [isOpen, setIsOpen] = useState(false)
  const root = useRef<HTMLDivElement>(null)
  const id = useId()
  const close = (): void => {
    setIsOpen(false)
    root.current?.querySelector('button')?.focus()
  }

  useEffect(() => {
    if (!isOpen) return
    const closeOutside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setIsOpen(false)
    }
    addEventListener('pointerdown', closeOutside)
    addEventListener('focusin', closeOutside)
    return () => {
      removeEventListener('pointerdown', closeOutside)
      removeEventListener('focusin', closeOutside)
    }
  }, [isOpen])

  const toggle = {
    'aria-haspopup': 'menu',
    'aria-expanded': isOpen,
    'aria-controls': isOpen ? id : undefined,
    tabIndex,
    onClick: () => setIsOpen(!isOpen)
  } as const
  return (
    <div className="menu" ref={root}>
      {face ? (
        <button type="button" className="menu-face" aria-label={label} {...toggle}>
          {face}
        </button>
      ) : (
        <IconButton icon={icon} label={label} {...toggle} />
      )}
      {isOpen && <MenuList id={id} label={label} items={items} onClose={close} />}
    </div>
  )
}

interface MenuListProps {
  id: string
  label: string
  items: readonly MenuItem[]
  onClose: () => void
}

function MenuList({ id, label, items, onClose }: MenuListProps): ReactNode {
  const list = useRef<HTMLDivElement>(null)
  const [place, setPlace] = useState<CSSProperties>({ visibility: 'hidden' })

  // Fixed to the window, so that no list that scrolls cuts it off.
  useLayoutEffect(() => {
    const button = list.current!.parentElement!.getBoundingClientRect()
    const { width, height } = list.current!.getBoundingClientRect()
    const below = button.bottom + GAP
    setPlace({
      top: below + height <= innerHeight ? below : Math.max(GAP, button.top - GAP - height),
      left: Math.max(GAP, Math.min(button.left, innerWidth - width - GAP))
    })
  }, [])
  useEffect(() => {
    if (place.visibility !== 'hidden') list.current!.querySelector('button')?.focus()
  }, [place])

  const onKeyDown = (event: KeyboardEvent): void => {
    event.stopPropagation()
    if (event.key === 'Escape') onClose()
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const buttons = [...list.current!.querySelectorAll('button')]
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    buttons.at((at + step) % buttons.length)?.focus()
  }
  return (
    <div className="menu-list" role="menu" id={id} aria-label={label} ref={list} style={place} onKeyDown={onKeyDown}>
      {items.map(({ label: text, icon: Icon, isDanger, isCurrent, onChoose }) => (
        <button
          key={text}
          type="button"
          role="menuitem"
          tabIndex={-1}
          className={isDanger ? 'is-danger' : ''}
          aria-current={isCurrent}
          onClick={() => {
            onClose()
            onChoose()
          }}
        >
          {Icon && <Icon size={15} aria-hidden />}
          <span className="clip">{text}</span>
        </button>
      ))}
    </div>
  )
}
