import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const client = (entry: string): string => new URL(`../client/src/${entry}`, import.meta.url).pathname

// The server serves `dist/index.html` at `/` and what it needs at `/assets/`; nothing comes from elsewhere.
export default defineConfig({
  plugins: [react()],
  resolve: {
    alias: [
      { find: /^@costudio\/client$/, replacement: client('index.ts') },
      { find: /^@costudio\/client\/(react|store)$/, replacement: client('$1/index.ts') }
    ],
    // The client's sources name packages that it has beside it too: two copies of Yjs do not know each other's types.
    dedupe: ['lib0', 'react', 'y-indexeddb', 'y-protocols', 'y-websocket', 'yjs', 'zustand']
  },
  build: {
    assetsInlineLimit: 0, // the server's policy has no fonts from `data:`
    chunkSizeWarningLimit: 900,
    modulePreload: { polyfill: false }
  },
  // `npx vite` with a server on its default port, for work on the studio itself.
  server: {
    proxy: {
      '/api': 'http://127.0.0.1:8000',
      '/ws': { target: 'ws://127.0.0.1:8000', ws: true },
      '/events': { target: 'ws://127.0.0.1:8000', ws: true }
    }
  }
})
