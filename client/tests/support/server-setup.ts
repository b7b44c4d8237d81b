import type { TestProject } from 'vitest/node'
import { Server } from './server.js'

declare module 'vitest' {
  export interface ProvidedContext {
    url: string
  }
}

/** One server for all test files; each takes workspaces and chats of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await Server.start()
  project.provide('url', server.url)
  return () => server.remove()
}
