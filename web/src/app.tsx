import { useEffect, useState, type ReactNode } from 'react'
import { readAddress, writeAddress } from './session/address'
import { Session } from './session/session'
import { SignIn } from './session/sign-in'
import { firstIdentity, keepIdentity, type Identity } from './session/tokens'
import { applyTheme, useLayout } from './shell/layout-state'
import { Toasts } from './ui/toasts'

export function App(): ReactNode {
  const [identity, setIdentity] = useState<Identity | null>(() => firstIdentity(readAddress().user))
  const [reason, setReason] = useState<string | null>(null)
  const theme = useLayout((layout) => layout.theme)
  useEffect(() => applyTheme(theme), [theme])

  const signIn = (next: Identity): void => {
    keepIdentity(next)
    writeAddress({ user: next.kind === 'development' ? next.user : null })
    setIdentity(next)
  }
  const signOut = (why: string | null): void => {
    keepIdentity(null)
    writeAddress({ user: null })
    setReason(why)
    setIdentity(null)
  }
  return (
    <>
      {identity ? <Session identity={identity} onSignOut={signOut} /> : <SignIn reason={reason} onSignIn={signIn} />}
      <Toasts />
    </>
  )
}
