import { Ban } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from '../ui/button'
import { useActiveFile } from './active-file'
import { Banner } from './banner'

/** Why the server does not take what is written here; it stays in this browser. */
export function RefusedBanner(): ReactNode {
  const { file } = useActiveFile()
  if (file.status !== 'refused' || !file.isLoaded) return null
  return (
    <Banner icon={Ban} kind="warn" actions={<Button onClick={() => file.file.retry()}>Try again</Button>}>
      What you write here is not saved{file.reason ? `: ${file.reason}` : ''}.
    </Banner>
  )
}
