import { create } from 'zustand'

/** Which chat shows, and what is being done in it. */
interface ChatView {
  chat: number | null
  isSearching: boolean
}

export const useChatView = create<ChatView>(() => ({ chat: null, isSearching: false }))

export const showChat = (chat: number): void => useChatView.setState({ chat, isSearching: false })
