import { useCostudio } from '@costudio/client/react'
import { useState, type FormEvent, type ReactNode } from 'react'
import { useTabs } from '../workspace/tabs'
import { entryOf, useWorkspace } from '../workspace/workspace-context'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field } from '../ui/field'
import { wordsOf } from '../ui/words'
import { createFile, createFolder, moveFile, moveFolder } from './tree-edits'
import { parentOf, problemOfPath, type TreeNode } from './tree-model'

/** What the path is wanted for. */
export type PathQuestion = { kind: 'new-file' | 'new-folder' } | { kind: 'rename' | 'copy'; node: TreeNode }

const TITLES: Record<PathQuestion['kind'], string> = {
  'new-file': 'New file',
  'new-folder': 'New folder',
  rename: 'Rename or move',
  copy: 'Make a copy'
}

/** Ask for a path, and make, move or copy something there. */
export function PathDialog({ dialog, onClose }: { dialog: PathQuestion; onClose: () => void }): ReactNode {
  const { place, tree, document, openFile } = useWorkspace()
  const client = useCostudio()
  const { active } = useTabs(place.id)
  const [problem, setProblem] = useState<string | null>(null)
  const node: TreeNode | null = 'node' in dialog ? dialog.node : null
  const folder = active === null ? '' : parentOf(entryOf(tree, active).path)
  const suggested = node?.path ?? (folder === '' ? '' : `${folder}/`)

  const problemWith = (path: string): string | null => {
    const taken = [...tree.files.map((file) => file.path), ...tree.folders].some(
      (other) => other !== node?.path && other.toLowerCase() === path.toLowerCase()
    )
    return problemOfPath(path) ?? (taken || (dialog.kind === 'copy' && path === node?.path) ? 'There is something of that name already.' : null)
  }

  const carryOut = async (path: string): Promise<void> => {
    if (dialog.kind === 'new-file') openFile(createFile(document.doc, path))
    else if (dialog.kind === 'new-folder') createFolder(document.doc, path)
    else if (node?.kind === 'folder') moveFolder(document.doc, node.path, path)
    else if (node && dialog.kind === 'rename') moveFile(document.doc, node.fileId, path)
    else if (node) openFile((await client.api.tree.copy(place.id, node.fileId, path)).file_id)
  }

  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault()
    const path = String(new FormData(event.currentTarget).get('path')).trim().normalize('NFC').replace(/\/+$/u, '')
    const wrong = path === node?.path && dialog.kind === 'rename' ? null : problemWith(path)
    setProblem(wrong)
    if (wrong !== null) return
    try {
      await carryOut(path)
      onClose()
    } catch (error) {
      setProblem(wordsOf(error))
    }
  }

  const hint = dialog.kind === 'new-folder' ? 'Such as Content/Maps' : 'Such as Source/Lyra/Hero.cpp: folders are made as they are needed.'
  return (
    <Dialog title={TITLES[dialog.kind]} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Field label="Path" name="path" defaultValue={suggested} autoFocus maxLength={600} error={problem} hint={hint} />
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit">
            {node ? (dialog.kind === 'copy' ? 'Copy' : 'Rename') : 'Create'}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
