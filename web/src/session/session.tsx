import { CostudioClient } from '@costudio/client'
import { CostudioProvider } from '@costudio/client/react'
import { CloudOff } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'
import { Logo } from '../shell/logo'
import { Studio } from '../shell/studio'
import { useLive } from '@costudio/client/react'
import { accountOf } from './account'
import { MeContext, type Me } from './me'
import './session.css'
import { SignInRefused, tokenOf, type Identity } from './tokens'

interface SessionProps {
  identity: Identity
  /** With the reason if it was not the person's own wish. */
  onSignOut: (reason: string | null) => void
}

/** One signed-in person: their client, and the studio as soon as the server has said who they are. */
export function Session({ identity, onSignOut }: SessionProps): ReactNode {
  const [client, setClient] = useState<CostudioClient | null>(null)
  useEffect(() => {
    const token = async (): Promise<string> => {
      try {
        return await tokenOf(identity)
      } catch (error) {
        if (error instanceof SignInRefused) onSignOut(error.message)
        throw error
      }
    }
    const opened = new CostudioClient({ token, offline: `costudio ${accountOf(identity)}` })
    opened.events.connect()
    setClient(opened)
    return () => opened.close()
  }, [identity])
  return client && <Connected key={accountOf(identity)} client={client} onSignOut={onSignOut} />
}

function Connected({ client, onSignOut }: { client: CostudioClient; onSignOut: SessionProps['onSignOut'] }): ReactNode {
  const { status, reason, user } = useLive(client.events)
  const [me, setMe] = useState<Me | null>(null)
  useEffect(() => {
    if (user && user.id !== me?.id) setMe(user)
  }, [user])
  useEffect(() => {
    if (status === 'closed') onSignOut(`The server did not let you in${reason ? `: ${reason}` : ''}.`)
  }, [status])

  if (!me) return <Splash isOffline={status === 'offline'} />
  return (
    <CostudioProvider client={client}>
      <MeContext value={me}>
        <Studio onSignOut={() => onSignOut(null)} />
      </MeContext>
    </CostudioProvider>
  )
}

function Splash({ isOffline }: { isOffline: boolean }): ReactNode {
  return (
    <main className="splash" role="status">
      <Logo size={52} />
      {isOffline ? (
        <p>
          <CloudOff size={16} aria-hidden /> The server can’t be reached. Trying again…
        </p>
      ) : (
        <p>Opening your studio…</p>
      )}
    </main>
  )
}
