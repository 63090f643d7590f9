import { defineConfig } from 'vitest/config';

// The services that tests start load in half the time when Node.js has compiled their files before.
process.env['NODE_COMPILE_CACHE'] ??= new URL('.parts/compiled', import.meta.url).pathname;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/clean.ts',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Tests start real servers; a few at once keep two cores busy.
    maxWorkers: 3,
  },
});
