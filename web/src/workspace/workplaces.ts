import type { CostudioClient, Project } from '@costudio/client'

/** A workspace that somebody can go to, with the chats beside it. */
export interface Workplace {
  id: number
  name: string
  /** Null: a workspace of no project. */
  project: Project | null
  chats: readonly NamedChat[]
}

export interface NamedChat {
  id: number
  name: string
}

const FIRST_WORKSPACE = 1
const MOST = 200

/**
 * The workspaces of the caller's projects. Who has none gets the workspace `wanted`, or the first one: a server without
 * projects has it for everybody.
 */
export async function loadWorkplaces(client: CostudioClient, wanted: number | null): Promise<Workplace[]> {
  const projects = await client.api.projects.list({ limit: MOST })
  const found = (await Promise.all(projects.items.map((project) => workplacesOf(client, project)))).flat()
  const isThere = wanted === null ? found.length > 0 : found.some(({ id }) => id === wanted)
  if (isThere) return found
  const chatsOfProjects = new Set(found.flatMap(({ chats }) => chats.map(({ id }) => id)))
  return [await lonelyWorkplace(client, wanted ?? FIRST_WORKSPACE, chatsOfProjects), ...found]
}

async function workplacesOf(client: CostudioClient, project: Project): Promise<Workplace[]> {
  const [workspaces, chats] = await Promise.all([
    client.api.projects.workspaces(project.id, { limit: MOST }),
    client.api.projects.chats(project.id, { limit: MOST })
  ])
  return workspaces.items.map(({ id, name }) => ({ id, name, project, chats: chats.items }))
}

/** A workspace of no project: its chats are the one of its number, and others of no project that the caller has been in. */
async function lonelyWorkplace(client: CostudioClient, id: number, elsewhere: ReadonlySet<number>): Promise<Workplace> {
  const unread = await client.api.messages.unread()
  const own = unread.items.map((item) => item.chat_id).filter((chat) => !elsewhere.has(chat))
  const chats = [...new Set([id, ...own])]
  return { id, name: `Workspace ${id}`, project: null, chats: chats.map((chat) => ({ id: chat, name: nameOfChat(chat, id) })) }
}

const nameOfChat = (chat: number, workspace: number): string => (chat === workspace ? 'General' : `Chat ${chat}`)
