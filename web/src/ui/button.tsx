import type { LucideIcon } from 'lucide-react'
import type { ButtonHTMLAttributes, ReactNode } from 'react'
import './button.css'

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: 'main' | 'plain' | 'danger'
  icon?: LucideIcon
  children: ReactNode
}

export function Button({ kind = 'plain', icon: Icon, children, className = '', ...rest }: ButtonProps): ReactNode {
  return (
    <button type="button" className={`button button-${kind} ${className}`} {...rest}>
      {Icon && <Icon size={15} aria-hidden />}
      {children}
    </button>
  )
}

interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  icon: LucideIcon
  /** What it does, read aloud and shown on hover. */
  label: string
  size?: number
}

export function IconButton({ icon: Icon, label, size = 16, className = '', children, ...rest }: IconButtonProps): ReactNode {
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={label} {...rest}>
      <Icon size={size} aria-hidden />
      {children}
    </button>
  )
}
