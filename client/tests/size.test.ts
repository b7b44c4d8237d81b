import { gzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { build, type Rolldown } from 'vite'

const BUDGET_BYTES = 15 * 1024
const ENTRY = 'virtual:entry'

test('the core is less than 15 KB without Yjs, and takes neither React nor zustand', async () => {
  const { code, imports } = await bundle('../src/index.ts')
  expect(gzipSync(code).length).toBeLessThan(BUDGET_BYTES)
  expect(imports.filter((name) => /react|zustand/.test(name))).toEqual([])
})

test('an app that uses one export takes that alone', async () => {
  const { code } = await bundle('../src/connecting/close-codes.ts')
  const all = await bundle('../src/index.ts', 'mayReconnect')
  expect(all.code.length).toBeLessThan(code.length + 100)
})

/** Minified as an app would have it; packages stay outside. `only`: of one export. */
async function bundle(path: string, only = '*'): Promise<{ code: string; imports: string[] }> {
  const module = JSON.stringify(fileURLToPath(new URL(path, import.meta.url)))
  const text = `export ${only === '*' ? only : `{ ${only} }`} from ${module}`
  const built = (await build({
    configFile: false,
    logLevel: 'silent',
    plugins: [
      {
        name: 'entry',
        enforce: 'pre',
        resolveId: (id) => (id === ENTRY ? id : null),
        load: (id) => (id === ENTRY ? text : null)
      }
    ],
    build: {
      write: false,
      modulePreload: false,
      rollupOptions: {
        input: ENTRY,
        external: /^[a-z@](?!irtual)/,
        preserveEntrySignatures: 'strict',
        output: { codeSplitting: false }
      }
    }
  })) as Rolldown.RolldownOutput
  const [chunk] = built.output
  return { code: chunk.code, imports: [...chunk.imports, ...chunk.dynamicImports] }
}
