import { Archive } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { fullTime } from '../ui/times'
import { useActiveFile } from './active-file'
import { Banner } from './banner'
import './draft-banner.css'

/** Copies of an earlier history of the file, whose edits were never saved: to look at, take over by hand, and drop. */
export function DraftBanner(): ReactNode {
  const { file } = useActiveFile()
  const [isOpen, setIsOpen] = useState(false)
  const [draft] = file.drafts
  if (!draft) return null
  return (
    <>
      <Banner icon={Archive} kind="note" actions={<Button onClick={() => setIsOpen(true)}>Look at your copy</Button>}>
        This file was restored or made anew. What you had written before is kept in this browser.
      </Banner>
      {isOpen && (
        <Dialog title={`Your copy of ${fullTime(new Date(draft.savedAt))}`} onClose={() => setIsOpen(false)}>
          <pre className="draft-text" tabIndex={0}>
            {draft.text}
          </pre>
          <div className="dialog-actions">
            <Button
              kind="danger"
              onClick={() => {
                file.file.discardDraft(draft.id)
                setIsOpen(false)
              }}
            >
              Drop it
            </Button>
            <Button kind="main" onClick={() => void navigator.clipboard.writeText(draft.text)}>
              Copy the text
            </Button>
          </div>
        </Dialog>
      )}
    </>
  )
}
