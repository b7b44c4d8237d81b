import type { Extension } from '@codemirror/state'
import { EditorView } from '@codemirror/view'

/** The languages of Unreal people. Each is fetched when the first file in it is opened. */
interface Language {
  name: string
  endings: readonly string[]
  load: () => Promise<Extension>
}

const LANGUAGES: Record<string, Language> = {
  cpp: { name: 'C++', endings: ['cpp', 'h', 'hpp', 'cc', 'c', 'inl'], load: async () => (await import('@codemirror/lang-cpp')).cpp() },
  csharp: { name: 'C#', endings: ['cs'], load: async () => (await import('@replit/codemirror-lang-csharp')).csharp() },
  python: { name: 'Python', endings: ['py'], load: async () => (await import('@codemirror/lang-python')).python() },
  json: {
    name: 'JSON',
    endings: ['json', 'uproject', 'uplugin'],
    load: async () => (await import('@codemirror/lang-json')).json()
  },
  ini: { name: 'INI', endings: ['ini', 'cfg'], load: async () => (await import('./stream-languages')).ini() },
  hlsl: { name: 'HLSL', endings: ['hlsl', 'usf', 'ush'], load: async () => (await import('./stream-languages')).hlsl() },
  markdown: {
    name: 'Markdown',
    endings: ['md'],
    load: async () => [(await import('@codemirror/lang-markdown')).markdown(), EditorView.lineWrapping]
  }
}

const PLAIN: Language = { name: 'Plain text', endings: [], load: async () => EditorView.lineWrapping }

/** The language that the tree names, else the one of the path's ending. */
export function languageOf(path: string, named?: string | null): Language {
  if (named === 'plaintext') return PLAIN
  const byName = named ? (LANGUAGES[named] ?? Object.values(LANGUAGES).find(({ name }) => name === named)) : undefined
  if (byName) return byName
  const ending = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  return Object.values(LANGUAGES).find(({ endings }) => endings.includes(ending)) ?? PLAIN
}
