/** @costudio/client/react: hooks on the one client of the app. */
import type { ReactElement, ReactNode } from 'react'
import type { ChatState, CostudioClient, DocumentState, EventsClient, LocksState, Notifications, NotificationsState, OpenChat, OpenFile, Present, ServerEvent, ServerEventType, WorkspaceLocks } from '../index.js'

/** Gives the client to all hooks below. */
export declare function CostudioProvider(props: { client: CostudioClient; children?: ReactNode }): ReactElement
export declare function useCostudio(): CostudioClient

/** The one connection, however many components use it. */
export declare function useWebSocket(): {
  socket: WebSocket | null
  connected: boolean
  send: EventsClient['send']
  /** Hear of events of a type; returns what ends that. */
  subscribe<Type extends ServerEventType>(type: Type, handler: (event: ServerEvent<Type>) => void): () => void
}

/** A file, open while the component is there; null until then. Bind the editor anew when `generation` changes. */
export declare function useFile(workspace: number, fileId: string): (DocumentState & { file: OpenFile }) | null
export declare function useChat(chat: number): (ChatState & { chat: OpenChat; document: DocumentState }) | null
/** Who is in a room, by default `global`. */
export declare function usePresence(room?: string): readonly Present[]
/** Who types in a chat or other room, and what to call while keys are pressed here. */
export declare function useTyping(room: string): { typingUsers: ReadonlySet<number>; onType(): void; stop(): void }
export declare function useLocks(workspace: number): (LocksState & { locksOf: WorkspaceLocks }) | null
export declare function useNotifications(): (NotificationsState & { notifications: Notifications }) | null
