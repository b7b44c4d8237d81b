import { Braces, FileCode2, FileCog, FileText, Palette } from 'lucide-react'
import type { ReactNode } from 'react'
import { languageOf } from '../editor/languages'
import './file-icon.css'

const ICONS: Record<string, typeof FileText> = {
  'C++': FileCode2,
  'C#': FileCode2,
  Python: FileCode2,
  JSON: Braces,
  INI: FileCog,
  HLSL: Palette
}

/** A picture of what kind of file it is. */
export function FileIcon({ path, language }: { path: string; language?: string | null }): ReactNode {
  const { name } = languageOf(path, language)
  const Icon = ICONS[name] ?? FileText
  return <Icon className="file-icon" data-language={name} size={15} strokeWidth={1.75} aria-hidden />
}
