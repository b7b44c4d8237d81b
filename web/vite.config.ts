import { defineConfig } from 'vite'

// The server serves `dist/index.html` at `/` and what it needs at `/assets/`; nothing comes from elsewhere.
export default defineConfig({
  build: {
    chunkSizeWarningLimit: 800,
    modulePreload: { polyfill: false }
  },
  // `npx vite` with a server on its default port, for work on the page itself.
  server: {
    proxy: {
      '/api': 'http://127.0.0.1:8000',
      '/ws': { target: 'ws://127.0.0.1:8000', ws: true }
    }
  }
})
