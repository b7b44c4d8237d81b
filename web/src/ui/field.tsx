import { useId, type InputHTMLAttributes, type ReactNode, type Ref } from 'react'
import './field.css'

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string
  hint?: ReactNode
  error?: string | null
  ref?: Ref<HTMLInputElement>
}

/** A labelled line of text, with what is wrong with it below. */
export function Field({ label, hint, error, ...rest }: FieldProps): ReactNode {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="input"
        autoComplete="off"
        spellCheck={false}
        aria-invalid={error ? true : undefined}
        aria-describedby={`${id}-note`}
        {...rest}
      />
      <p id={`${id}-note`} className={error ? 'field-error' : 'field-hint'} role={error ? 'alert' : undefined}>
        {error || hint}
      </p>
    </div>
  )
}
