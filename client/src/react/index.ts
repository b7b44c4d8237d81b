/** @costudio/client/react: hooks on the one client of the app. */
export { CostudioProvider, useCostudio, useLive } from './context.js'
export {
  useChat,
  useFile,
  useLocks,
  useNotifications,
  usePresence,
  useTyping,
  useWebSocket,
  type TypingHook,
  type WebSocketHook
} from './hooks.js'
