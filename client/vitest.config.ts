import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts', 'tests/**/*.test.tsx'],
    globalSetup: ['tests/support/server-setup.ts'],
    // One server for all; files are few, and each worker costs more than it saves on two cores.
    maxWorkers: 2,
    isolate: false,
    testTimeout: 15_000,
    hookTimeout: 40_000
  }
})
