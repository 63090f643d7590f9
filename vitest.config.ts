import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/parts/clean.ts',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Tests start real servers; a few at once keep two cores busy.
    maxWorkers: 3,
  },
});
