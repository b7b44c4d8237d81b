import { ArrowRight, KeyRound, UserRound } from 'lucide-react'
import { useState, type FormEvent, type ReactNode } from 'react'
import { Button } from '../ui/button'
import { Field } from '../ui/field'
import { Logo } from '../shell/logo'
import './sign-in.css'
import { tokenOf, type Identity } from './tokens'

interface SignInProps {
  /** Why somebody who was signed in has to do it again. */
  reason: string | null
  onSignIn: (identity: Identity) => void
}

type Way = 'name' | 'token'

export function SignIn({ reason, onSignIn }: SignInProps): ReactNode {
  const [way, setWay] = useState<Way>('name')
  const [problem, setProblem] = useState<string | null>(reason)
  const [isBusy, setIsBusy] = useState(false)

  const enter = async (identity: Identity): Promise<void> => {
    setIsBusy(true)
    setProblem(null)
    try {
      await tokenOf(identity)
      onSignIn(identity)
    } catch (error) {
      setProblem(error instanceof TypeError ? 'The server can’t be reached. Is it running?' : (error as Error).message)
      setIsBusy(false)
    }
  }

  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget).get('who')).trim()
    if (text === '') setProblem(way === 'name' ? 'Say a name.' : 'Paste a token.')
    else void enter(way === 'name' ? { kind: 'development', user: text } : { kind: 'token', token: text })
  }

  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <Logo size={44} />
        <h1>Welcome to Costudio</h1>
        <p className="sign-in-about">Code, chat and decide together, in one place, as it happens.</p>
        <form onSubmit={submit} noValidate>
          {way === 'name' ? (
            <Field key="name" label="Your name" name="who" autoFocus maxLength={64} autoComplete="username" placeholder="alice" error={problem}
              hint="For development: whoever says a name comes in under it." />
          ) : (
            <Field key="token" label="Your token" name="who" type="password" autoFocus error={problem} placeholder="eyJ…"
              hint={<>Your studio’s sign-in gives you one, or <code>costudio token</code> on the server.</>} />
          )}
          <Button kind="main" type="submit" disabled={isBusy} className="sign-in-go">
            {isBusy ? 'Signing in…' : 'Sign in'} <ArrowRight size={15} aria-hidden />
          </Button>
        </form>
        <Button
          className="sign-in-other"
          icon={way === 'name' ? KeyRound : UserRound}
          onClick={() => {
            setWay(way === 'name' ? 'token' : 'name')
            setProblem(null)
          }}
        >
          {way === 'name' ? 'Use a token instead' : 'Use a name instead'}
        </Button>
      </div>
    </main>
  )
}
