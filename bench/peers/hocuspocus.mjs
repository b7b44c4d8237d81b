// Hocuspocus as it comes. Environment: PORT, and STORE_FOLDER if it shall keep documents, each in a file.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Database } from '@hocuspocus/extension-database'
import { Server } from '@hocuspocus/server'

const { PORT, STORE_FOLDER } = process.env
const fileOf = name => join(STORE_FOLDER, encodeURIComponent(name))
const store = new Database({
  fetch: ({ documentName }) => readFile(fileOf(documentName)).catch(() => null),
  store: ({ documentName, state }) => writeFile(fileOf(documentName), state)
})

new Server({
  port: Number(PORT),
  address: '127.0.0.1',
  quiet: true,
  extensions: STORE_FOLDER ? [store] : []
}).listen()
